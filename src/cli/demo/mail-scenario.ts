import { createHash, randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import type { Connectors } from '../../connector/hub/connectors.ts'
import { defineErrors } from '../../kernel/error.ts'
import { SECOND } from '../../kernel/time.ts'
import { startExchangeImap } from '../../twins/exchange-imap/exchange-imap.ts'
import { type S4SmtpTwin, startS4Smtp } from '../../twins/s4-smtp/s4-smtp.ts'
import { contoso, contosoClientId, contosoSecret } from '../../twins/sign-in/contoso.ts'
import { startSignIn } from '../../twins/sign-in/sign-in.ts'
import { type OnPremise, startOnPremise } from './on-premise.ts'
import { sampleMail } from './sample-mail.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

export const demoErrors = defineErrors('DEMO', {
  SIGN_IN_FAILED: {
    side: 'hub',
    retry: 'never',
    means: 'The sign-in twin did not send the browser back: {text}',
    next: 'Start again; if it stays, report it with the lines above.',
  },
  NO_CONNECTORS: {
    side: 'hub',
    retry: 'never',
    means: 'The hub of the demo takes no connectors.',
    next: 'Report it: the demo always starts its hub with them.',
  },
})

// The hub's own redirect is not needed here: nobody sits at a browser, the demo follows the redirects itself.
const redirectUri = 'http://localhost/oauth/callback'
const mailboxes = ['orders@contoso.com', 'invoices@contoso.com'] as const
const location = 'dc-frankfurt'
const exampleFolder = join(import.meta.dirname, '../../../examples/mail-o365-to-s4')
/** Of so many mails one server is away for the third to the fifth. */
const mailsPerTurn = 8
const goesAwayAt = 2
const comesBackAt = 5

/**
 * Mails arrive in the mailbox twin every few seconds, travel through the hub and the connector of dc-frankfurt and land
 * in S/4HANA: on one of three application servers, of which one goes away and comes back.
 */
export async function mailScenario({ tls, folder, logOf }: ScenarioWorld): Promise<Scenario> {
  const signIn = await startSignIn({ tls, tenants: [contoso([redirectUri])], isAutomatic: true })
  const imap = await startExchangeImap({
    signIn,
    tls,
    mailboxes: {
      'orders@contoso.com': { fullAccess: ['svc@contoso.com'] },
      'invoices@contoso.com': { fullAccess: ['svc@contoso.com'] },
    },
  })
  const servers = await Promise.all(
    ['s4-app1', 's4-app2', 's4-app3'].map(name =>
      startS4Smtp({ name, hostName: `${name}.s4.example`, tls, keep: 'digest' }),
    ),
  )
  const [, shaky] = servers
  let onPremise: OnPremise | undefined
  const sent = new Map<string, string>()
  let count = 0

  return {
    flow: 'mail-o365-to-s4',
    twins: [signIn, imap, ...servers],
    everyMs: 3 * SECOND,
    params: { imapPort: imap.port },

    async prepare({ credentials, connectors }) {
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
      onPremise = await startConnector(connectors)
    },
    tellSetting: () => (onPremise?.tell() ?? []).map(line => `connector   ${line}`),

    act() {
      const mailbox = mailboxes[count % mailboxes.length] ?? mailboxes[0]
      const { subject, bytes } = sampleMail(++count, mailbox, Date.now())
      imap.deliver(mailbox, bytes)
      sent.set(subject, digest(bytes))
      return [`a mail arrived in ${mailbox}: ${subject}, ${bytes.length} bytes`, ...letServersComeAndGo()].join('; ')
    },
    sent: () => sent.size,

    findings() {
      const findings: string[] = []
      const arrived = new Map<string, number>()
      for (const mail of servers.flatMap(({ received }) => received))
        arrived.set(mail.sha256, (arrived.get(mail.sha256) ?? 0) + 1)
      for (const [subject, sha256] of sent) {
        const times = arrived.get(sha256) ?? 0
        if (times === 0) findings.push(`${subject} is not in S/4HANA, or was changed on its way`)
        if (times > 1) findings.push(`${subject} is in S/4HANA ${times} times`)
      }
      return findings
    },
    tellOutcome() {
      const digests = new Set(sent.values())
      const probes = servers.flatMap(({ received }) => received).filter(({ sha256 }) => !digests.has(sha256)).length
      const each = servers.map(({ name, received }) => `${name}: ${received.length}`).join(', ')
      return [`through the connector to ${each}${probes > 0 ? `; ${probes} of them to probe the way` : ''}`]
    },
    close: async () => onPremise?.close(),
  }

  function startConnector(connectors: Connectors | undefined): Promise<OnPremise> {
    if (!connectors) throw demoErrors.NO_CONNECTORS()
    return startOnPremise({
      connectors,
      location,
      name: 'vm-17',
      folder: join(folder, 'connector'),
      config: connectorConfigFor(servers),
      log: logOf('vm-17'),
    })
  }

  /** A server that hangs up on everybody is found by the connector, and the others take its share. */
  function letServersComeAndGo(): readonly string[] {
    if (!shaky) return []
    if (count % mailsPerTurn === goesAwayAt) {
      shaky.setFaults({ drop: [{ at: 'banner', times: 1_000_000 }] })
      return [`${shaky.name} goes away`]
    }
    if (count % mailsPerTurn !== comesBackAt) return []
    shaky.clearFaults()
    return [`${shaky.name} comes back`]
  }
}

/** connector.yaml of the example, with the twins in place of the servers, and all waits short enough to be watched. */
function connectorConfigFor(servers: readonly S4SmtpTwin[]): object {
  const config = parse(readFileSync(join(exampleFolder, 'connector.yaml'), 'utf8')) as {
    'virtual-hosts': Record<string, object>
  }
  const targets = servers.map(({ port }) => `127.0.0.1:${port}`)
  const pace = {
    health: { every: '1s', 'down-after': 2, 'up-after': 1 },
    ejection: { first: '2s' },
    'slow-start': '5s',
  }
  const hosts = Object.entries(config['virtual-hosts']).map(([address, host]) => [
    address,
    { ...host, ...pace, targets },
  ])
  return { ...config, 'virtual-hosts': Object.fromEntries(hosts) }
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
