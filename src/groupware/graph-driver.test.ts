import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { ChangePage, Creation, Scope, SideItem, Update } from './drivers.ts'
import { markCategory, scopeOf, startGraphDriver } from './graph-driver-world.ts'
import { startsOf } from './occurrences.ts'
import { type Appointment, type Item, itemKinds } from './plan/items.ts'
import {
  anyItem,
  sampleAppointment,
  sampleContact,
  sampleMail,
  sampleSeries,
  samples,
  sampleTask,
  weekly,
} from './sample-items-world.ts'

// The driver with the twin, over sockets: what goes in comes out as `normalise` says.

const never = new AbortController().signal
let world: Awaited<ReturnType<typeof startGraphDriver>>

beforeEach(async () => {
  world = await startGraphDriver({ pageSize: 4 })
})
afterEach(() => world.stop())

let keys = 0
function creation(item: Item, mark: string | null = null): Creation {
  keys += 1
  return { key: `key-${keys}`, mark, item, openAttachment: () => filesOf('never asked') }
}

async function* filesOf(text: string): AsyncGenerator<Uint8Array> {
  yield Buffer.from(text)
}

async function create(scope: Scope, item: Item, mark: string | null = null): Promise<SideItem> {
  const [outcome] = await world.driver.create(scope, [creation(item, mark)], never)
  if (outcome?.state !== 'done') throw outcome?.error ?? new Error('nothing came back')
  return read(scope, outcome.id)
}

async function read(scope: Scope, id: string): Promise<SideItem> {
  const [found] = await world.driver.read(scope, [id], never)
  if (!found) throw new Error('it is not there')
  return found
}

async function update(scope: Scope, at: SideItem, after: Item, fields: readonly string[], mark?: string | null) {
  const change: Update = { id: at.id, version: at.version, before: at.item, after, fields, mark }
  const [outcome] = await world.driver.update(scope, [change], never)
  return outcome
}

function shown(item: Item): Item {
  return world.driver.normalise(item)
}

function withoutMark(item: Item): Item {
  return { ...item, categories: item.categories.filter(name => name !== markCategory) }
}

test.each([...Object.values(samples), sampleSeries, { ...sampleTask, recurrence: weekly }])(
  '$kind: what is created is read as it was, with its mark',
  async item => {
    const scope = scopeOf(item.kind)
    const made = await create(scope, item, 'CRM-1')
    expect(shown(withoutMark(made.item))).toEqual(shown(item))
    if (item.kind !== 'mail') expect(withoutMark(made.item)).toEqual(shown(item))
    expect(made.item.categories).toContain(markCategory)
    expect(made.mark).toBe('CRM-1')
    const [found, nothing] = await world.driver.findByMark(scope, ['CRM-1', "it's not there"], never)
    expect(found).toMatchObject([{ id: made.id, item: made.item }])
    expect(nothing).toEqual([])
    if (made.identity !== null) {
      expect(await world.driver.findByIdentity(scope, [made.identity], never)).toMatchObject([[{ id: made.id }]])
    }
  },
)

describe('round trips', () => {
  test.each(itemKinds)('any %s comes back as it is said it would, and that is said the same twice', async kind => {
    const scope = scopeOf(kind)
    await fc.assert(
      fc.asyncProperty(anyItem[kind], async item => {
        const once = shown(item)
        expect(shown(once)).toEqual(once)
        const { item: back } = await create(scope, item)
        expect(kind === 'mail' ? shown(back) : back).toEqual(once)
      }),
      { numRuns: 25 },
    )
  })
})

test('fields are changed one by one, under the version that was read', async () => {
  const cases: [Item, Partial<Item>][] = [
    [sampleAppointment, { subject: 'New', location: 'Berlin', showAs: 'away' }],
    [sampleAppointment, { start: '2026-12-01T08:00:00Z', end: '2026-12-01T09:00:00Z', zone: 'America/New_York' }],
    [sampleAppointment, { reminderMinutes: null, attendees: sampleAppointment.attendees.slice(0, 1) }],
    [sampleContact, { phones: { ...sampleContact.phones, mobile: '', fax: '1' }, emails: [] }],
    [sampleContact, { birthday: null, sensitivity: 'private' }],
    [sampleTask, { status: 'completed', percentComplete: 100, completedDay: '2026-11-24' }],
    [sampleTask, { dueDay: null, reminderAt: null }],
    [sampleMail, { categories: ['Red'] }],
  ]
  for (const [item, values] of cases) {
    const scope = scopeOf(item.kind)
    const made = await create(scope, item, 'CRM-2')
    const after = { ...made.item, ...values } as Item
    expect(await update(scope, made, after, Object.keys(values))).toMatchObject({ state: 'done', id: made.id })
    expect(withoutMark((await read(scope, made.id)).item)).toEqual(withoutMark(after))
    // The version of then is over: nothing is overwritten.
    expect(await update(scope, made, after, Object.keys(values))).toEqual({ state: 'conflict' })
  }
})

