import { randomUUID } from 'node:crypto'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { MiB } from '../kernel/size.ts'
import { HOUR, systemClock } from '../kernel/time.ts'
import { BothSides, titleOf, ways } from './both-sides-world.ts'
import { c4cDriverLimits } from './c4c-driver.ts'
import { markCategory, scopeOf } from './graph-driver-world.ts'
import type { Mailbox } from './organizations/model.ts'
import { previewMailbox } from './organizations/preview.ts'
import type { Item } from './plan/items.ts'
import { sampleAppointment, sampleContact, sampleMail, sampleSeries, sampleTask, weekly } from './sample-items-world.ts'
import { decideHeld } from './sync/held-deletions.ts'

const ofTheCrm = { ...sampleAppointment, subject: 'from the CRM', attendees: [], organizer: null }

describe.each(ways)('between Exchange over %s and Cloud for Customer', way => {
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start(way)
  })
  afterEach(() => both.stop())

  test('appointments, contacts and tasks travel both ways, and stay as they are in further rounds', async () => {
    const pairs: [Item, Item][] = [
      [sampleAppointment, ofTheCrm],
      [sampleContact, { ...sampleContact, surname: 'Cem', emails: ['cem@x.example'] }],
      [sampleTask, { ...sampleTask, subject: 'from the CRM' }],
    ]
    for (const [mine, theirs] of pairs) {
      await both.put('exchange', mine)
      await both.put('crm', theirs)
      await both.settle(mine.kind)
      const { exchange, crm } = await both.common(mine.kind)
      expect(exchange).toHaveLength(2)
      expect(crm).toEqual(exchange)
      const writes = both.mailbox.writeCount()
      await both.settle(mine.kind)
      expect(both.mailbox.writeCount()).toBe(writes)
    }
  })

  test('edits of both sides meet field by field; what is deleted on one side goes on the other', async () => {
    await both.put('exchange', sampleAppointment)
    await both.put('exchange', { ...sampleAppointment, subject: 'to be deleted' })
    await both.settle('appointment')
    const { subject } = sampleAppointment
    await both.edit('exchange', 'appointment', subject, { location: 'Berlin' })
    const hour = { start: '2026-11-24T08:00:00Z', end: '2026-11-24T09:00:00Z' }
    await both.edit('crm', 'appointment', subject, hour)
    await both.settle('appointment')
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
    expect(crm.join()).toContain('Berlin')
    expect(crm.join()).toContain('2026-11-24T08:00:00Z')
    await both.drop('crm', 'appointment', 'to be deleted')
    await both.settle('appointment')
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(1)
  })

  test.each([
    ['an appointment', { attendees: [], organizer: null }],
    ['a meeting', {}],
    ['a series', { start: sampleSeries.start, end: sampleSeries.end, recurrence: { ...weekly, count: 30 } }],
  ] as const)('%s that is cancelled in the CRM leaves the mailbox, and stays cancelled there', async (_, more) => {
    both.scope.series = both.rules.series
    await both.put('exchange', { ...sampleAppointment, ...more })
    await both.settle('appointment')
    const { store } = both.c4c.twin
    const rows = () => store.all(store.kind('Appointment'))
    const [head] = rows().filter(({ values }) => !String(values['GroupwareItemID']).includes('#'))
    if (!head) throw new Error('it did not come over')
    store.change(head, { LifeCycleStatusCode: '4' })
    await both.settle('appointment')
    expect(await both.itemsOf('exchange', 'appointment')).toEqual([])
    await both.settle('appointment')
    expect(rows().map(({ id, values }) => [id, values['LifeCycleStatusCode']])).toEqual([[head.id, '4']])
    // Somebody takes it up again.
    store.change(rows()[0] ?? head, { LifeCycleStatusCode: '1' })
    await both.settle('appointment')
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(1)
  })

  test('what was cancelled in the CRM by mistake is created anew on the word of a person, beside what is cancelled', async () => {
    both.rules = { ...both.rules, brake: { freeCount: 0, share: 0 } }
    await both.put('exchange', ofTheCrm)
    await both.settle('appointment')
    const { store } = both.c4c.twin
    for (const row of store.all(store.kind('Appointment'))) store.change(row, { LifeCycleStatusCode: '4' })
    await both.settle('appointment')
    expect(await decideHeld(both.store, scopeOf('appointment'), 'restore', both.now())).toBe(1)
    const states = () => store.all(store.kind('Appointment')).map(({ values }) => String(values['LifeCycleStatusCode']))
    await both.settle('appointment')
    expect(states().toSorted()).toEqual(['1', '4'])
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(1)
    await both.store.forget(scopeOf('appointment'))
    await both.settle('appointment')
    expect(states().toSorted()).toEqual(['1', '4'])
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(1)
  })

  test('a series with exceptions goes over whole, and comes back changed', async () => {
    await both.put('exchange', sampleSeries)
    await both.settle('appointment')
    const first = await both.common('appointment')
    expect(first.crm).toEqual(first.exchange)
    expect(first.crm.join()).toContain('on Tuesday')
    await both.edit('crm', 'appointment', sampleSeries.subject, { subject: 'renamed there' })
    await both.settle('appointment')
    const second = await both.common('appointment')
    expect(second.crm).toEqual(second.exchange)
    expect(second.exchange.join()).toContain('renamed there')
    expect(second.exchange.join()).toContain('on Tuesday')
  })

  test('a series of every second week, where weeks begin on a Sunday, has the same days on both sides', async () => {
    const days = { interval: 2, days: ['wednesday', 'sunday'], weekStart: 'sunday' } as const
    const recurrence = { ...weekly, ...days, firstDay: '2026-11-22' }
    const when = { start: '2026-11-22T08:00:00Z', end: '2026-11-22T09:00:00Z', exceptions: {} }
    await both.put('exchange', { ...sampleSeries, ...when, recurrence })
    await both.settle('appointment')
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
    expect(crm.join()).toContain('"weekStart":"sunday"')
  })

  test('a series on the first of several days is synced where it can be written', async () => {
    const first = { unit: 'month', days: ['monday', 'tuesday'], which: 'first', firstDay: '2026-12-01' } as const
    const when = { start: '2026-12-01T08:00:00Z', end: '2026-12-01T09:00:00Z', exceptions: {} }
    const series = { ...sampleSeries, ...when, recurrence: { ...weekly, ...first } }
    if (way === 'EWS') return expect(both.put('exchange', series)).rejects.toThrow('first of several days')
    await both.put('exchange', series)
    await both.settle('appointment')
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
  })

  test('a task that is cancelled in the CRM is done in the mailbox, and stays cancelled in the CRM', async () => {
    await both.put('crm', sampleTask)
    await both.settle('task')
    const { store } = both.c4c.twin
    const [row] = store.all(store.kind('Tasks'))
    if (!row) throw new Error('it was not created')
    store.change(row, { Status: '4' })
    for (let count = 0; count < 3; count += 1) await both.settle('task')
    expect((await both.find('exchange', 'task', sampleTask.subject)).item).toMatchObject({ status: 'completed' })
    await both.edit('exchange', 'task', sampleTask.subject, { subject: 'Called off', completedDay: '2026-11-20' })
    await both.settle('task')
    expect(store.all(store.kind('Tasks'))[0]?.values).toMatchObject({ Subject: 'Called off', Status: '4' })
    await both.edit('exchange', 'task', 'Called off', { status: 'open', percentComplete: 0, completedDay: null })
    await both.settle('task')
    expect(store.all(store.kind('Tasks'))[0]?.values).toMatchObject({ Status: '1' })
  })

  test('a contact that is changed in the CRM keeps in the mailbox what the CRM cannot hold', async () => {
    const emails = ['zoe@x.example', 'second@x.example', 'third@x.example']
    const businessAddress = { ...sampleContact.businessAddress, country: 'Deutschland' }
    await both.put('exchange', { ...sampleContact, emails, businessAddress })
    await both.settle('contact')
    const { item } = await both.find('crm', 'contact', sampleContact.surname)
    if (item.kind !== 'contact') throw new Error('it is no contact')
    const moved = { emails: ['new@x.example'], businessAddress: { ...item.businessAddress, city: 'Mannheim' } }
    await both.edit('crm', 'contact', sampleContact.surname, moved)
    await both.settle('contact')
    expect((await both.find('exchange', 'contact', sampleContact.surname)).item).toMatchObject({
      emails: ['new@x.example', 'second@x.example', 'third@x.example'],
      businessAddress: { ...businessAddress, city: 'Mannheim' },
      company: sampleContact.company,
    })
    const writes = both.mailbox.writeCount()
    await both.settle('contact')
    expect(both.mailbox.writeCount()).toBe(writes)
  })

  test('a task that repeats, or waits, stays so when its days are changed in the CRM', async () => {
    await both.put('exchange', { ...sampleTask, status: 'waiting', recurrence: weekly })
    await both.settle('task')
    await both.edit('crm', 'task', sampleTask.subject, { dueDay: '2026-11-27' })
    await both.settle('task')
    expect((await both.find('exchange', 'task', sampleTask.subject)).item).toMatchObject({
      dueDay: '2026-11-27',
      status: 'waiting',
      recurrence: { unit: 'week', days: ['monday'], count: 4 },
    })
    const { exchange, crm } = await both.common('task')
    expect(crm).toEqual(exchange)
  })

  test('a text that is too long for the CRM is cut between letters, also where a letter takes two places', async () => {
    const surname = `${'y'.repeat(39)}😀`
    await both.put('exchange', { ...sampleContact, surname })
    await both.settle('contact')
    const { store } = both.c4c.twin
    expect(store.all(store.kind('Contact'))[0]?.values).toMatchObject({ LastName: 'y'.repeat(39) })
    const { exchange, crm } = await both.common('contact')
    expect(crm).toEqual(exchange)
  })

  test('people whom Exchange names by a path stay on the meeting, and out of the CRM', async () => {
    const gone = { address: '/o=contoso/ou=exchange/cn=recipients/cn=gone', name: 'Gone' } as const
    const role = { role: 'required', response: 'none' } as const
    const ben = { address: 'b@x.example', name: 'Ben', ...role }
    await both.put('exchange', { ...sampleAppointment, attendees: [ben, { ...gone, ...role }] })
    await both.settle('appointment')
    const { store } = both.c4c.twin
    const parties = () =>
      store
        .all(store.kind('AppointmentInvolvedParties'))
        .map(({ values }) => String(values['PartyEmailURI']))
        .toSorted()
    expect(parties()).toEqual(['b@x.example'])
    const { subject } = sampleAppointment
    const cem = { address: 'c@x.example', name: '', ...role }
    await both.edit('crm', 'appointment', subject, { attendees: [{ ...ben, name: '' }, cem] })
    await both.settle('appointment')
    const { item } = await both.find('exchange', 'appointment', subject)
    const found = item.kind === 'appointment' ? item.attendees.map(({ address }) => address).toSorted() : []
    expect(found).toEqual([gone.address, 'b@x.example', 'c@x.example'])
    expect(parties()).toEqual(['b@x.example', 'c@x.example'])
  })

  test('a mail goes to the CRM when somebody marks it so, with its files', async () => {
    const attachments = [{ id: 'x', name: 'offer.txt', type: 'text/plain', bytes: 4, isInline: false }]
    await both.put('exchange', { ...sampleMail, categories: [markCategory], attachments })
    await both.put('exchange', { ...sampleMail, subject: 'not for the CRM', messageId: '<m2@x.example>' })
    await both.settle('mail')
    const [mail, ...others] = await both.itemsOf('crm', 'mail')
    expect(others).toEqual([])
    expect(mail).toMatchObject({
      mark: '<m1@x.example>',
      item: { subject: 'Offer 4711', attachments: [{ name: 'offer.txt' }] },
    })
    const { store } = both.c4c.twin
    expect(store.all(store.kind('EMailAttachments')).map(({ values }) => values['Binary'])).toEqual([
      Buffer.from('file').toString('base64'),
    ])
  })

  test('a mail stands in the CRM as it came; of its changes only the importance goes on, and the log says no more', async () => {
    const body = { type: 'html', content: '<!-- from a phone --><b>Dear Ada,</b>' } as const
    await both.put('exchange', { ...sampleMail, body, categories: [markCategory] })
    await both.settle('mail')
    await both.edit('exchange', 'mail', sampleMail.subject, { subject: 'Offer, by my own name' })
    await both.settle('mail')
    await both.store.forget(scopeOf('mail'))
    await both.settle('mail')
    expect(both.decisions.filter(({ what }) => what === 'updated' || what === 'conflict')).toEqual([])
    const [{ item } = { item: sampleMail }] = await both.itemsOf('exchange', 'mail')
    await both.edit('exchange', 'mail', titleOf(item), { importance: 'high' })
    await both.settle('mail')
    expect(both.decisions.flatMap(({ what, fields }) => (what === 'updated' ? [fields] : []))).toEqual([['importance']])
    expect(await both.itemsOf('crm', 'mail')).toMatchObject([
      { item: { subject: sampleMail.subject, importance: 'high' } },
    ])
  })

  test.each([
    ['answer of Cloud for Customer', 'crm', 'dropAfter'],
    ['answer of Exchange', 'exchange', 'dropAfter'],
    ['request to Cloud for Customer', 'crm', 'dropBefore'],
    ['request to Exchange', 'exchange', 'dropBefore'],
  ] as const)(
    'the %s is lost in the middle of a round: nothing is lost, nothing is doubled',
    async (_, side, fault) => {
      await both.put('exchange', sampleAppointment)
      await both.put('crm', ofTheCrm)
      const faulty = side === 'crm' ? both.c4c.twin : both.mailbox
      faulty.setFaults({ [fault]: { times: 1, writesOnly: true } })
      await both.round('appointment').catch(() => undefined)
      faulty.clearFaults()
      await both.settle('appointment')
      await both.settle('appointment')
      const { exchange, crm } = await both.common('appointment')
      expect(exchange).toHaveLength(2)
      expect(crm).toEqual(exchange)
    },
  )

  test('a lost token costs a listing, and no item is doubled', async () => {
    await both.put('exchange', sampleAppointment)
    await both.put('crm', ofTheCrm)
    await both.settle('appointment')
    both.pass(HOUR)
    both.mailbox.loseTokens()
    await both.settle('appointment')
    const { exchange, crm } = await both.common('appointment')
    expect(exchange).toHaveLength(2)
    expect(crm).toEqual(exchange)
  })

  test.each(['exchange', 'crm'] as const)(
    'what was deleted in %s by mistake is created anew on the word of a person, with its link',
    async side => {
      both.rules = { ...both.rules, brake: { freeCount: 0, share: 0 } }
      const items: Item[] = [sampleAppointment, sampleSeries, sampleContact, sampleTask]
      for (const item of items.map(each => (each === sampleSeries ? { ...each, subject: 'Series' } : each))) {
        await both.put('exchange', item)
        await both.settle(item.kind)
        const before = await both.common(item.kind)
        await both.drop(side, item.kind, titleOf(item))
        await both.settle(item.kind)
        expect(await both.store.countHeld(scopeOf(item.kind))).toBe(1)
        expect(await decideHeld(both.store, scopeOf(item.kind), 'restore', both.now())).toBe(1)
        await both.settle(item.kind)
        const after = await both.common(item.kind)
        expect(after.crm).toEqual(after.exchange)
        expect(after.exchange).toEqual(before.exchange)
        // Without its memory the sync finds the two by the marks that they carry now.
        await both.store.forget(scopeOf(item.kind))
        await both.settle(item.kind)
        expect((await both.common(item.kind)).crm).toEqual(before.exchange)
      }
    },
  )
})

