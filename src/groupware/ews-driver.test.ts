import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { MiB } from '../kernel/size.ts'
import { HOUR, systemClock } from '../kernel/time.ts'
import { ewsOptions } from '../protocols/ews/ews-world.ts'
import { childOf, parseXmlElement } from '../protocols/xml/xml-element.ts'
import { type ExchangeEwsTwin, startExchangeEws } from '../twins/exchange-ews/exchange-ews.ts'
import type { Change, Creation, Scope, SideItem, Update, WatchRequest } from './drivers.ts'
import { appointment, contact, mail, series, task, wholeDays } from './ews/items-world.ts'
import { schemaFaultsOf } from './ews/schema-world.ts'
import { EwsDriver } from './ews-driver.ts'
import { startsOf } from './occurrences.ts'
import { type Appointment, type Contact, type Item, type ItemKind, itemKinds, type Task } from './plan/items.ts'
import { anyItem, samples, weekly } from './sample-items-world.ts'

const mailbox = 'anna@contoso.example'
const signal = new AbortController().signal
let twin: ExchangeEwsTwin
let driver: EwsDriver
beforeAll(async () => {
  twin = await startExchangeEws({
    mailboxes: [
      { address: mailbox, name: 'Anna Schmidt' },
      { address: 'ben@contoso.example', name: 'Ben Ruiz' },
    ],
  })
  driver = new EwsDriver({ ...ewsOptions(twin.url), markCategory: 'SAP Cloud for Customer' })
})
afterAll(async () => {
  await driver.close()
  await twin.stop()
})
beforeEach(() => twin.clearFaults())

function scope(kind: ItemKind, more: Partial<Scope> = {}): Scope {
  return { organization: 'contoso', mailbox, kind, owner: mailbox, folders: [], from: null, to: null, ...more }
}

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // Nothing to attach.
}

function creation(item: Item, mark: string | null): Creation {
  return { key: `key ${mark}`, mark, item, openAttachment: noBytes }
}

async function create(item: Item, mark: string): Promise<SideItem> {
  const [outcome] = await driver.create(scope(item.kind), [creation(item, mark)], signal)
  if (outcome?.state !== 'done') throw outcome?.error ?? new Error('nothing came back')
  const [read] = await driver.read(scope(item.kind), [outcome.id], signal)
  if (!read) throw new Error('it was not created')
  // What the create said is what stands there: no further request is needed for the link.
  expect([read.version, read.identity, read.mark]).toEqual([outcome.version, outcome.identity, mark])
  return read
}

const marked = (item: Item): Item => ({
  ...driver.normalise(item),
  categories: [...item.categories, 'SAP Cloud for Customer'],
})

test('who stops asking for folders that others wait for, too, stops nobody else', async () => {
  const fresh = new EwsDriver({ ...ewsOptions(twin.url), markCategory: 'SAP Cloud for Customer' })
  const stop = new AbortController()
  twin.setFaults({ slowMs: 100 })
  const [stopped, other] = [stop.signal, signal].map(each => fresh.check([scope('task')], each))
  setTimeout(() => stop.abort(), 20)
  expect(await stopped).toEqual([{ error: expect.objectContaining({ code: 'HUB_STOPPING' }) }])
  expect(await other).toEqual([{ itemCount: expect.any(Number) }])
  await fresh.close()
})

test('a request that is refused says nothing against the mails that went before it', async () => {
  const sizes = [9 * MiB, 1, 9 * MiB]
  const marks = sizes.map((_, number) => `apart-${number}`)
  const wishes = sizes.map((bytes, number): Creation => {
    const attachments = [{ id: 'x', name: 'film.mp4', type: 'video/mp4', bytes, isInline: false }]
    return {
      ...creation({ ...mail, messageId: `<${number}@apart.example>`, attachments }, marks[number] ?? null),
      async *openAttachment() {
        // The first one is there by now. The others are refused together, and the second then alone, too.
        if (number === 2) twin.setFaults({ fail: { times: 2, code: 'ErrorItemSave' } })
        yield Buffer.alloc(bytes)
      },
    }
  })
  const outcomes = await driver.create(scope('mail'), wishes, signal)
  expect(outcomes.map(({ state }) => state)).toEqual(['done', 'refused', 'done'])
  const found = await driver.findByMark(scope('mail'), marks, signal)
  expect(found.map(({ length }) => length)).toEqual([1, 0, 1])
})

