import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { envelope } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from './exchange-ews.ts'

let twin: ExchangeEwsTwin
beforeAll(async () => {
  twin = await startExchangeEws({
    mailboxes: [
      { address: 'anna@contoso.example', name: 'Anna Schmidt' },
      { address: 'ben@contoso.example', name: 'Ben Ruiz' },
    ],
  })
})
afterAll(() => twin.stop())

/** Sends a request as it stands and returns the status and the body of the envelope. */
async function send(body: string, mailbox = 'anna@contoso.example', signal?: AbortSignal) {
  const who = `<t:ExchangeImpersonation><t:ConnectingSID><t:PrimarySmtpAddress>${mailbox}</t:PrimarySmtpAddress></t:ConnectingSID></t:ExchangeImpersonation>`
  const proof = Buffer.from(`${exchangeAccount.user}:${exchangeAccount.password}`).toString('base64')
  const response = await fetch(twin.url, {
    method: 'POST',
    headers: { 'content-type': 'text/xml', authorization: `Basic ${proof}` },
    body: envelope(who, body),
    ...(signal && { signal }),
  })
  const root = readEwsXml(await response.text())
  const [content] = childOf(root, 'Body')?.children ?? []
  if (!content) throw new Error('the answer is empty')
  const [row] = childOf(content, 'ResponseMessages')?.children ?? []
  const code = textOf(row, 'ResponseCode') ?? textOf(childOf(content, 'detail'), 'ResponseCode')
  return { status: response.status, code, row, content }
}

const items = (row: XmlElement | undefined) => childOf(row, 'Items')?.children ?? []
const idOf = (row: XmlElement | undefined) => childOf(items(row)[0], 'ItemId')?.attributes
const create = (item: string, how = 'SendMeetingInvitations="SendToNone"') =>
  `<m:CreateItem ${how}><m:Items>${item}</m:Items></m:CreateItem>`
const when = '<t:Start>2026-03-02T08:00:00Z</t:Start><t:End>2026-03-02T09:00:00Z</t:End>'

test('who hangs up while the server takes its time does not count as a request under way', async () => {
  const getFolder =
    '<m:GetFolder><m:FolderShape><t:BaseShape>IdOnly</t:BaseShape></m:FolderShape><m:FolderIds><t:DistinguishedFolderId Id="tasks"/></m:FolderIds></m:GetFolder>'
  twin.setFaults({ slowMs: 400 })
  const hungUp = Array.from({ length: 30 }, () => send(getFolder, undefined, AbortSignal.timeout(200)))
  expect((await Promise.allSettled(hungUp)).every(({ status }) => status === 'rejected')).toBe(true)
  twin.clearFaults()
  await sleep(400)
  expect(await send(getFolder)).toMatchObject({ status: 200, code: 'NoError' })
})

