import { expect, test } from 'vitest'
import type { Log } from '../kernel/log.ts'
import { DAY } from '../kernel/time.ts'
import { purgeAll, retentionLimits } from './retention.ts'
import { ordersFlow, standInClock, standInEngine, standInRecords } from './stand-ins.ts'

function world(rows: number) {
  const { clock, pass } = standInClock()
  const stage = standInEngine(clock)
  stage.run(ordersFlow)
  const asked: { max: number; deliveredBefore: number; setAsideBefore: number }[] = []
  const lines: [string, object | undefined][] = []
  const log: Log = {
    debug: (event, fields) => lines.push([event, fields]),
    info: (event, fields) => lines.push([event, fields]),
    warn: (event, fields) => lines.push([event, fields]),
    error: (event, fields) => lines.push([event, fields]),
    with: () => log,
  }
  let left = rows
  const audits = { left: 0, asked: [] as { before: number; max: number }[] }
  const parts = {
    engine: stage.engine,
    clock,
    log,
    store: {
      ...standInRecords(),
      flowNames: async (): Promise<readonly string[]> => ['orders'],
      async purge(request: { flow: string; deliveredBefore: number; setAsideBefore: number; max: number }) {
        asked.push(request)
        const count = Math.min(left, request.max)
        left -= count
        return count
      },
      async purgeAudit(request: { before: number; max: number }) {
        audits.asked.push(request)
        const count = Math.min(audits.left, request.max)
        audits.left -= count
        return count
      },
      bodies: { collect: async () => 7 },
    },
  }
  /** Lets the pauses between batches pass until the round is over. */
  async function finish(round: Promise<number>): Promise<number> {
    const isOver = round.then(() => true)
    const passOne = async () => {
      await pass(retentionLimits.pauseMs)
      return false
    }
    for (let count = 0; count < 1000; count++) if (await Promise.race([isOver, passOne()])) break
    return round
  }
  return { parts, asked, audits, lines, finish, clock, stage }
}

test('a round deletes in small batches with pauses between, by the times of the flow, and collects bodies', async () => {
  const { parts, asked, lines, finish, clock } = world(2 * retentionLimits.batch + 1)
  const now = clock.now()
  expect(await finish(purgeAll(parts, new AbortController().signal))).toBe(2 * retentionLimits.batch + 1)
  expect(asked).toHaveLength(3)
  expect(asked[0]).toEqual({ flow: 'orders', deliveredBefore: now - 1000, setAsideBefore: now - 5000, max: 200 })
  expect(lines).toEqual([
    ['retention.purged', { flow: 'orders', count: 401 }],
    ['retention.collected', { bodies: 7 }],
  ])
})

test('a stop ends the round between two batches', async () => {
  const { parts, asked } = world(100 * retentionLimits.batch)
  const stopping = new AbortController()
  const round = purgeAll(parts, stopping.signal)
  await Promise.resolve()
  stopping.abort()
  await round
  expect(asked.length).toBeLessThan(3)
})

test('a store that fails is said, and the next round goes on', async () => {
  const { parts, lines, finish } = world(1)
  const failing = { ...parts, store: { ...parts.store, purge: async () => Promise.reject(new Error('disk gone')) } }
  expect(await finish(purgeAll(failing, new AbortController().signal))).toBe(0)
  expect(lines[0]?.[0]).toBe('retention.failed')
  expect(await finish(purgeAll(parts, new AbortController().signal))).toBe(1)
})

test('a flow that does not run keeps as long as it said last, and one that never said so as long as others by default', async () => {
  const { parts, asked, clock, stage } = world(0)
  const store = { ...parts.store, flowNames: async () => ['orders', 'vanished'] }
  await purgeAll({ ...parts, store }, new AbortController().signal)
  stage.halt('orders')
  asked.length = 0
  const now = clock.now()
  await purgeAll({ ...parts, store }, new AbortController().signal)
  expect(asked).toEqual([
    { flow: 'orders', deliveredBefore: now - 1000, setAsideBefore: now - 5000, max: 200 },
    { flow: 'vanished', deliveredBefore: now - 30 * DAY, setAsideBefore: now - 90 * DAY, max: 200 },
  ])
})

test('the audit log goes in slices, too, after a year or what isthmus.yaml says', async () => {
  const { parts, audits, lines, finish, clock } = world(0)
  audits.left = retentionLimits.batch + 1
  const slice = { before: clock.now() - 365 * DAY, max: retentionLimits.batch }
  await finish(purgeAll(parts, new AbortController().signal))
  expect(audits.asked).toEqual([slice, slice])
  expect(lines[0]).toEqual(['retention.audit-purged', { count: 201 }])
  audits.asked.splice(0)
  const shorter = { before: clock.now() - 30 * DAY, max: retentionLimits.batch }
  await finish(purgeAll({ ...parts, auditKeepMs: 30 * DAY }, new AbortController().signal))
  expect(audits.asked).toEqual([shorter])
})
