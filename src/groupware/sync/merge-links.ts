import { isOfPerson, type Scope, type Side, type SideItem, type Update, type WriteOutcome } from '../drivers.ts'
import { isMarkedOtherwise, type LinkPlan, type PlannedWrite, planLink } from '../plan/link-plan.ts'
import { absentStamp, type Stamps } from '../plan/stamps.ts'
import { waitingFor, writeBatch } from './batches.ts'
import { chunksOf, mayStillCome } from './context.ts'
import { readItems } from './pull.ts'
import { note, noteUnreadable, type Round, stopIfAsked } from './round-state.ts'
import { isDue, type Link, type PendingStamps, type Waiting } from './sync-store.ts'

type MergePlan = Extract<LinkPlan, { do: 'merge' }>

/** A link with both halves, and how far its merge has come. */
interface Job {
  link: Link
  readonly exchange: SideItem
  readonly crm: SideItem
  readonly plan: MergePlan
  /** Undefined while nothing stands against it. */
  failure: Exclude<WriteOutcome, { state: 'done' }> | undefined
  failedAt: Side
}

interface Endings {
  readonly putLinks: Link[]
  readonly putWaiting: Waiting[]
  readonly dropWaiting: { side: Side; id: string }[]
}

/** Compares linked items and writes what must be written; links with a lost half are only collected. */
export async function mergeLinks(round: Round, links: readonly Link[]): Promise<void> {
  const { limits } = round.context
  for (const chunk of chunksOf(links, limits.chunkItems)) {
    stopIfAsked(round)
    await mergeChunk(round, chunk)
  }
}

async function mergeChunk(round: Round, links: readonly Link[]): Promise<void> {
  const { store, scope, drivers } = round.context
  const exchangeItems = await readItems(
    round,
    'exchange',
    links.map(link => link.exchange.id),
  )
  const crmItems = await readItems(
    round,
    'crm',
    links.map(link => link.crm.id),
  )
  const ledElsewhere = await findLedElsewhere(round, links, exchangeItems, crmItems)
  const waiting = await waitingOf(round, links)
  await tellLeaders(round, links, crmItems)
  const endings: Endings = { putLinks: [], putWaiting: [], dropWaiting: [] }
  const jobs: Job[] = []
  for (const link of links) {
    if (await isUnreadable(round, link)) continue
    const exchange = exchangeItems.get(link.exchange.id)
    const crm = crmItems.get(link.crm.id)
    const plan = planLink(link, exchange, crm, round.plan, ledElsewhere.has(link.crm.id))
    if (plan.do === 'merge' && exchange && crm) {
      if (!isStillRefused(round, waiting, exchange, crm)) {
        jobs.push({ link, exchange, crm, plan, failure: undefined, failedAt: 'crm' })
      }
    } else {
      settleWithoutMerge(round, link, plan, { exchange, crm })
      if (plan.do === 'nothing' && crm) endings.putWaiting.push(...upkeepOf(round, crm))
    }
  }
  const writing = jobs.filter(job => job.plan.exchange ?? job.plan.crm)
  if (writing.length > 0) {
    // Written down before anything is sent: after a crash our own values must not pass for a user's.
    for (const job of writing) job.link = { ...job.link, pending: withPending(round, job) }
    await store.write(scope, { putLinks: writing.map(job => job.link) })
    await leaveFollowers(round, writing)
    for (const side of ['exchange', 'crm'] as const) {
      const batchSize = drivers[side].abilities(scope.kind).batch.write
      const due = writing.filter(job => job.plan[side] !== undefined && job.failure === undefined)
      for (const batch of chunksOf(due, batchSize)) await writeHalves(round, side, batch)
    }
  }
  for (const job of jobs) settleJob(round, job, waiting, endings)
  await store.write(scope, endings)
}

/** Whether a side cannot show its half now: it is compared when it can, and told of once. */
async function isUnreadable(round: Round, link: Link): Promise<boolean> {
  const { store, scope } = round.context
  for (const side of ['exchange', 'crm'] as const) {
    const error = round.unreadable[side].get(link[side].id)
    if (!error) continue
    if (!link.isDirty) {
      await store.write(scope, { putLinks: [{ ...link, isDirty: true }] })
      noteUnreadable(round, side, link[side].id, error)
    }
    return true
  }
  return false
}

/** The organizer of a meeting may have taken the lead since its link was read: what an attendee says is not written then. */
async function leaveFollowers({ context: { store, scope } }: Round, jobs: readonly Job[]): Promise<void> {
  const led = jobs.filter(job => isAttendees(job, scope))
  if (led.length === 0) return
  const ids = led.map(({ crm }) => crm.id)
  const links = await store.findLinks(scope, 'crm', ids)
  const followers = new Set(links.flatMap(({ key, role }) => (role === 'follower' ? [key] : [])))
  for (const job of led) if (followers.has(job.link.key)) job.failure = { state: 'conflict' }
}

