import { cpSync, mkdtempSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeAll, beforeEach, expect, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { type Hub, startHub } from '../../src/main.ts'
import { type C4CTwin, c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { type GraphTwin, startGraph } from '../../src/twins/graph/graph.ts'
import { contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'

// Everything an administrator does, by command line, with the real protocols over TLS.

const patienceMs = 60_000
const example = join(import.meta.dirname, '../../examples/c4c-groupware')
const people = ['anna@contoso.com', 'ben@contoso.com', 'cem@contoso.com']
let folder: string
let tls: { readonly cert: string; readonly key: string }
let authority: string
let exchange: ExchangeEwsTwin
let c4c: C4CTwin
let hub: Hub
const closing: (() => Promise<unknown>)[] = []

// Whom the process trusts it trusts until its end, so all tests have one authority.
beforeAll(async () => {
  const { cert, key, ca } = await makeTwinCertificate(['localhost', '127.0.0.1'])
  tls = { cert, key }
  authority = ca
})

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'groupware-'))
  exchange = await startExchangeEws({ tls, mailboxes: people.map(address => ({ address })) })
  c4c = await startC4C({ tls, employees: ['anna@contoso.com', 'benjamin.ruiz@contoso.com', 'cem@contoso.com'] })
  closing.push(
    () => exchange.stop(),
    () => c4c.stop(),
  )
  await start()
  await isthmus(
    [
      'credential',
      'create',
      'exchange-impersonation',
      '--set',
      'kind=basic',
      '--set',
      `user=${exchangeAccount.user}`,
      '--secret',
      'password',
    ],
    exchangeAccount.password,
  )
  await isthmus(
    [
      'credential',
      'create',
      'c4c-technical-user',
      '--set',
      'kind=basic',
      '--set',
      `user=${c4cUser.user}`,
      '--secret',
      'password',
    ],
    c4cUser.password,
  )
})

afterEach(async () => {
  await hub.close()
  for (const close of closing.splice(0).toReversed()) await close()
  rmSync(folder, { recursive: true, force: true })
})

async function start(): Promise<void> {
  const files = { certificate: join(folder, 'hub.pem'), key: join(folder, 'hub.key') }
  writeFileSync(files.certificate, tls.cert)
  writeFileSync(files.key, tls.key)
  const [port = 0] = await freePorts(1)
  hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'test',
    flowFiles: [],
    trustedCertificates: [authority],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port, url: `https://127.0.0.1:${port}`, tls: files },
    log: { level: 'error', format: 'json', output: { write: () => true } },
  })
}

/** Runs a command of isthmus; `input` is what it reads from standard input. */
async function isthmus(line: readonly string[], input = ''): Promise<{ code: number; output: string }> {
  let output = ''
  const write = (text: string | Uint8Array) => {
    output += text.toString()
  }
  const code = await run(['--url', hub.adminUrl, ...line], {
    stdin: (async function* () {
      yield Buffer.from(input)
    })(),
    stdout: { write },
    stderr: { write },
    env: { ISTHMUS_TOKEN: hub.adminToken },
    cwd: folder,
    signal: new AbortController().signal,
    program: () => import('../../src/main.ts'),
  })
  return { code, output }
}

/** The settings of the example, with the addresses of the twins. */
function settings(change: (text: string) => string = text => text): string {
  const file = join(folder, 'organization.yaml')
  const text = readFileSync(join(example, 'organization.yaml'), 'utf8')
    .replace('https://mail.contoso.com/EWS/Exchange.asmx', exchange.url)
    .replace('https://my300001.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi/', c4c.root)
    .replace('every: 5m', 'every: 10s')
  writeFileSync(file, change(text))
  return file
}

async function createContoso(): Promise<void> {
  await isthmus(['profile', 'write', 'sales', join(example, 'profile.yaml')])
  const { code, output } = await isthmus(['organization', 'create', 'contoso', settings()])
  expect(code, output).toBe(0)
  expect(output).toContain('Access to anna@contoso.com works.')
  const imported = await isthmus(['mailbox', 'import', 'contoso', join(example, 'mailboxes.csv')])
  expect(imported).toEqual({ code: 0, output: '3 mailboxes are added, 0 changed.\n' })
}

const meeting = (subject: string) =>
  `<t:CalendarItem><t:Subject>${subject}</t:Subject><t:Start>2027-01-11T08:00:00Z</t:Start><t:End>2027-01-11T09:00:00Z</t:End></t:CalendarItem>`

const subjectsInCrm = () =>
  c4c.store
    .all(c4c.store.kind('Appointment'))
    .map(row => String(row.values['Subject']))
    .toSorted()
