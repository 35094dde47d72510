import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse } from 'yaml'
import { feedLimits } from '../../groupware/sync/shared-feed.ts'
import { DAY, HOUR, SECOND } from '../../kernel/time.ts'
import type { Hub } from '../../main.ts'
import { c4cUser, startC4C } from '../../twins/c4c/c4c.ts'
import { exchangeAccount, startExchangeEws } from '../../twins/exchange-ews/exchange-ews.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

const organization = 'contoso'
const people = ['anna@contoso.com', 'ben@contoso.com', 'cem@contoso.com', 'dana@contoso.com'] as const
const inTheCrm = { 'ben@contoso.com': 'benjamin.ruiz@contoso.com' } as Readonly<Record<string, string>>
const folder = join(import.meta.dirname, '../../../examples/c4c-groupware')
/** What the CRM changes comes over with its next question, half a minute later: not in a run that ends soon. */
const crmFromAct = 12

/** Sales people keep their calendars; the hub keeps them in step with Cloud for Customer. */
export async function groupwareScenario({ tls }: ScenarioWorld): Promise<Scenario> {
  const exchange = await startExchangeEws({ tls, mailboxes: people.map(address => ({ address })) })
  const c4c = await startC4C({ tls, employees: people.map(address => inTheCrm[address] ?? address) })
  /** Subject of what somebody made, and the side where it must arrive. */
  const made: { readonly subject: string; readonly owner: string; readonly to: 'crm' | 'exchange' }[] = []
  const troubles: string[] = []
  let groupware: Hub['groupware'] | undefined

  const slotOf = (index: number) => {
    const start = Math.ceil(Date.now() / DAY) * DAY + 8 * HOUR + index * HOUR
    return { start: new Date(start).toISOString(), end: new Date(start + HOUR / 2).toISOString() }
  }

  function inOutlook(owner: string): string {
    const subject = `Meeting ${made.length + 1}`
    const { start, end } = slotOf(made.length)
    const times = `<t:Start>${start}</t:Start><t:End>${end}</t:End>`
    const item = `<t:CalendarItem><t:Subject>${subject}</t:Subject>${times}</t:CalendarItem>`
    exchange.mailbox(owner).put('calendar', item)
    made.push({ subject, owner, to: 'crm' })
    return subject
  }

  /** By turns an appointment and a visit. */
  function inCrm(owner: string): string {
    const isVisit = made.length % 2 === 1
    const subject = `${isVisit ? 'Store visit' : 'Follow-up'} ${made.length + 1}`
    const { start, end } = slotOf(made.length)
    const employees = c4c.store.all(c4c.store.kind('EmployeeBasicData'))
    const employee = employees.find(({ values }) => values['Email'] === (inTheCrm[owner] ?? owner))
    const when = isVisit
      ? { StartDateTime: start, EndDateTime: end, StartTimeZoneCode: 'UTC', EndTimeZoneCode: 'UTC' }
      : {
          DocumentType: '0001',
          StartDate: start,
          EndDate: end,
          StartDatetimeZoneCode: 'UTC',
          EnddatetimeZoneCode: 'UTC',
        }
    c4c.store.create(c4c.store.kind(isVisit ? 'Visit' : 'Appointment'), {
      Subject: subject,
      ...when,
      OwnerPartyID: employee?.values['BusinessPartnerID'] ?? null,
    })
    made.push({ subject, owner, to: 'exchange' })
    return subject
  }

  const inCrmNow = () =>
    ['Appointment', 'Visit'].flatMap(name =>
      c4c.store.all(c4c.store.kind(name)).map(({ values }) => String(values['Subject'])),
    )
  const inOutlookNow = (owner: string) =>
    exchange
      .mailbox(owner)
      .items('calendar')
      .map(({ xml }) => /<t:Subject>([^<]*)</.exec(xml)?.[1] ?? '')

  async function activate(): Promise<void> {
    const opened = await groupware?.load()
    if (!opened) return
    const job = await opened.startJob(organization, 'activate', 'all')
    const { failures } = await opened.jobEnded(job.id)
    for (const { mailbox, cause } of failures) troubles.push(`${mailbox}: ${cause.message}`)
  }

  return {
    flow: 'c4c-groupware',
    parts: { flowFiles: [], params: {}, counted: [] },
    params: {},
    twins: [exchange, c4c],
    everyMs: 3 * SECOND,

    async prepare({ credentials, groupware: late }) {
      groupware = late
      await credentials.create('exchange-impersonation', { kind: 'basic', ...exchangeAccount })
      await credentials.create('c4c-technical-user', { kind: 'basic', ...c4cUser })
      const opened = await late.load()
      await opened.writeProfile('sales', readYaml('profile.yaml'))
      const settings = readYaml('organization.yaml')
      await opened.createOrganization(organization, {
        ...settings,
        exchange: { ...(settings['exchange'] as object), url: exchange.url },
        crm: { ...(settings['crm'] as object), url: c4c.root },
        every: '10s',
      })
      const rows = people.map(address => `${address},${inTheCrm[address] ?? ''}`)
      await opened.addList(organization, ['mailbox,crm-user', ...rows].join('\n'), false)
      for (const owner of people) inOutlook(owner)
      for (const owner of people) inCrm(owner)
    },
    begin() {
      activate().catch((thrown: unknown) => troubles.push(thrown instanceof Error ? thrown.message : String(thrown)))
    },
    tellSetting: () => [`groupware   ${people.length} mailboxes of organization ${organization} are activated in bulk`],

    act(leftMs) {
      const owner = people[made.length % people.length] ?? people[0]
      const isForCrm = made.length >= crmFromAct + 2 * people.length && made.length % 3 === 0
      // Nothing tells what changes in the CRM: it is asked every half minute.
      if (isForCrm && leftMs > feedLimits.freshMs + 10 * SECOND) {
        return `in Cloud for Customer, ${owner} gets "${inCrm(owner)}"`
      }
      return `in Outlook, ${owner} makes the appointment "${inOutlook(owner)}"`
    },
    sent: () => made.length,
    counts() {
      const opened = groupware?.opened()
      const progress = people.map(address => opened?.progressOf(address))
      const sum = (name: 'refused') => progress.reduce((total, each) => total + (each?.[name] ?? 0), 0)
      return { accepted: made.length, delivered: made.filter(hasArrived).length, setAside: sum('refused') }
    },
    findings() {
      const missing = made.filter(item => !hasArrived(item))
      const doubled = made.filter(
        ({ subject, owner }) => countOf(inCrmNow(), subject) > 1 || countOf(inOutlookNow(owner), subject) > 1,
      )
      return [
        ...troubles,
        ...missing.map(({ subject, to }) => `"${subject}" is not in ${to === 'crm' ? 'the CRM' : 'the mailbox'}`),
        ...doubled.map(({ subject }) => `"${subject}" is there twice`),
      ]
    },
    tellOutcome() {
      const back = made.filter(({ to }) => to === 'exchange').length
      const visits = c4c.store.count('Visit')
      return [
        `${made.length - back} appointments went from Outlook to the CRM, ${back} from the CRM to Outlook, ${visits} of them visits`,
      ]
    },
  }

  function hasArrived({ subject, owner, to }: (typeof made)[number]): boolean {
    return (to === 'crm' ? inCrmNow() : inOutlookNow(owner)).includes(subject)
  }
}

function countOf(subjects: readonly string[], subject: string): number {
  return subjects.filter(each => each === subject).length
}

function readYaml(file: string): Readonly<Record<string, unknown>> {
  return parse(readFileSync(join(folder, file), 'utf8')) as Readonly<Record<string, unknown>>
}
