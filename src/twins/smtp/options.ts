import type { SmtpFaults } from './faults.ts'
import type { ReceivedMail } from './mailbag.ts'

/** Which keywords the server announces and obeys. */
export interface SmtpServerExtensions {
  readonly pipelining: boolean
  readonly eightBitMime: boolean
  readonly smtpUtf8: boolean
  readonly chunking: boolean
  readonly binaryMime: boolean
  readonly enhancedStatusCodes: boolean
  readonly startTls: boolean
  /** Bytes; 0 announces SIZE without a limit, undefined does not announce it. */
  readonly sizeMax: number | undefined
}

export type SaslMechanism = 'PLAIN' | 'LOGIN' | 'XOAUTH2'

export interface AuthAttempt {
  readonly mechanism: SaslMechanism
  readonly user: string
  /** Password or token. */
  readonly secret: string
}

export interface SmtpServerAuth {
  readonly mechanisms: readonly SaslMechanism[]
  /** Announced and allowed only on an encrypted connection. */
  readonly needsTls: boolean
  /** MAIL is refused before a log-in. */
  readonly isRequired: boolean
  /** A refused token is explained by a 334 challenge before the refusal, as RFC 7628 and Google do it. */
  readonly explainsRefusedToken?: boolean
  /** Undefined lets the client in; else the refusal (`535 5.7.8 …`). */
  check(attempt: AuthAttempt): Promise<string | undefined> | string | undefined
}

/** What a policy may look at. */
interface SmtpServerSession {
  readonly connection: number
  readonly helo: string
  readonly user: string | undefined
  readonly isEncrypted: boolean
  readonly from: string
}

/** Each may give a whole reply (`550 5.1.1 unknown`); undefined says yes in the server's own words. */
interface SmtpServerPolicy {
  onMail?(from: string, session: SmtpServerSession): string | undefined
  onRecipient?(recipient: string, session: SmtpServerSession): string | undefined
  /** The server waits for the octets of a mail; what it returns is called when that has its answer, or never will. */
  onSending?(session: SmtpServerSession): () => unknown
  /** The mail has come entirely. A reply of 4xx or 5xx keeps it out of the record. */
  onEnd?(mail: Omit<ReceivedMail, 'number'>): string | undefined
  /** The mail is recorded; may give the answer. */
  onReceived?(mail: ReceivedMail): string | undefined
}

/** The server's own words. */
export interface SmtpServerWords {
  readonly greeting: string
  readonly hello: string
  readonly senderOk: string
  readonly recipientOk: string
  readonly authOk: string
  readonly authNeeded: string
  readonly tooLarge: string
  readonly goodbye: string
  accepted(mail: ReceivedMail): string
}

export interface SmtpServerOptions {
  /** Its name in greetings. */
  readonly name: string
  readonly port?: number
  /** PEM; needed for STARTTLS and TLS. */
  readonly tls?: { readonly cert: string; readonly key: string }
  /** TLS from the first byte. */
  readonly isTlsFromStart?: boolean
  readonly extensions?: Partial<SmtpServerExtensions>
  readonly auth?: SmtpServerAuth
  readonly policy?: SmtpServerPolicy
  readonly words?: Partial<SmtpServerWords>
  /** `octets` keeps every mail whole; `digest` only its size and sha256, so that memory stays flat. */
  readonly keep?: 'octets' | 'digest'
  readonly mailsMax?: number
  /** `refuse` answers 550 to a mail with a bare CR or LF, as servers do that guard against smuggling. */
  readonly bareLineEnds?: 'keep' | 'refuse'
  readonly faults?: SmtpFaults
}

export const serverLimits = {
  /** RFC 5321 section 4.5.3.1.4 asks for 512; a log-in with a token needs more (RFC 4954 section 4.1). */
  commandBytes: 12_288,
  recipients: 1000,
  /** Mistakes before the server hangs up. */
  mistakes: 100,
  chunkBytes: 1024 * 1024 * 1024,
} as const

export const allExtensions: SmtpServerExtensions = {
  pipelining: true,
  eightBitMime: true,
  smtpUtf8: true,
  chunking: true,
  binaryMime: true,
  enhancedStatusCodes: true,
  startTls: true,
  sizeMax: 157_286_400,
}

export function wordsOf(name: string): SmtpServerWords {
  return {
    greeting: `220 ${name} ESMTP ready`,
    hello: name,
    senderOk: '250 2.1.0 Ok',
    recipientOk: '250 2.1.5 Ok',
    authOk: '235 2.7.0 Authentication successful',
    authNeeded: '530 5.7.0 Authentication required',
    tooLarge: '552 5.3.4 Message size exceeds fixed limit',
    goodbye: '221 2.0.0 Bye',
    accepted: mail => `250 2.0.0 Ok: queued as ${mail.number.toString(16).toUpperCase().padStart(6, '0')}`,
  }
}
