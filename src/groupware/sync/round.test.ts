import { describe, expect, test } from 'vitest'
import { defineErrors } from '../../kernel/error.ts'
import { HOUR, MINUTE } from '../../kernel/time.ts'
import type { Appointment } from '../plan/items.ts'
import { syncLimits } from './context.ts'
import { decideHeld } from './held-deletions.ts'
import { contact, edit, only, ownedBy, Pair, task, titles } from './pair-world.ts'
import { appointment } from './sides-world.ts'

const errors = defineErrors('ROUNDTEST', {
  TOO_LONG: { side: 'receiver', retry: 'never', means: 'The subject is too long.', next: 'Shorten it.' },
  DAMAGED: { side: 'sender', retry: 'never', isAboutMessage: true, means: 'It is damaged.', next: 'Repair it.' },
  LOCKED: { side: 'receiver', retry: 'soon', means: 'Somebody edits it.', next: 'Nothing.' },
})

describe('items that travel', () => {
  test('both ways, and edits of both sides meet', async () => {
    const pair = new Pair()
    pair.mailbox.add(appointment({ subject: 'from Exchange' }))
    pair.crm.add(appointment({ subject: 'from the CRM' }))
    await pair.settle()
    expect(titles(pair.mailbox.held)).toEqual(['from Exchange', 'from the CRM'])
    expect(titles(pair.crm.held)).toEqual(['from Exchange', 'from the CRM'])
    const [first] = pair.mailbox.held.values()
    const twin = [...pair.crm.held.values()].find(held => held.mark === first?.uid)
    pair.mailbox.edit(first?.id ?? '', edit({ location: 'Room 1' }))
    pair.crm.edit(twin?.id ?? '', edit({ subject: 'renamed' }))
    await pair.settle()
    expect(first?.item).toMatchObject({ subject: 'renamed', location: 'Room 1' })
    expect(twin?.item).toMatchObject({ subject: 'renamed', location: 'Room 1' })
  })

  test('a quiet round asks each side one question and writes nothing', async () => {
    const pair = new Pair()
    pair.mailbox.add(appointment())
    await pair.settle()
    pair.around.now += HOUR
    await pair.round()
    pair.mailbox.requests.clear()
    pair.crm.requests.clear()
    await pair.round()
    expect(Object.fromEntries(pair.mailbox.requests)).toEqual({ changes: 1 })
    expect(Object.fromEntries(pair.crm.requests)).toEqual({ changes: 1, keys: 1 })
  })

  test('one edit in the mailbox costs one read of each side and one write', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment())
    await pair.settle()
    pair.around.now += HOUR
    await pair.round()
    pair.mailbox.edit(held.id, edit({ location: 'Room 2' }))
    pair.mailbox.requests.clear()
    pair.crm.requests.clear()
    await pair.round()
    expect(Object.fromEntries(pair.mailbox.requests)).toEqual({ changes: 1, read: 1 })
    expect(Object.fromEntries(pair.crm.requests)).toEqual({ changes: 1, keys: 1, read: 1, update: 1 })
  })

  test('what the CRM cannot hold stays in the mailbox and is never written', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment({ reminderMinutes: 15, categories: ['red'] }))
    await pair.settle()
    pair.crm.edit(only(pair.crm.held).id, edit({ subject: 'renamed' }))
    await pair.settle()
    expect(held.item).toMatchObject({ subject: 'renamed', reminderMinutes: 15, categories: ['red'] })
    pair.told()
    pair.mailbox.edit(held.id, edit({ reminderMinutes: 30 }))
    await pair.settle()
    expect(pair.told()).toEqual([])
  })
})