test('marks are written, changed and taken away, and the category with them', async () => {
  for (const item of Object.values(samples)) {
    const scope = scopeOf(item.kind)
    const bare = await create(scope, item)
    expect(bare.mark).toBeNull()
    const linked = await update(scope, bare, bare.item, [], 'CRM-3')
    expect(linked?.state).toBe('done')
    const marked = await read(scope, bare.id)
    expect([marked.mark, marked.item.categories.includes(markCategory)]).toEqual(['CRM-3', true])
    expect(linked).toMatchObject({ version: marked.version })
    await update(scope, marked, marked.item, [], null)
    const parted = await read(scope, bare.id)
    expect([parted.mark, parted.item.categories.includes(markCategory)]).toEqual([null, false])
  }
})

test('exceptions of a series: one more, one changed, one taken back; a deleted one cannot come back', async () => {
  const scope = scopeOf('appointment')
  const made = await create(scope, sampleSeries)
  const series = made.item as Appointment
  const after: Appointment = {
    ...series,
    exceptions: {
      '2026-11-02T08:00:00Z': { isDeleted: true },
      '2026-11-09T08:00:00Z': { location: 'Berlin' },
    },
  }
  const outcome = await update(scope, made, after, ['exceptions'])
  const changed = await read(scope, made.id)
  expect(changed.item).toEqual(after)
  expect(outcome).toMatchObject({ state: 'done', version: changed.version })
  const back = { ...after, exceptions: {} }
  expect(await update(scope, changed, back, ['exceptions'])).toMatchObject({ state: 'refused' })
})

test('changes come in pages, series as one item, and what is gone is told; a forgotten token is said so', async () => {
  const { driver, graph } = world
  const scope = scopeOf('appointment', { from: '2026-10-01T00:00:00Z', to: '2027-01-01T00:00:00Z' })
  const made: SideItem[] = []
  for (let index = 0; index < 5; index += 1)
    made.push(await create(scope, { ...sampleAppointment, subject: `a${index}` }))
  const series = await create(scope, sampleSeries)
  const first = await round(scope)
  expect(new Set(first.ids)).toEqual(new Set([...made, series].map(each => each.id)))
  expect(first.pages).toBeGreaterThan(1)
  const [one, two] = made
  if (!one || !two) throw new Error('nothing was made')
  await driver.remove(scope, [one], never)
  await update(scope, two, { ...two.item, subject: 'changed' } as Item, ['subject'])
  const second = await round(scope, first.token)
  expect(second.changes.map(each => [each.id, each.isDeleted])).toEqual([
    [two.id, false],
    [one.id, true],
  ])
  graph.setFaults({ expireDeltas: true })
  expect(await driver.changes(scope, second.token, never)).toBe('token-lost')
  expect(await driver.changes(scope, 'a token of another driver', never)).toBe('token-lost')
})

test('a token that is a thousand rounds old is lost, and the newest is not', async () => {
  const { driver } = world
  const scope = scopeOf('contact')
  const tokenOf = async (before?: string) => {
    const page = await driver.changes(scope, before, never)
    if (page === 'token-lost') throw new Error('the newest token was lost')
    return page.token
  }
  const old = await tokenOf()
  let newest = old
  for (let round = 0; round < 1000; round += 1) newest = await tokenOf(newest)
  expect(await driver.changes(scope, old, never)).toBe('token-lost')
  expect(await driver.changes(scope, newest, never)).toMatchObject({ changes: [] })
})

test('the window of a calendar moves on, and nothing that was deleted meanwhile is missed', async () => {
  const { driver } = world
  const november = scopeOf('appointment', { from: '2026-11-01T00:00:00Z', to: '2026-12-01T00:00:00Z' })
  const december = scopeOf('appointment', { from: '2026-11-15T00:00:00Z', to: '2027-01-01T00:00:00Z' })
  const kept = await create(november, sampleAppointment)
  const removed = await create(november, { ...sampleAppointment, subject: 'removed' })
  const later = await create(november, {
    ...sampleAppointment,
    start: '2026-12-10T08:00:00Z',
    end: '2026-12-10T09:00:00Z',
  })
  const first = await round(november)
  expect(new Set(first.ids)).toEqual(new Set([kept.id, removed.id]))
  await driver.remove(november, [removed], never)
  const second = await round(december, first.token)
  expect(second.ids).toContain(later.id)
  expect(second.changes).toContainEqual({ id: removed.id, isDeleted: true })
  expect((await round(december, second.token)).changes).toEqual([])
})