/** Whether it is the copy of a meeting that the owner of the mailbox was invited to. */
function isAttendees({ exchange: { item } }: Job, scope: Scope): boolean {
  return item.kind === 'appointment' && item.organizer !== null && !isOfPerson(scope, item.organizer.address)
}

/** Items of the CRM that carry the mark of another mailbox, which leads them, too. */
async function findLedElsewhere(
  { context: { store, scope }, plan }: Round,
  links: readonly Link[],
  exchangeItems: ReadonlyMap<string, SideItem>,
  crmItems: ReadonlyMap<string, SideItem>,
): Promise<ReadonlySet<string>> {
  if (!plan.crmHoldsMark) return new Set()
  const ids = links.flatMap(link => {
    const exchange = exchangeItems.get(link.exchange.id)
    const crm = crmItems.get(link.crm.id)
    return exchange && crm && isMarkedOtherwise(exchange, crm) ? [crm.id] : []
  })
  const elsewhere = ids.length === 0 ? [] : await store.linksElsewhere(scope, ids)
  return new Set(elsewhere.flatMap(({ role, crmId }) => (role === 'lead' ? [crmId] : [])))
}

/**
 * The CRM tells of an item the mailbox of its owner, be it that of an attendee who came before the organizer: the one that
 * leads it has to be told here.
 */
async function tellLeaders(
  { context: { store, scope }, report }: Round,
  links: readonly Link[],
  crmItems: ReadonlyMap<string, SideItem>,
): Promise<void> {
  const changed = links.filter(({ role, crm }) => {
    const now = crmItems.get(crm.id)?.version
    return role === 'follower' && now !== undefined && now !== crm.version
  })
  const ids = changed.map(({ crm }) => crm.id)
  const elsewhere = ids.length === 0 ? [] : await store.linksElsewhere(scope, ids)
  const makeDirty: { readonly mailbox: string; readonly key: string }[] = []
  for (const { mailbox, key, crmId, role } of elsewhere) {
    if (role !== 'lead') continue
    const [link] = await store.findLinks({ ...scope, mailbox }, 'crm', [crmId])
    // What it has written itself is no news to it.
    if (!link || link.isDirty || link.crm.version === crmItems.get(crmId)?.version) continue
    makeDirty.push({ mailbox, key })
    report.concerned.add(mailbox)
  }
  await store.write(scope, { makeDirty })
}

async function writeHalves(round: Round, side: Side, jobs: readonly Job[]): Promise<void> {
  const { drivers, scope, signal } = round.context
  const outcomes = await writeBatch(round, side, jobs, batch =>
    drivers[side].update(
      scope,
      batch.flatMap(job => updateOf(job, side)),
      signal,
    ),
  )
  for (const [index, job] of jobs.entries()) {
    const outcome = outcomes[index]
    if (outcome?.state === 'done') {
      job.link = { ...job.link, [side]: { ...job.link[side], id: outcome.id, version: outcome.version } }
    } else if (outcome) {
      job.failure = outcome
      job.failedAt = side
    }
  }
}

function updateOf(job: Job, side: Side): readonly Update[] {
  const planned: PlannedWrite | undefined = job.plan[side]
  if (!planned) return []
  const { id, version, item: before } = job[side]
  return [{ id, version, before, after: planned.after, fields: planned.fields, mark: planned.mark }]
}

/** What remains of a merge: the new common state, or what stands against it. */
function settleJob(round: Round, job: Job, waiting: ReadonlyMap<string, Waiting>, endings: Endings): void {
  const { link, exchange, crm, plan, failure } = job
  const items = { exchange, crm }
  if (failure === undefined) {
    const pending = stillOnTheWay(round, job)
    endings.putLinks.push({
      ...link,
      exchange: { ...link.exchange, version: plan.exchange ? link.exchange.version : exchange.version },
      crm: { ...link.crm, version: plan.crm ? link.crm.version : crm.version },
      base: plan.base,
      pending: pending ?? { exchange: {}, crm: {} },
      isDirty: pending !== undefined,
      held: undefined,
      saidInCrm: saidInCrm(round, job),
    })
    for (const side of ['exchange', 'crm'] as const) {
      if (waiting.has(`${side} ${job[side].id}`)) endings.dropWaiting.push({ side, id: job[side].id })
      if (!plan[side]) continue
      round.report.updated[side] += 1
      note(round, 'updated', side, items, { fields: plan[side].fields })
    }
    endings.putWaiting.push(...upkeepOf(round, crm))
    if (plan.conflicts.length > 0) {
      round.report.conflicts += 1
      note(round, 'conflict', plan.winner, items, { fields: plan.conflicts, winner: plan.winner })
    }
    return
  }
  if (failure.state === 'refused') {
    const { failedAt } = job
    const source = failedAt === 'exchange' ? crm : exchange
    const side: Side = failedAt === 'exchange' ? 'crm' : 'exchange'
    round.report.refused += 1
    const refused = { side, id: source.id, version: source.version }
    endings.putWaiting.push(waitingFor(round, refused, failure.error, waiting.get(`${side} ${source.id}`)))
    note(round, 'refused', failedAt, items, { error: failure.error })
    // The old common state stands, so that the difference is seen when its time comes.
    endings.putLinks.push({ ...link, exchange: job.link.exchange, crm: job.link.crm, isDirty: false })
    return
  }
  round.report.isUnfinished = true
  note(round, 'postponed', job.failedAt, items)
  endings.putLinks.push({ ...link, isDirty: true })
}