describe('contacts and tasks, of which the CRM keeps no mark', () => {
  test('carry it in the mailbox, and are found by it when all memory is lost', async () => {
    const pair = new Pair('contact')
    pair.crm.holdsMark = false
    pair.mailbox.add(contact({ surname: 'Byron' }))
    pair.crm.add(contact({ surname: 'Hopper' }))
    await pair.settle()
    await pair.store.forget(pair.scope)
    await pair.settle()
    expect(titles(pair.mailbox.held)).toEqual(['Byron', 'Hopper'])
    expect(titles(pair.crm.held)).toEqual(['Byron', 'Hopper'])
    expect([...pair.mailbox.held.values()].every(held => pair.crm.held.has(held.mark ?? ''))).toBe(true)
  })

  test('keep their link when they move to another folder', async () => {
    const pair = new Pair('contact')
    pair.crm.holdsMark = false
    const held = pair.mailbox.add(contact())
    await pair.settle()
    pair.mailbox.move(held.id)
    pair.told()
    await pair.settle()
    expect(pair.told()).toEqual(['renamed exchange'])
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([1, 1])
  })

  test.each(['searched for', 'found in the feed'])(
    'are %s after a crash, by looking exactly as they were written',
    async how => {
      const pair = new Pair('task')
      pair.crm.holdsMark = false
      const held = pair.mailbox.add(task())
      const { create } = pair.crm
      pair.crm.create = async (scope, items) => {
        await create.call(pair.crm, scope, items)
        throw errors.LOCKED()
      }
      if (how === 'found in the feed') Object.assign(pair.crm, { findAlike: undefined })
      await expect(pair.round()).rejects.toThrow()
      pair.crm.create = create
      await pair.settle()
      expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([1, 1])
      expect(held.mark).toBe(only(pair.crm.held).id)
    },
  )
})

describe('rules', () => {
  test('a private item stays in the mailbox; one that becomes private keeps its later edits to itself', async () => {
    const pair = new Pair()
    pair.mailbox.add(appointment({ sensitivity: 'private' }))
    await pair.settle()
    expect(pair.crm.held.size).toBe(0)
    const open = pair.mailbox.add(appointment({ subject: 'Plan' }))
    await pair.settle()
    pair.mailbox.edit(open.id, edit<Appointment>({ sensitivity: 'private', subject: 'Doctor' }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['Plan'])
    pair.mailbox.edit(open.id, edit<Appointment>({ sensitivity: 'normal' }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['Doctor'])
  })

  test('what became private in the mailbox stays there when somebody deletes what the CRM has left of it', async () => {
    const pair = new Pair()
    const { id } = pair.mailbox.add(appointment())
    await pair.settle()
    pair.mailbox.edit(id, edit<Appointment>({ sensitivity: 'private', subject: 'Doctor' }))
    await pair.settle()
    pair.told()
    pair.crm.drop(only(pair.crm.held).id)
    await pair.settle()
    expect(titles(pair.mailbox.held)).toEqual(['Doctor'])
    expect(pair.told()).toEqual(['parted exchange'])
    pair.mailbox.edit(id, edit<Appointment>({ sensitivity: 'normal' }))
    await pair.settle()
    expect(pair.crm.held.size).toBe(0)
  })

  test('one way: the CRM follows, and deletions there only part the two', async () => {
    const pair = new Pair()
    pair.rule({ direction: 'to-crm' })
    const held = pair.mailbox.add(appointment())
    pair.crm.add(appointment({ subject: 'of the CRM alone' }))
    await pair.settle()
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([1, 2])
    pair.crm.drop([...pair.crm.held.values()].find(one => one.mark === held.uid)?.id ?? '')
    await pair.settle()
    pair.mailbox.edit(held.id, edit({ location: 'elsewhere' }))
    await pair.settle()
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([1, 1])
  })

  test('a meeting that lies in the mailbox twice is in the CRM once', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment())
    pair.mailbox.add(appointment()).uid = held.uid
    await pair.settle()
    await pair.settle()
    pair.mailbox.loseState()
    await pair.settle()
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([2, 1])
  })

  test('what is let go loses its category, and comes back when somebody puts it on again', async () => {
    const pair = new Pair()
    const category = pair.rules.markCategory
    pair.rule({ deletions: 'keep', onlyCategory: category })
    const held = pair.mailbox.add(appointment({ categories: [category] }))
    await pair.settle()
    pair.crm.drop(only(pair.crm.held).id)
    await pair.settle()
    expect(held.item.categories).toEqual([])
    pair.mailbox.edit(held.id, edit({ subject: 'edited' }))
    await pair.settle()
    expect(pair.crm.held.size).toBe(0)
    pair.mailbox.edit(held.id, edit({ categories: [category] }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['edited'])
    await pair.settle()
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([1, 1])
  })

  test('a copied appointment becomes one of its own', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment())
    await pair.settle()
    const copy = pair.mailbox.add(appointment({ subject: 'Copy' }))
    copy.mark = only(pair.crm.held).id
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['Copy', 'Jour fixe'])
    pair.mailbox.drop(held.id)
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['Copy'])
  })
})

