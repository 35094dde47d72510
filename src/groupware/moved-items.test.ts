import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { defineErrors } from '../kernel/error.ts'
import { HOUR } from '../kernel/time.ts'
import { BothSides, titleOf, type Way } from './both-sides-world.ts'
import type { MovedHalf, Scope, SideItem } from './drivers.ts'
import { scopeOf } from './graph-driver-world.ts'
import type { Item, ItemKind } from './plan/items.ts'
import { sampleAppointment, sampleContact, sampleMail, sampleTask } from './sample-items-world.ts'
import { contact, Pair } from './sync/pair-world.ts'

const errors = defineErrors('MOVEDTEST', {
  DAMAGED: { side: 'sender', retry: 'never', isAboutMessage: true, means: 'It is damaged.', next: 'Repair it.' },
})
let both: BothSides

/** Puts an item into a folder of its own, which is not synced. */
async function file(title: string, kind: ItemKind, parent?: string): Promise<void> {
  const { id } = await both.find('exchange', kind, title)
  both.mailbox.move(id, kind, both.mailbox.addFolder('Filed', kind, parent))
}

const ofKinds: readonly [Way, 'appointment' | 'contact' | 'task', Item, Partial<Item>][] = [
  ['EWS', 'contact', sampleContact, { jobTitle: 'Head of Sales' }],
  ['EWS', 'task', sampleTask, { importance: 'high' }],
  ['EWS', 'appointment', sampleAppointment, { location: 'Walldorf' }],
  ['Graph', 'contact', sampleContact, { jobTitle: 'Head of Sales' }],
]

describe.each(ofKinds)('over %s a %s that is filed in a folder which is not synced', (way, kind, item, change) => {
  const title = titleOf(item)
  const inMailbox = async () => {
    const [link] = await both.store.findLinks(scopeOf(kind), 'crm', [(await both.find('crm', kind, title)).id])
    const [half] = await both.mailbox.driver.read(
      scopeOf(kind),
      [link?.exchange.id ?? ''],
      new AbortController().signal,
    )
    return half
  }

  beforeEach(async () => {
    both = await BothSides.start(way)
    await both.put('exchange', item)
    await both.put('exchange', { ...item, ...(kind === 'contact' ? { surname: 'Other' } : { subject: 'Other' }) })
    await both.settle(kind)
  })
  afterEach(() => both.stop())

  test('stays in the CRM, and what is changed there reaches it', async () => {
    await file(title, kind)
    await both.settle(kind)
    await both.edit('crm', kind, title, change)
    await both.settle(kind)
    expect(await inMailbox()).toMatchObject({ item: change })
    // Nothing of it came into the folder that is synced, and nothing was let go.
    expect(await both.itemsOf('exchange', kind)).toHaveLength(1)
    expect(await both.store.countLinks(scopeOf(kind))).toBe(2)
    expect(both.decisions.map(({ what }) => what)).not.toContain('removed')
  })

  test('stays also where the token is lost meanwhile, and goes when the CRM deletes it', async () => {
    await file(title, kind)
    both.pass(HOUR)
    both.mailbox.loseTokens()
    await both.settle(kind)
    expect(await both.itemsOf('crm', kind)).toHaveLength(2)
    expect(await inMailbox()).toBeDefined()
    const { id } = (await inMailbox()) ?? { id: '' }
    await both.drop('crm', kind, title)
    await both.settle(kind)
    expect(await both.mailbox.driver.read(scopeOf(kind), [id], new AbortController().signal)).toEqual([undefined])
  })
})

describe.each(ofKinds.filter(([way]) => way === 'EWS'))('over %s a %s', (way, kind, item) => {
  beforeEach(async () => {
    both = await BothSides.start(way)
    await both.put('exchange', item)
    await both.settle(kind)
  })
  afterEach(() => both.stop())

  test('in a folder of Deleted Items is deleted, also after it was filed elsewhere', async () => {
    await file(titleOf(item), kind, 'deleteditems')
    await both.settle(kind)
    expect(await both.itemsOf('crm', kind)).toEqual([])
  })
})

test.each(['contact', 'mail'] as const)(
  'a %s of a folder that the rules leave out from now on stays linked',
  async kind => {
    both = await BothSides.start('EWS')
    try {
      const items = { contact: sampleContact, mail: { ...sampleMail, attachments: [] } }
      both.rule(kind, { direction: 'both', deletions: 'mirror', onlyCategory: undefined })
      await both.put('exchange', items[kind])
      await both.settle(kind)
      both.mailbox.addFolder('Customers', kind)
      both.rule(kind, { onlyFolder: 'Customers' })
      both.scope.folders = ['Customers']
      const values = { importance: 'low', jobTitle: 'Head of Sales' } as Partial<Item>
      await both.edit('crm', kind, titleOf(items[kind]), values)
      await both.settle(kind)
      expect(await both.itemsOf('crm', kind)).toHaveLength(1)
      expect(await both.store.countLinks(scopeOf(kind))).toBe(1)
    } finally {
      await both.stop()
    }
  },
)

test('one that was filed and cannot be shown is not deleted, nor does it keep others from being found or deleted', async () => {
  const pair = new Pair('contact')
  pair.crm.holdsMark = false
  const held = ['Byron', 'Hopper', 'Noether'].map(surname => pair.mailbox.add(contact({ surname })))
  await pair.settle()
  const [damaged, filed, deleted] = held.map(({ mark }) => mark)
  const [found] = await pair.mailbox.findByMark(pair.scope, [filed ?? ''])
  for (const { id } of held) pair.mailbox.drop(id)
  const findMoved = async (_: Scope, halves: readonly MovedHalf[]): Promise<readonly (SideItem | undefined)[]> => {
    if (halves.some(({ mark }) => mark === damaged)) throw errors.DAMAGED()
    return halves.map(({ mark }) => (mark === filed ? found?.[0] : undefined))
  }
  Object.assign(pair.mailbox, { findMoved })
  pair.told()
  await pair.round()
  expect(pair.told()).toEqual(['refused exchange MOVEDTEST_DAMAGED', 'renamed exchange', 'removed crm'])
  expect([...pair.crm.held.keys()]).toEqual([damaged, filed])
  expect(pair.crm.held.has(deleted ?? '')).toBe(false)
  await pair.round()
  expect(pair.crm.held.has(damaged ?? '')).toBe(true)
})
