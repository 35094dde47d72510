import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { C4CFaultDocument } from '../../twins/c4c/faults.ts'
import { startC4CWorld } from './c4c-world.ts'
import { type C4CRow, changedSince, equals } from './client.ts'
import { findEmployee } from './employees.ts'

// The client against the twin, over sockets, with password, cookies and CSRF token.

const never = new AbortController().signal
let world: Awaited<ReturnType<typeof startC4CWorld>>

beforeEach(async () => {
  world = await startC4CWorld({ pageSize: 3 })
})
afterEach(() => world.stop())

function appointment(subject: string, more: JsonObject = {}): JsonObject {
  return {
    Subject: subject,
    StartDate: '2026-11-23T08:00:00Z',
    EndDate: '2026-11-23T09:00:00Z',
    OwnerPartyID: '8000001',
    ...more,
  }
}

async function create(body: JsonObject): Promise<C4CRow> {
  const [made] = await world.client.write([{ kind: 'create', entity: 'Appointment', body }], never)
  if (!made || !('id' in made)) throw made ?? new Error('nothing came back')
  return made
}

test('an appointment with parties and text is created, found by its GroupwareItemID, changed and removed', async () => {
  const { client, twin } = world
  const made = await create(
    appointment("O'Neil & <Söhne>", {
      GroupwareItemID: 'UID-1',
      AppointmentInvolvedParties: [{ RoleCode: '39', PartyEmailURI: 'b@x.example' }],
      AppointmentTextCollection: [{ TypeCode: '10002', LanguageCode: 'EN', Text: 'Agenda' }],
    }),
  )
  expect(await client.isKnown('Appointment', 'UID-1', never)).toBe(true)
  expect(await client.isKnown('Appointment', "UID-'2'", never)).toBe(false)
  const expand = ['AppointmentInvolvedParties', 'AppointmentTextCollection']
  const [[found] = []] = await client.find(
    'Appointment',
    [{ filter: equals('GroupwareItemID', 'UID-1'), expand }],
    never,
  )
  expect(found).toMatchObject({
    id: made.id,
    values: {
      Subject: "O'Neil & <Söhne>",
      StartDate: '2026-11-23T08:00:00Z',
      AppointmentInvolvedParties: [{ RoleCode: '39', PartyEmailURI: 'b@x.example' }],
      AppointmentTextCollection: [{ Text: 'Agenda' }],
    },
  })
  const etag = found?.etag ?? ''
  expect(etag).toMatch(/^W\/"datetimeoffset'2\d{3}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{7}Z'"$/)
  const change = { kind: 'update', entity: 'Appointment', id: made.id, etag, body: { Subject: 'New' } } as const
  expect(await client.write([change], never)).toEqual([undefined])
  expect(await client.write([change], never)).toMatchObject([{ code: 'C4C_CHANGED_MEANWHILE' }])
  const [read, nothing] = await client.read('Appointment', [made.id, 'X'], [], never)
  expect(read?.values['Subject']).toBe('New')
  expect(nothing).toBeUndefined()
  expect(await client.write([{ kind: 'remove', entity: 'Appointment', id: made.id }], never)).toEqual([undefined])
  expect(await client.write([{ kind: 'remove', entity: 'Appointment', id: made.id }], never)).toMatchObject([
    { code: 'C4C_GONE' },
  ])
  expect(twin.count('AppointmentInvolvedParties')).toBe(0)
})

test('what changed since a moment is told in pages; a census tells who is there', async () => {
  const { client } = world
  const since = Date.now() - 1000
  const made: string[] = []
  for (let index = 0; index < 8; index += 1) made.push((await create(appointment(`a${index}`))).id)
  const rows = await Array.fromAsync(client.list('Appointment', { filter: changedSince(since) }, never))
  expect(rows.map(row => row.id)).toEqual(made)
  expect(
    await Array.fromAsync(client.list('Appointment', { filter: changedSince(Date.now() + 60_000) }, never)),
  ).toEqual([])
  expect(await client.keys('Appointment', undefined, never)).toEqual(new Set(made))
})

test('each of many writes is done or refused for itself, in the words of the service', async () => {
  const { client } = world
  const answers = await client.write(
    [
      { kind: 'create', entity: 'Appointment', body: appointment('good') },
      { kind: 'create', entity: 'Contact', body: { FirstName: 'no last name' } },
      { kind: 'create', entity: 'Appointment', body: appointment('zone', { StartDatetimeZoneCode: 'MARS' }) },
      { kind: 'create', entity: 'Contact', body: { LastName: 'x'.repeat(41) } },
      { kind: 'create', entity: 'CorporateAccount', body: { Name: 'Contoso', RoleCode: 'CRM000', HouseNumber: '7' } },
    ],
    never,
  )
  expect(answers.map(each => (each && 'code' in each ? each.code : 'done'))).toEqual([
    'done',
    'C4C_REFUSED',
    'C4C_REFUSED',
    'C4C_REFUSED',
    'done',
  ])
  expect((answers[1] as HubError).message).toContain('LastName')
  expect((answers[1] as HubError).isAboutMessage).toBe(true)
})

