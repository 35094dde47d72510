import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, HOUR } from '../kernel/time.ts'
import { BothSides, titleOf, ways } from './both-sides-world.ts'
import { markCategory, scopeOf } from './graph-driver-world.ts'
import type { Appointment, ItemKind } from './plan/items.ts'
import { sampleAppointment, sampleContact, sampleMail, sampleTask } from './sample-items-world.ts'

// Rules that are changed after items were looked at under others: what is let in now comes over with the next round, what
// would be kept out now stays as it is.

describe.each(ways)('over %s', way => {
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start(way)
  })
  afterEach(() => both.stop())

  const titles = async (side: 'exchange' | 'crm', kind: ItemKind) =>
    (await both.itemsOf(side, kind)).map(({ item }) => titleOf(item)).toSorted()

  /** Both sides have these, and further rounds write nothing. */
  async function expectBoth(kind: ItemKind, expected: readonly string[]): Promise<void> {
    expect(await titles('exchange', kind)).toEqual(expected)
    expect(await titles('crm', kind)).toEqual(expected)
    const writes = both.mailbox.writeCount()
    await both.settle(kind)
    expect(both.mailbox.writeCount()).toBe(writes)
  }

  function days(count: number, subject: string): Appointment {
    const start = new Date(Math.floor(both.now() / DAY) * DAY + count * DAY + 8 * HOUR)
    const at = (ms: number) => `${new Date(ms).toISOString().slice(0, 19)}Z`
    return { ...sampleAppointment, subject, start: at(start.getTime()), end: at(start.getTime() + HOUR) }
  }

  test('an entry of the block list that is gone lets the items in that it kept out', async () => {
    both.rules = { ...both.rules, blocked: ['x.example'] }
    await both.put('exchange', sampleContact)
    await both.put('exchange', { ...sampleContact, surname: 'Open', emails: ['open@y.example'] })
    await both.settle('contact')
    expect(await titles('crm', 'contact')).toEqual(['Open'])
    both.rules = { ...both.rules, blocked: [] }
    await both.settle('contact')
    await expectBoth('contact', ['Müller', 'Open'])
    // Entered again, it parts nothing that is linked.
    both.rules = { ...both.rules, blocked: ['x.example'] }
    await both.settle('contact')
    await expectBoth('contact', ['Müller', 'Open'])
  })

  test('a window that is widened takes in more, one that is narrowed deletes nothing', async () => {
    both.scope.from = new Date(both.now() - 10 * DAY).toISOString()
    both.scope.to = new Date(both.now() + 10 * DAY).toISOString()
    both.rule('appointment', { pastMs: 10 * DAY, futureMs: 10 * DAY })
    for (const count of [-20, -5, 5, 20]) await both.put('exchange', days(count, `day ${count}`))
    await both.put('crm', { ...days(25, 'day 25 of the CRM'), organizer: null, attendees: [] })
    await both.settle('appointment')
    expect(await titles('crm', 'appointment')).toEqual(['day -5', 'day 5'])

    both.scope.from = new Date(both.now() - 30 * DAY).toISOString()
    both.scope.to = new Date(both.now() + 30 * DAY).toISOString()
    both.rule('appointment', { pastMs: 30 * DAY, futureMs: 30 * DAY })
    await both.settle('appointment')
    const all = ['day -20', 'day -5', 'day 20', 'day 25 of the CRM', 'day 5']
    await expectBoth('appointment', all)

    both.scope.from = new Date(both.now() - 2 * DAY).toISOString()
    both.scope.to = new Date(both.now() + 2 * DAY).toISOString()
    both.rule('appointment', { pastMs: 2 * DAY, futureMs: 2 * DAY })
    await both.settle('appointment')
    both.mailbox.loseTokens()
    await both.settle('appointment')
    both.mailbox.clearFaults()
    both.scope.from = null
    both.scope.to = null
    await expectBoth('appointment', all)
  })

  test('what lies ahead comes over when its time comes, without anybody touching it', async () => {
    const setWindow = () => {
      both.scope.from = new Date(both.now() - 10 * DAY).toISOString()
      both.scope.to = new Date(both.now() + 10 * DAY).toISOString()
    }
    both.rule('appointment', { pastMs: 10 * DAY, futureMs: 10 * DAY })
    setWindow()
    await both.settle('appointment')
    await both.put('exchange', days(14, 'in two weeks'))
    await both.settle('appointment')
    expect(await titles('crm', 'appointment')).toEqual([])
    both.pass(8 * DAY)
    setWindow()
    await both.settle('appointment')
    expect(await titles('crm', 'appointment')).toEqual(['in two weeks'])
  })

  test('a kind that was off and is on brings what came meanwhile, without doubles', async () => {
    await both.put('exchange', sampleTask)
    await both.settle('task')
    // Off: no rounds of the kind at all.
    await both.put('exchange', { ...sampleTask, subject: 'while it was off' })
    await both.put('crm', { ...sampleTask, subject: 'while it was off, too' })
    await both.edit('crm', 'task', sampleTask.subject, { dueDay: '2026-12-24' })
    await both.settle('task')
    await expectBoth('task', [sampleTask.subject, 'while it was off', 'while it was off, too'])
    const { exchange, crm } = await both.common('task')
    expect(crm).toEqual(exchange)
    expect(exchange.join()).toContain('2026-12-24')
  })

  test('one way that becomes both ways brings over what the CRM had for itself, edits too', async () => {
    both.rule('appointment', { direction: 'to-crm' })
    await both.put('exchange', days(3, 'of the mailbox'))
    await both.put('crm', { ...days(4, 'of the CRM alone'), organizer: null, attendees: [] })
    await both.settle('appointment')
    await both.edit('crm', 'appointment', 'of the mailbox', { location: 'edited in the CRM' })
    await both.settle('appointment')
    expect(await titles('exchange', 'appointment')).toEqual(['of the mailbox'])
    both.rule('appointment', { direction: 'both' })
    await both.settle('appointment')
    await expectBoth('appointment', ['of the CRM alone', 'of the mailbox'])
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
    expect(exchange.join()).toContain('edited in the CRM')
  })

  test('a category that is asked for no longer, or another one, brings the mails that have been waiting', async () => {
    const letter = (subject: string, categories: readonly string[]) => ({
      ...sampleMail,
      subject,
      categories,
      messageId: `<${subject}@x.example>`,
    })
    both.rule('mail', { onlyCategory: 'Wichtig' })
    await both.put('exchange', letter('one', ['Wichtig']))
    await both.put('exchange', letter('two', ['Kunde']))
    await both.settle('mail')
    expect(await titles('crm', 'mail')).toEqual(['one'])
    both.rule('mail', { onlyCategory: 'Kunde' })
    await both.settle('mail')
    expect(await titles('crm', 'mail')).toEqual(['one', 'two'])
  })

  test('another category of the hub takes the place of the former one, on what the hub has marked', async () => {
    await both.put('crm', { ...sampleContact, surname: 'of the CRM' })
    await both.put('exchange', { ...sampleContact, surname: 'a copy', emails: [], categories: [markCategory] })
    await both.settle('contact')
    const categories = async () =>
      (await both.itemsOf('exchange', 'contact')).map(({ item }) => item.categories.toSorted())
    expect((await categories()).every(each => each.includes(markCategory))).toBe(true)
    await both.reopen({ markCategory: 'Cloud' })
    await both.settle('contact')
    for (const each of await categories()) {
      expect(each).toContain('Cloud')
      expect(each).not.toContain(markCategory)
    }
    await expectBoth('contact', ['a copy', 'of the CRM'])
    expect(await both.store.countLinks(scopeOf('contact'))).toBe(2)
  })
})
