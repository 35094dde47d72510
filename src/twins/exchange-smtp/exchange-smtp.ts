import { createHash } from 'node:crypto'
import type { Json } from '../../kernel/json.ts'
import { MiB } from '../../kernel/size.ts'
import { SmtpFaults, smtpFaultSchema } from '../smtp/faults.ts'
import type { ReceivedMail } from '../smtp/mailbag.ts'
import type { AuthAttempt } from '../smtp/options.ts'
import { sendingPlaces } from '../smtp/sending-places.ts'
import { startSmtpServer } from '../smtp/server.ts'
import type { Twin } from '../twin.ts'
import { exchangeWords } from './words.ts'

/** Whom a token or password lets in. */
interface TokenSubject {
  /** Address of the mailbox that signed in. */
  readonly mailbox: string
  /** Further addresses it may send as. */
  readonly maySendAs?: readonly string[]
}

export interface ExchangeSmtpOptions {
  readonly port?: number
  /** PEM; STARTTLS is mandatory before a log-in. */
  readonly tls: { readonly cert: string; readonly key: string }
  /**
   * Decides about a log-in: who it is, or why not. `disabled` is a mailbox for which SMTP AUTH is switched off.
   * XOAUTH2 brings a token as `secret`, LOGIN a password (Basic).
   */
  check(attempt: AuthAttempt): Promise<TokenSubject | 'refused' | 'disabled'> | TokenSubject | 'refused' | 'disabled'
  readonly sizeMax?: number
  readonly recipientsMax?: number
  /** Connections on which a mailbox may send at the same time; 3 as Exchange Online has it since 2018. */
  readonly sendingMax?: number
  readonly keep?: 'octets' | 'digest'
}

export interface ExchangeSmtpTwin extends Twin {
  readonly port: number
  readonly received: readonly ReceivedMail[]
  readonly faults: SmtpFaults
  /** 421: the next `times` mails meet a server that is too busy. */
  throttle(times?: number): void
  reached(count: number, timeoutMs?: number): Promise<void>
}

/** As Exchange Online announces it. */
const sizeMaxByDefault = 150 * MiB
/** RecipientLimits of a mailbox. */
const recipientsMaxByDefault = 500
/** Of a mailbox, at the same time. */
const sendingMaxByDefault = 3

/**
 * Submission at smtp.office365.com: STARTTLS first, XOAUTH2 (or LOGIN), the sender must be the mailbox that signed in
 * or one that it may send as, and Microsoft's texts where something is refused.
 */
export async function startExchangeSmtp(options: ExchangeSmtpOptions): Promise<ExchangeSmtpTwin> {
  const faults = new SmtpFaults('exchange-smtp')
  const sizeMax = options.sizeMax ?? sizeMaxByDefault
  const recipientsMax = options.recipientsMax ?? recipientsMaxByDefault
  const allowed = new Map<string, ReadonlySet<string>>()
  const sending = sendingPlaces(options.sendingMax ?? sendingMaxByDefault, ({ user = '' }) => user)
  const server = await startSmtpServer({
    name: exchangeWords.host,
    ...(options.port !== undefined && { port: options.port }),
    tls: options.tls,
    keep: options.keep ?? 'octets',
    faults,
    extensions: { sizeMax },
    auth: {
      mechanisms: ['LOGIN', 'XOAUTH2'],
      needsTls: true,
      isRequired: true,
      async check(attempt) {
        const subject = await options.check(attempt)
        if (subject === 'disabled') return exchangeWords.authDisabled
        if (subject === 'refused') return exchangeWords.authRefused
        // `user` names the mailbox to act for; the token tells who acts.
        const own = [subject.mailbox, ...(subject.maySendAs ?? [])].map(address => address.toLowerCase())
        if (!own.includes(attempt.user.toLowerCase())) return exchangeWords.authRefused
        allowed.set(attempt.user, new Set(own))
        return undefined
      },
    },
    policy: {
      onSending: session => sending.enter(session),
      onEnd(mail) {
        if (!sending.isInside(mail)) return exchangeWords.tooManyAtOnce
        if (mail.to.length > recipientsMax) return exchangeWords.tooManyRecipients
        // The null sender is for servers, not for mailboxes.
        const mayBe = allowed.get(mail.user ?? '')
        return mayBe?.has(mail.from.toLowerCase()) ? undefined : exchangeWords.sendAsDenied
      },
    },
    words: {
      greeting: exchangeWords.greeting(new Date()),
      hello: `${exchangeWords.host} Hello [127.0.0.1]`,
      senderOk: '250 2.1.0 Sender OK',
      recipientOk: '250 2.1.5 Recipient OK',
      authOk: '235 2.7.0 Authentication successful',
      authNeeded: exchangeWords.authNeeded,
      tooLarge: exchangeWords.tooLarge,
      goodbye: '221 2.0.0 Service closing transmission channel',
      accepted: mail =>
        exchangeWords.accepted(mail.messageId || `<${createHash('md5').update(mail.sha256).digest('hex')}>`),
    },
  })
  return {
    name: 'exchange-smtp',
    about: 'Mail submission of Exchange Online (smtp.office365.com, port 587) with XOAUTH2.',
    port: server.port,
    ports: { submission: server.port },
    received: server.received,
    faults,
    faultSchema: smtpFaultSchema,
    setFaults: document => faults.set(document),
    clearFaults: () => faults.clear(),
    throttle: (times = 1) => faults.refuse({ at: 'mail', code: 421, text: exchangeWords.throttled, times }),
    reached: (count, timeoutMs = 5000) => server.bag.reached(count, timeoutMs),
    state: (): Json => ({
      mails: server.bag.count,
      connections: server.connections().open,
      recent: server.received.slice(-20).map(({ number, user, from, to, bytes, sha256, messageId }) => {
        return { number, user: user ?? null, from, to, bytes, sha256, messageId }
      }),
    }),
    stop: () => server.stop(),
  }
}
