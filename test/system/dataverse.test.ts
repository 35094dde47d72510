import { afterEach, beforeEach, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type DataverseTwin, startDataverse } from '../../src/twins/dataverse/dataverse.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { FlowHub } from './flow-hub.ts'

interface HealthSeen {
  readonly flows: readonly { readonly links: readonly { readonly link: string; readonly waiting?: object }[] }[]
}

/** The whole hub against the sign-in and Dynamics 365 twins: from an HTTP request to the record and back. */
let it: FlowHub
let signIn: SignInTwin
let twin: DataverseTwin
let app: { readonly cert: string; readonly key: string }

beforeEach(async () => {
  app = await makeTwinCertificate(['isthmus'], { keys: 'rsa' })
  signIn = await startSignIn({ tenants: [contoso([], [app.cert])] })
  twin = await startDataverse({ verify: token => signIn.verify(token), applications: [contosoClientId] })
  it = new FlowHub()
})
afterEach(async () => {
  await it.close()
  await Promise.all([twin.stop(), signIn.stop()])
})

const dynamics = (more: string) => `dataverse: { url: '${twin.origin}', auth: dynamics, ${more} }`

async function start(proof: object = { clientSecret: contosoSecret }): Promise<void> {
  await it.start()
  await it.hub.credentials.create('dynamics', {
    kind: 'oauth2-client-credentials',
    provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
    clientId: contosoClientId,
    scopes: [`${twin.origin}/.default`],
    ...proof,
  })
}

async function post(
  path: string,
  body: object,
): Promise<{ readonly status: number; readonly json: Record<string, unknown> }> {
  const answer = await fetch(`${it.url}${path}`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  })
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> }
}

const accounts = () => `
from: { https: { path: /accounts, answer: result } }
steps:
  - call: { to: { ${dynamics('set: accounts, key: [accountnumber]')} }, into: written }
  - remember: { map: accounts, key: '\${message.body.accountnumber}', value: '\${message.written.id}' }
  - map: { set: { body: { operation: '\${message.written.operation}', id: '\${message.written.id}' } } }
to: []
`

test.each(['a secret', 'a certificate'])(
  'an app with %s makes an account, and the caller hears its id',
  async proof => {
    it.flow('accounts', accounts())
    await start(proof === 'a secret' ? undefined : { certificate: app.cert, privateKey: app.key })
    const made = await post('/accounts', { accountnumber: '1001', name: 'ACME' })
    const [account] = twin.records('account')
    expect(made).toEqual({ status: 200, json: { operation: 'created', id: account?.['accountid'] } })
    expect((await post('/accounts', { accountnumber: '1001', name: 'ACME SE' })).json).toMatchObject({
      operation: 'updated',
    })
    expect(await it.hub.store.recall('accounts', '1001')).toMatchObject({ value: account?.['accountid'] })
    // One token for all requests.
    expect(signIn.requests.filter(({ path }) => path.endsWith('/token'))).toHaveLength(1)
    expect(await it.hub.engine.check('accounts')).toMatchObject([
      { result: { ok: true } },
      { result: { ok: true } },
      { result: { ok: true } },
    ])
  },
)

test.each([502, 503, 504] as const)(
  'a new record is told as made by the hub where a gateway lost the answer (%i)',
  async status => {
    it.flow(
      'create',
      `
from: { https: { path: /accounts } }
to: { ${dynamics('set: accounts, key: [accountnumber], operation: create')} }
delivery: { retry: { every: 50ms } }
`,
    )
    await start()
    twin.setFaults({ late: { times: 1, method: 'PATCH', status } })
    await post('/accounts', { accountnumber: '1001', name: 'ACME' })
    await it.ended(1)
    expect(twin.records('account')).toHaveLength(1)
  },
)

test('what waits for Dynamics 365 shows in health and metrics, with the reason', async () => {
  it.flow(
    'accounts',
    `from: { https: { path: /accounts } }\nto: { ${dynamics('set: accounts, key: [accountnumber]')} }`,
  )
  await start()
  twin.setFaults({ throttle: { times: 1, retryAfterS: 120 } })
  await post('/accounts', { accountnumber: '1001', name: 'ACME' })
  const headers = { authorization: `Bearer ${it.hub.adminToken}` }
  const shown = await waitFor('the wait in health', 10_000, async () => {
    const health = (await (await fetch(`${it.hub.adminUrl}/api/health`, { headers })).json()) as HealthSeen
    return health.flows[0]?.links.find(link => link.waiting)
  })
  const reason = expect.stringMatching(/^127\.0\.0\.1:\d+ turned requests away, and is asked again in 1[12]\d s$/)
  expect(shown).toMatchObject({ link: 'to[0]', state: 'starting', waiting: { count: 1, reason } })
  const metrics = (await it.hub.monitor.metrics.text()).split('\n')
  expect(metrics).toContain('isthmus_link_waiting_requests{flow="accounts",link="to[0]"} 1')
  // It is not down: nothing has failed.
  expect(metrics.filter(line => line.startsWith('isthmus_link_up{') && line.includes('to[0]'))).toEqual([])
})

test('a question is answered in the call, and a refused value says which and why', async () => {
  it.flow('accounts', accounts())
  it.flow(
    'credit',
    `
from: { https: { path: /credit, answer: result } }
steps:
  - lookup: { map: accounts, key: '\${message.body.customer}', into: account, missing: 'null' }
  - choose:
      - when: message.account == null
        reject: 'There is no customer \${message.body.customer}.'
  - call: { to: { ${dynamics("set: accounts, key: '${message.account}', operation: check, select: [creditlimit, creditonhold]")} } }
to: []
`,
  )
  await start()
  await post('/accounts', { accountnumber: '1001', name: 'ACME', creditlimit: 50000 })
  const credit = await post('/credit', { customer: '1001' })
  expect(credit).toMatchObject({ status: 200, json: { found: true, creditlimit: 50000, creditonhold: null } })
  expect((await post('/credit', { customer: '1002' })).status).toBe(422)
  const refused = await post('/accounts', { accountnumber: '1001', creditlimit: -1 })
  expect(refused).toMatchObject({ status: 502, json: { code: 'DATAVERSE_VALUE_REFUSED' } })
  // What Dynamics 365 said is for those who run the hub, not for callers.
  const [row] = await it.rows('set-aside')
  expect(row?.error?.message).toContain("-1 of 'creditlimit' on record of type 'account' is outside the valid range")
})

test('tokens that the environment stops to take are replaced', async () => {
  it.flow('accounts', accounts())
  await start()
  await post('/accounts', { accountnumber: '1001', name: 'A' })
  twin.setFaults({ expireTokens: true })
  expect((await post('/accounts', { accountnumber: '1001', name: 'B' })).status).toBe(200)
  expect(twin.records('account')).toMatchObject([{ name: 'B' }])
})
