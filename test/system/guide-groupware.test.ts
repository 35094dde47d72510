import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type C4CTwin, c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type ExchangeEwsTwin, exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'

const guide = readGuide('groupware')
const patienceMs = 60_000
let folder: string
let machine: GuideMachine
let exchange: ExchangeEwsTwin
let c4c: C4CTwin
let adminPort = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  const { cert, key, ca } = await makeTwinCertificate()
  const people = ['anna@contoso.com', 'ben@contoso.com']
  exchange = await startExchangeEws({ tls: { cert, key }, mailboxes: people.map(address => ({ address })) })
  c4c = await startC4C({ tls: { cert, key }, employees: ['anna@contoso.com', 'benjamin.ruiz@contoso.com'] })
  exchange.mailbox('anna@contoso.com').put('calendar', meeting('Jour fixe'))
  planVisit()
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
      ['https://mail.contoso.com/EWS/Exchange.asmx', exchange.url],
      ['https://my300001.crm.ondemand.com/sap/c4c/odata/v1/c4codataapi/', c4c.root],
    ],
  })
  machine.write('company-ca.pem', ca)
  machine.write('exchange-password.txt', exchangeAccount.password)
  machine.write('c4c-password.txt', c4cUser.password)
})
afterAll(async () => {
  await machine?.stop()
  await exchange?.stop()
  await c4c?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** An hour of tomorrow. */
function meeting(subject: string): string {
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
  const times = `<t:Start>${at(6)}</t:Start><t:End>${at(7)}</t:End>`
  return `<t:CalendarItem><t:Subject>${subject}</t:Subject>${times}</t:CalendarItem>`
}

/** A visit of tomorrow that the company has planned for Anna. */
function planVisit(): void {
  const employees = c4c.store.all(c4c.store.kind('EmployeeBasicData'))
  const anna = employees.find(({ values }) => values['Email'] === 'anna@contoso.com')
  const at = (hours: number) => new Date(Date.now() + hours * 3_600_000).toISOString()
  c4c.store.create(c4c.store.kind('Visit'), {
    Subject: 'Shelf check',
    StartDateTime: at(8),
    EndDateTime: at(9),
    StartTimeZoneCode: 'UTC',
    EndTimeZoneCode: 'UTC',
    OwnerPartyID: anna?.values['BusinessPartnerID'] ?? null,
  })
}

const visitInCalendar = () =>
  exchange
    .mailbox('anna@contoso.com')
    .items('calendar')
    .find(({ xml }) => xml.includes('<t:Subject>Shelf check</t:Subject>'))?.xml

const subjectsInCrm = () => c4c.store.all(c4c.store.kind('Appointment')).map(({ values }) => values['Subject'])

test('every command of the guide works, from an empty hub to mailboxes that are in step', async () => {
  const outputs = new Map<string, string>()
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (kind === 'sh') {
      for (const line of text.trim().split('\n')) {
        if (line.includes('mailbox show')) {
          await waitFor('the appointment in the CRM', patienceMs, () => subjectsInCrm().includes('Jour fixe'))
          await waitFor('the visit in the calendar', patienceMs, () => visitInCalendar() !== undefined)
        }
        outputs.set(line, await machine.run(line))
      }
    }
  }
  const output = (part: string) => [...outputs].find(([line]) => line.includes(part))?.[1] ?? ''
  expect(output('organization create')).toContain('Access to anna@contoso.com works.')
  expect(output('--dry-run')).toContain('2 mailboxes would be added')
  expect(output('preview')).toMatch(/appointment +created +2/)
  expect(output('activate')).toContain('2 of 2 mailboxes, 0 failed')
  expect(output('mailbox show')).toMatch(/State: +active/)
  expect(output('mailbox log')).toContain('appointment created on crm: Jour fixe')
  expect(visitInCalendar()).toContain('<t:String>Visit</t:String>')
  expect(output('explain')).toMatch(/appointment on exchange Jour fixe: linked/)
}, 180_000)