test('a mail with notes and an attachment; the bytes come back as they went', async () => {
  const { client } = world
  const bytes = Buffer.from([0, 1, 2, 255, 254])
  const body = {
    Subject: 'Offer',
    GroupwareItemID: '<m1@contoso.com>',
    DateTime: '2026-11-21T09:00:00Z',
    MessageFromEmailURI: 'b@x.example',
    EMailToRecipients: [{ MessageToEmailID: 'ada@contoso.com' }],
    EMailNotes: [{ TypeCode: '10002', Text: 'Dear Ada' }],
  }
  const [made] = await client.write([{ kind: 'create', entity: 'EMail', body }], never)
  if (!made || !('id' in made)) throw made ?? new Error('nothing came back')
  const file = {
    CategoryCode: '2',
    Name: 'offer.bin',
    MimeType: 'application/octet-stream',
    Binary: bytes.toString('base64'),
  }
  await client.write(
    [{ kind: 'create-below', entity: 'EMail', id: made.id, part: 'EMailAttachments', body: file }],
    never,
  )
  const [read] = await client.read('EMail', [made.id], ['EMailAttachments', 'EMailNotes', 'EMailToRecipients'], never)
  expect(read?.values['EMailAttachments']).toMatchObject([{ Name: 'offer.bin', Binary: bytes.toString('base64') }])
  expect(read?.values['EMailNotes']).toMatchObject([{ Text: 'Dear Ada' }])
  // What is below it is part of it: its state is another one now.
  expect(read?.etag).not.toBe(made.etag)
})

test('employees are found by mail address, and those that are no answer are told apart', async () => {
  const { client, twin } = world
  expect(await findEmployee(client, 'Ada@Contoso.com', never)).toMatchObject({
    partyId: '8000001',
    email: 'ada@contoso.com',
  })
  await expect(findEmployee(client, 'nobody@contoso.com', never)).rejects.toMatchObject({
    code: 'C4C_EMPLOYEE_UNKNOWN',
  })
  twin.addEmployee('twice@contoso.com')
  twin.addEmployee('twice@contoso.com')
  await expect(findEmployee(client, 'twice@contoso.com', never)).rejects.toMatchObject({
    code: 'C4C_EMPLOYEE_AMBIGUOUS',
  })
  twin.addEmployee('gone@contoso.com', { isLocked: true })
  await expect(findEmployee(client, 'gone@contoso.com', never)).rejects.toMatchObject({ code: 'C4C_EMPLOYEE_LOCKED' })
})

test.each<[string, C4CFaultDocument, string, Partial<HubError>]>([
  ['throttled', { busy: { times: 1, retryAfterS: 7 } }, 'C4C_BUSY', { retryAfterMs: 7000, retry: 'soon' }],
  ['failing', { fail: { times: 1 } }, 'C4C_SERVER_FAILED', { retry: 'soon' }],
  ['refusing', { fail: { times: 1, status: 400, message: 'No.' } }, 'C4C_REFUSED', { isAboutMessage: true }],
  ['locked', { lockUser: true }, 'C4C_LOGIN_REFUSED', { retry: 'after-change' }],
  ['without rights', { withdrawRights: true }, 'C4C_FORBIDDEN', { retry: 'after-change' }],
  ['behind a log-in page', { html: { times: 1 } }, 'C4C_OUTCOME_UNKNOWN', { isOutcomeUnknown: true, retry: 'soon' }],
  [
    'cut after it is done',
    { dropAfter: { times: 1, writesOnly: true } },
    'C4C_OUTCOME_UNKNOWN',
    { isOutcomeUnknown: true },
  ],
  [
    'cut before it is done',
    { dropBefore: { times: 1, writesOnly: true } },
    'C4C_OUTCOME_UNKNOWN',
    { isOutcomeUnknown: true },
  ],
  ['answered by half', { truncate: { times: 1 } }, 'C4C_OUTCOME_UNKNOWN', { isOutcomeUnknown: true }],
])('a write that is %s says so', async (_, faults, code, more) => {
  await create(appointment('before'))
  world.twin.setFaults(faults)
  await expect(create(appointment('x'))).rejects.toMatchObject({ code, ...more })
})

test('sessions that are over cost one request more and nothing else', async () => {
  await create(appointment('one'))
  world.twin.setFaults({ forgetSessions: true })
  await create(appointment('two'))
  expect(world.twin.count('Appointment')).toBe(2)
})

test('who stops while a session is opened stops nobody else who waits for it', async () => {
  const { client, twin } = world
  twin.setFaults({ slowMs: 100 })
  const stop = new AbortController()
  const write = (signal: AbortSignal) =>
    client.write([{ kind: 'create', entity: 'Appointment', body: appointment('x') }], signal)
  const stopped = write(stop.signal)
  await sleep(30)
  const other = write(never)
  // Both are refused for want of a token, and the first asks for one.
  setTimeout(() => stop.abort(), 130)
  await expect(stopped).rejects.toThrow()
  expect(await other).toMatchObject([{ values: { Subject: 'x' } }])
})
