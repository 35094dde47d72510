import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import { HubError } from '../../kernel/error.ts'
import { textOf } from '../xml/xml-element.ts'
import type { Outcome } from './client.ts'
import { startEwsWorld } from './ews-world.ts'
import { type ExtendedProperty, type FieldChange, readExtendedProperty, writeExtendedProperty } from './fields.ts'
import type { ItemShape, StoredRef } from './items.ts'
import { textElement } from './write-xml.ts'

const mark: ExtendedProperty = { set: '6f0e1c1e-7a5b-4c11-9d1e-69737468616d', name: 'CrmObjectId' }
const calendar = { known: 'calendar' } as const

let world: Awaited<ReturnType<typeof startEwsWorld>>
beforeAll(async () => {
  world = await startEwsWorld({
    mailboxes: [
      { address: 'anna@contoso.example', name: 'Anna Schmidt', aliases: ['a.schmidt@contoso.example'] },
      { address: 'ben@contoso.example', name: 'Ben Ruiz' },
    ],
  })
})
afterAll(() => world.stop())
beforeEach(() => world.twin.clearFaults())

const field = (name: string, text: string): FieldChange => ({ field: name, xml: textElement(`t:${name}`, text) })

function appointment(subject: string, crmId: string): readonly FieldChange[] {
  // In no order at all: the writer knows the order of the schema.
  return [
    field('End', '2026-11-23T09:00:00Z'),
    field('Start', '2026-11-23T08:00:00Z'),
    { property: mark, xml: writeExtendedProperty(mark, crmId) },
    field('Location', 'Walldorf'),
    field('Subject', subject),
  ]
}

const shape: ItemShape = {
  itemClass: 'CalendarItem',
  fields: [{ field: 'Subject' }, { field: 'Start' }, { field: 'Location' }, { field: 'Body' }, { property: mark }],
  bodyType: 'Text',
}

function whole(outcome: Outcome<StoredRef> | undefined): StoredRef {
  if (!outcome || outcome instanceof HubError) throw outcome ?? new Error('no outcome')
  return outcome
}

async function create(subject: string, crmId: string): Promise<StoredRef> {
  const [made] = await world.client.createItems(world.at, calendar, [
    { itemClass: 'CalendarItem', parts: appointment(subject, crmId) },
  ])
  return whole(made)
}

describe('the life of an appointment', () => {
  test('created, told by the next page of changes, read, found by its mark, changed and deleted', async () => {
    const { client, at } = world
    const { state } = await client.syncItems(at, calendar, undefined)
    const made = await create('Besprechung <Q4> & "Märkte"', 'CRM-1')
    const page = await client.syncItems(at, calendar, state)
    expect(page.changes).toEqual([
      { kind: 'create', id: made.id, changeKey: made.changeKey, itemClass: 'CalendarItem' },
    ])
    expect(page.isLast).toBe(true)

    const [read] = await client.getItems(at, [{ id: made.id }], shape)
    const { element: item } = whole(read)
    expect(textOf(item, 'Subject')).toBe('Besprechung <Q4> & "Märkte"')
    expect(textOf(item, 'Start')).toBe('2026-11-23T08:00:00Z')
    expect(readExtendedProperty(item, mark)).toBe('CRM-1')

    const found = await client.findItems(
      at,
      calendar,
      { ...shape, fields: [] },
      [{ property: mark, value: 'CRM-1' }],
      10,
    )
    expect(found.map(each => each.id)).toEqual([made.id])

    const changes = [field('Subject', 'Neu'), { field: 'Location', xml: undefined }]
    const [changed] = await client.updateItems(at, [{ ref: made, itemClass: 'CalendarItem', changes }])
    expect(whole(changed).changeKey).not.toBe(made.changeKey)
    const after = await client.syncItems(at, calendar, page.state)
    expect(after.changes).toEqual([
      { kind: 'update', id: made.id, changeKey: whole(changed).changeKey, itemClass: 'CalendarItem' },
    ])
    const [again] = await client.getItems(at, [{ id: made.id }], shape)
    expect(textOf(whole(again).element, 'Location')).toBeUndefined()

    expect(await client.deleteItems(at, [{ id: made.id }])).toEqual([undefined])
    const last = await client.syncItems(at, calendar, after.state)
    expect(last.changes).toEqual([{ kind: 'delete', id: made.id }])
  })

  test('a change to what somebody else has changed meanwhile is refused', async () => {
    const { client, at } = world
    const made = await create('Stale', 'CRM-2')
    const change = (subject: string) =>
      client.updateItems(at, [{ ref: made, itemClass: 'CalendarItem', changes: [field('Subject', subject)] }])
    whole((await change('first'))[0])
    expect((await change('second'))[0]).toMatchObject({ code: 'EWS_CHANGED_MEANWHILE', isAboutMessage: true })
  })

  test('a batch answers item by item, in its order', async () => {
    const { client, at } = world
    const made = await create('In a batch', 'CRM-3')
    const [first, second] = await client.getItems(at, [{ id: 'AAMkGone' }, { id: made.id }], shape)
    expect(first).toMatchObject({ code: 'EWS_ITEM_GONE' })
    expect(whole(second).id).toBe(made.id)
  })

  test('a lost sync state says so', async () => {
    const { client, at, twin } = world
    const { state } = await client.syncItems(at, calendar, undefined)
    twin.setFaults({ loseSyncStates: true })
    await expect(client.syncItems(at, calendar, state)).rejects.toMatchObject({
      code: 'EWS_SYNC_STATE_LOST',
      retry: 'soon',
    })
  })

  test('many changes come in pages', async () => {
    const { client, at } = world
    const many = Array.from({ length: 25 }, (_, index) => ({
      itemClass: 'CalendarItem' as const,
      parts: appointment(`N${index}`, `M-${index}`),
    }))
    const { state } = await client.syncItems(at, calendar, undefined)
    await client.createItems(at, calendar, many)
    const ids = new Set<string>()
    let page = await client.syncItems(at, calendar, state, 10)
    let count = 1
    for (; !page.isLast; count += 1) {
      for (const change of page.changes) ids.add(change.id)
      page = await client.syncItems(at, calendar, page.state, 10)
    }
    for (const change of page.changes) ids.add(change.id)
    expect([ids.size, count]).toEqual([25, 3])
  })
})

