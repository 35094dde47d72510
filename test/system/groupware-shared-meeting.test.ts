import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, expect, test } from 'vitest'
import { MemoryRecords } from '../../src/auth/records-world.ts'
import { bookFiles } from '../../src/groupware/organizations/book-files.ts'
import { Groupware } from '../../src/groupware/organizations/groupware.ts'
import { makeOpenDrivers } from '../../src/groupware/organizations/open-drivers.ts'
import { defaultRules } from '../../src/groupware/plan/rules.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { DAY, HOUR, systemClock } from '../../src/kernel/time.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { type C4CTwin, c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'

const organization = 'contoso'
const addresses = Array.from({ length: 20 }, (_, number) => `m${number}@contoso.com`)
const closing: (() => Promise<unknown>)[] = []

afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

test('a meeting that lies in the calendars of twenty colleagues, all activated at once, is one in the CRM', async () => {
  const exchange = await startExchangeEws({ mailboxes: addresses.map(address => ({ address })) })
  closing.push(() => exchange.stop())
  const c4c = await startC4C({ employees: addresses })
  closing.push(() => c4c.stop())
  const start = Math.ceil(Date.now() / DAY) * DAY
  const [begin, end] = [start, start + HOUR].map(ms => new Date(ms).toISOString())
  const meeting = `<t:Subject>All hands</t:Subject><t:UID>ALL-HANDS</t:UID><t:Start>${begin}</t:Start><t:End>${end}</t:End>`
  for (const address of addresses)
    exchange.mailbox(address).put('calendar', `<t:CalendarItem>${meeting}</t:CalendarItem>`)
  // Many find that it is not there yet before the first has created it.
  c4c.setFaults({ slowMs: 20 })

  const once = { follower: 19, lead: 1 }
  expect(await rolesOfNewHub(exchange, c4c, addresses)).toEqual(once)
  expect(c4c.count('Appointment')).toBe(1)
  // A hub that has lost its data: all find it there, and one of them leads it.
  expect(await rolesOfNewHub(exchange, c4c, addresses)).toEqual(once)
  expect(c4c.count('Appointment')).toBe(1)
})

test('an attendee who is activated first, with words of the own calendar, does not change the meeting of its organizer', async () => {
  const [organizer = '', attendee = ''] = addresses
  const exchange = await startExchangeEws({ mailboxes: [{ address: organizer }, { address: attendee }] })
  closing.push(() => exchange.stop())
  const c4c = await startC4C({ employees: [organizer, attendee] })
  closing.push(() => c4c.stop())
  const start = Math.ceil(Date.now() / DAY) * DAY
  const [begin, end] = [start, start + HOUR].map(ms => new Date(ms).toISOString())
  const person = (address: string) => `<t:Mailbox><t:EmailAddress>${address}</t:EmailAddress></t:Mailbox>`
  const meeting = (
    subject: string,
    showAs: string,
  ) => `<t:CalendarItem><t:Subject>${subject}</t:Subject><t:UID>ONE</t:UID>
    <t:Start>${begin}</t:Start><t:End>${end}</t:End><t:LegacyFreeBusyStatus>${showAs}</t:LegacyFreeBusyStatus>
    <t:Organizer>${person(organizer)}</t:Organizer>
    <t:RequiredAttendees><t:Attendee>${person(attendee)}</t:Attendee></t:RequiredAttendees></t:CalendarItem>`
  const [own, copy] = [exchange.mailbox(organizer), exchange.mailbox(attendee)]
  own.put('calendar', meeting('All hands', 'Busy'))
  copy.put('calendar', meeting('Bring the contract', 'Tentative'))

  await rolesOfNewHub(exchange, c4c, [attendee], [organizer])
  const { store } = c4c
  const [row, ...others] = store.all(store.kind('Appointment'))
  expect([row?.values['Subject'], others]).toEqual(['All hands', []])
  expect(
    own
      .items('calendar')
      .map(({ xml }) => xml)
      .join(),
  ).toMatch(/All hands.*Busy/s)
  expect(
    copy
      .items('calendar')
      .map(({ xml }) => xml)
      .join(),
  ).toMatch(/Bring the contract.*Tentative/s)
})

/** Sets up a hub with nothing of its own, activates all, and ends it; how many mailboxes lead the meeting, and how many follow. */
async function rolesOfNewHub(
  exchange: ExchangeEwsTwin,
  c4c: C4CTwin,
  ...groups: readonly (readonly string[])[]
): Promise<Readonly<Record<string, number>>> {
  const open = makeOpenDrivers({
    connect: makeConnect(),
    credential: async name => ({ kind: 'basic', ...(name === 'c4c' ? c4cUser : exchangeAccount) }),
    clock: systemClock,
    rulesOf: () => defaultRules,
  })
  const dataFolder = mkdtempSync(join(tmpdir(), 'shared-meeting-'))
  closing.push(async () => rmSync(dataFolder, { recursive: true }))
  const parts = { records: new MemoryRecords(), clock: systemClock, log: silentLog, dataFolder }
  const groupware = await Groupware.open({ ...parts, openDrivers: open })
  try {
    await groupware.createOrganization(organization, {
      access: 'ews-impersonation',
      exchange: { url: exchange.url, auth: 'exchange', logIn: 'basic' },
      crm: { url: c4c.root, auth: 'c4c' },
    })
    await groupware.start()
    for (const group of groups) {
      await groupware.addList(organization, group.join('\n'), false)
      await groupware.jobEnded((await groupware.startJob(organization, 'activate', group)).id)
      const isOver = (address: string) =>
        groupware
          .logOf({ mailbox: address, limit: 100 })
          .some(line => line.about === 'item' && (line.what === 'created' || line.what === 'linked'))
      await expect.poll(() => group.every(isOver) && groupware.runningCount === 0, { timeout: 60_000 }).toBe(true)
    }
  } finally {
    await groupware.close()
  }
  const links = new DatabaseSync(join(dataFolder, bookFiles.links))
  const rows = links.prepare('select role, count(*) as number from link group by role').all()
  links.close()
  return Object.fromEntries(rows.map(({ role, number }) => [String(role), Number(number)]))
}