test.each([
  ['put on', [], ['Account'], 'Contact'],
  ['taken off', ['Account'], [], 'CorporateAccount'],
] as const)('a contact stays what it is in the CRM when its category is %s', async (_, before, after, entity) => {
  const both = await BothSides.start('EWS')
  try {
    const { surname, phones } = sampleContact
    await both.put('exchange', { ...sampleContact, categories: before })
    await both.settle('contact')
    await both.edit('exchange', 'contact', surname, { categories: after })
    await both.settle('contact')
    await both.edit('exchange', 'contact', surname, { phones: { ...phones, mobile: '4711' } })
    await both.settle('contact')
    const { store } = both.c4c.twin
    expect(store.all(store.kind(entity)).map(({ values }) => values['Mobile'])).toEqual(['4711'])
    expect(both.decisions.map(({ what, side }) => `${what} ${side}`)).toEqual(['created crm', 'updated crm'])
    // Without its memory the sync finds nothing that differs either.
    await both.store.forget(scopeOf('contact'))
    await both.settle('contact')
    expect(both.decisions.filter(({ what }) => what === 'updated' || what === 'refused')).toHaveLength(1)
  } finally {
    await both.stop()
  }
})

describe('an appointment that the CRM gives to somebody else', () => {
  const [ada, ben] = ['ada@contoso.com', 'ben@contoso.com'] as const
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start('Graph')
    await both.put('exchange', ofTheCrm)
    await settleFor(ada, ben)
    const { store } = both.c4c.twin
    const [row] = store.all(store.kind('Appointment'))
    const employee = store.all(store.kind('EmployeeBasicData')).find(({ values }) => values['Email'] === ben)
    if (!row || !employee) throw new Error('it did not come over')
    store.change(row, { OwnerPartyID: employee.values['BusinessPartnerID'] ?? null })
    await settleFor(ben, ada, ben, ada)
  })
  afterEach(() => both.stop())

  async function settleFor(...people: readonly string[]): Promise<void> {
    for (const person of people) {
      Object.assign(both.scope, { mailbox: person, owner: person })
      await both.settle('appointment')
    }
  }
  const tag = () => both.c4c.twin.store.all(both.c4c.twin.store.kind('Appointment')).map(each => each.tag)

  test('stands in both mailboxes, which do not quarrel over its mark', async () => {
    const before = [tag(), both.mailbox.writeCount()]
    await settleFor(ben, ada, ben, ada)
    expect([tag(), both.mailbox.writeCount()]).toEqual(before)
    await both.edit('exchange', 'appointment', ofTheCrm.subject, { location: 'Berlin' })
    await settleFor(ada, ben)
    const { item } = await both.find('exchange', 'appointment', ofTheCrm.subject)
    expect(item).toMatchObject({ location: 'Berlin' })
    // Without its memory the hub finds all of them again.
    for (const mailbox of [ada, ben]) await both.store.forget(scopeOf('appointment', { mailbox }))
    await settleFor(ada, ben)
    expect(tag()).toHaveLength(1)
    expect(await both.itemsOf('exchange', 'appointment')).toHaveLength(1)
  })

  test('is no longer deleted there by who had it first; it does not come back, and goes with the other one', async () => {
    for (const [person, left] of [
      [ada, 1],
      [ben, 0],
    ] as const) {
      Object.assign(both.scope, { mailbox: person, owner: person })
      await both.drop('exchange', 'appointment', ofTheCrm.subject)
      await settleFor(ada, ben, ada, ben)
      expect(tag()).toHaveLength(left)
      Object.assign(both.scope, { mailbox: person, owner: person })
      expect(await both.itemsOf('exchange', 'appointment')).toEqual([])
    }
  })
})

