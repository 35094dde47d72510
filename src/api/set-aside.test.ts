import { afterEach, expect, test } from 'vitest'
import { defineErrors } from '../kernel/error.ts'
import { HOUR } from '../kernel/time.ts'
import { type ApiWorld, type ApiWorldOptions, apiWorld } from './api-world.ts'
import type { ApiParts } from './parts.ts'
import { actOnSetAside, setAsideLimits } from './set-aside.ts'

const errors = defineErrors('SET_ASIDE_TEST', {
  REFUSED: { side: 'receiver', retry: 'never', means: '550 {text}', next: 'Correct it.' },
  BUSY: { side: 'receiver', retry: 'soon', means: '451 {text}', next: 'Wait.' },
  UNKNOWN: { side: 'receiver', retry: 'never', means: 'cut {text}', next: 'Ask them.', isOutcomeUnknown: true },
})

let world: ApiWorld
afterEach(() => world.close())

/** A hub whose receiver refuses everything until it is told otherwise. */
async function open(engine: ApiWorldOptions['engine'] = {}, options: ApiWorldOptions = {}): Promise<void> {
  const refuse = () => Promise.reject(errors.REFUSED({ text: 'no' }))
  world = await apiWorld({ ...options, engine: { receivers: [refuse], ...engine } })
}

async function all(action: string, body: object = {}): Promise<Record<string, unknown>> {
  const answer = await world.call('POST', `/api/flows/orders/${action}`, body)
  return { status: answer.status, ...((await answer.json()) as object) }
}

const states = async () => {
  const rows = await world.store().find({ flow: 'orders', limit: 1000 })
  return rows.map(({ state }) => state).toReversed()
}

const idle = () => world.engine().idle()

test('all set-aside messages of a flow travel again in their order, and a dry run only counts them', async () => {
  await open({ orderBy: 'key', whenSetAside: 'pass' })
  const keys = ['a', 'b', 'a', 'a', 'b']
  for (const [index, key] of keys.entries()) await world.accept(`${key}${index}`, { headers: { key } })
  await idle()
  expect(await states()).toEqual(keys.map(() => 'set-aside'))
  const seen: string[] = []
  world.setActs(async ({ body }) => {
    seen.push(Buffer.from(body.held ?? '').toString())
    return { summary: '250 ok' }
  })
  expect(await all('set-aside/replay', { dryRun: true })).toMatchObject({ status: 200, done: 5 })
  await idle()
  expect(seen).toEqual([])
  const none = { inDoubt: 0, lossy: 0, failed: 0 }
  expect(await all('set-aside/replay')).toEqual({ status: 200, done: 5, kept: none, examples: [] })
  await idle()
  expect(await states()).toEqual(keys.map(() => 'delivered'))
  expect(seen.filter(name => name.startsWith('a'))).toEqual(['a0', 'a2', 'a3'])
  expect(seen.filter(name => name.startsWith('b'))).toEqual(['b1', 'b4'])
  expect(await all('set-aside/replay')).toMatchObject({ done: 0 })
})

test('of those with one error, and of one time, only they', async () => {
  await open()
  await world.accept('refused')
  await idle()
  world.setActs(() => Promise.reject(errors.UNKNOWN({ text: 'x' })))
  await world.accept('other')
  await idle()
  await world.clock.advance(HOUR)
  const late = new Date(world.clock.now()).toISOString()
  await world.accept('late')
  await idle()
  world.setActs(() => ({ summary: '250 ok' }))
  expect(await all('set-aside/replay', { code: 'SET_ASIDE_TEST_REFUSED', dryRun: true })).toMatchObject({ done: 1 })
  expect(await all('set-aside/replay', { to: late, dryRun: true })).toMatchObject({ done: 2 })
  expect(await all('set-aside/replay', { from: late })).toMatchObject({ done: 1 })
  await idle()
  expect(await states()).toEqual(['set-aside', 'set-aside', 'delivered'])
})

test('what may have arrived already stays, unless somebody says that it may arrive twice', async () => {
  await open({
    receivers: [
      async (_message, effect) => {
        await effect.intend()
        throw errors.UNKNOWN({ text: 'after the last octet' })
      },
    ],
  })
  const { id } = await world.accept('in doubt')
  await idle()
  world.setActs(() => Promise.reject(errors.REFUSED({ text: 'no' })))
  await world.accept('refused')
  await idle()
  world.setActs(() => ({ summary: '250 ok' }))
  expect(await all('set-aside/replay')).toMatchObject({
    done: 1,
    kept: { inDoubt: 1, lossy: 0, failed: 0 },
    examples: [{ id, why: 'in-doubt' }],
  })
  await idle()
  expect(await states()).toEqual(['set-aside', 'delivered'])
  expect(await all('set-aside/replay', { inDoubt: true })).toMatchObject({ done: 1 })
})

test('all are skipped, but for those of which something would be lost', async () => {
  const lossOf = async (_attributes: object, readBody: () => Promise<Uint8Array>) =>
    Buffer.from(await readBody()).includes('MATMAS')
      ? { object: 'material', segments: [], words: 'The change of the material is lost.' }
      : undefined
  await open({}, { lossOf })
  await world.accept('spam')
  const { id } = await world.accept('MATMAS05')
  await idle()
  expect(await all('set-aside/skip', {})).toMatchObject({ status: 400 })
  expect(await all('set-aside/skip', { reason: 'no orders', dryRun: true })).toMatchObject({ done: 1 })
  expect(await all('set-aside/skip', { reason: 'no orders' })).toMatchObject({
    done: 1,
    kept: { lossy: 1 },
    examples: [{ id, why: 'lossy' }],
  })
  expect(await states()).toEqual(['skipped', 'set-aside'])
})

