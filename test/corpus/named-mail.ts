/**
 * What must become of a mail in a flow to `corpusAddresses.sap` that takes s4.local for the SAP side's own domain.
 * `as-is`: it arrives with the very bytes (line ends aside, see `afterData`). `set-aside`: it must not arrive and is
 * kept with a reason. `either`: both are right, silence is not.
 */
type Expectation = 'as-is' | 'set-aside' | 'either'

export interface NamedMail {
  /** Names the mail in test reports; also the local part of its Message-ID where it has one of its own. */
  readonly name: string
  readonly bytes: Uint8Array
  readonly expectation: Expectation
  /** True for what a machine sent (bounces, read receipts, holiday notes): its sender on the way on is `<>`. */
  readonly isAutomatic: boolean
}

export interface Traits {
  readonly expectation?: Expectation
  readonly isAutomatic?: boolean
}

/** Addresses that the mails of the corpus use; a loop is told by the SAP side's own. */
export const corpusAddresses = {
  mailbox: 'orders@contoso.com',
  sap: 'inbound@s4.local',
  customer: 'customer@fabrikam.test',
} as const

/** A mail from bytes or from text whose every character is one octet. */
export function named(name: string, content: Uint8Array | string, traits: Traits = {}): NamedMail {
  return {
    name,
    bytes: typeof content === 'string' ? octets(content) : content,
    expectation: traits.expectation ?? 'as-is',
    isAutomatic: traits.isAutomatic ?? false,
  }
}

/** An ordinary mail around the odd thing: usual headers unless `headers` names them, lines joined by CRLF. */
export function mailWith(name: string, headers: readonly string[], body: string, traits: Traits = {}): NamedMail {
  const usual = [
    `From: A Customer <${corpusAddresses.customer}>`,
    `To: <${corpusAddresses.mailbox}>`,
    `Subject: ${name}`,
    'Date: Sat, 21 Nov 2026 08:00:00 +0000',
    `Message-ID: <${name}@corpus.test>`,
  ]
  const given = new Set(headers.map(fieldName))
  const all = [...usual.filter(line => !given.has(fieldName(line))), ...headers]
  return named(name, `${all.join('\r\n')}\r\n\r\n${body}`, traits)
}

/** One octet for each character up to U+00FF; text beyond that is a mistake in the corpus. */
export function octets(text: string): Uint8Array {
  for (const character of text) {
    if ((character.codePointAt(0) ?? 0) > 0xff)
      throw new Error(`U+${character.codePointAt(0)?.toString(16)} is not an octet.`)
  }
  return Buffer.from(text, 'latin1')
}

/** UTF-8 octets in the form that `mailWith` and `named` take. */
export function utf8(text: string): string {
  return Buffer.from(text, 'utf8').toString('latin1')
}

function fieldName(line: string): string {
  return line.slice(0, line.indexOf(':')).trim().toLowerCase()
}
