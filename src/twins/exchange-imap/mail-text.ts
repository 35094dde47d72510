/** Where the header of a mail ends: after its empty line, or at the end when there is none. Bare LF counts too. */
export function headerEnd(mail: Uint8Array): number {
  for (let at = 0; at < mail.length; ) {
    const lineEnd = mail.indexOf(10, at)
    if (lineEnd < 0) return mail.length
    const isEmpty = lineEnd === at || (lineEnd === at + 1 && mail[at] === 13)
    if (isEmpty) return lineEnd + 1
    at = lineEnd + 1
  }
  return mail.length
}

export interface HeaderField {
  /** In lower case. */
  readonly name: string
  /** As it stands in the mail, with its line ends. */
  readonly raw: string
  /** Unfolded. */
  readonly value: string
}

/** The header fields of a mail, one letter per octet. Lines that are no field belong to the one before. */
export function headerFields(mail: Uint8Array): HeaderField[] {
  const header = Buffer.from(mail.buffer, mail.byteOffset, headerEnd(mail)).toString('latin1')
  const fields: HeaderField[] = []
  for (const raw of header.split(/(?<=\n)(?![ \t])/)) {
    const colon = raw.indexOf(':')
    if (colon <= 0) continue
    fields.push({
      name: raw.slice(0, colon).trim().toLowerCase(),
      raw,
      value: raw
        .slice(colon + 1)
        .replace(/\r?\n/g, '')
        .trim(),
    })
  }
  return fields
}

/** A part of a mail that FETCH may ask for. `fields`: those header fields (`isWanted`), or all but those. */
export type Section =
  | { readonly kind: 'all' | 'header' | 'text' }
  | { readonly kind: 'fields'; readonly isWanted: boolean; readonly names: readonly string[] }

export function readSection(mail: Uint8Array, section: Section): Uint8Array {
  if (section.kind !== 'fields') {
    if (section.kind === 'all') return mail
    return section.kind === 'header' ? mail.subarray(0, headerEnd(mail)) : mail.subarray(headerEnd(mail))
  }
  const kept = headerFields(mail).filter(field => section.names.includes(field.name) === section.isWanted)
  return Buffer.from(`${kept.map(field => field.raw).join('')}\r\n`, 'latin1')
}

/** What Exchange hands out in place of a mail that it cannot render; it must never be taken for the mail. */
export function failedRetrieval(uid: number): Uint8Array {
  return Buffer.from(
    [
      'From: "Microsoft Exchange Server"',
      `Subject: Retrieval using the IMAP4 protocol failed for the following message: ${uid}`,
      'MIME-Version: 1.0',
      'Content-Type: text/plain; charset="us-ascii"',
      '',
      "The server couldn't retrieve the following message:",
      '',
      "The message hasn't been deleted. You might be able to view it using either Outlook or Outlook Web App.",
      'You can also contact the sender to find out what the message says.',
      '',
    ].join('\r\n'),
  )
}
