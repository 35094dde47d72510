import type { Side, SideDriver } from '../../src/groupware/drivers.ts'
import type { Item, ItemKind } from '../../src/groupware/plan/items.ts'
import { startC4C } from '../../src/twins/c4c/c4c.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type ExchangeEwsTwin, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { type GraphTwin, startGraph } from '../../src/twins/graph/graph.ts'
import { BenchClock } from './bench-clock.ts'
import { itemsOf, mailboxName, startAt } from './items.ts'
import { graphToken, type Landscape, openSides, organizationName, settingsOf } from './landscape.ts'
import { answerLines } from './line-port.ts'
import { type Counts, less, more, type Tally } from './tally.ts'

/** The twins of both sides in a process of their own, so that the CPU of the hub's process is the hub's alone. */
const { access, mailboxes } = JSON.parse(process.argv[2] ?? '{}') as { access: 'ews' | 'graph'; mailboxes: number }
const clock = new BenchClock(startAt)
const { cert, key, ca } = await makeTwinCertificate()
const tls = { cert, key }
const addresses = Array.from({ length: mailboxes }, (_, number) => mailboxName(number))
const c4c = await startC4C({ tls, clock, employees: addresses })
const exchange: ExchangeEwsTwin | undefined =
  access === 'ews'
    ? await startExchangeEws({ tls, clock, mailboxes: addresses.map(address => ({ address })) })
    : undefined
const roles = 'Mail Calendars Contacts Tasks MailboxSettings'.split(' ').map(name => `${name}.ReadWrite`)
const claims = { aud: 'https://graph.microsoft.com', appid: 'bench', roles: [...roles, 'Tasks.ReadWrite.All'] }
const graph: GraphTwin | undefined =
  access === 'graph'
    ? await startGraph({
        tls,
        clock,
        mailboxes: addresses,
        verify: token => (token === graphToken ? claims : undefined),
      })
    : undefined
const port = await answerLines(answer)
const landscape: Landscape = {
  access,
  exchangeUrl: exchange?.url ?? graph?.root ?? '',
  crmUrl: c4c.root,
  ca,
  port,
}
const { access: way, exchange: wayIn, crm } = settingsOf(landscape)
const sides = await openSides(landscape, clock)(
  {
    name: organizationName,
    about: '',
    access: way,
    exchange: wayIn,
    crm,
    profile: 'default',
    everyMs: 0,
    isPaused: false,
    changedAt: 0,
    revision: 1,
  },
  { own: undefined, sample: mailboxName(0) },
)
/** Of each mailbox and side one item of each kind, to be changed later. */
const known = new Map<string, string>()
const own: { exchange: Tally; crm: Tally } = { exchange: { requests: 0, by: {} }, crm: { requests: 0, by: {} } }
process.send?.(landscape)

const never = new AbortController().signal

interface Question {
  readonly question: string
  readonly now: number
  readonly from: number
  readonly to: number
  readonly items: number
  readonly mailbox: number
  readonly side: Side
  readonly kind: ItemKind
  readonly word: string
}

async function answer(given: object): Promise<unknown> {
  const asked = given as Question
  switch (asked.question) {
    case 'time':
      return clock.set(asked.now)
    case 'seed':
      return seed(asked)
    case 'counts':
      return {
        exchange: less(counted().exchange, own.exchange),
        crm: less(counted().crm, own.crm),
        streams: exchange?.streams ?? 0,
        subscriptions: graph?.subscriptions.count ?? 0,
      }
    case 'change':
      return uncounted(() => change(asked))
    case 'look':
      return look(asked.word)
    default:
      return setTimeout(() => process.exit(0), 10) && null
  }
}

function counted(): Counts {
  return {
    exchange: exchange
      ? { requests: exchange.requestCount, by: { ...exchange.byOperation } }
      : { requests: graph?.counters.requests ?? 0, by: { ...graph?.counters.byTarget } },
    crm: { requests: c4c.counters.requests, by: { ...c4c.counters.byTarget } },
  }
}