const backwards = { start: '2026-03-16T10:00:00Z', end: '2026-03-16T09:00:00Z' }

test('a series of which an occurrence is refused says nothing against what goes with it, and nothing is left of it', async () => {
  const odd: Appointment = { ...series, exceptions: { '2026-03-16T08:00:00Z': backwards } }
  const wishes = [creation(appointment, 'CRM fine'), creation(odd, 'CRM odd'), creation(appointment, 'CRM later')]
  const before = twin.mailbox(mailbox).items('calendar').length
  const outcomes = await driver.create(scope('appointment'), wishes, signal)
  expect(outcomes.map(({ state }) => state)).toEqual(['done', 'refused', 'done'])
  expect(twin.mailbox(mailbox).items('calendar').length).toBe(before + 2)
})

describe('what is written comes back as it was', () => {
  test.each([
    ['an appointment with attendees', appointment],
    ['a series with exceptions over a change of clocks', series],
    ['whole days over a change of clocks', wholeDays],
    ['a contact', contact],
    ['a task', task],
    ['a mail', mail],
  ] as const)('%s', async (name, item) => {
    const read = await create(item, `CRM ${name}`)
    expect(driver.normalise(read.item)).toEqual(marked(item))
    expect(read.item.categories).toContain('SAP Cloud for Customer')
    const found = await driver.findByMark(scope(item.kind), [`CRM ${name}`, 'CRM nothing'], signal)
    expect(found.map(list => list.map(each => each.id))).toEqual([[read.id], []])
    if (read.identity !== null) {
      const byIdentity = await driver.findByIdentity(scope(item.kind), [read.identity], signal)
      expect(byIdentity.map(list => list.map(each => each.id))).toEqual([[read.id]])
    }
  })
})

describe('any item at all', () => {
  const ada = { mailbox: 'ada@contoso.com', owner: 'ada@contoso.com' }
  const written = async (items: readonly Item[]) => {
    const [{ kind } = contact] = items
    const outcomes = await driver.create(
      scope(kind, ada),
      items.map(item => creation(item, null)),
      signal,
    )
    const ids = outcomes.map(outcome => (outcome.state === 'done' ? outcome.id : ''))
    const read = await driver.read(scope(kind, ada), ids, signal)
    return read.filter(each => each !== undefined)
  }
  beforeAll(() => twin.addMailbox('ada@contoso.com'))

  test.each(itemKinds)('%s comes back as it is said it would, and that is said the same twice', async kind => {
    await fc.assert(
      fc.asyncProperty(fc.array(anyItem[kind], { minLength: 5, maxLength: 20 }), async items => {
        const said = items.map(item => driver.normalise(item))
        expect(said.map(item => driver.normalise(item))).toEqual(said)
        const back = await written(items)
        expect(back.map(each => driver.normalise(each.item))).toEqual(said)
      }),
      { numRuns: 5 },
    )
  })

  test.each(['appointment', 'contact', 'task'] as const)('%s becomes any other one by an update', async kind => {
    const fields = Object.keys(driver.normalise(samples[kind])).filter(name => !fixed.has(name))
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(anyItem[kind], anyItem[kind]), { minLength: 5, maxLength: 20 }),
        async pairs => {
          const before = await written(pairs.map(([item]) => item))
          const changes = before.map(({ id, version, item }, index): Update => {
            const after = driver.normalise(pairs[index]?.[1] ?? item)
            return { id, version, before: item, after, fields, mark: undefined }
          })
          const outcomes = await driver.update(scope(kind, ada), changes, signal)
          expect(outcomes.map(each => each.state)).toEqual(changes.map(() => 'done'))
          const after = await driver.read(
            scope(kind, ada),
            before.map(each => each.id),
            signal,
          )
          expect(after.map(each => each && driver.normalise(each.item))).toEqual(changes.map(each => each.after))
        },
      ),
      { numRuns: 3 },
    )
  })
})