describe('what Exchange really sends', () => {
  test('references to characters that XML does not have do not stop a mailbox', async () => {
    const { client, at, twin } = world
    const id = twin
      .mailbox(at.mailbox)
      .put(
        'calendar',
        '<t:CalendarItem><t:Subject>Odd</t:Subject><t:Body BodyType="Text">vor</t:Body><t:Start>2026-11-23T08:00:00Z</t:Start><t:End>2026-11-23T09:00:00Z</t:End></t:CalendarItem>',
      )
    twin.setFaults({ illegalReferences: true })
    const [read] = await client.getItems(at, [{ id }], shape)
    expect(textOf(whole(read).element, 'Body')).toBe('vor\ufffd\ufffd')
  })

  test('large answers come compressed', async () => {
    const { client, at, twin } = world
    const [folder] = await client.getFolders(at, [calendar])
    expect(folder).toMatchObject({ name: 'Calendar', folderClass: 'IPF.Appointment' })
    const folders = await client.findFolders(at, { known: 'msgfolderroot' })
    expect(folders.map(each => each.name)).toContain('Sent Items')
    expect(twin.requests.at(-1)?.headers).toMatchObject({ 'accept-encoding': 'gzip', 'x-anchormailbox': at.mailbox })
  })

  test('names are resolved to primary addresses', async () => {
    const { client, at } = world
    expect(await client.resolveNames(at, 'a.schmidt@contoso.example')).toEqual([
      { address: 'anna@contoso.example', name: 'Anna Schmidt' },
    ])
    expect(await client.resolveNames(at, 'nobody')).toEqual([])
  })
})

test('attachments travel with a new item, are added, read and taken away', async () => {
  const { client, at } = world
  const content = Buffer.from([0, 1, 2, 250])
  const made = await create('With files', 'CRM-9')
  const key = await client.createAttachments(at, made.id, [
    { name: 'Größe.bin', type: 'application/x-a', isInline: false, content },
  ])
  expect(key).not.toBe(made.changeKey)
  const [read] = await client.getItems(at, [{ id: made.id }], {
    itemClass: 'CalendarItem',
    fields: [{ field: 'Attachments' }],
  })
  const file = whole(read).element.children.find(each => each.name === 'Attachments')?.children[0]
  const attachmentId = file?.children[0]?.attributes.get('Id') ?? ''
  expect(await client.getAttachment(at, attachmentId)).toEqual(content)
  await client.deleteAttachments(at, [attachmentId])
  await expect(client.getAttachment(at, attachmentId)).rejects.toMatchObject({ code: 'EWS_ITEM_GONE' })
})
