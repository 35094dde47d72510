import type { CredentialValue } from '../kernel/credential.ts'
import { HOUR } from '../kernel/time.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { type ExchangeImapTwin, startExchangeImap } from '../twins/exchange-imap/exchange-imap.ts'
import { type S4SmtpTwin, startS4Smtp } from '../twins/s4-smtp/s4-smtp.ts'
import { contoso } from '../twins/sign-in/contoso.ts'
import { startSignIn } from '../twins/sign-in/sign-in.ts'
import { SimulatedClock } from './simulated-clock.ts'

/** Stand-ins for Exchange Online and S/4HANA that share a simulated clock with a flow under test. */
export interface MailTwins {
  readonly clock: SimulatedClock
  /** PEM of the authority of their certificates, which are good for the virtual host s4-smtp.virtual too. */
  readonly trust: string
  readonly mailbox: ExchangeImapTwin
  readonly s4: S4SmtpTwin
  /** A delegate's sign-in for all mailboxes, as a flow's credential. */
  readonly credential: CredentialValue
  stop(): Promise<void>
}

const delegate = 'svc@contoso.com'

/** Starts them with these mailboxes, to each of which the delegate svc@contoso.com has full access. */
export async function startMailTwins(mailboxes: readonly string[]): Promise<MailTwins> {
  const clock = new SimulatedClock()
  const { cert, key, ca } = await makeTwinCertificate(['localhost', '127.0.0.1', 's4-smtp.virtual'])
  const tls = { cert, key }
  const signIn = await startSignIn({ clock, tenants: [contoso()] })
  const seeds = mailboxes.map(address => [address, { fullAccess: [delegate] }] as const)
  const mailbox = await startExchangeImap({ clock, tls, signIn, mailboxes: Object.fromEntries(seeds) })
  const s4 = await startS4Smtp({ tls })
  return {
    clock,
    trust: ca,
    mailbox,
    s4,
    credential: {
      kind: 'oauth2',
      user: delegate,
      token: async () => ({ value: signIn.issue({ user: delegate }), expiresAt: clock.now() + HOUR }),
    },
    async stop() {
      await Promise.all([mailbox.stop(), s4.stop(), signIn.stop()])
    },
  }
}