/** What nobody changes in an item that is there. */
const fixed: ReadonlySet<string> = new Set(['kind', 'organizer', 'isCancelled', 'attachments'])

describe('an update', () => {
  test('writes the fields that differ, takes away what is empty, and keeps the mark', async () => {
    const before = await create(contact, 'CRM u1')
    const after: Contact = {
      ...(before.item as Contact),
      emails: ['neu@acme.example'],
      phones: { business: '', mobile: '+49 3', home: '', fax: '+49 2' },
      businessAddress: { street: '', postalCode: '1010', city: 'Wien', region: '', country: 'Österreich' },
      birthday: null,
    }
    const fields = ['emails', 'phones', 'businessAddress', 'birthday']
    const [outcome] = await driver.update(
      scope('contact'),
      [{ id: before.id, version: before.version, before: before.item, after, fields, mark: undefined }],
      signal,
    )
    expect(outcome).toMatchObject({ state: 'done', id: before.id })
    const [read] = await driver.read(scope('contact'), [before.id], signal)
    expect(read?.item).toEqual(after)
    expect(read?.mark).toBe('CRM u1')
  })

  test.each([
    [
      'a contact: its street keeps its lines',
      'contacts',
      `<t:Contact><t:PhysicalAddresses><t:Entry Key="Business"><t:Street>Building 5\nMain St 3</t:Street><t:City>Ulm</t:City></t:Entry>
        </t:PhysicalAddresses><t:Surname>Lee</t:Surname></t:Contact>`,
      (item: Contact) => ({ businessAddress: { ...item.businessAddress, city: 'Bonn' } }),
      ['Building 5\nMain St 3', 'Bonn'],
    ],
    [
      'a task: it is made anew as before',
      'tasks',
      `<t:Task><t:Subject>Call</t:Subject><t:DueDate>2026-11-20T00:00:00Z</t:DueDate><t:Recurrence><t:DailyRegeneration><t:Interval>3</t:Interval>
        </t:DailyRegeneration><t:NoEndRecurrence><t:StartDate>2026-11-20</t:StartDate></t:NoEndRecurrence></t:Recurrence></t:Task>`,
      (item: Task) => ({ startDay: item.startDay, dueDay: '2026-11-27', recurrence: item.recurrence }),
      ['2026-11-27', 'DailyRegeneration'],
    ],
  ] as const)('keeps what was not read of %s', async (_, folder, xml, change, expected) => {
    const id = twin.mailbox(mailbox).put(folder, xml)
    const kind = folder === 'contacts' ? 'contact' : 'task'
    const [at] = await driver.read(scope(kind), [id], signal)
    if (!at) throw new Error('it is not there')
    const values = (change as (item: Item) => Partial<Item>)(at.item)
    const after = { ...at.item, ...values } as Item
    const update = { ...at, before: at.item, after, fields: Object.keys(values), mark: undefined }
    expect(await driver.update(scope(kind), [update], signal)).toMatchObject([{ state: 'done' }])
    const stored = twin
      .mailbox(mailbox)
      .items(folder)
      .find(item => item.id === id)
    for (const text of expected) expect(stored?.xml).toContain(text)
  })

  test('of a series brings a deleted occurrence back and moves another one', async () => {
    const before = await create(series, 'CRM u2')
    const after: Appointment = {
      ...(before.item as Appointment),
      exceptions: {
        '2026-03-16T08:00:00Z': { subject: 'Doch am Morgen' },
        '2026-03-23T08:00:00Z': { isDeleted: true },
      },
    }
    const change = { id: before.id, version: before.version, before: before.item, after, fields: ['exceptions'] }
    const [outcome] = await driver.update(scope('appointment'), [{ ...change, mark: undefined }], signal)
    const [read] = await driver.read(scope('appointment'), [before.id], signal)
    expect(read?.item).toMatchObject({ subject: 'Serie' })
    expect(read?.item).toHaveProperty('exceptions', after.exceptions)
    expect(outcome).toEqual({ state: 'done', id: before.id, version: read?.version, identity: null })
  })

  test('of an occurrence leaves its notes as people have formatted them, unless they are changed', async () => {
    const before = await create(series, 'CRM u7')
    const original = '2026-04-06T07:00:00Z'
    for (const [exception, hasBody] of [
      [{ location: 'Bonn' }, false],
      [{ location: 'Bonn', body: { type: 'text', content: 'Bring cake' } }, true],
      [{ location: 'Ulm', body: { type: 'text', content: 'Bring cake' } }, false],
      [{ location: 'Ulm' }, true],
    ] as const) {
      const [now] = await driver.read(scope('appointment'), [before.id], signal)
      if (now?.item.kind !== 'appointment') throw new Error('it is gone')
      const exceptions = { ...now.item.exceptions, [original]: exception }
      const change = { id: now.id, version: now.version, before: now.item, fields: ['exceptions'], mark: undefined }
      await driver.update(scope('appointment'), [{ ...change, after: { ...now.item, exceptions } }], signal)
      const written = twin.requests.findLast(({ body }) => body.includes('OccurrenceItemId'))?.body ?? ''
      expect(written.includes('<t:Body')).toBe(hasBody)
      const [read] = await driver.read(scope('appointment'), [before.id], signal)
      expect(read?.item).toHaveProperty('exceptions', exceptions)
    }
  })

  test('of a series of which an occurrence is refused says nothing against what goes with it', async () => {
    const first = await create(appointment, 'CRM beside')
    const second = await create(series, 'CRM refused')
    const changes = [
      { ...first, fields: ['location'], values: { location: 'Berlin' } },
      { ...second, fields: ['exceptions'], values: { exceptions: { '2026-03-16T08:00:00Z': backwards } } },
    ].map(({ id, version, item: before, fields, values }): Update => {
      return { id, version, before, after: { ...before, ...values }, fields, mark: undefined }
    })
    const outcomes = await driver.update(scope('appointment'), changes, signal)
    expect(outcomes.map(({ state }) => state)).toEqual(['done', 'refused'])
  })

  test('of an occurrence over the night in which clocks are changed leaves its end where they say', async () => {
    const when = { start: '2026-10-17T18:00:00Z', end: '2026-10-18T04:00:00Z', exceptions: {} }
    const recurrence = { ...weekly, days: ['saturday'], firstDay: '2026-10-17' } as const
    const before = await create({ ...appointment, ...when, subject: 'On call', recurrence }, 'CRM u4')
    const exceptions = { '2026-10-24T18:00:00Z': { subject: 'On call, Ben' } }
    const after: Appointment = { ...(before.item as Appointment), exceptions }
    const change = { id: before.id, version: before.version, before: before.item, after, fields: ['exceptions'] }
    await driver.update(scope('appointment'), [{ ...change, mark: undefined }], signal)
    const { xml = '' } =
      twin
        .mailbox(mailbox)
        .items('calendar')
        .find(({ id }) => id === before.id) ?? {}
    expect(/<t:ModifiedOccurrences>.*<t:End>(.*?)<\/t:End>/.exec(xml)?.[1]).toBe('2026-10-25T05:00:00Z')
    const [read] = await driver.read(scope('appointment'), [before.id], signal)
    expect(read?.item).toHaveProperty('exceptions', exceptions)
  })

  test('to what was changed or deleted meanwhile says so', async () => {
    const before = await create(task, 'CRM u3')
    const after: Task = {
      ...(before.item as Task),
      status: 'completed',
      percentComplete: 100,
      completedDay: '2026-03-04',
    }
    const change = {
      before: before.item,
      after,
      fields: ['status', 'percentComplete', 'completedDay'],
      mark: undefined,
    }
    const outcomes = await driver.update(
      scope('task'),
      [
        { ...change, id: before.id, version: 'DwAAABstale' },
        { ...change, id: 'AAMkGone', version: 'DwAAAB' },
        { ...change, id: before.id, version: before.version },
      ],
      signal,
    )
    expect(outcomes.map(each => each.state)).toEqual(['conflict', 'gone', 'done'])
    const [read] = await driver.read(scope('task'), [before.id], signal)
    expect(read?.item).toEqual(after)
  })

  test('of the mark alone, and its end', async () => {
    const before = await create(task, 'CRM u4')
    const write = (version: string, mark: string | null) =>
      driver.update(
        scope('task'),
        [{ id: before.id, version, before: before.item, after: before.item, fields: [], mark }],
        signal,
      )
    const [first] = await write(before.version, 'CRM u5')
    const [second] = await write(first?.state === 'done' ? first.version : '', null)
    expect(second?.state).toBe('done')
    const [read] = await driver.read(scope('task'), [before.id], signal)
    expect([read?.mark, read?.item.categories]).toEqual([null, []])
  })
})