test('a flow that does not run replays nothing', async () => {
  await open()
  expect(await all('set-aside/replay')).toMatchObject({ done: 0 })
  await world.engine().stop('orders')
  expect(await all('set-aside/replay')).toMatchObject({ status: 404, code: 'ENGINE_FLOW_UNKNOWN' })
  expect(await all('retry')).toMatchObject({ status: 404, code: 'ENGINE_FLOW_UNKNOWN' })
})

test('a slip in the name of a flow is told, not taken for one that has nothing set aside', async () => {
  await open()
  const answer = await world.call('POST', '/api/flows/oders/set-aside/skip', { reason: 'no orders' })
  expect([answer.status, await answer.json()]).toEqual([404, expect.objectContaining({ code: 'API_FLOW_UNKNOWN' })])
})

test('what waits for its next try is tried now', async () => {
  await open({ receivers: [() => Promise.reject(errors.BUSY({ text: 'later' }))] })
  await world.accept('a')
  await world.accept('b')
  await idle()
  expect(await states()).toEqual(['queued', 'queued'])
  world.setActs(() => ({ summary: '250 ok' }))
  expect(await all('retry')).toEqual({ status: 200, due: 2 })
  await idle()
  expect(await states()).toEqual(['delivered', 'delivered'])
})

test('more than a call takes are gone through call by call, each message once', async () => {
  await open()
  const ids = Array.from({ length: 2 * setAsideLimits.messages + 7 }, (_, index) => String(index).padStart(5, '0'))
  const rows = ids.map(id => ({ id, isProbe: false, acceptedAt: 1 }))
  let looked = 0
  const store = {
    async oldestSetAside(_flow: string, after: string | undefined, limit: number) {
      const page = rows.filter(({ id }) => id > (after ?? '')).slice(0, limit)
      looked += page.length
      return page
    },
  } as unknown as ApiParts['store']
  const acted: string[] = []
  let acting = 0
  let after: string | undefined
  let calls = 0
  do {
    const pass = await actOnSetAside(store, { flow: 'orders', after }, async group => {
      // Two of one order key may be in two groups.
      expect(acting).toBe(0)
      expect(group.length).toBeLessThanOrEqual(setAsideLimits.together)
      acting++
      await new Promise(setImmediate)
      acted.push(...group.map(({ id }) => id))
      acting--
      return { done: group.length, kept: [] }
    })
    after = pass.next
    calls++
  } while (after !== undefined)
  expect(acted).toEqual(ids)
  expect(calls).toBe(3)
  // A call does not look through what the calls before it have dealt with.
  expect(looked).toBe(rows.length)
})

test('what somebody has replayed since it was looked at is neither skipped nor sent twice', async () => {
  let isQuicker = false
  const lossOf = async () => {
    const [row] = isQuicker ? await world.store().find({ flow: 'orders', limit: 1 }) : []
    if (row) await world.engine().replay(row.id, 'anna')
    return undefined
  }
  await open({}, { lossOf })
  const { id } = await world.accept('wanted')
  await idle()
  isQuicker = true
  world.setActs(() => Promise.reject(errors.BUSY({ text: 'later' })))
  const none = { inDoubt: 0, lossy: 0, failed: 0 }
  expect(await all('set-aside/skip', { reason: 'spam' })).toEqual({ status: 200, done: 0, kept: none, examples: [] })
  await idle()
  expect(await states()).toEqual(['queued'])
  world.setActs(() => ({ summary: '250 ok' }))
  await all('retry')
  await idle()
  const quicker = { code: 'STORE_NOT_SET_ASIDE' }
  await expect(world.engine().replay(id, 'bert', 'set-aside')).rejects.toMatchObject(quicker)
  expect(await world.engine().replayAll('orders', [id], 'bert')).toBe(0)
  expect(await world.engine().skipAll([id], 'spam', 'bert')).toBe(0)
  expect(await states()).toEqual(['delivered'])
})

test('each message of a bulk action stands in the audit log, and one that cannot be read stays while the others go', async () => {
  const lossOf = async (_attributes: object, readBody: () => Promise<Uint8Array>) => {
    if (Buffer.from(await readBody()).includes('torn')) throw errors.REFUSED({ text: 'not to be read' })
    return undefined
  }
  await open({}, { lossOf })
  const first = await world.accept('spam')
  const torn = await world.accept('torn')
  const last = await world.accept('more spam')
  await idle()
  expect(await all('set-aside/skip', { reason: 'no orders' })).toMatchObject({
    done: 2,
    kept: { failed: 1 },
    examples: [{ id: torn.id, why: 'failed', error: { code: 'SET_ASIDE_TEST_REFUSED' } }],
  })
  expect(await states()).toEqual(['skipped', 'set-aside', 'skipped'])
  expect(await all('set-aside/replay')).toMatchObject({ done: 1 })
  await idle()
  const log = await world.store().auditLog({ limit: 9 })
  expect(log.map(({ action, detail }) => [action, detail['delivery'] ?? detail['count']]).toReversed()).toEqual([
    ['message.skip', first.id],
    ['message.skip', last.id],
    ['flow.skip-set-aside', 2],
    ['message.replay', torn.id],
    ['flow.replay-set-aside', 1],
  ])
  expect(await world.store().auditBreak()).toBeUndefined()
})