describe('what does not follow the schema', () => {
  test.each([
    ['elements in the wrong order', create(`<t:CalendarItem>${when}<t:Subject>x</t:Subject></t:CalendarItem>`)],
    ['an element twice', create('<t:CalendarItem><t:Subject>x</t:Subject><t:Subject>y</t:Subject></t:CalendarItem>')],
    ['an element of another class', create('<t:CalendarItem><t:GivenName>x</t:GivenName></t:CalendarItem>')],
    ['a class that is none', create('<t:Meeting/>')],
    [
      'a value that is none of the list',
      create('<t:CalendarItem><t:Sensitivity>Secret</t:Sensitivity></t:CalendarItem>'),
    ],
    [
      'a page of more than 512',
      '<m:SyncFolderItems><m:SyncFolderId><t:DistinguishedFolderId Id="tasks"/></m:SyncFolderId><m:MaxChangesReturned>513</m:MaxChangesReturned></m:SyncFolderItems>',
    ],
    ['a deletion without its kind', '<m:DeleteItem><m:ItemIds><t:ItemId Id="x"/></m:ItemIds></m:DeleteItem>'],
    ['a request without its content', '<m:GetItem/>'],
  ])('%s is a fault', async (_name, body) => {
    expect(await send(body)).toMatchObject({ status: 500, code: 'ErrorSchemaValidation' })
  })

  test.each([
    [
      'an appointment without saying who hears of it',
      create(`<t:CalendarItem>${when}</t:CalendarItem>`, ''),
      'ErrorSendMeetingInvitationsRequired',
    ],
    ['a mail without its disposition', create('<t:Message/>', ''), 'ErrorMessageDispositionRequired'],
    ['an operation that nobody knows', '<m:BakeCake/>', 'ErrorInvalidRequest'],
  ])('%s is one too', async (_name, body, code) => {
    expect(await send(body)).toMatchObject({ status: 500, code })
  })

  test.each([
    [
      'an end before the start',
      create(
        '<t:CalendarItem><t:Start>2026-03-02T09:00:00Z</t:Start><t:End>2026-03-02T08:00:00Z</t:End></t:CalendarItem>',
      ),
      'ErrorCalendarEndDateIsEarlierThanStartDate',
    ],
    [
      'what only the server sets',
      create('<t:CalendarItem><t:IsMeeting>true</t:IsMeeting></t:CalendarItem>'),
      'ErrorInvalidPropertySet',
    ],
    [
      'a folder that is not there',
      '<m:GetFolder><m:FolderIds><t:FolderId Id="AAMkNo"/></m:FolderIds></m:GetFolder>',
      'ErrorFolderNotFound',
    ],
  ])('%s is an error of the item', async (_name, body, code) => {
    expect(await send(body)).toMatchObject({ status: 200, code })
  })
})

test('an update names one property at a time, with the key of what it changes', async () => {
  const made = await send(create(`<t:CalendarItem><t:Subject>x</t:Subject>${when}</t:CalendarItem>`))
  const id = idOf(made.row)?.get('Id') ?? ''
  const key = idOf(made.row)?.get('ChangeKey') ?? ''
  const update = (ref: string, content: string) =>
    send(
      `<m:UpdateItem ConflictResolution="NeverOverwrite" MessageDisposition="SaveOnly" SendMeetingInvitationsOrCancellations="SendToNone"><m:ItemChanges><t:ItemChange>${ref}<t:Updates><t:SetItemField><t:FieldURI FieldURI="item:Subject"/>${content}</t:SetItemField></t:Updates></t:ItemChange></m:ItemChanges></m:UpdateItem>`,
    )
  const subject = '<t:CalendarItem><t:Subject>y</t:Subject></t:CalendarItem>'
  expect(await update(`<t:ItemId Id="${id}"/>`, subject)).toMatchObject({ code: 'ErrorChangeKeyRequired' })
  const ref = `<t:ItemId Id="${id}" ChangeKey="${key}"/>`
  expect(
    await update(ref, '<t:CalendarItem><t:Subject>y</t:Subject><t:Location>z</t:Location></t:CalendarItem>'),
  ).toMatchObject({ code: 'ErrorIncorrectUpdatePropertyCount' })
  expect(await update(ref, '<t:CalendarItem><t:Location>z</t:Location></t:CalendarItem>')).toMatchObject({
    code: 'ErrorUpdatePropertyMismatch',
  })
  expect(await update(ref, '<t:Task><t:Subject>y</t:Subject></t:Task>')).toMatchObject({
    code: 'ErrorObjectTypeChanged',
  })
  expect(await update(ref, subject)).toMatchObject({ code: 'NoError' })
  expect(await update(ref, subject)).toMatchObject({ code: 'ErrorIrresolvableConflict' })
})