test('removing is moving to Deleted Items; what is gone already is done', async () => {
  const made = await create(task, 'CRM r1')
  const outcomes = await driver.remove(
    scope('task'),
    [
      { id: made.id, version: made.version },
      { id: 'AAMkGone', version: '' },
    ],
    signal,
  )
  expect(outcomes.map(each => each.state)).toEqual(['done', 'done'])
  expect(await driver.read(scope('task'), [made.id], signal)).toEqual([undefined])
  expect(
    twin
      .mailbox(mailbox)
      .items('deleteditems')
      .some(({ xml }) => xml.includes('Angebot')),
  ).toBe(true)
})

async function allChanges(of: Scope, from: string | undefined) {
  const changes: Change[] = []
  let token = from
  for (let pages = 0; pages < 50; pages += 1) {
    const page = await driver.changes(of, token, signal)
    if (page === 'token-lost') return page
    changes.push(...page.changes)
    token = page.token
    if (!page.hasMore) break
  }
  return { changes, token }
}

describe('changes', () => {
  test('are told over all folders of a kind, and only once', async () => {
    twin.addMailbox('cora@contoso.example')
    const of = { ...scope('mail'), mailbox: 'cora@contoso.example' }
    const hand = twin.mailbox('cora@contoso.example')
    const first = await allChanges(of, undefined)
    if (first === 'token-lost') throw new Error(first)
    const inId = hand.put('inbox', '<t:Message><t:Subject>in</t:Subject></t:Message>')
    const outId = hand.put('sentitems', '<t:Message><t:Subject>out</t:Subject></t:Message>')
    hand.put('drafts', '<t:Message><t:Subject>draft</t:Subject></t:Message>')
    const second = await allChanges(of, first.token)
    if (second === 'token-lost') throw new Error(second)
    expect(second.changes.map(each => each.id).toSorted()).toEqual([inId, outId].toSorted())
    expect(await allChanges(of, second.token)).toMatchObject({ changes: [] })
  })

  test('of a first listing stay within the window, later ones are told whatever their time', async () => {
    twin.addMailbox('dora@contoso.example')
    const of = { ...scope('appointment', { from: '2026-03-01T00:00:00Z', to: null }), mailbox: 'dora@contoso.example' }
    const hand = twin.mailbox('dora@contoso.example')
    const at = (day: string) =>
      hand.put(
        'calendar',
        `<t:CalendarItem><t:Subject>${day}</t:Subject><t:Start>${day}T08:00:00Z</t:Start><t:End>${day}T09:00:00Z</t:End></t:CalendarItem>`,
      )
    at('2026-02-27')
    const inside = at('2026-03-02')
    const first = await allChanges(of, undefined)
    if (first === 'token-lost') throw new Error(first)
    expect(first.changes).toMatchObject([{ id: inside, item: { item: { subject: '2026-03-02' } } }])
    const old = at('2026-01-01')
    hand.remove(inside)
    expect(await allChanges(of, first.token)).toMatchObject({
      changes: [
        { id: old, isDeleted: false },
        { id: inside, isDeleted: true },
      ],
    })
  })

  test('a lost SyncState, and a token that is none, are lost tokens', async () => {
    const first = await allChanges(scope('task'), undefined)
    if (first === 'token-lost') throw new Error(first)
    twin.setFaults({ loseSyncStates: true })
    expect(await allChanges(scope('task'), first.token)).toBe('token-lost')
    expect(await allChanges(scope('task'), 'graph-delta-token')).toBe('token-lost')
  })

  test('a folder that is not there is said by its name', async () => {
    await expect(
      driver.changes(scope('task', { folders: ['Projekte/Nord'] }), undefined, signal),
    ).rejects.toMatchObject({
      code: 'EWS_FOLDER_GONE',
      fields: { folder: 'Projekte/Nord' },
    })
  })
})