test('mail: both folders, a move is no deletion, the bin is one', async () => {
  const { driver, graph } = world
  const scope = scopeOf('mail', { from: '2026-11-01T00:00:00Z' })
  const inbox = await create(scope, sampleMail)
  const sent = await create(scope, {
    ...sampleMail,
    direction: 'out',
    from: { address: 'ada@contoso.com', name: 'Ada' },
  })
  expect([inbox.folder, sent.folder]).toEqual(['Inbox', 'Sent Items'])
  expect(sent.item).toMatchObject({ direction: 'out' })
  // Who signs in with another name than the mail address.
  const [fromOther] = await driver.read({ ...scope, owner: 'b@x.example' }, [inbox.id], never)
  expect(fromOther?.item).toMatchObject({ direction: 'out' })
  const first = await round(scope)
  expect(new Set(first.ids)).toEqual(new Set([inbox.id, sent.id]))
  const mailbox = graph.mailbox('ada@contoso.com')
  mailbox.move(mailbox.get(inbox.id, 'message'), mailbox.folder('archive', 'message').id)
  const second = await round(scope, first.token)
  expect(second.changes).toEqual([{ id: inbox.id, isDeleted: false }])
  await driver.remove(scope, [sent], never)
  expect((await round(scope, second.token)).changes).toEqual([{ id: sent.id, isDeleted: true }])
})

test.each([sampleMail, sampleContact])(
  'a $kind in Deleted Items is gone, though its id leads to it, and there again when it is taken out',
  async item => {
    const { driver, graph } = world
    const scope = scopeOf(item.kind)
    const { id } = await create(scope, item, 'crm-1')
    const mailbox = graph.mailbox('ada@contoso.com')
    const stored = [...mailbox.items.values()].find(each => each.id === id)
    if (!stored) throw new Error('it was not created')
    const { folder } = stored
    mailbox.move(stored, mailbox.folder('deleteditems', 'message').id)
    expect(await driver.read(scope, [id], never)).toEqual([undefined])
    expect(await driver.findByMark(scope, ['crm-1'], never)).toEqual([[]])
    mailbox.move(stored, folder)
    expect((await driver.findByMark(scope, ['crm-1'], never)).flat().map(each => each.id)).toEqual([id])
  },
)

test('contacts can be read by an application that may not see folders of mail', async () => {
  const { graph, signIn } = world
  const scope = scopeOf('contact')
  const { id } = await create(scope, sampleContact)
  const token = signIn.issue({ scope: 'https://graph.microsoft.com/.default', roles: ['Contacts.ReadWrite'] })
  const other = world.reopened({ logIn: async () => ({ ...(await world.logIn(undefined)), token }) })
  const [found] = await other.read(scope, [id], never)
  expect(found?.id).toBe(id)
  const asked = graph.requests.length
  await other.read(scope, [id], never)
  expect(graph.requests.slice(asked).filter(({ target }) => target.includes('mailFolders'))).toEqual([])
})

test('attachments of a mail travel as bytes, both ways', async () => {
  const { driver } = world
  const scope = scopeOf('mail')
  const attachments = [{ id: 'x', name: 'offer.txt', type: 'text/plain', bytes: 5, isInline: false }]
  const wish = { ...creation({ ...sampleMail, attachments }), openAttachment: () => filesOf('hello') }
  const [outcome] = await driver.create(scope, [wish], never)
  if (outcome?.state !== 'done') throw new Error('it was refused')
  const made = await read(scope, outcome.id)
  expect(outcome.version).toBe(made.version)
  expect(made.item).toMatchObject({ attachments: [{ name: 'offer.txt', type: 'text/plain', bytes: 5 }] })
  const [attachment] = 'attachments' in made.item ? made.item.attachments : []
  if (!attachment || !driver.openAttachment) throw new Error('there is none')
  const chunks = await Array.fromAsync(driver.openAttachment(scope, made.id, attachment, never))
  expect(Buffer.concat(chunks).toString()).toBe('hello')
})