test('a preview says of a mail whose files are too large that the CRM will refuse it', async () => {
  const both = await BothSides.start('EWS')
  try {
    const bytes = c4cDriverLimits.attachmentBytes + MiB
    const attachments = [{ id: 'x', name: 'film.mp4', type: 'video/mp4', bytes, isInline: false }]
    const item = { ...sampleMail, categories: [markCategory], attachments }
    const signal = new AbortController().signal
    const openAttachment = () => Readable.from([Buffer.alloc(bytes)])
    await both.mailbox.driver.create(scopeOf('mail'), [{ key: 'k', mark: null, item, openAttachment }], signal)
    const address = 'ada@contoso.com'
    const preview = await previewMailbox({
      mailbox: { address, crmAddress: address, organization: 'contoso', state: 'active' } as Mailbox,
      rules: both.rules,
      drivers: { exchange: both.mailbox.driver, crm: both.c4c.driver },
      clock: systemClock,
      log: silentLog,
      signal,
      newKey: randomUUID,
    })
    expect(preview.items.map(({ what, error }) => [what, error?.code])).toEqual([
      ['refused', 'C4C_ATTACHMENT_TOO_LARGE'],
    ])
    await both.settle('mail')
    expect(both.decisions.map(({ what, error }) => [what, error?.code])).toEqual([
      ['refused', 'C4C_ATTACHMENT_TOO_LARGE'],
    ])
  } finally {
    await both.stop()
  }
})

test.each(ways)('a mail that is saved in the CRM comes to the mailbox with its files, over %s', async way => {
  const both = await BothSides.start(way)
  try {
    both.rule('mail', { direction: 'both' })
    await both.settle('mail')
    const attachments = [{ id: 'x', name: 'offer.txt', type: 'text/plain', bytes: 5, isInline: false }]
    await both.put('crm', { ...sampleMail, direction: 'out', attachments })
    await both.settle('mail')
    const { item } = await both.find('exchange', 'mail', sampleMail.subject)
    expect(item).toMatchObject({ attachments: [{ name: 'offer.txt', type: 'text/plain' }] })
  } finally {
    await both.stop()
  }
})