test('an appointment that is damaged is told of by itself, and keeps no listing from its end', async () => {
  const { put } = twin.mailbox(mailbox)
  const id = put('calendar', '<t:CalendarItem><t:Subject>damaged</t:Subject></t:CalendarItem>')
  await expect(driver.read(scope('appointment'), [id], signal)).rejects.toMatchObject({
    code: 'EWS_ITEM_REFUSED',
    isAboutMessage: true,
  })
  const window = scope('appointment', { from: '2026-01-01T00:00:00Z' })
  expect(await driver.changes(window, undefined, signal)).toMatchObject({
    changes: expect.arrayContaining([{ id, isDeleted: false }]),
  })
  twin.mailbox(mailbox).remove(id)
})

test('a series that was begun and never finished is not shown, and is cleared away when it is looked for', async () => {
  const before = twin.mailbox(mailbox).items('calendar').length
  const part =
    '<t:ExtendedProperty><t:ExtendedFieldURI PropertySetId="6f0e1c1e-7a5b-4c11-9d1e-69737468616d" PropertyName="CrmUnfinished" PropertyType="String"/><t:Value>1</t:Value></t:ExtendedProperty>'
  const mark = part.replace('CrmUnfinished', 'CrmObjectId').replace('>1<', '>CRM torn<')
  const id = twin
    .mailbox(mailbox)
    .put(
      'calendar',
      `<t:CalendarItem><t:Subject>halb</t:Subject>${part}${mark}<t:Start>2026-03-02T08:00:00Z</t:Start><t:End>2026-03-02T09:00:00Z</t:End></t:CalendarItem>`,
    )
  expect(await driver.read(scope('appointment'), [id], signal)).toEqual([undefined])
  expect(await driver.findByMark(scope('appointment'), ['CRM torn'], signal)).toEqual([[]])
  expect(twin.mailbox(mailbox).items('calendar').length).toBe(before)
})