describe('deletions', () => {
  async function emptied(): Promise<Pair> {
    const pair = new Pair()
    for (let count = 0; count < 30; count += 1) pair.mailbox.add(appointment({ subject: `Item ${count}` }))
    await pair.settle()
    for (const id of [...pair.mailbox.held.keys()].slice(0, 20)) pair.mailbox.drop(id)
    await pair.settle()
    return pair
  }

  test('of suspiciously many items wait for a person, while everything else goes on', async () => {
    const pair = await emptied()
    expect(pair.crm.held.size).toBe(30)
    pair.mailbox.add(appointment({ subject: 'New' }))
    expect((await pair.round()).held).toBe(20)
    expect(pair.crm.held.size).toBe(31)
    await decideHeld(pair.store, pair.scope, 'pass', pair.around.now)
    await pair.settle()
    expect(pair.crm.held.size).toBe(11)
    expect((await pair.round()).held).toBe(0)
  })

  test('that were mistakes are undone on the word of a person, and nothing is doubled', async () => {
    const pair = await emptied()
    expect(await decideHeld(pair.store, pair.scope, 'restore', pair.around.now)).toBe(20)
    await pair.settle()
    expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([30, 30])
    expect(titles(pair.mailbox.held)).toEqual(titles(pair.crm.held))
    pair.told()
    await pair.settle()
    expect(pair.told()).toEqual([])
  })

  test('a single one passes, and beats an edit of the other side', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment())
    await pair.settle()
    pair.mailbox.drop(held.id)
    pair.crm.edit(only(pair.crm.held).id, edit({ subject: 'too late' }))
    await pair.settle()
    expect(pair.crm.held.size).toBe(0)
  })

  test.each(['mailbox', 'crm'] as const)(
    'of an item that came from the %s reach the other side, also before the mailbox has told of the item at all',
    async from => {
      const pair = new Pair()
      pair.mailbox.add(appointment({ subject: 'there before' }))
      await pair.settle()
      pair[from].add(appointment({ subject: 'short-lived' }))
      // The round is cut off before its last write: the mailbox is asked from the old token again.
      const { write } = pair.store
      pair.store.write = (scope, change) => (change.state ? Promise.reject(new Error('cut')) : write(scope, change))
      await expect(pair.round()).rejects.toThrow('cut')
      pair.store.write = write
      expect(titles(pair.crm.held)).toEqual(['short-lived', 'there before'])
      const short = [...pair.mailbox.held.values()].find(
        ({ item }) => 'subject' in item && item.subject !== 'there before',
      )
      pair.mailbox.drop(short?.id ?? '')
      await pair.settle()
      expect(titles(pair.crm.held)).toEqual(['there before'])
      expect(await pair.store.unseen(pair.scope)).toEqual([])
    },
  )

  test('a mailbox that answers nonsense once deletes nothing: what is not listed is read first', async () => {
    const pair = new Pair()
    for (let count = 0; count < 5; count += 1) pair.mailbox.add(appointment({ subject: `Item ${count}` }))
    await pair.settle()
    pair.mailbox.loseState()
    const { changes } = pair.mailbox
    pair.mailbox.changes = async () => ({ changes: [], token: '2:0', hasMore: false })
    await pair.settle()
    pair.mailbox.changes = changes
    expect(pair.crm.held.size).toBe(5)
  })
})

describe('an item that the other side refuses', () => {
  test('waits alone; another version of it is tried at once', async () => {
    const pair = new Pair()
    pair.crm.refusals.set('too long', errors.TOO_LONG())
    const held = pair.mailbox.add(appointment({ subject: 'too long' }))
    pair.mailbox.add(appointment({ subject: 'fits' }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['fits'])
    expect(pair.told()).toContain('refused crm ROUNDTEST_TOO_LONG')
    await pair.settle()
    expect(pair.told()).toEqual([])
    pair.mailbox.edit(held.id, edit({ subject: 'short' }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['fits', 'short'])
    expect(await pair.store.listWaiting(pair.scope, 10)).toEqual([])
  })

  test('for a while is tried again with growing patience, also an edit', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment())
    await pair.settle()
    pair.crm.refusals.set('new words', errors.LOCKED())
    pair.mailbox.edit(held.id, edit({ subject: 'new words' }))
    await pair.settle()
    await pair.settle()
    expect(pair.told().filter(line => line.startsWith('refused'))).toHaveLength(1)
    pair.around.now += 5 * MINUTE
    await pair.settle()
    expect(pair.told()).toEqual(['refused crm ROUNDTEST_LOCKED'])
    pair.crm.refusals.clear()
    pair.around.now += 10 * MINUTE
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['new words'])
  })
})

