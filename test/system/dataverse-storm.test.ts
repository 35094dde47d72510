import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineSender, type Intake } from '../../src/flow/adapter.ts'
import type { CredentialValue } from '../../src/kernel/credential.ts'
import { simulate } from '../../src/testing/simulate.ts'
import { SimulatedClock } from '../../src/testing/simulated-clock.ts'
import { type DataverseTwin, startDataverse } from '../../src/twins/dataverse/dataverse.ts'
import type { DataverseFaultDocument } from '../../src/twins/dataverse/faults.ts'
import type { ProtectionLimits } from '../../src/twins/dataverse/protection.ts'
import { seededRandom } from '../corpus/seeded-random.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const keys = 25

/** A flow into Dynamics 365 whose messages the test hands over: versions of accounts, in order for each of them. */
async function world(receiver = '', limits: Partial<ProtectionLimits> = {}) {
  const clock = new SimulatedClock()
  const audience = 'https://contoso.crm4.dynamics.com'
  const verify = (token: string) => (/^token-\d+$/.test(token) ? { aud: audience, appid: 'hub' } : undefined)
  const twin = await startDataverse({ clock, limits, verify, audiences: [audience], applications: ['hub'] })
  closing.push(() => twin.stop())
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-storm-'))
  closing.push(async () => rmSync(folder, { recursive: true }))
  const flowFile = join(folder, 'flow.yaml')
  writeFileSync(
    flowFile,
    `flow: accounts
from: { script: {} }
to:
  dataverse: { url: '${twin.origin}', auth: dynamics, set: accounts, key: [accountnumber]${receiver} }
delivery:
  order-by: message.body.accountnumber
  retry: { every: 1m, up-to: 10m, for: 2d }
`,
  )
  let tokens = 1
  const dynamics: CredentialValue = {
    kind: 'oauth2',
    user: undefined,
    async token(refused) {
      if (refused === `token-${tokens}`) tokens += 1
      return { value: `token-${tokens}`, expiresAt: Number.POSITIVE_INFINITY }
    },
  }
  let intake: Intake | undefined
  const script = defineSender({
    id: 'script',
    title: 'Script',
    summary: 'Hands over what the test says.',
    config: z.strictObject({}),
    examples: [],
    errors: {},
    async open(context) {
      intake = context.intake
      const ended = new Promise<void>(resolve =>
        context.signal.addEventListener('abort', () => resolve(), { once: true }),
      )
      return { receive: () => ended, check: async () => ({ ok: true, detail: 'scripted' }), close: async () => {} }
    },
  })
  const hub = await simulate({ flowFile, clock, credentials: { dynamics }, declarations: { senders: [script] } })
  closing.push(hub.close)
  let version = 0
  const last = new Map<string, number>()
  return {
    twin,
    hub,
    last,
    async hand(count: number) {
      for (let index = 0; index < count; index++) {
        version += 1
        const accountnumber = String(1001 + (version % keys))
        last.set(accountnumber, version)
        const body = { accountnumber, name: `version ${version}`, '@create': { description: `from ${version}` } }
        await intake?.accept({
          headers: {},
          attributes: {},
          type: 'application/json',
          body: Buffer.from(JSON.stringify(body)),
        })
      }
      await hub.settle()
    },
    /** Lets time pass until every delivery has ended. */
    async finish() {
      for (let hours = 0; hours < 40; hours++) {
        const rows = await hub.deliveries()
        if (rows.every(({ state }) => state !== 'queued')) return rows
        await hub.advance('1h')
      }
      throw new Error('deliveries still wait after 40 hours')
    },
  }
}

function accountsOf(twin: DataverseTwin): Readonly<Record<string, unknown>> {
  return Object.fromEntries(twin.records('account').map(({ accountnumber, name }) => [String(accountnumber), name]))
}

