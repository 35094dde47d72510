import { describe, expect, test } from 'vitest'
import { DAY, MINUTE } from '../../kernel/time.ts'
import type { Appointment } from '../plan/items.ts'
import { decideHeld, listHeld } from './held-deletions.ts'
import { edit, Pair, titles } from './pair-world.ts'
import { appointment, type Held } from './sides-world.ts'

const wholeCount = 24
const deletedCount = 20
const never = new AbortController().signal

/** A pair whose mailbox (or CRM) lost most of its items; the deletions are held back. */
async function emptied(where: 'mailbox' | 'crm' = 'mailbox', pair = new Pair()): Promise<Pair> {
  for (let count = 0; count < wholeCount; count += 1) pair.mailbox.add(appointment({ subject: `Item ${count}` }))
  await pair.settle()
  for (const id of [...pair[where].held.keys()].slice(0, deletedCount)) pair[where].drop(id)
  await pair.settle()
  expect(await pair.store.countHeld(pair.scope)).toBe(deletedCount)
  return pair
}

async function decide(pair: Pair, decision: 'pass' | 'restore'): Promise<void> {
  await decideHeld(pair.store, pair.scope, decision, pair.around.now)
  await pair.settle()
}

function expectWhole({ mailbox, crm }: Pair): void {
  expect(titles(mailbox.held)).toEqual(Array.from({ length: wholeCount }, (_, at) => `Item ${at}`).toSorted())
  expect(titles(crm.held)).toEqual(titles(mailbox.held))
}

describe('deletions that were mistakes', () => {
  test.each(['mailbox', 'crm'] as const)('of the %s: what is gone is created anew and stays in step', async where => {
    const pair = await emptied(where)
    await decide(pair, 'restore')
    expectWhole(pair)
    pair.told()
    await pair.settle()
    expect(pair.told()).toEqual([])
    const anew = [...pair[where].held.values()].at(-1)
    pair[where].edit(anew?.id ?? '', edit({ location: 'Room 9' }))
    await pair.settle()
    const places = ({ held }: { readonly held: ReadonlyMap<string, Held> }) =>
      [...held.values()].filter(({ item }) => (item as Appointment).location === 'Room 9').length
    expect([places(pair.mailbox), places(pair.crm)]).toEqual([1, 1])
  })

  test('come back also where rules would take no new item: one way, out of the window, on the block list', async () => {
    const pair = new Pair()
    pair.rule({ direction: 'to-exchange' })
    for (let count = 0; count < wholeCount; count += 1) {
      const attendees = [{ address: 'b@news.example', name: '', role: 'required', response: 'none' }] as const
      pair.crm.add(appointment({ subject: `Item ${count}`, attendees }))
    }
    await pair.settle()
    for (const id of [...pair.crm.held.keys()].slice(0, deletedCount)) pair.crm.drop(id)
    await pair.settle()
    pair.rule({ pastMs: DAY })
    pair.rules = { ...pair.rules, blocked: ['news.example'] }
    pair.around.now += 400 * DAY
    await decide(pair, 'restore')
    expectWhole(pair)
  })

  test('of an item that became private stay as they are, whatever a person says', async () => {
    const pair = await emptied()
    const [first] = [...pair.crm.held.values()]
    pair.crm.edit(first?.id ?? '', edit({ sensitivity: 'private' }))
    await decide(pair, 'restore')
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([wholeCount - 1, wholeCount])
  })

  test('of which some came back by themselves are not doubled', async () => {
    const pair = await emptied()
    const link = (await pair.store.openLinks(pair.scope, 'held'))[0]
    const left = pair.crm.held.get(link?.crm.id ?? '')
    // Taken out of Deleted Items: the same appointment under another id, with its mark.
    const back = pair.mailbox.add(left?.item ?? appointment())
    back.uid = link?.exchange.identity ?? ''
    await pair.settle()
    expect(await pair.store.countHeld(pair.scope)).toBe(deletedCount - 1)
    await decide(pair, 'restore')
    expectWhole(pair)
  })

  test('are undone whole, wherever the round is cut off', async () => {
    for (let cut = 1; cut <= 12; cut += 1) {
      const pair = await emptied()
      await decideHeld(pair.store, pair.scope, 'restore', pair.around.now)
      let requests = 0
      pair.around.onRequest = () => {
        requests += 1
        if (requests === cut) throw new Error('the hub was killed')
      }
      await pair.round().catch(() => undefined)
      pair.around.onRequest = () => undefined
      pair.around.now += 4 * MINUTE
      await pair.settle()
      pair.around.now += 4 * MINUTE
      await pair.settle()
      expectWhole(pair)
    }
  })
})

