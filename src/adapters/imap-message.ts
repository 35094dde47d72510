import type { Incoming } from '../flow/adapter.ts'
import { firstValues, hasWholeHeader, type MailHeader, mailHeaderOf } from '../protocols/mime/header.ts'
import { type MailFacts, readMailFacts } from '../protocols/mime/mail-facts.ts'

/** Where a mail lies. */
export interface MailPlace {
  readonly mailbox: string
  readonly folder: string
  readonly uidValidity: number
  readonly uid: number
}

const probeHeader = 'x-isthmus-probe'

/** What a message of a mailbox has beside its headers. The compiler holds the table complete. */
const attributeTable: { readonly [K in keyof MailFacts | 'mailbox' | 'folder' | 'uid']: true } = {
  from: true,
  to: true,
  cc: true,
  subject: true,
  messageId: true,
  date: true,
  returnPath: true,
  receivedCount: true,
  isAutomatic: true,
  mailbox: true,
  folder: true,
  uid: true,
}
export const mailAttributes: readonly string[] = Object.keys(attributeTable)

/** Identity of a mail at its source. */
export function sourceKeyOf({ mailbox, folder, uidValidity, uid }: MailPlace): string {
  return `${mailbox}/${folder}/${uidValidity}/${uid}`
}

/** A mail as far as its head tells. */
export interface MailHead {
  readonly header: MailHeader
  readonly facts: MailFacts
  /** Token of the probe header, which anybody could have written. */
  readonly claimedProbe: string | undefined
}

export function readHead(bytes: Uint8Array): MailHead {
  const header = mailHeaderOf(bytes)
  const claimedProbe = header.fields.find(([name]) => name === probeHeader)?.[1]
  return { header, facts: readMailFacts(header), claimedProbe }
}

/**
 * True for the mail that Exchange makes up when it cannot read the real one. It is never forwarded: the real one still
 * lies in the mailbox.
 */
export function isSynthetic(facts: MailFacts): boolean {
  return /^Retrieval using the IMAP4 protocol failed for the following message/i.test(facts.subject)
}

/**
 * The message of a mail: the very bytes, and what its header says. `isSuspect`: it may be one that was taken in under
 * another UID, so the same mail (Message-ID and bytes) of this mailbox is not accepted again.
 */
export function describeMail(
  place: MailPlace,
  head: MailHead,
  body: Incoming['body'],
  isSuspect: boolean,
  probe: string | undefined,
): Incoming {
  const { facts } = head
  const id = facts.messageId
  const { mailbox, folder, uid } = place
  return {
    headers: firstValues(head.header),
    attributes: { ...facts, mailbox, folder, uid },
    type: 'message/rfc822',
    body,
    sourceKey: sourceKeyOf(place),
    // A mail to two mailboxes is not one for the flow: each may have a receiver of its own.
    repeat: { key: `${mailbox} ${id}`, refuse: isSuspect },
    // Without its angle brackets; the search takes those off, too, which people paste.
    terms: id === '' ? [] : [id.slice(1, -1)],
    ...(probe !== undefined && { probe }),
  }
}

/** Reads from a stream until the header of the mail is there; `body` then gives all octets from the first on. */
export async function peelHead(
  source: AsyncIterable<Uint8Array>,
): Promise<{ readonly head: Uint8Array; readonly body: AsyncIterable<Uint8Array>; leave(): Promise<void> }> {
  const chunks = source[Symbol.asyncIterator]()
  let head: Uint8Array = Buffer.alloc(0)
  while (!hasWholeHeader(head)) {
    const next = await chunks.next()
    if (next.done) break
    // A copy: the memory of a piece is used again for the next one.
    head = Buffer.concat([head, next.value])
  }
  const leave = async () => {
    await chunks.return?.()
  }
  async function* body(): AsyncGenerator<Uint8Array, void, void> {
    try {
      yield head
      // A source that has ended says so again.
      for (let next = await chunks.next(); !next.done; next = await chunks.next()) yield next.value
    } finally {
      await leave()
    }
  }
  return { head, body: body(), leave }
}