test.each([
  ['Europe/Berlin', '2027-10-31T00:30:00Z', '2027-10-31T01:30:00Z'],
  ['America/New_York', '2027-11-07T06:30:00Z', '2027-11-07T08:00:00Z'],
  ['Australia/Lord_Howe', '2027-04-03T15:15:00Z', '2027-04-03T16:00:00Z'],
])('an hour that comes twice is the one that was meant: %s, from %s to %s', async (zone, start, end) => {
  const made = await create({ ...appointment, zone, start, end }, `CRM ${start}`)
  expect(made.item).toMatchObject({ start, end })
  const [, second = ''] = startsOf({ ...series, zone }, '2026-01-01', '2026-12-31')
  const exceptions = { [second]: { start, end } }
  const moved = await create({ ...series, zone, exceptions }, `CRM series ${start}`)
  expect(moved.item).toMatchObject({ exceptions })
})

test('whom a failure stops', async () => {
  const failing = async (code: string) => {
    twin.setFaults({ fail: { times: 1, code } })
    const error = await driver.read(scope('task'), ['AAMkAny'], signal).then(
      () => undefined,
      (thrown: unknown) => thrown,
    )
    return driver.concerns(error as never)
  }
  expect(await failing('ErrorServerBusy')).toBe('account')
  expect(await failing('ErrorImpersonationFailed')).toBe('account')
  expect(await failing('ErrorImpersonateUserDenied')).toBe('mailbox')
  expect(await failing('ErrorMailboxMoveInProgress')).toBe('mailbox')
})

test('the test of access says what it found, or what is wrong', async () => {
  const before = twin.requestCount
  const scopes = (['mail', 'task'] as const).map(kind => scope(kind))
  const checks = await driver.check(scopes, signal)
  expect(checks.map(check => 'itemCount' in check && typeof check.itemCount)).toEqual(['number', 'number'])
  expect(twin.requestCount - before).toBeLessThanOrEqual(1)
  const nobody = { ...scope('mail'), mailbox: 'nobody@contoso.example' }
  expect(await driver.check([nobody], signal)).toMatchObject([{ error: { code: 'EWS_NO_MAILBOX' } }])
})

