/** Modified UTF-7 of a folder name (RFC 3501 section 5.1.3): `Gelöscht` is `Gel&APY-scht` on the wire. */
export function encodeFolderName(name: string): string {
  return name.replace(/&|[^\x20-\x7e]+/g, part => {
    if (part === '&') return '&-'
    const utf16 = Buffer.from(part, 'utf16le').swap16()
    return `&${utf16.toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`
  })
}

/** The folder name of its form on the wire, or undefined where it is not modified UTF-7. */
export function decodeFolderName(wire: string): string | undefined {
  if (!/^(?:[\x20-\x25\x27-\x7e]|&[A-Za-z0-9+,]*-)*$/.test(wire)) return undefined
  const name = wire.replace(/&([^-]*)-/g, (_, coded: string) => {
    if (coded === '') return '&'
    const bytes = Buffer.from(coded.replaceAll(',', '/'), 'base64')
    return bytes
      .subarray(0, bytes.length & ~1)
      .swap16()
      .toString('utf16le')
  })
  // One name has one form on the wire; anything else is refused, as Exchange does.
  return encodeFolderName(name) === wire ? name : undefined
}
