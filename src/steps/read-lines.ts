import { type Body, bodyErrors } from '../kernel/body.ts'

/**
 * The lines of a body (LF or CRLF, without their ends), as a stream: memory holds one line. An empty last line is none.
 * Throws BODY_NOT_TEXT for bytes that are not UTF-8 and BODY_TOO_LARGE for a line above `lineBytesMax`.
 */
export async function* readLines(body: Body, lineBytesMax: number): AsyncGenerator<string> {
  const decoder = new TextDecoder('utf-8', { fatal: true })
  let rest = ''
  for await (const chunk of body.stream()) {
    const lines = (rest + decode(decoder, chunk)).split('\n')
    rest = lines.pop() ?? ''
    for (const line of lines) yield withoutReturn(line)
    if (rest.length > lineBytesMax) {
      throw bodyErrors.TOO_LARGE({ bytes: rest.length, bytesMax: lineBytesMax, purpose: 'one line (parseBytes)' })
    }
  }
  rest += decode(decoder, undefined)
  if (rest !== '') yield withoutReturn(rest)
}

function decode(decoder: InstanceType<typeof TextDecoder>, chunk: Uint8Array | undefined): string {
  try {
    return chunk ? decoder.decode(chunk, { stream: true }) : decoder.decode()
  } catch (cause) {
    throw bodyErrors.NOT_TEXT({ format: 'UTF-8', text: 'a byte that cannot stand there' }, { cause })
  }
}

function withoutReturn(line: string): string {
  return line.endsWith('\r') ? line.slice(0, -1) : line
}
