import { createHash, randomUUID } from 'node:crypto'
import { defineErrors } from '../../kernel/error.ts'
import { SECOND } from '../../kernel/time.ts'
import { startExchangeImap } from '../../twins/exchange-imap/exchange-imap.ts'
import { startS4Smtp } from '../../twins/s4-smtp/s4-smtp.ts'
import { contoso, contosoClientId, contosoSecret } from '../../twins/sign-in/contoso.ts'
import { startSignIn } from '../../twins/sign-in/sign-in.ts'
import { sampleMail } from './sample-mail.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

export const demoErrors = defineErrors('DEMO', {
  SIGN_IN_FAILED: {
    side: 'hub',
    retry: 'never',
    means: 'The sign-in twin did not send the browser back: {text}',
    next: 'Start again; if it stays, report it with the lines above.',
  },
})

// The hub's own redirect is not needed here: nobody sits at a browser, the demo follows the redirects itself.
const redirectUri = 'http://localhost/oauth/callback'
const mailboxes = ['orders@contoso.com', 'invoices@contoso.com'] as const

/** Mails arrive in the mailbox twin every few seconds, travel through the hub and land in S/4HANA. */
export async function mailScenario({ tls }: ScenarioWorld): Promise<Scenario> {
  const signIn = await startSignIn({ tls, tenants: [contoso([redirectUri])], isAutomatic: true })
  const imap = await startExchangeImap({
    signIn,
    tls,
    mailboxes: {
      'orders@contoso.com': { fullAccess: ['svc@contoso.com'] },
      'invoices@contoso.com': { fullAccess: ['svc@contoso.com'] },
    },
  })
  const s4 = await startS4Smtp({ tls })
  const sent = new Map<string, string>()
  let count = 0

  return {
    flow: 'mail-o365-to-s4',
    twins: [signIn, imap, s4],
    everyMs: 3 * SECOND,
    params: { imapPort: imap.port, smtpPort: s4.port },

    async prepare({ credentials }) {
      await credentials.create('m365-mail', {
        kind: 'oauth2-authorization-code',
        provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
        clientId: contosoClientId,
        clientSecret: contosoSecret,
        loginHint: 'svc@contoso.com',
      })
      const session = randomUUID()
      const { url } = await credentials.beginAuthorisation('m365-mail', { redirectUri, session })
      await credentials.completeAuthorisation(await signInAsUser(url), session)
    },

    act() {
      const mailbox = mailboxes[count % mailboxes.length] ?? mailboxes[0]
      const { subject, bytes } = sampleMail(++count, mailbox, Date.now())
      imap.deliver(mailbox, bytes)
      sent.set(subject, digest(bytes))
      return `a mail arrived in ${mailbox}: ${subject}, ${bytes.length} bytes`
    },
    sent: () => sent.size,

    findings() {
      const findings: string[] = []
      const arrived = new Map<string, number>()
      for (const mail of s4.received) arrived.set(mail.sha256, (arrived.get(mail.sha256) ?? 0) + 1)
      for (const [subject, sha256] of sent) {
        const times = arrived.get(sha256) ?? 0
        if (times === 0) findings.push(`${subject} is not in S/4HANA, or was changed on its way`)
        if (times > 1) findings.push(`${subject} is in S/4HANA ${times} times`)
      }
      return findings
    },
  }
}

/** Follows the redirects as the browser of a person would who is signed in already; the query of the last one. */
async function signInAsUser(url: string): Promise<URLSearchParams> {
  let next = url
  for (let hops = 0; hops < 10; hops++) {
    const answer = await fetch(next, { redirect: 'manual' })
    const location = answer.headers.get('location')
    if (!location) throw demoErrors.SIGN_IN_FAILED({ text: `${answer.status} ${(await answer.text()).slice(0, 200)}` })
    const target = new URL(location, next)
    if (target.href.startsWith(redirectUri)) return target.searchParams
    next = target.href
  }
  throw demoErrors.SIGN_IN_FAILED({ text: 'too many redirects' })
}

function digest(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex')
}