describe('watching', () => {
  function watching(mailboxes: readonly string[], by = driver, folders: readonly string[] = []) {
    const heard: string[] = []
    const ending = new AbortController()
    const request: WatchRequest = {
      mailboxes,
      scopesOf: () => [
        { kind: 'appointment', folders: [] },
        { kind: 'task', folders },
      ],
      onChange: (of, kind) => heard.push(`${of} ${kind}`),
      onConnected: of => heard.push(`connected ${of}`),
      onLost: (of, error) => heard.push(`lost ${of} ${error.code}`),
      signal: ending.signal,
    }
    const done = by.watch(request)
    return { heard, done, end: () => ending.abort() }
  }
  const until = (heard: readonly string[], text: string) =>
    expect.poll(() => heard, { timeout: 10_000 }).toContain(text)

  test('changes are told with mailbox and kind, over one stream for a group', async () => {
    const { heard, done, end } = watching([mailbox, 'ben@contoso.example'])
    try {
      await until(heard, 'connected ben@contoso.example')
      twin.mailbox('ben@contoso.example').put('tasks', '<t:Task><t:Subject>neu</t:Subject></t:Task>')
      await until(heard, 'ben@contoso.example task')
      expect(twin.state()).toMatchObject({ streams: 1, subscriptions: 2 })
    } finally {
      end()
      await done
    }
    expect(twin.state()).toMatchObject({ subscriptions: 0 })
  })

  test('of a folder that the rules name changes are told, too', async () => {
    const { heard, done, end } = watching(['ben@contoso.example'], driver, ['drafts'])
    try {
      await until(heard, 'connected ben@contoso.example')
      twin.mailbox('ben@contoso.example').put('drafts', '<t:Task><t:Subject>neu</t:Subject></t:Task>')
      await until(heard, 'ben@contoso.example task')
    } finally {
      end()
      await done
    }
  })

  test('a server that is busy is asked for one subscription of a group, not for each', async () => {
    const people = Array.from({ length: 50 }, (_, number) => `p${number}@contoso.example`)
    for (const person of people) twin.addMailbox(person)
    twin.setFaults({ busy: { times: 10_000, backOffMs: 600_000 } })
    const before = twin.requestCount
    const { heard, done, end } = watching(people)
    try {
      await until(heard, 'lost p0@contoso.example EWS_BUSY')
      await systemClock.sleep(300)
      expect(twin.requestCount - before).toBeLessThan(3)
    } finally {
      twin.clearFaults()
      end()
      await done
    }
  })

  test('one who was asked to come back later is heard after that wait, not when the stream of the others ends', async () => {
    // A minute takes 600 ms, so a whole stream longer than this test.
    const clock = {
      ...systemClock,
      now: () => Date.now() * 100,
      after: (ms: number, then: () => void) => systemClock.after(ms / 100, then),
    }
    const people = [mailbox, 'ben@contoso.example', 'carla@contoso.example']
    const server = await startExchangeEws({ clock, mailboxes: people.map(address => ({ address })) })
    const own = new EwsDriver({ ...ewsOptions(server.url), clock, markCategory: 'SAP Cloud for Customer' })
    server.setFaults({ fail: { times: 1, code: 'ErrorServerBusy', mailbox: 'ben@contoso.example' } })
    const { heard, done, end } = watching(people, own)
    try {
      await until(heard, 'lost ben@contoso.example EWS_BUSY')
      await until(heard, `connected ${mailbox}`)
      await until(heard, 'connected ben@contoso.example')
      await until(heard, 'connected carla@contoso.example')
    } finally {
      end()
      await done
      await own.close()
      await server.stop()
    }
  })

  test('a server that ends each stream at once is not asked for the next one at once', async () => {
    const clock = { ...systemClock, after: (_ms: number, then: () => void) => systemClock.after(0, then) }
    const server = await startExchangeEws({ clock, mailboxes: [{ address: mailbox }] })
    const own = new EwsDriver({ ...ewsOptions(server.url), markCategory: 'SAP Cloud for Customer' })
    const { heard, done, end } = watching([mailbox], own)
    try {
      await until(heard, `connected ${mailbox}`)
      await systemClock.sleep(500)
      expect(server.requestCount).toBeLessThan(10)
    } finally {
      end()
      await done
      await own.close()
      await server.stop()
    }
  })

  test('a wait of years, which no server means, does not end the notifications', async () => {
    let longestMs = 0
    const sleep = (ms: number, ending?: AbortSignal) => {
      longestMs = Math.max(longestMs, ms)
      return systemClock.sleep(20, ending)
    }
    const clock = { ...systemClock, sleep }
    const patient = new EwsDriver({ ...ewsOptions(twin.url), clock, markCategory: 'SAP Cloud for Customer' })
    twin.setFaults({ busy: { times: 1, backOffMs: 999_999_999_000 } })
    const { heard, done, end } = watching([mailbox], patient)
    try {
      await until(heard, `connected ${mailbox}`)
      expect(longestMs).toBe(6 * HOUR)
    } finally {
      twin.clearFaults()
      end()
      await done
    }
    await patient.close()
  })

  test('lost subscriptions and cut streams give their mailboxes back to be polled, until they are heard again', async () => {
    const clock = { ...systemClock, sleep: (_ms: number, ending?: AbortSignal) => systemClock.sleep(20, ending) }
    const patient = new EwsDriver({ ...ewsOptions(twin.url), clock, markCategory: 'SAP Cloud for Customer' })
    for (const fault of [{ loseSubscriptions: true }, { cutStreams: true }] as const) {
      const { heard, done, end } = watching([mailbox], patient)
      try {
        await until(heard, `connected ${mailbox}`)
        twin.setFaults(fault)
        twin.clearFaults()
        const code = 'loseSubscriptions' in fault ? 'EWS_SUBSCRIPTION_LOST' : 'NET_CONNECTION_LOST'
        await until(heard, `lost ${mailbox} ${code}`)
        await expect.poll(() => heard.at(-1), { timeout: 10_000 }).toBe(`connected ${mailbox}`)
      } finally {
        end()
        await done
      }
    }
    await patient.close()
  })

  test('a mailbox that may not be opened (any more) keeps nobody else of its group from being heard', async () => {
    const clock = { ...systemClock, sleep: (_ms: number, ending?: AbortSignal) => systemClock.sleep(20, ending) }
    const patient = new EwsDriver({ ...ewsOptions(twin.url), clock, markCategory: 'SAP Cloud for Customer' })
    const fail = { times: 1_000_000, code: 'ErrorImpersonateUserDenied', mailbox }
    for (const when of ['before', 'after'] as const) {
      if (when === 'before') twin.setFaults({ fail })
      const { heard, done, end } = watching([mailbox, 'ben@contoso.example'], patient)
      try {
        await until(heard, 'connected ben@contoso.example')
        if (when === 'after') twin.setFaults({ fail, cutStreams: true })
        await until(heard, `lost ${mailbox} EWS_IMPERSONATION_DENIED`)
        await expect.poll(() => heard.at(-1), { timeout: 10_000 }).toBe('connected ben@contoso.example')
        twin.mailbox('ben@contoso.example').put('tasks', '<t:Task><t:Subject>neu</t:Subject></t:Task>')
        await until(heard, 'ben@contoso.example task')
      } finally {
        twin.clearFaults()
        end()
        await done
      }
    }
    await patient.close()
  })
})

test('every request of all these stories follows the schema of Exchange', () => {
  // Longer ones are kept without their end.
  const whole = twin.requests.filter(({ body }) => body.trimEnd().endsWith('Envelope>'))
  const faults = whole.flatMap(({ operation, body }) => {
    const request = childOf(parseXmlElement(Buffer.from(body)), 'Body')?.children[0]
    return request ? schemaFaultsOf(request).map(fault => `${operation}: ${fault}`) : [`${operation}: no request`]
  })
  expect([...new Set(faults)]).toEqual([])
  const operations = new Set(whole.map(({ operation }) => operation))
  const written = ['CreateItem', 'GetItem', 'UpdateItem', 'DeleteItem', 'FindItem', 'SyncFolderItems']
  expect(written.filter(operation => !operations.has(operation))).toEqual([])
})