describe('an item that its side cannot show', () => {
  test('keeps no other from coming over, and comes when it can be read', async () => {
    const pair = new Pair()
    const held = pair.mailbox.add(appointment({ subject: 'damaged' }))
    pair.mailbox.add(appointment({ subject: 'whole' }))
    pair.mailbox.damaged.set(held.id, errors.DAMAGED())
    await pair.settle()
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['whole'])
    expect(pair.told()).toEqual(['created crm', 'refused exchange ROUNDTEST_DAMAGED'])
    pair.mailbox.damaged.clear()
    pair.mailbox.edit(held.id, edit({ subject: 'repaired' }))
    await pair.settle()
    expect(titles(pair.crm.held)).toEqual(['repaired', 'whole'])
    expect(await pair.store.listWaiting(pair.scope, 10)).toEqual([])
  })

  test.each(['mailbox', 'crm'] as const)(
    'in the %s is not taken for deleted, and is compared when it can be read',
    async where => {
      const pair = new Pair()
      const held = pair.mailbox.add(appointment({ subject: 'first' }))
      const other = pair.mailbox.add(appointment({ subject: 'other' }))
      await pair.settle()
      const inCrm = [...pair.crm.held.values()].find(
        ({ item }) => item.kind === 'appointment' && item.subject === 'first',
      )
      // What the CRM tells anew, since it overlaps, need not be read.
      pair.around.now += 60 * MINUTE
      await pair.settle()
      pair[where].damaged.set(where === 'crm' ? (inCrm?.id ?? '') : held.id, errors.DAMAGED())
      pair.told()
      if (where === 'mailbox') pair.crm.edit(inCrm?.id ?? '', edit({ location: 'Berlin' }))
      pair.mailbox.edit(held.id, edit({ subject: 'second' }))
      pair.mailbox.edit(other.id, edit({ subject: 'third' }))
      await pair.settle()
      await pair.settle()
      expect(titles(pair.crm.held)).toEqual(['first', 'third'])
      expect(titles(pair.mailbox.held)).toEqual(['second', 'third'])
      expect(pair.told().toSorted()).toEqual([
        `refused ${where === 'crm' ? 'crm' : 'exchange'} ROUNDTEST_DAMAGED`,
        'updated crm',
      ])
      pair[where].damaged.clear()
      await pair.settle()
      expect(titles(pair.crm.held)).toEqual(['second', 'third'])
      expect(held.item).toMatchObject({ subject: 'second', ...(where === 'mailbox' && { location: 'Berlin' }) })
    },
  )
})