test('a meeting comes to those who are invited, and the answer of one of them to the organizer', async () => {
  const attendees =
    '<t:RequiredAttendees><t:Attendee><t:Mailbox><t:EmailAddress>ben@contoso.example</t:EmailAddress></t:Mailbox></t:Attendee></t:RequiredAttendees>'
  const made = await send(
    create(
      `<t:CalendarItem><t:Subject>Treffen</t:Subject>${when}${attendees}</t:CalendarItem>`,
      'SendMeetingInvitations="SendToAllAndSaveCopy"',
    ),
  )
  const [invitation] = twin.mailbox('ben@contoso.example').items('calendar')
  expect(invitation?.xml).toContain('<t:MyResponseType>NoResponseReceived</t:MyResponseType>')
  expect(invitation?.xml).toContain('<t:EmailAddress>anna@contoso.example</t:EmailAddress>')
  await send(
    create(
      `<t:AcceptItem><t:ReferenceItemId Id="${invitation?.id}"/></t:AcceptItem>`,
      'MessageDisposition="SendAndSaveCopy"',
    ),
    'ben@contoso.example',
  )
  const own = twin
    .mailbox('anna@contoso.example')
    .items('calendar')
    .find(({ id }) => id === idOf(made.row)?.get('Id'))
  expect(own?.xml).toContain('<t:ResponseType>Accept</t:ResponseType>')
  expect(own?.xml).toContain('<t:MyResponseType>Organizer</t:MyResponseType>')
  const uid = (xml: string | undefined) => /<t:UID>([^<]+)/.exec(xml ?? '')?.[1]
  expect(uid(own?.xml)).toBe(uid(twin.mailbox('ben@contoso.example').items('calendar')[0]?.xml))
})

test('a search takes conditions together, and shows the occurrences that lie in a view', async () => {
  const hand = twin.mailbox('ben@contoso.example')
  hand.put('tasks', '<t:Task><t:Subject>Angebot Nord</t:Subject><t:Importance>High</t:Importance></t:Task>')
  hand.put('tasks', '<t:Task><t:Subject>Angebot Süd</t:Subject></t:Task>')
  const constant = (value: string) => `<t:Constant Value="${value}"/>`
  const high = `<t:IsEqualTo><t:FieldURI FieldURI="item:Importance"/><t:FieldURIOrConstant>${constant('High')}</t:FieldURIOrConstant></t:IsEqualTo>`
  const named = `<t:Contains ContainmentMode="Substring"><t:FieldURI FieldURI="item:Subject"/>${constant('angebot')}</t:Contains>`
  const find = async (folder: string, view: string, restriction = '') => {
    const { row } = await send(
      `<m:FindItem Traversal="Shallow"><m:ItemShape><t:BaseShape>Default</t:BaseShape></m:ItemShape>${view}${restriction}<m:ParentFolderIds><t:DistinguishedFolderId Id="${folder}"/></m:ParentFolderIds></m:FindItem>`,
      'ben@contoso.example',
    )
    return childOf(childOf(row, 'RootFolder'), 'Items')?.children ?? []
  }
  const subjects = async (restriction: string) =>
    (await find('tasks', '', `<m:Restriction>${restriction}</m:Restriction>`)).map(item => textOf(item, 'Subject'))
  expect(await subjects(`<t:And>${named}${high}</t:And>`)).toEqual(['Angebot Nord'])
  expect(await subjects(`<t:And>${named}<t:Not>${high}</t:Not></t:And>`)).toEqual(['Angebot Süd'])
  expect(await subjects(`<t:Or>${named}${high}</t:Or>`)).toEqual(['Angebot Nord', 'Angebot Süd'])

  hand.put(
    'calendar',
    `<t:CalendarItem><t:Subject>täglich</t:Subject>${when}<t:Recurrence><t:DailyRecurrence><t:Interval>2</t:Interval></t:DailyRecurrence><t:NoEndRecurrence><t:StartDate>2026-03-02</t:StartDate></t:NoEndRecurrence></t:Recurrence></t:CalendarItem>`,
  )
  const view = '<m:CalendarView StartDate="2026-03-05T00:00:00Z" EndDate="2026-03-11T00:00:00Z"/>'
  const starts = (await find('calendar', view)).map(item => textOf(item, 'Start'))
  expect(starts).toEqual(['2026-03-06T08:00:00Z', '2026-03-08T08:00:00Z', '2026-03-10T08:00:00Z'])
})

test('faults that it does not know are refused, and those it plays are told', () => {
  expect(() => twin.setFaults({ bussy: {} } as never)).toThrowError(/exchange-ews does not know/)
  twin.setFaults({ busy: { as: '503' } })
  expect(twin.state()).toMatchObject({ faults: { busy: { times: 1, as: '503' } } })
  twin.clearFaults()
  expect(twin.state()).toMatchObject({ faults: {} })
})
