import { imapErrors } from './errors.ts'

const nameLettersMax = 1_000

/** A folder name as it goes over the wire: modified UTF-7 (RFC 3501 section 5.1.3) in a quoted string. */
export function quoteMailbox(name: string): string {
  if (name === '' || name.length > nameLettersMax || hasControl(name)) throw imapErrors.FOLDER_NAME({ folder: name })
  return quote(encodeMailboxName(name))
}

/** A quoted string; the caller has made sure that it is printable ASCII. */
export function quote(text: string): string {
  return `"${text.replace(/[\\"]/g, '\\$&')}"`
}

/** `Aufträge` becomes `Auftr&AOQ-ge`; `&` becomes `&-`. */
export function encodeMailboxName(name: string): string {
  return name
    .replaceAll('&', '&-')
    .replace(
      /[^\x20-\x7e]+/g,
      run => `&${Buffer.from(run, 'utf16le').swap16().toString('base64').replace(/=+$/, '').replaceAll('/', ',')}-`,
    )
}

/** The name people know. What is not valid modified UTF-7 comes back as it stands. */
export function decodeMailboxName(wire: string): string {
  return wire.replace(/&([A-Za-z0-9+,]*)-/g, (whole, shifted: string) => {
    if (shifted === '') return '&'
    const bytes = Buffer.from(shifted.replaceAll(',', '/'), 'base64')
    return bytes.length === 0 || bytes.length % 2 === 1 ? whole : bytes.swap16().toString('utf16le')
  })
}

function hasControl(text: string): boolean {
  return /\p{Cc}/u.test(text)
}