/** What people have changed in the CRM of a meeting that an attendee's mailbox leads; nobody takes it for that attendee's. */
function saidInCrm({ context: { scope } }: Round, job: Job): readonly string[] {
  if (!isAttendees(job, scope)) return []
  const { link, plan } = job
  const ofMailbox = plan.crm?.parts ?? []
  const said = [...(link.saidInCrm ?? []), ...(plan.exchange?.parts ?? [])]
  return [...new Set(said)].filter(path => !ofMailbox.includes(path))
}

/** Remembers when an item of the CRM has to be looked at again although nobody changes it. */
function upkeepOf(round: Round, { id, upkeepAt }: SideItem): readonly Waiting[] {
  if (upkeepAt === undefined) return []
  const at = round.context.clock.now()
  const facts = { version: undefined, attemptCount: 0, at, error: undefined, isWanted: false }
  return [{ side: 'crm', id, dueAt: upkeepAt, ...facts }]
}

function settleWithoutMerge(
  round: Round,
  link: Link,
  plan: LinkPlan,
  items: { readonly exchange: SideItem | undefined; readonly crm: SideItem | undefined },
): void {
  if (plan.do === 'forget') round.lone.push({ link, do: 'forget', side: 'crm', item: undefined })
  if (plan.do === 'remove') round.lone.push({ link, do: 'remove', side: plan.from, item: items[plan.from] })
  if (plan.do === 'part') round.lone.push({ link, do: 'part', side: plan.stays, item: items[plan.stays] })
  if (plan.do === 'leave') {
    round.report.skipped += 1
    note(round, 'left', 'exchange', items, { reason: plan.reason })
  }
}

/** All attempts are remembered, not the last one: any of them may be what the other side has. */
function withPending({ context }: Round, { link, exchange, crm, plan }: Job): Link['pending'] {
  const { pending } = link
  return {
    exchange: addPending(pending.exchange, plan.exchange, plan.base),
    crm: addPending(pending.crm, plan.crm, plan.base),
    sent: {
      at: context.clock.now(),
      exchange: plan.exchange ? exchange.version : (pending.sent?.exchange ?? ''),
      crm: plan.crm ? crm.version : (pending.sent?.crm ?? ''),
    },
  }
}

/**
 * What an earlier round wrote, whose answer was lost, may be carried out even now that both sides are equal again, as
 * long as nobody changed the item meanwhile. Until that is over it must not pass for a user's edit.
 */
function stillOnTheWay({ context }: Round, { link: { pending }, plan, ...items }: Job): Link['pending'] | undefined {
  const { sent } = pending
  if (!sent || !mayStillCome(context, sent.at)) return undefined
  const leftOf = (side: Side) => (!plan[side] && items[side].version === sent[side] ? pending[side] : {})
  const left = { exchange: leftOf('exchange'), crm: leftOf('crm') }
  const count = Object.keys(left.exchange).length + Object.keys(left.crm).length
  return count === 0 ? undefined : { ...left, sent }
}

function addPending(pending: PendingStamps, write: PlannedWrite | undefined, merged: Stamps): PendingStamps {
  if (!write) return pending
  const added: Record<string, readonly string[]> = { ...pending }
  for (const path of write.parts) {
    const stamp = merged[path] ?? absentStamp
    const earlier = added[path] ?? []
    if (!earlier.includes(stamp)) added[path] = [...earlier, stamp]
  }
  return added
}

async function waitingOf(round: Round, links: readonly Link[]): Promise<ReadonlyMap<string, Waiting>> {
  const { store, scope } = round.context
  const found = [
    ...(await store.findWaiting(
      scope,
      'exchange',
      links.map(link => link.exchange.id),
    )),
    ...(await store.findWaiting(
      scope,
      'crm',
      links.map(link => link.crm.id),
    )),
  ]
  return new Map(found.map(waiting => [`${waiting.side} ${waiting.id}`, waiting]))
}

/** True while a half is as it was when the other side refused it, and its time has not come. */
function isStillRefused(
  round: Round,
  waiting: ReadonlyMap<string, Waiting>,
  exchange: SideItem,
  crm: SideItem,
): boolean {
  const now = round.context.clock.now()
  return (
    [
      ['exchange', exchange],
      ['crm', crm],
    ] as const
  ).some(([side, { id, version }]) => {
    const row = waiting.get(`${side} ${id}`)
    return row !== undefined && row.version === version && !isDue(row, now)
  })
}
