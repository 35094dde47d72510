import type { HubTask } from './hub.ts'
import { countsOf } from './items.ts'

/** The smallest numbers of requests that the protocols allow for a mailbox, and why. */
export interface Least {
  readonly exchange: number
  readonly crm: number
  readonly why: readonly string[]
}

const ewsBatch = 50
const graphBatch = 20
const c4cBatch = 50

/** For the first sync of a mailbox, when all kinds go together and nothing is made sure of twice. */
export function leastOfFirst({ landscape: { access }, items }: Pick<HubTask, 'landscape' | 'items'>): Least {
  const counts = Object.values(countsOf(items))
  const sum = (numbers: readonly number[]) => numbers.reduce((one, other) => one + other, 0)
  const toCrm = sum(counts.map(({ exchange }) => exchange))
  const toExchange = sum(counts.map(({ crm }) => crm))
  const { appointment, contact, task } = countsOf(items)
  // Cloud for Customer has a field for the other half of appointments and mails; of the others the mailbox names it.
  const marked = contact.exchange + task.exchange
  const crm = 1 + Math.ceil(toCrm / c4cBatch) + Math.ceil(appointment.crm / c4cBatch)
  const ofCrm = `Cloud for Customer ${crm}: one batch lists all sets with their items, ${Math.ceil(toCrm / c4cBatch)} create what comes from the mailbox, ${Math.ceil(appointment.crm / c4cBatch)} mark the appointments that came to be there`
  if (access === 'ews') {
    const [read, created, named] = [toCrm, toExchange, marked].map(count => Math.ceil(count / ewsBatch))
    const exchange = 5 + (read ?? 0) + (created ?? 0) + (named ?? 0)
    const why = `Exchange ${exchange}: SyncFolderItems asks one folder, and there are 5; it tells no bodies and attendees, so ${read} GetItem; ${created} CreateItem; ${named} UpdateItem with the ids that Cloud for Customer has no field for (${ewsBatch} items each)`
    return { exchange, crm, why: [why, ofCrm] }
  }
  const [read, created, named] = [toCrm, toExchange, marked].map(count => Math.ceil(count / graphBatch))
  const exchange = 2 + (read ?? 0) + (created ?? 0) + (named ?? 0)
  const why = `Graph ${exchange}: one batch names the list of tasks, one asks the five deltas; ${read} read what they only name, ${created} create, ${named} mark (${graphBatch} requests each)`
  return { exchange, crm, why: [why, ofCrm] }
}

/** For an hour without a change: what each mailbox is asked, and what is asked once for all. */
export function leastOfIdle({
  landscape: { access },
  mailboxes,
  isWatched,
}: Pick<HubTask, 'landscape' | 'mailboxes' | 'isWatched'>): readonly string[] {
  if (!isWatched) {
    const asked = access === 'ews' ? '5 folders' : '5 deltas'
    return [
      `polled every 5 minutes: 12 times ${asked} of each mailbox (${60 * mailboxes}; in batches of Graph a fifth of it), and 12 questions to the CRM for all`,
    ]
  }
  if (access === 'graph') return ['nothing: subscriptions live for days; polls for what gets lost are our own wish']
  const streams = Math.ceil(mailboxes / 200)
  return [`${2 * streams}: ${streams} streams of 200 mailboxes, opened anew every half an hour; polls are our own wish`]
}