test('a mail within a mail is a file of it, as it is over EWS', async () => {
  const { driver, graph } = world
  const scope = scopeOf('mail')
  const [outcome] = await driver.create(scope, [creation(sampleMail)], never)
  if (outcome?.state !== 'done') throw new Error('it was refused')
  const inner = {
    id: 'inner',
    name: 'Re: offer',
    contentType: '',
    bytes: Buffer.from('Subject: Re: offer'),
    isInline: false,
  }
  graph
    .mailbox('ada@contoso.com')
    .get(outcome.id, 'message')
    .attachments.set('inner', { ...inner, isItem: true })
  const { item } = await read(scope, outcome.id)
  const attachments = 'attachments' in item ? item.attachments : []
  expect(attachments).toMatchObject([{ name: 'Re: offer', type: 'message/rfc822' }])
  const [attachment] = attachments
  if (!attachment || !driver.openAttachment) throw new Error('there is none')
  const chunks = await Array.fromAsync(driver.openAttachment(scope, outcome.id, attachment, never))
  expect(Buffer.concat(chunks).toString()).toBe('Subject: Re: offer')
})

test('a create that is repeated after a lost answer makes no second appointment', async () => {
  const { driver, graph } = world
  const scope = scopeOf('appointment')
  const wish = creation(sampleAppointment, 'CRM-9')
  graph.setFaults({ dropAfter: { times: 1, writesOnly: true } })
  await expect(driver.create(scope, [wish], never)).rejects.toMatchObject({ isOutcomeUnknown: true })
  await driver.create(scope, [wish], never)
  expect(graph.count('ada@contoso.com', 'event')).toBe(1)
})

test('a series that was cut off half written is not there until its create is repeated', async () => {
  const { driver, graph } = world
  const scope = scopeOf('appointment')
  const wish = creation(sampleSeries, 'CRM-7')
  graph.afterCreate = () => {
    graph.afterCreate = undefined
    graph.setFaults({ dropBefore: { times: 1 } })
  }
  await expect(driver.create(scope, [wish], never)).rejects.toMatchObject({ retry: 'soon' })
  graph.clearFaults()
  expect(graph.count('ada@contoso.com', 'event')).toBe(1)
  expect(await driver.findByMark(scope, ['CRM-7'], never)).toEqual([[]])
  const [outcome] = await driver.create(scope, [wish], never)
  expect(await driver.findByMark(scope, ['CRM-7'], never)).toMatchObject([
    [outcome?.state === 'done' && { id: outcome.id }],
  ])
  expect(graph.count('ada@contoso.com', 'event')).toBe(1)
})

test.each([
  ['Europe/Berlin', '2027-10-31T00:30:00Z', '2027-10-31T01:30:00Z'],
  ['Europe/Berlin', '2027-10-31T01:15:00Z', '2027-10-31T01:30:00Z'],
  ['America/New_York', '2027-11-07T06:30:00Z', '2027-11-07T08:00:00Z'],
  ['Australia/Lord_Howe', '2027-04-03T15:15:00Z', '2027-04-03T16:00:00Z'],
])('an hour that comes twice is the one that was meant: %s, from %s to %s', async (zone, start, end) => {
  const { driver } = world
  const single = { ...sampleAppointment, zone, start, end }
  const made = await create(scopeOf('appointment'), single)
  expect(made.item).toMatchObject({ start, end })
  expect(driver.normalise(made.item)).toEqual({ ...driver.normalise(single), categories: made.item.categories })
  const [, second = ''] = startsOf({ ...sampleSeries, zone }, '2026-10-01', '2026-12-31')
  const exceptions = { [second]: { start, end } }
  expect((await create(scopeOf('appointment'), { ...sampleSeries, zone, exceptions })).item).toMatchObject({
    exceptions,
  })
})

test.each([
  ['Europe/Berlin', '10:00:00', ['09:00', '09:00', '08:00', '08:00']],
  ['Europe/Berlin', '00:30:00', ['23:30', '23:30', '22:30', '22:30']],
  ['America/New_York', '09:00:00', ['13:00', '13:00', '13:00', '13:00']],
  ['Australia/Lord_Howe', '09:00:00', ['22:00', '22:00', '22:00', '22:30']],
  ['Asia/Kolkata', '02:00:00', ['20:30', '20:30', '20:30', '20:30']],
])(
  'a series of another calendar keeps its hour though Graph does not name its zone: %s, %s',
  async (zone, clock, utc) => {
    const { graph } = world
    const mailbox = graph.mailbox('ada@contoso.com')
    const at = (time: string) => ({ dateTime: `2027-03-15T${time}`, timeZone: zone })
    const event = mailbox.add('event', mailbox.folder('calendar', 'event').id, {
      subject: 'Jour fixe',
      start: at(clock),
      end: at(clock.replace(':00:', ':30:').replace(/:30:00$/, ':45:00')),
      originalStartTimeZone: 'tzone://Microsoft/Custom',
      recurrence: {
        pattern: { type: 'weekly', interval: 1, daysOfWeek: ['monday'], firstDayOfWeek: 'monday' },
        range: { type: 'noEnd', startDate: '2027-03-15', recurrenceTimeZone: '' },
      },
    })
    const { item } = await read(scopeOf('appointment'), event.id)
    if (item.kind !== 'appointment') throw new Error('it is no appointment')
    const starts = [...startsOf(item, '2027-03-01', '2027-04-05')].map(start => start.slice(11, 16))
    expect(starts).toEqual(utc)
  },
)