/** What people do on the two sides is nothing that the hub asked for; nothing else is under way meanwhile. */
async function uncounted(work: () => Promise<void>): Promise<void> {
  const before = counted()
  await work()
  const after = counted()
  for (const side of ['exchange', 'crm'] as const) own[side] = more(own[side], less(after[side], before[side]))
}

function scopeOf(mailbox: number, kind: ItemKind) {
  const address = mailboxName(mailbox)
  const [folders, from, to] = [[], null, null]
  return { organization: organizationName, mailbox: address, owner: address, kind, folders, from, to }
}

/** Puts the items of a side into mailboxes, by the product's own drivers. */
async function seed({ from, to, items }: Question): Promise<number> {
  const queue = Array.from({ length: to - from }, (_, index) => from + index).values()
  const lane = async () => {
    for (const mailbox of queue) {
      for (const side of ['exchange', 'crm'] as const)
        await seedOne(sides[side], mailbox, itemsOf(mailbox, side, items))
    }
  }
  await Promise.all(Array.from({ length: 8 }, lane))
  return (to - from) * items
}

async function seedOne(driver: SideDriver, mailbox: number, items: readonly Item[]): Promise<void> {
  for (const [kind, some] of Map.groupBy(items, item => item.kind)) {
    const scope = scopeOf(mailbox, kind)
    const { write } = driver.abilities(kind).batch
    for (let at = 0; at < some.length; at += write) {
      const wishes = some.slice(at, at + write).map((item, index) => {
        const key = `seed ${mailbox} ${kind} ${driver.side} ${at + index}`
        return { key, mark: null, item, openAttachment: () => nothing() }
      })
      for (const outcome of await driver.create(scope, wishes, never)) {
        if (outcome.state !== 'done') throw outcome.error
        known.set(`${mailbox} ${driver.side} ${kind}`, outcome.id)
      }
    }
  }
}

async function* nothing(): AsyncGenerator<Uint8Array> {
  // No item has a file.
}

/** Somebody changes an item of a mailbox on one side. */
async function change({ mailbox, side, kind, word }: Question): Promise<void> {
  const driver = sides[side]
  const scope = scopeOf(mailbox, kind)
  const [found] = await driver.read(scope, [known.get(`${mailbox} ${side} ${kind}`) ?? ''], never)
  if (!found) throw new Error(`mailbox ${mailbox} has no ${kind} of ${side}`)
  const { id, version, item: before } = found
  const field = kind === 'contact' ? 'jobTitle' : 'subject'
  const after = { ...before, [field]: `${word} ${mailbox}` } as Item
  const [done] = await driver.update(scope, [{ id, version, before, after, fields: [field], mark: undefined }], never)
  if (done?.state !== 'done') throw new Error(`it was not changed: ${done?.state}`)
}

/** Items on each side, and how many of them have the word of a change in them. */
function look(word: string) {
  const rows = ['Appointment', 'Contact', 'Tasks', 'EMail'].flatMap(name => c4c.store.all(c4c.store.kind(name)))
  const isChanged = (texts: readonly unknown[]) => texts.some(text => String(text).startsWith(word))
  const texts: (readonly unknown[])[] = []
  for (const address of addresses) {
    for (const { values } of graph?.mailbox(address).items.values() ?? [])
      texts.push([values['subject'], values['title'], values['jobTitle']])
    for (const folder of exchange ? ['calendar', 'contacts', 'tasks', 'inbox'] : []) {
      for (const { xml } of exchange?.mailbox(address).items(folder) ?? []) {
        texts.push([...xml.matchAll(/<t:(?:Subject|JobTitle)>([^<]*)</g)].map(([, text]) => text))
      }
    }
  }
  return {
    exchange: texts.length,
    crm: rows.length,
    changedInExchange: word === '' ? 0 : texts.filter(isChanged).length,
    changedInCrm:
      word === '' ? 0 : rows.filter(({ values }) => isChanged([values['Subject'], values['JobTitle']])).length,
  }
}
