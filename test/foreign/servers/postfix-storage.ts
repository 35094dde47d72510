/**
 * A mail as Postfix 3.7 keeps it, in CRLF form. Its queue knows lines only: CRs before an LF and a missing final line end
 * are lost, another CR becomes a blank. A first line as in an mbox file becomes a header, and a header that no blank line
 * ends is given one.
 */
export function asPostfixKeeps(bytes: Uint8Array): Uint8Array {
  const lines = Buffer.from(bytes)
    .toString('latin1')
    .split(/\r*\n/)
    .map(line => line.replaceAll('\r', ' '))
  if (lines.at(-1) === '') lines.pop()
  const first = lines[0] ?? ''
  if (/^>*From /.test(first)) lines[0] = `X-Mailbox-Line: ${first}`
  const bodyAt = lines.findIndex((line, index) => !isHeader(line) && (index === 0 || !/^[ \t]/.test(line)))
  if (bodyAt >= 0 && lines[bodyAt] !== '') lines.splice(bodyAt, 0, '')
  return Buffer.from(lines.map(line => `${line}\r\n`).join(''), 'latin1')
}

function isHeader(line: string): boolean {
  return /^[!-9;-~]+[ \t]*:/.test(line)
}