const subjectsOf = (mailbox: string) =>
  exchange
    .mailbox(mailbox)
    .items('calendar')
    .map(({ xml }) => /<t:Subject>([^<]*)</.exec(xml)?.[1] ?? '')
    .toSorted()

const until = (what: string, check: () => boolean) => waitFor(what, patienceMs, check)

test('from an empty hub to mailboxes that are in step with the CRM, and over a restart', async () => {
  exchange.mailbox('anna@contoso.com').put('calendar', meeting('Jour fixe'))
  await createContoso()
  const preview = await isthmus(['mailbox', 'preview', 'anna@contoso.com'])
  expect(preview.output).toMatch(/appointment +created +1/)
  expect(subjectsInCrm()).toEqual([])

  const activated = await isthmus(['mailbox', 'activate', 'contoso', '--all'])
  expect(activated).toMatchObject({ code: 0, output: expect.stringContaining('3 of 3 mailboxes, 0 failed') })
  await until('the first appointment in the CRM', () => subjectsInCrm().includes('Jour fixe'))

  // Notifications of Exchange bring this one over long before the next poll.
  const ben = exchange.mailbox('ben@contoso.com')
  const id = ben.put('calendar', meeting('Visit'))
  await until('the second appointment in the CRM', () => subjectsInCrm().includes('Visit'))
  ben.change(id, '<t:CalendarItem><t:Subject>Visit at noon</t:Subject></t:CalendarItem>')
  await until('its change in the CRM', () => subjectsInCrm().includes('Visit at noon'))

  // What a round did that a stop cuts off is not counted.
  await until('that round to be over', () => (hub.groupware.opened()?.progressOf('ben@contoso.com').itemsIn ?? 0) >= 2)

  await hub.close()
  ben.put('calendar', meeting('while the hub was down'))
  await start()
  await until('what came meanwhile', () => subjectsInCrm().includes('while the hub was down'))
  expect(subjectsInCrm()).toEqual(['Jour fixe', 'Visit at noon', 'while the hub was down'])
  expect(subjectsOf('ben@contoso.com')).toEqual(['Visit at noon', 'while the hub was down'])

  await until('the counts', () => (hub.groupware.opened()?.progressOf('ben@contoso.com').itemsIn ?? 0) >= 3)
  const listed = await isthmus(['mailbox', 'list'])
  expect(listed.code).toBe(0)
  expect(listed.output).toMatch(/ben@contoso\.com +contoso +active/)
  const why = await isthmus(['mailbox', 'explain', 'ben@contoso.com', 'Visit'])
  expect(why.output).toMatch(/appointment on exchange Visit at noon: linked/)
  expect(why.output).toMatch(/appointment created on crm: Visit/)
  const log = await isthmus(['mailbox', 'log', 'ben@contoso.com', '--item', 'noon'])
  expect(log.output).toMatch(/appointment updated on crm: Visit at noon \(.*subject/)
})

test('what is wrong is said in words, with the next step, for the organization and for each mailbox', async () => {
  const wrong = await isthmus([
    'organization',
    'create',
    'contoso',
    settings(text => text.replace('profile: sales', 'profile: default').replace('anna@', 'nobody@')),
  ])
  expect(wrong.code).toBe(1)
  expect(wrong.output).toMatch(/NO +exchange mail: the mailbox: .*nobody@contoso\.com/)
  expect(wrong.output).toMatch(/EWS_\w+: \S/)

  await isthmus(
    [
      'credential',
      'update',
      'exchange-impersonation',
      '--set',
      'kind=basic',
      '--set',
      `user=${exchangeAccount.user}`,
      '--secret',
      'password',
    ],
    'no longer',
  )
  const refused = await isthmus(['organization', 'test', 'contoso', 'anna@contoso.com'])
  expect(refused.code).toBe(1)
  expect(refused.output).toMatch(/EWS_LOGIN_REFUSED: /)
  await isthmus(
    [
      'credential',
      'update',
      'exchange-impersonation',
      '--set',
      'kind=basic',
      '--set',
      `user=${exchangeAccount.user}`,
      '--secret',
      'password',
    ],
    exchangeAccount.password,
  )

  const list = join(folder, 'list.txt')
  writeFileSync(list, 'anna@contoso.com\nnobody@contoso.com\nfoo\n')
  const dry = await isthmus(['mailbox', 'import', 'contoso', list, '--dry-run'])
  expect(dry.code).toBe(1)
  expect(dry.output).toMatch(/^line 3: address: a mail address\n/)
  writeFileSync(list, 'anna@contoso.com\nnobody@contoso.com\n')
  await isthmus(['mailbox', 'import', 'contoso', list])
  const activated = await isthmus(['mailbox', 'activate', 'contoso', '--all'])
  expect(activated.code).toBe(1)
  expect(activated.output).toMatch(/^nobody@contoso\.com: .* \(EWS_\w+\)$/m)
  expect(activated.output).toContain('2 of 2 mailboxes, 1 failed')
  const shown = await isthmus(['mailbox', 'show', 'nobody@contoso.com'])
  expect(shown.code).toBe(1)
  expect(shown.output).toMatch(/State: +error/)
  expect(shown.output).toMatch(/Next: +\S/)
  const all = 'anna@contoso.com\nnobody@contoso.com\ndelete in contoso would be done to 2 mailboxes.\n'
  expect((await isthmus(['mailbox', 'delete', 'contoso', '--all', '--dry-run'])).output).toBe(all)
  const deleted = await isthmus(['mailbox', 'delete', 'contoso', 'nobody@contoso.com'])
  expect(deleted).toEqual({ code: 0, output: 'delete in contoso: done; 1 of 1 mailboxes, 0 failed.\n' })
  const { mailboxes } = JSON.parse((await isthmus(['mailbox', 'list', '--json'])).output) as { mailboxes: object[] }
  expect(mailboxes).toMatchObject([{ address: 'anna@contoso.com' }])
})

test('an organization goes from EWS to Graph, and no item is made twice', async () => {
  const subjects = ['four', 'one', 'three', 'two']
  for (const subject of subjects) exchange.mailbox('anna@contoso.com').put('calendar', meeting(subject))
  await createContoso()
  await isthmus(['mailbox', 'activate', 'contoso', 'anna@contoso.com'])
  await until('four appointments in the CRM', () => subjectsInCrm().length === 4)

  const graph = await inTheCloud('anna@contoso.com')
  const moved = settings(text =>
    text
      .replace('ews-impersonation', 'graph')
      .replace(exchange.url, graph.root)
      .replace(/auth: exchange-impersonation.*/, 'auth: m365-app'),
  )
  const { code, output } = await isthmus(['organization', 'update', 'contoso', moved])
  expect(output).toContain('Access to anna@contoso.com works.')
  expect(code).toBe(0)
  const { output: log } = await isthmus(['mailbox', 'log', 'anna@contoso.com'])
  expect(log).toMatch(/4 of 4 links have their new ids/)
  await until('notifications of Graph', () => graph.subscriptions.count > 0)
  // Graph tells of this change; it concerns the appointment that is there already.
  await onGraph(graph, 'PATCH', `events/${[...graph.ewsIds.values()][0]}`, { location: { displayName: 'Walldorf' } })
  const placesInCrm = () => c4c.store.all(c4c.store.kind('Appointment')).map(row => row.values['Location'])
  await until('the change over Graph in the CRM', () => placesInCrm().includes('Walldorf'))
  expect(subjectsInCrm()).toEqual(subjects)
  expect(graph.count('anna@contoso.com', 'event')).toBe(4)
})

test('a calendar that somebody emptied waits for a person, who sees what is gone and has it back', async () => {
  const anna = exchange.mailbox('anna@contoso.com')
  const subjects = Array.from({ length: 15 }, (_, index) => `Visit ${index + 10}`)
  const ids = subjects.map(subject => anna.put('calendar', meeting(subject)))
  await createContoso()
  await isthmus(['mailbox', 'activate', 'contoso', '--all'])
  await until('all appointments in the CRM', () => subjectsInCrm().length === 15)
  const waiting = () => hub.groupware.opened()?.progressOf('anna@contoso.com').held.appointment
  for (const id of ids) anna.remove(id)
  await until('the deletions to wait', () => waiting() === 15)

  expect((await isthmus(['mailbox', 'list', '--held'])).output).toMatch(/^anna@contoso\.com .* 15 *$/m)
  const held = await isthmus(['mailbox', 'held', 'anna@contoso.com'])
  expect(held.code).toBe(1)
  expect(held.output).toMatch(/appointment +Visit 24 +2027-01-11T08:00:00Z +Exchange +20\d\d-/)
  expect(held.output).toContain('15 deletions wait.')
  const restored = await isthmus(['mailbox', 'restore-held', 'anna@contoso.com'])
  expect(restored).toEqual({ code: 0, output: '15 items are created anew with the next round of anna@contoso.com.\n' })
  await until('all appointments in the mailbox', () => subjectsOf('anna@contoso.com').length === 15)
  expect(subjectsOf('anna@contoso.com')).toEqual(subjects)
  await until('nothing to wait', () => waiting() === undefined)
  expect(await isthmus(['mailbox', 'held', 'anna@contoso.com'])).toMatchObject({ code: 0 })

  for (const { id } of anna.items('calendar')) anna.remove(id)
  await until('the deletions to wait', () => waiting() === 15)
  expect(subjectsInCrm()).toEqual(subjects)
  const passed = await isthmus(['organization', 'release-brake', 'contoso'])
  expect(passed).toMatchObject({ code: 0, output: expect.stringContaining('1 of 1 mailboxes, 0 failed') })
  await until('them to be gone in the CRM', () => subjectsInCrm().length === 0)
  const audit = await isthmus(['audit', 'list'])
  expect(audit.output).toMatch(/mailbox\.restore-held/)
})

test('a hub that is restored syncs nobody by the rules of then before a person says so, and makes nothing twice', async () => {
  const [anna, ben] = [exchange.mailbox('anna@contoso.com'), exchange.mailbox('ben@contoso.com')]
  writeFileSync(join(folder, 'isthmus.yaml'), 'flows: []\n')
  anna.put('calendar', meeting('before'))
  await createContoso()
  await isthmus(['mailbox', 'activate', 'contoso', '--all'])
  await until('the first appointment in the CRM', () => subjectsInCrm().includes('before'))
  expect(await isthmus(['store', 'backup', 'monday'])).toMatchObject({ code: 0 })
  anna.put('calendar', meeting('since'))
  await until('what came since', () => subjectsInCrm().includes('since'))
  await isthmus(['mailbox', 'deactivate', 'contoso', 'ben@contoso.com'])
  ben.put('calendar', meeting('not for the CRM'))

  await hub.close()
  renameSync(join(folder, 'data'), join(folder, 'lost'))
  anna.put('calendar', meeting('while the hub was down'))
  const restored = await isthmus(['store', 'restore', 'monday'])
  expect(restored).toMatchObject({ code: 0, output: expect.stringContaining('isthmus organization resume contoso') })
  cpSync(join(folder, 'lost/master.key'), join(folder, 'data/master.key'))
  await start()
  await sleep(1500)
  expect(subjectsInCrm()).toEqual(['before', 'since'])
  expect((await isthmus(['organization', 'list'])).output).toMatch(/contoso .*paused/)
  await isthmus(['mailbox', 'deactivate', 'contoso', 'ben@contoso.com'])
  await isthmus(['organization', 'resume', 'contoso'])
  await until('what came meanwhile', () => subjectsInCrm().includes('while the hub was down'))
  expect(subjectsInCrm()).toEqual(['before', 'since', 'while the hub was down'])
  expect(subjectsOf('anna@contoso.com')).toEqual(['before', 'since', 'while the hub was down'])
})

let tokenOfAdmin = ''

/** The same items in Exchange Online, under other ids, as a move of the mailbox leaves them. */
async function inTheCloud(mailbox: string): Promise<GraphTwin> {
  const signIn = await startSignIn()
  signIn.grantAdminConsent()
  tokenOfAdmin = signIn.issue({ scope: 'https://graph.microsoft.com/.default' })
  const graph = await startGraph({ mailboxes: people, verify: signIn.verify, tls })
  closing.push(
    () => graph.stop(),
    () => signIn.stop(),
  )
  for (const { id, xml } of exchange.mailbox(mailbox).items('calendar')) {
    const subject = /<t:Subject>([^<]*)</.exec(xml)?.[1] ?? ''
    const at = (time: string) => ({ dateTime: `2027-01-11T${time}`, timeZone: 'UTC' })
    const made = await onGraph(graph, 'POST', 'events', { subject, start: at('08:00:00'), end: at('09:00:00') })
    graph.ewsIds.set(id, made)
  }
  await hub.credentials.create('m365-app', {
    kind: 'oauth2-client-credentials',
    clientId: contosoClientId,
    clientSecret: contosoSecret,
    scopes: ['https://graph.microsoft.com/.default'],
    provider: { microsoft365: { tenant: 'contoso.com', authority: signIn.origin } },
  })
  return graph
}

/** What the owner of the mailbox does in Outlook; the id of the item. */
async function onGraph(graph: GraphTwin, method: string, path: string, body: object): Promise<string> {
  const answer = await fetch(`${graph.root}users/anna@contoso.com/${path}`, {
    method,
    headers: {
      authorization: `Bearer ${tokenOfAdmin}`,
      'content-type': 'application/json',
      prefer: 'IdType="ImmutableId"',
    },
    body: JSON.stringify(body),
  })
  const { id } = (await answer.json()) as { readonly id?: string }
  if (id === undefined) throw new Error(`${method} ${path} was answered with ${answer.status}`)
  return id
}
