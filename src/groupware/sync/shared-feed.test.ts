import { expect, test } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { Change, FeedPage, Scope, SideDriver } from '../drivers.ts'
import { feedLimits, withSharedFeed } from './shared-feed.ts'
import { appointment, calm, WorldCrm } from './sides-world.ts'

const signal = new AbortController().signal
const scopeOf = (owner: string): Scope => ({
  organization: 'x',
  mailbox: owner,
  kind: 'appointment',
  owner,
  folders: [],
  from: null,
  to: null,
})

/** A CRM whose feed is asked by script. */
function world() {
  const clock = new SimulatedClock()
  // The CRM's own clock, by which its tokens are, stays right.
  let aheadMs = 0
  const setBack = (ms: number) => {
    aheadMs += ms
    clock.set(clock.now() - ms)
  }
  const now = () => new Date(clock.now() + aheadMs).toISOString()
  const pages: FeedPage[] = []
  const asked: (string | undefined)[] = []
  const crm = new WorldCrm(calm(clock.now()))
  const feed: SideDriver['feed'] = async (_organization, _kind, token) => {
    asked.push(token)
    return pages.shift() ?? { changes: [], owners: [], token: now(), hasMore: false }
  }
  const driver = withSharedFeed(Object.assign(crm, { feed }), clock)
  const tell = (...changes: (readonly [string, string])[]) =>
    pages.push({
      changes: changes.map(([id]): Change => ({ id, isDeleted: false, version: '2', item: itemOf(id) })),
      owners: changes.map(([, owner]) => [owner]),
      token: now(),
      hasMore: false,
    })
  return { clock, crm, driver, asked, tell, now, setBack }
}

const itemOf = (id: string) => {
  const place = { identity: id, mark: null, modifiedAt: null, folder: null }
  return { id, version: '2', ...place, item: appointment() }
}

async function changesOf(driver: SideDriver, owner: string, token: string) {
  const page = await driver.changes(scopeOf(owner), token, signal)
  if (page === 'token-lost') throw new Error('the feed has no tokens to lose')
  return { ids: page.changes.map(change => change.id), token: page.token, changes: page.changes }
}

test('one question serves all mailboxes for a while, and each gets its own', async () => {
  const { clock, driver, asked, tell, now } = world()
  const start = now()
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'], ['B2', 'b@x'], ['B3', 'a@x'])
  expect((await changesOf(driver, 'a@x', start)).ids).toEqual(['B1', 'B3'])
  expect((await changesOf(driver, 'b@x', start)).ids).toEqual(['B2'])
  expect((await changesOf(driver, 'c@x', start)).ids).toEqual([])
  expect(asked).toHaveLength(1)
})

test('a mailbox that comes late gets what was told meanwhile, once, and the last word of each item', async () => {
  const { clock, driver, tell, now } = world()
  const start = now()
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'])
  await changesOf(driver, 'b@x', start)
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'], ['B2', 'a@x'])
  await changesOf(driver, 'b@x', start)
  const late = await changesOf(driver, 'a@x', start)
  expect(late.ids).toEqual(['B1', 'B2'])
  expect((await changesOf(driver, 'a@x', late.token)).ids).toEqual([])
})

test('after a start mailboxes come from different times: one question reaches back for those that were first', async () => {
  const { clock, crm, driver, asked, tell, now } = world()
  const start = now()
  await clock.advance(10 * MINUTE)
  await changesOf(driver, 'b@x', now())
  await changesOf(driver, 'c@x', start)
  expect(asked).toHaveLength(1)
  await clock.advance(2 * HOUR)
  const late = withSharedFeed(crm, clock)
  await changesOf(late, 'b@x', now())
  tell(['B1', 'a@x'])
  expect((await changesOf(late, 'a@x', start)).ids).toEqual(['B1'])
  expect(asked).toHaveLength(3)
  expect(Date.parse(asked[2] ?? '')).toBeLessThanOrEqual(Date.parse(start))
  expect(crm.requests.get('changes')).toBeUndefined()
})

test('who stayed away for days asks for itself', async () => {
  const { clock, crm, driver, now } = world()
  const start = now()
  await clock.advance(25 * HOUR)
  await changesOf(driver, 'b@x', now())
  await changesOf(driver, 'a@x', start)
  expect(crm.requests.get('changes')).toBe(1)
})