test('ids of EWS are exchanged for those of Graph, where it tells them', async () => {
  const { driver, graph } = world
  const scope = scopeOf('appointment')
  const made = await create(scope, sampleAppointment)
  graph.ewsIds.set('AAMkEws=', made.id)
  expect(await driver.translateIds?.(scope, ['AAMkEws=', 'AAMkOther='], never)).toEqual([made.id, undefined])
  graph.setFaults({ refuse: { times: 1, status: 403, code: 'ErrorAccessDenied' } })
  expect(await driver.translateIds?.(scope, ['AAMkEws='], never)).toEqual([undefined])
  graph.setFaults({ throttle: { times: 1 } })
  await expect(driver.translateIds?.(scope, ['AAMkEws='], never)).rejects.toMatchObject({ code: 'GRAPH_BUSY' })
})

test('a folder that was deleted is looked for anew, by its name', async () => {
  const { driver, graph } = world
  const mailbox = graph.mailbox('ada@contoso.com')
  const folder = mailbox.addFolder('CRM', 'message')
  const scope = scopeOf('mail', { folders: ['CRM'] })
  const first = await driver.changes(scope, undefined, never)
  mailbox.folders.delete(folder.id)
  const token = first === 'token-lost' ? undefined : first.token
  expect(await driver.changes(scope, token, never)).toBe('token-lost')
  await expect(driver.changes(scope, undefined, never)).rejects.toMatchObject({ code: 'GRAPH_GONE' })
  mailbox.addFolder('CRM', 'message')
  expect(await driver.changes(scope, undefined, never)).toMatchObject({ changes: [], hasMore: false })
})

test('items of a mailbox that is not there for the moment are not taken as deleted', async () => {
  const { driver, graph } = world
  const scope = scopeOf('contact')
  const { id } = await create(scope, sampleContact)
  const message = 'Resource could not be discovered.'
  graph.setFaults({ refuse: { times: 2, status: 404, code: 'ResourceNotFound', message } })
  await expect(driver.read(scope, [id], never)).rejects.toMatchObject({ code: 'GRAPH_NO_MAILBOX' })
})

test('whom a failure stops: the account, one mailbox, one item', async () => {
  const { driver, graph, signIn } = world
  const scope = scopeOf('contact')
  const failure = async () => {
    try {
      await driver.changes(scope, undefined, never)
    } catch (thrown) {
      return driver.concerns(thrown as never)
    }
    return 'none'
  }
  graph.setFaults({ throttle: { times: 1 } })
  expect(await failure()).toBe('mailbox')
  graph.setFaults({ dropBefore: { times: 1 } })
  expect(await failure()).toBe('account')
  graph.mailbox('ada@contoso.com').inScope = false
  expect(await failure()).toBe('mailbox')
  signIn.withdrawConsent()
  const [refused] = await driver.create(
    scopeOf('contact', { mailbox: 'ben@contoso.com' }),
    [creation({ ...sampleContact, surname: 'x'.repeat(300) })],
    never,
  )
  expect(refused).toMatchObject({ state: 'refused', error: { code: 'GRAPH_REFUSED' } })
})

async function round(scope: Scope, token?: string) {
  const changes: ChangePage['changes'][number][] = []
  let at = token
  for (let pages = 1; pages < 50; pages += 1) {
    const page = await world.driver.changes(scope, at, never)
    if (page === 'token-lost') throw new Error('the token is lost')
    changes.push(...page.changes)
    at = page.token
    if (!page.hasMore) {
      const plain = changes.map(({ id, isDeleted }) => ({ id, isDeleted }))
      return { changes: plain, ids: plain.map(({ id }) => id), token: at, pages }
    }
  }
  throw new Error('there is no end')
}