describe('a meeting that two mailboxes have', () => {
  const meeting = (organizer: string) =>
    appointment({
      organizer: { address: organizer, name: '' },
      attendees: [{ address: 'b@x.example', name: '', role: 'required', response: 'accepted' }],
    })

  function twoMailboxes(organizer: string) {
    const a = new Pair()
    const b = new Pair('appointment', a)
    const inA = a.mailbox.add(meeting(organizer))
    const inB = b.mailbox.add(meeting(organizer))
    inB.uid = inA.uid
    return { a, b, inA, inB }
  }

  test('is in the CRM once, and only its organizer writes it', async () => {
    const { a, b, inA, inB } = twoMailboxes('a@x.example')
    await a.settle()
    await b.settle()
    expect(a.crm.held.size).toBe(1)
    b.mailbox.edit(inB.id, edit({ subject: 'my own words' }))
    await b.settle()
    expect(titles(a.crm.held)).toEqual(['Jour fixe'])
    b.mailbox.drop(inB.id)
    await b.settle()
    expect(a.crm.held.size).toBe(1)
    a.mailbox.drop(inA.id)
    await a.settle()
    expect(a.crm.held.size).toBe(0)
  })

  test('is taken over by its organizer when he comes later', async () => {
    const { a, b, inA, inB } = twoMailboxes('b@x.example')
    await a.settle()
    await b.settle()
    a.mailbox.edit(inA.id, edit({ subject: 'of an attendee' }))
    await a.settle()
    expect(titles(a.crm.held)).toEqual(['Jour fixe'])
    b.mailbox.edit(inB.id, edit({ subject: 'of the organizer' }))
    await b.settle()
    expect(titles(a.crm.held)).toEqual(['of the organizer'])
  })

  test('knows its organizer also where the mailbox has another name than the CRM has for its owner', async () => {
    const { a, b, inA, inB } = twoMailboxes('b@x.example')
    Object.assign(b.scope, { mailbox: 'ben@x.onmicrosoft.example' })
    await a.settle()
    await b.settle()
    b.mailbox.edit(inB.id, edit({ subject: 'of the organizer' }))
    await b.settle()
    expect(titles(a.crm.held)).toEqual(['of the organizer'])
    a.mailbox.drop(inA.id)
    await a.settle()
    expect(titles(a.crm.held)).toEqual(['of the organizer'])
  })

  test.each(['newest', 'crm'] as const)('has the words of its organizer when he comes later (%s)', async conflict => {
    const { a, b, inA } = twoMailboxes('b@x.example')
    for (const pair of [a, b]) pair.rule({ conflict })
    a.mailbox.edit(inA.id, edit({ subject: 'of an attendee', showAs: 'tentative' }))
    await a.settle()
    a.mailbox.edit(inA.id, edit({ body: { type: 'text', content: 'bring the contract' } }))
    await a.settle()
    expect(titles(a.crm.held)).toEqual(['of an attendee'])
    await b.settle()
    expect(only(b.mailbox.held).item).toEqual(meeting('b@x.example'))
    expect(only(a.crm.held).item).toMatchObject({ ...meeting('b@x.example'), reminderMinutes: null })
    expect(titles(a.mailbox.held)).toEqual(['of an attendee'])
  })

  test.each([false, true])(
    'keeps what people changed in the CRM before its organizer came (known to an attendee: %s)',
    async isKnown => {
      const { a, b, inA } = twoMailboxes('b@x.example')
      a.mailbox.edit(inA.id, edit({ subject: 'of an attendee' }))
      await a.settle()
      a.crm.edit(only(a.crm.held).id, edit({ location: 'Berlin' }))
      if (isKnown) await a.settle()
      await b.settle()
      const agreed = { subject: 'Jour fixe', location: 'Berlin' }
      expect([only(a.crm.held).item, only(b.mailbox.held).item]).toEqual([
        expect.objectContaining(agreed),
        expect.objectContaining(agreed),
      ])
    },
  )

  test('is merged at once where the CRM tells an attendee who came before the organizer', async () => {
    const { a, b } = twoMailboxes('b@x.example')
    const owners = new Map<string, string>()
    const { crm } = a
    for (const pair of [a, b]) {
      pair.limits = syncLimits
      Object.assign(pair, { crm: ownedBy(pair.scope.mailbox, crm, owners) })
    }
    for (const pair of [a, b, a, b]) await pair.settle()
    crm.edit(only(crm.held).id, edit({ location: 'Berlin' }))
    expect((await b.round()).told.crm).toBe(0)
    expect((await a.round()).concerned).toEqual(new Set(['b@x.example']))
    await b.settle()
    expect(only(b.mailbox.held).item).toMatchObject({ location: 'Berlin' })
    // What the organizer writes is told to the attendee's mailbox, too: that is no news to whom it comes from.
    b.mailbox.edit(only(b.mailbox.held).id, edit({ location: 'Ulm' }))
    await b.settle()
    expect((await a.round()).concerned).toEqual(new Set())
    expect(only(crm.held).item).toMatchObject({ location: 'Ulm' })
  })

  test('is led by its organizer alone, also who comes in the midst of a round of an attendee', async () => {
    const { a, b, inA } = twoMailboxes('b@x.example')
    await a.settle()
    a.mailbox.edit(inA.id, edit({ reminderMinutes: 5 }))
    const read = a.mailbox.read.bind(a.mailbox)
    let settled: Promise<void> | undefined
    a.mailbox.read = async (scope, ids) => {
      settled ??= b.settle()
      await settled
      return read(scope, ids)
    }
    await a.settle()
    a.mailbox.edit(inA.id, edit({ subject: 'of an attendee' }))
    await a.settle()
    expect(titles(a.crm.held)).toEqual(['Jour fixe'])
  })
})

test('an organization that goes from one protocol to another keeps all links, though every id is another', async () => {
  const pair = new Pair()
  for (let count = 0; count < 12; count += 1) pair.mailbox.add(appointment({ subject: `Item ${count}` }))
  await pair.settle()
  for (const id of Array.from(pair.mailbox.held.keys())) pair.mailbox.move(id)
  pair.mailbox.loseState()
  pair.told()
  await pair.settle()
  expect(new Set(pair.told())).toEqual(new Set(['renamed exchange']))
  expect([pair.mailbox.held.size, pair.crm.held.size]).toEqual([12, 12])
})
