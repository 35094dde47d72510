const CR = 0x0d
const LF = 0x0a

/**
 * A mail as it may look behind SMTP's DATA, which knows CRLF alone (RFC 5321 section 2.3.8): a bare CR or LF has become
 * CRLF and the last line is ended. Servers that store mail may serve it so as well. Everything else is unchanged.
 */
export function afterData(bytes: Uint8Array): Uint8Array {
  const out: number[] = []
  for (let index = 0; index < bytes.length; index++) {
    const octet = bytes[index] ?? 0
    if (octet === CR) {
      out.push(CR, LF)
      if (bytes[index + 1] === LF) index++
    } else if (octet === LF) {
      out.push(CR, LF)
    } else {
      out.push(octet)
    }
  }
  if (bytes.length > 0 && out.at(-1) !== LF) out.push(CR, LF)
  return Uint8Array.from(out)
}

/** True when DATA carries the mail without changing an octet: only CRLF line ends, the last line ended, no NUL. */
export function survivesData(bytes: Uint8Array): boolean {
  return !bytes.includes(0) && Buffer.compare(afterData(bytes), bytes) === 0
}