test('deletions in small portions are a mass deletion, too; those of a whole day are not', async () => {
  const pair = new Pair()
  for (let count = 0; count < wholeCount; count += 1) pair.mailbox.add(appointment({ subject: `Item ${count}` }))
  await pair.settle()
  async function dropInPortions(everyMs: number): Promise<void> {
    for (const id of [...pair.mailbox.held.keys()].slice(0, 16)) {
      pair.mailbox.drop(id)
      pair.around.now += everyMs
      await pair.settle()
    }
  }
  await dropInPortions(0)
  expect(await pair.store.countHeld(pair.scope)).toBe(6)
  expect(pair.crm.held.size).toBe(wholeCount - 10)
  // What a person let pass is no reason to hold the next one back.
  await decide(pair, 'pass')
  const [next] = pair.mailbox.held.keys()
  pair.mailbox.drop(next ?? '')
  await pair.settle()
  expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([7, 7])

  for (let count = 0; count < wholeCount; count += 1) pair.mailbox.add(appointment({ subject: `More ${count}` }))
  await pair.settle()
  await dropInPortions(30 * MINUTE)
  expect(await pair.store.countHeld(pair.scope)).toBe(0)
})

describe('a word to let them pass', () => {
  test('is about those that wait: more that come after it wait again', async () => {
    const pair = await emptied()
    for (let count = 0; count < 60; count += 1) pair.mailbox.add(appointment({ subject: `More ${count}` }))
    await pair.settle()
    await decideHeld(pair.store, pair.scope, 'pass', pair.around.now)
    for (const { id, item } of pair.mailbox.held.values()) {
      if ((item as Appointment).subject.startsWith('More')) pair.mailbox.drop(id)
    }
    await pair.settle()
    expect(await pair.store.countHeld(pair.scope)).toBe(60)
    expect(pair.crm.held.size).toBe(wholeCount - deletedCount + 60)
  })

  test('is taken back by one to restore them', async () => {
    const pair = await emptied()
    await decideHeld(pair.store, pair.scope, 'pass', pair.around.now)
    await decide(pair, 'restore')
    expectWhole(pair)
    for (const id of [...pair.mailbox.held.keys()].slice(0, deletedCount)) pair.mailbox.drop(id)
    await pair.settle()
    expect(await pair.store.countHeld(pair.scope)).toBe(deletedCount)
  })

  test('counts also for an item that somebody edits at that very moment', async () => {
    const pair = await emptied()
    const { remove } = pair.crm
    let isFirst = true
    pair.crm.remove = async (scope, removals) => {
      if (!isFirst) return remove.call(pair.crm, scope, removals)
      isFirst = false
      return removals.map(() => ({ state: 'conflict' as const }))
    }
    await decide(pair, 'pass')
    const kept = await pair.store.countHeld(pair.scope)
    if (kept > 0) await decide(pair, 'pass')
    expect(pair.crm.held.size).toBe(wholeCount - deletedCount)
  })
})

test('what waits is listed page by page, with title and date of the half that is left', async () => {
  const pair = await emptied()
  const [first, second] = await pair.store.openLinks(pair.scope, 'held')
  pair.crm.edit(first?.crm.id ?? '', edit({ sensitivity: 'private' }))
  pair.crm.drop(second?.crm.id ?? '')
  const place = { store: pair.store, scope: pair.scope, drivers: { exchange: pair.mailbox, crm: pair.crm } }
  const page = await listHeld(place, { after: undefined, limit: 12 }, never)
  const rest = await listHeld(place, { after: page.at(-1)?.key, limit: 12 }, never)
  expect([page.length, rest.length]).toEqual([12, deletedCount - 12])
  const all = new Map([...page, ...rest].map(held => [held.key, held]))
  expect(all.size).toBe(deletedCount)
  expect(all.get(first?.key ?? '')).toMatchObject({ title: '', isGone: false, deletedOn: 'exchange' })
  expect(all.get(second?.key ?? '')).toMatchObject({ title: '', isGone: true })
  const other = [...all.values()].find(({ title }) => title === 'Item 7')
  expect(other).toMatchObject({ deletedOn: 'exchange', date: appointment().start, isGone: false })
  expect(other?.heldAt).toBeGreaterThan(Date.UTC(2026, 10, 23))
})