function wanted(last: ReadonlyMap<string, number>): Readonly<Record<string, unknown>> {
  return Object.fromEntries([...last].map(([key, version]) => [key, `version ${version}`]))
}

test('an environment that takes a tenth of what comes slows the hub down and fails no message', async () => {
  const it = await world('', { requests: 40, windowMs: 60_000, concurrent: 4 })
  await it.hand(200)
  const rows = await it.finish()
  expect(rows.map(({ state }) => state)).toEqual(rows.map(() => 'delivered'))
  expect(accountsOf(it.twin)).toEqual(wanted(it.last))
  expect(it.twin.protection.refusedCount).toBeGreaterThan(0)
  // Whoever had to wait longer than an attempt may take was put off, with nothing but that.
  const failures = it.hub.events.filter(event => event.type === 'delivery.failed').map(({ error }) => error.code)
  expect(failures.filter(code => code !== 'DATAVERSE_THROTTLED')).toEqual([])
})

test('a storm that lasts longer than the retry policy sets nothing aside', async () => {
  const it = await world()
  it.twin.setFaults({ throttle: { times: 1_000_000, retryAfterS: 6 * 3600 } })
  await it.hand(5)
  await it.hub.advance('3d')
  expect((await it.hub.deliveries()).map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'queued'))
  it.twin.clearFaults()
  const rows = await it.finish()
  expect(rows.map(({ state }) => state)).toEqual(Array.from({ length: 5 }, () => 'delivered'))
})

const operations = [
  '',
  ', operation: check-then-write',
  ', operation: check-then-write, skip-unchanged: true',
  ', tell-id: false',
  ', only-changes: true',
]

/** One seed for each way of writing; ISTHMUS_DATAVERSE_SEEDS runs more. */
const seedCount = Number(process.env['ISTHMUS_DATAVERSE_SEEDS'] ?? operations.length)
const seeds = Array.from({ length: seedCount }, (_, index) => index + 1)

test.each(seeds)('random troubles (seed %i) lose nothing, double nothing and mix up no order', async seed => {
  const random = seededRandom(seed)
  const it = await world(operations[seed % operations.length])
  for (let round = 0; round < 4; round++) {
    it.twin.setFaults(troubles(random))
    await it.hand(30)
    await it.hub.advance(`${1 + Math.floor(random() * 20)}m`)
    if (random() < 0.3) await it.hub.crash()
  }
  it.twin.clearFaults()
  const rows = await it.finish()
  expect(rows.filter(({ state }) => state !== 'delivered')).toEqual([])
  expect(rows).toHaveLength(120)
  expect(accountsOf(it.twin)).toEqual(wanted(it.last))
  expect(it.twin.records('account')).toHaveLength(keys)
  // Fields for new records came from the first version of each, however often it was sent.
  for (const { accountnumber, description } of it.twin.records('account')) {
    const first = (Number(accountnumber) - 1001 || keys) % keys || keys
    expect(description).toBe(`from ${first}`)
  }
})

function troubles(random: () => number): DataverseFaultDocument {
  const some = (odds: number) => (random() < odds ? { times: 1 + Math.floor(random() * 10) } : undefined)
  const throttle = some(0.6)
  const unavailable = some(0.3)
  const fail = some(0.3)
  const dropBefore = some(0.3)
  const dropAfter = some(0.5)
  const truncate = some(0.2)
  const html = some(0.2)
  return {
    ...(throttle && { throttle: { ...throttle, retryAfterS: Math.floor(random() * 120) } }),
    ...(unavailable && { unavailable: { ...unavailable, ...(random() < 0.5 && { retryAfterS: 30 }) } }),
    ...(fail && { fail }),
    ...(dropBefore && { dropBefore }),
    ...(dropAfter && { dropAfter }),
    ...(truncate && { truncate }),
    ...(html && { html }),
    ...(random() < 0.3 && { expireTokens: true as const }),
    ...(random() < 0.3 && { emptyCodes: true as const }),
  }
}
