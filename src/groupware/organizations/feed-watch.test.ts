import { beforeEach, expect, test } from 'vitest'
import { DAY, MINUTE } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { FeedPage, SideDriver } from '../drivers.ts'
import { FeedWatch } from './feed-watch.ts'

const signal = new AbortController().signal
const clock = new SimulatedClock(Date.UTC(2026, 10, 23, 8))
let pages: (FeedPage | Error)[]
let tokens: (string | undefined)[]
let told: string[]
let watch: FeedWatch

beforeEach(() => {
  pages = []
  tokens = []
  told = []
  const feed: SideDriver['feed'] = async (_organization, _kind, token) => {
    tokens.push(token)
    const page = pages.shift() ?? pageOf('t9', [])
    if (page instanceof Error) throw page
    return page
  }
  watch = new FeedWatch({ feed } as SideDriver, 'contoso', clock, (owner, kind) => told.push(`${owner} ${kind}`))
})

type Row = readonly [id: string, version: string, owner: string]

function pageOf(token: string, rows: readonly Row[], hasMore = false): FeedPage {
  return {
    changes: rows.map(([id, version]) => ({ id, version, isDeleted: false })),
    owners: rows.map(([, , owner]) => [owner]),
    token,
    hasMore,
  }
}

test('tells each owner once, and asks on from where it was; what the overlap tells again is no news', async () => {
  pages = [
    pageOf(
      't1',
      [
        ['1', 'a', 'ada'],
        ['2', 'a', 'ada'],
        ['3', 'a', 'ben'],
      ],
      true,
    ),
    pageOf('t2', [['4', 'a', 'cem']]),
  ]
  await watch.ask('task', signal)
  expect(told).toEqual(['ada task', 'ben task', 'cem task'])
  pages = [
    pageOf('t3', [
      ['1', 'a', 'ada'],
      ['3', 'b', 'ben'],
    ]),
  ]
  await watch.ask('task', signal)
  expect(told.slice(3)).toEqual(['ben task'])
  expect(tokens).toEqual(['2026-11-23T08:00:00.000Z', 't1', 't2'])
})

test.each([
  ['', 0],
  [', also where the clock is set back', DAY],
])('a change is known as told only while the watermark can overlap it%s', async (_what, setBackMs) => {
  pages = [pageOf('t1', [['1', 'a', 'ada']])]
  await watch.ask('task', signal)
  clock.set(clock.now() - setBackMs)
  await watch.ask('task', signal)
  await clock.advance(12 * MINUTE)
  await watch.ask('task', signal)
  pages = [pageOf('t2', [['1', 'a', 'ada']])]
  await watch.ask('task', signal)
  expect(told).toEqual(['ada task', 'ada task'])
})

test('what came before a failure is told, and the next question begins behind it', async () => {
  pages = [pageOf('t1', [['1', 'a', 'ada']], true), new Error('busy')]
  await expect(watch.ask('task', signal)).rejects.toThrow('busy')
  expect(told).toEqual(['ada task'])
  await watch.ask('task', signal)
  expect(tokens.at(-1)).toBe('t1')
})
