import pg from 'pg'
import { afterAll, afterEach, beforeAll, beforeEach, expect, test, vi } from 'vitest'
import { type ApiWorld, apiWorld } from '../../src/api/api-world.ts'
import { setAsideLimits } from '../../src/api/set-aside.ts'
import { defineErrors } from '../../src/kernel/error.ts'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'

const errors = defineErrors('BULK_TEST', {
  DOWN: { side: 'receiver', retry: 'never', means: 'SAP is down.', next: 'Wait.' },
})
const messages = 6 * setAsideLimits.together
const none = { inDoubt: 0, lossy: 0, failed: 0 }

// Each statement is a way to the server and back, which is what a bulk action on a database elsewhere takes its time for.
describeForeign('many set-aside messages on PostgreSQL', ['postgresql'], () => {
  let server: Postgresql
  let world: ApiWorld
  let worlds = 0
  const sent: string[] = []

  beforeAll(async () => {
    server = await startPostgresql()
  })
  afterAll(() => server.stop())

  beforeEach(async () => {
    const owner = `bulk_${++worlds}`
    const openStore = () => openPostgresStore({ address: server.address(owner), owner })
    const refuse = () => Promise.reject(errors.DOWN())
    // All of one order key, so that one runs at a time.
    const engine = { receivers: [refuse], orderBy: 'key', whenSetAside: 'pass', openStore } as const
    world = await apiWorld({ engine, lossOf: async () => undefined })
    const headers = { key: 'all' }
    await Promise.all(Array.from({ length: messages }, (_, index) => world.accept(`${index}`, { headers })))
    await world.engine().idle()
    expect(await world.store().counts('orders')).toMatchObject({ setAside: messages })
    const { query } = pg.Client.prototype
    vi.spyOn(pg.Client.prototype, 'query').mockImplementation(function (this: pg.Client, ...asked: unknown[]) {
      const [statement] = asked as [string | { name: string }]
      sent.push(typeof statement === 'string' ? statement : statement.name)
      return Reflect.apply(query, this, asked) as unknown
    })
    sent.length = 0
  })
  afterEach(async () => {
    vi.restoreAllMocks()
    await world.close()
  })

  const all = async (action: string, body: object = {}) =>
    (await world.call('POST', `/api/flows/orders/set-aside/${action}`, body)).json()

  test('a replay costs a few statements for a hundred, and a dry run one for a thousand', async () => {
    expect(await all('replay', { dryRun: true })).toEqual({ done: messages, kept: none, examples: [] })
    expect(sent).toEqual(['find-oldest-set-aside'])
    sent.length = 0
    const seen: string[] = []
    const first = Promise.withResolvers<void>()
    world.setActs(async ({ body }) => {
      await first.promise
      seen.push(Buffer.from(body.held ?? '').toString())
      return { summary: '250 ok' }
    })
    expect(await all('replay')).toEqual({ done: messages, kept: none, examples: [] })
    expect(sent.length).toBeLessThan(messages / 5)
    first.resolve()
    await world.engine().idle()
    expect(seen).toEqual(Array.from({ length: messages }, (_, index) => `${index}`))
    expect(await world.store().counts('orders')).toMatchObject({ delivered: messages })
  }, 60_000)

  test('so does a skip, and a dry run of one', async () => {
    expect(await all('skip', { reason: 'no orders', dryRun: true })).toMatchObject({ done: messages })
    expect(sent.length).toBeLessThan(messages / 10)
    sent.length = 0
    expect(await all('skip', { reason: 'no orders' })).toEqual({ done: messages, kept: none, examples: [] })
    expect(sent.length).toBeLessThan(messages / 3)
    expect(await world.store().counts('orders')).toMatchObject({ skipped: messages })
  })
})