test('of many changes only the newest keep their items in memory; the others are told to be read', async () => {
  const { clock, crm, tell, now } = world()
  const start = now()
  await clock.advance(MINUTE)
  const driver = withSharedFeed(crm, clock, { ...feedLimits, keptItems: 1 })
  tell(['B1', 'a@x'], ['B2', 'a@x'])
  const { changes } = await changesOf(driver, 'a@x', start)
  expect(changes).toEqual([
    { id: 'B1', isDeleted: false, version: '2' },
    { id: 'B2', isDeleted: false, version: '2', item: itemOf('B2') },
  ])
})

test('an item that we wrote since is told without its content, which was yesterday', async () => {
  const { clock, crm, driver, tell, now } = world()
  const start = now()
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'], ['B2', 'a@x'])
  await changesOf(driver, 'a@x', start)
  const before = appointment()
  const change = { id: 'B1', version: '2', before, after: before, fields: [], mark: 'U1' }
  await driver.update(scopeOf('a@x'), [change], signal)
  const again = await changesOf(driver, 'a@x', start)
  expect(again.changes).toEqual([
    { id: 'B1', isDeleted: false },
    { id: 'B2', isDeleted: false, version: '2', item: itemOf('B2') },
  ])
  expect(crm.requests.get('update')).toBe(1)
})

test('while much is written the feed is asked for versions only, and seldom while its answers are long', async () => {
  const { clock, crm, tell, now } = world()
  const start = now()
  const briefs: (boolean | undefined)[] = []
  const { feed } = crm as SideDriver
  const watched: SideDriver['feed'] = async (organization, kind, token, ending, isBrief) => {
    briefs.push(isBrief)
    const page = await feed?.(organization, kind, token, ending, isBrief)
    if (!page) throw new Error('there is no feed')
    return page
  }
  const limits = { ...feedLimits, writesBrief: 2, changesAtOnce: 1 }
  const driver = withSharedFeed(Object.assign(crm, { feed: watched }), clock, limits)
  const creation = (key: string) => ({ key, mark: null, item: appointment(), openAttachment: async function* () {} })
  await driver.create(scopeOf('a@x'), ['1', '2', '3'].map(creation), signal)
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'], ['B2', 'a@x'], ['B3', 'a@x'], ['B4', 'a@x'])
  await changesOf(driver, 'a@x', start)
  await clock.advance(MINUTE)
  await changesOf(driver, 'a@x', start)
  expect(briefs).toEqual([true])
  await clock.advance(10 * MINUTE)
  await changesOf(driver, 'a@x', start)
  expect(briefs).toEqual([true, false])
})

test('a question that fails is a failure of those who waited for it, and the next one asks again', async () => {
  const { clock, driver, crm, now } = world()
  const start = now()
  await clock.advance(31 * SECOND)
  const { feed } = crm
  let failures = 0
  const failing = withSharedFeed(
    Object.assign(crm, {
      feed: async () => {
        failures += 1
        throw new Error('busy')
      },
    }),
    clock,
  )
  const both = await Promise.allSettled([changesOf(failing, 'a@x', start), changesOf(failing, 'b@x', start)])
  expect(both.map(result => result.status)).toEqual(['rejected', 'rejected'])
  expect(failures).toBe(1)
  Object.assign(crm, { feed })
  expect((await changesOf(driver, 'a@x', start)).ids).toEqual([])
})

test('is asked as often when the machine sets its clock back', async () => {
  const { clock, driver, asked, tell, now, setBack } = world()
  const start = now()
  await clock.advance(MINUTE)
  const { token } = await changesOf(driver, 'a@x', start)
  setBack(2 * HOUR)
  // How far, it finds out with the first one who asks.
  await changesOf(driver, 'b@x', token)
  await clock.advance(MINUTE)
  tell(['B1', 'a@x'])
  expect((await changesOf(driver, 'a@x', token)).ids).toEqual(['B1'])
  expect(asked).toHaveLength(2)
})

test('serves all mailboxes also where the clock of the hub is ahead of that of the CRM, or was set back', async () => {
  for (const [backMs, laterBackMs] of [
    [2 * DAY, 0],
    [0, 2 * DAY],
  ] as const) {
    const { clock, crm, driver, asked, now, setBack } = world()
    // The CRM's clock is behind the hub's.
    setBack(-backMs)
    const first = await changesOf(driver, 'a@x', now())
    setBack(laterBackMs)
    for (let minute = 0; minute < 30; minute += 1) {
      await clock.advance(MINUTE)
      await changesOf(driver, 'b@x', now())
    }
    const before = asked.length
    await changesOf(driver, 'a@x', first.token)
    expect(asked).toHaveLength(before)
    expect(crm.requests.get('changes')).toBeUndefined()
  }
})
