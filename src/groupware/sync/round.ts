import type { Side } from '../drivers.ts'
import { type Admission, admissionOf, changeOfAdmission, isSameAdmission } from '../plan/admission.ts'
import { planContextOf, type RoundContext } from './context.ts'
import { settleLoneHalves } from './lone-halves.ts'
import { mergeLinks } from './merge-links.ts'
import { type Pulled, pullChanges } from './pull.ts'
import { replayIntents } from './replay.ts'
import { emptyReport, type Round, type RoundReport } from './round-state.ts'
import { isEmptyWrite, type Link, type Pair, type ScopeState, type SyncStore, type Unseen } from './sync-store.ts'
import { takeIn } from './take-in.ts'

/**
 * One round of one kind of one mailbox: settle what an earlier round left open, ask both sides what changed, merge what
 * belongs together, take in what is new, carry deletions over. How far each side was read is stored last: a round that
 * is cut off anywhere is repeated, and what it did is recognised. Throws the failure that stopped it.
 */
export async function runRound(context: RoundContext): Promise<RoundReport> {
  const begun = { hasWritten: false }
  const round: Round = {
    context: { ...context, store: storeOf(context, begun) },
    plan: planContextOf(context),
    report: emptyReport(),
    intents: new Map(),
    brought: { exchange: new Map(), crm: new Map() },
    broughtCount: context.broughtCount ?? { exchange: 0, crm: 0 },
    recalled: { exchange: new Set(), crm: new Set() },
    listed: {},
    unreadable: { exchange: new Map(), crm: new Map() },
    lone: [],
  }
  try {
    return await goThrough(round, begun)
  } finally {
    for (const side of ['exchange', 'crm'] as const) round.broughtCount[side] -= round.brought[side].size
  }
}

/** The store of a round, whose first write says that it is under way: a hub that ends in its midst goes on with it. */
function storeOf({ store }: RoundContext, begun: Begun): SyncStore {
  return {
    ...store,
    write(scope, change) {
      if (begun.hasWritten || isEmptyWrite(change)) return store.write(scope, change)
      begun.hasWritten = true
      return store.write(scope, { ...change, begins: true })
    },
  }
}

interface Begun {
  hasWritten: boolean
}

async function goThrough(round: Round, begun: Begun): Promise<RoundReport> {
  const { context } = round
  const { store, scope } = context
  const state = await store.readScope(scope)
  // Rules that a person made wider are of no use to items that were told before; narrower ones take nothing back.
  const { extent } = context.drivers.crm.abilities(scope.kind)
  const wanted = admissionOf(context.rules, scope, extent)
  const change = changeOfAdmission(state.admission, wanted)
  if (change.compares) await store.write(scope, { areAllDirty: true })
  if (change.formerMark !== undefined) round.plan = { ...round.plan, formerMark: change.formerMark }
  const tokens = change.lists ? { exchange: undefined, crm: undefined } : state.tokens
  await replayIntents(round)
  const exchange = await pullChanges(round, 'exchange', tokens.exchange)
  const crm = await pullChanges(round, 'crm', tokens.crm)
  round.report.isFull = exchange.isFull || crm.isFull
  if (exchange.isFull) round.listed.exchange = exchange.touched
  if (crm.isFull) round.listed.crm = crm.touched
  await recallWaiting(round)
  await recallUnseen(round, { exchange, crm })
  const keysComparedAt = await compareKeys(round, { exchange, crm }, state)

  const work = await findWork(round, { exchange, crm }, state.isBrakeReleased)
  await mergeLinks(round, work.links)
  await takeIn(round, 'exchange', work.unlinked.exchange)
  await takeIn(round, 'crm', work.unlinked.crm)
  await settleLoneHalves(round, state)
  round.report.openIntents = round.intents.size
  round.report.dueAt = await nextDueAt(round)
  round.report.held = await store.countHeld(scope)
  await storeState(round, begun, state, wanted, { exchange, crm }, keysComparedAt)
  return round.report
}

/** Nothing tells of what waits: neither a lost answer nor a refused item is a change of a side. */
async function nextDueAt({ context: { store, scope, clock, limits }, intents }: Round): Promise<number> {
  const oldestAt = Math.min(...intents.values().map(({ at }) => at))
  return Math.min(oldestAt + limits.lateMs, await store.nextWaitingAt(scope, clock.now()))
}

/** The last write of a round. A quiet one only moves tokens, whose older ones serve as well for a while. */
async function storeState(
  round: Round,
  begun: Begun,
  state: ScopeState,
  wanted: Admission,
  { exchange, crm }: Readonly<Record<Side, Pulled>>,
  keysComparedAt: number | undefined,
): Promise<void> {
  const { store, scope, clock, limits } = round.context
  const now = clock.now()
  const { told, isUnfinished, isPostponed, openIntents } = round.report
  const seen = await findSeen(round, { exchange, crm })
  await store.write(scope, { dropUnseen: seen.gone })
  const isQuiet = told.exchange === 0 && told.crm === 0 && keysComparedAt === state.keysComparedAt
  const isFresh = state.storedAt !== undefined && !isPast(state.storedAt, limits.tokenRestMs, now)
  const areRulesKept = isSameAdmission(state.admission, wanted)
  const isUnderWay = isUnfinished || isPostponed || openIntents > 0
  const isAsBefore = !begun.hasWritten && isUnderWay === state.isUnderWay
  if (isQuiet && isFresh && areRulesKept && isAsBefore && !round.report.isFull && !state.isBrakeReleased) return
  const isListed = exchange.isFull && crm.isFull
  const listedTo = isListed || !state.admission ? wanted.listedTo : state.admission.listedTo
  await store.write(scope, {
    dropUnseen: seen.told,
    state: {
      tokens: { exchange: exchange.token, crm: crm.token },
      keysComparedAt,
      storedAt: now,
      firstRoundAt: state.firstRoundAt ?? now,
      admission: { ...wanted, listedTo },
      idSpace: round.context.drivers.exchange.idSpace,
      isUnderWay,
      ...(state.isBrakeReleased && { isBrakeReleased: false, brakeReleasedAt: now }),
    },
  })
}

async function recallWaiting(round: Round): Promise<void> {
  const { store, scope, clock } = round.context
  for (const { side, id } of await store.dueWaiting(scope, clock.now())) round.recalled[side].add(id)
}

/** Halves of links of which their side has never told may have gone meanwhile: reading them says. */
async function recallUnseen(round: Round, pulled: Readonly<Record<Side, Pulled>>): Promise<void> {
  const { store, scope } = round.context
  for (const { side, id } of await store.unseen(scope)) {
    if (!pulled[side].touched.has(id)) round.recalled[side].add(id)
  }
}

/** Those that need no looking after any more: with the new tokens their sides have told of them, or they are gone. */
async function findSeen(
  round: Round,
  pulled: Readonly<Record<Side, Pulled>>,
): Promise<{ readonly told: readonly Unseen[]; readonly gone: readonly Unseen[] }> {
  const { store, scope, clock, limits } = round.context
  const since = clock.now() - limits.unseenMs
  const all = await store.unseen(scope)
  if (all.length === 0) return { told: [], gone: [] }
  const told = all.filter(({ side, id }) => pulled[side].touched.has(id))
  const gone: Unseen[] = []
  for (const side of ['exchange', 'crm'] as const) {
    const untold = all.filter(one => one.side === side && !pulled[side].touched.has(one.id))
    const ids = untold.map(({ id }) => id)
    const linked = new Set((await store.findLinks(scope, side, ids)).map(link => link[side].id))
    // Some sides never tell of items outside the window that they watch.
    gone.push(...untold.filter(({ id, at }) => !linked.has(id) || at < since))
  }
  return { told, gone }
}

/**
 * Finds what may have gone without a word: after a full listing all links whose item was not listed, and from time to
 * time all links whose key a side without deletions no longer has. Whether it is gone, reading it says.
 */
async function compareKeys(
  round: Round,
  pulled: Readonly<Record<Side, Pulled>>,
  state: ScopeState,
): Promise<number | undefined> {
  const { scope, drivers, clock, limits, signal } = round.context
  let keysComparedAt = state.keysComparedAt
  const present: Partial<Record<Side, ReadonlySet<string> | ReadonlyMap<string, unknown>>> = {}
  for (const side of ['exchange', 'crm'] as const) {
    if (pulled[side].isFull) present[side] = pulled[side].touched
    const driver = drivers[side]
    const isDue = keysComparedAt === undefined || isPast(keysComparedAt, limits.keysEveryMs, clock.now())
    if (driver.abilities(scope.kind).tellsDeletions || !driver.keys || (!isDue && !pulled[side].isFull)) continue
    present[side] = await driver.keys(scope, signal)
    keysComparedAt = clock.now()
  }
  if (present.exchange || present.crm) {
    for await (const link of allPairs(round)) {
      for (const side of ['exchange', 'crm'] as const) {
        if (!present[side] || present[side].has(link[side])) continue
        round.recalled[side].add(link[side])
        // A feed may bring what is gone by now.
        if (round.brought[side].delete(link[side])) round.broughtCount[side] -= 1
      }
    }
  }
  return keysComparedAt
}

/** True so long after a time, and where it lies ahead: then the clock was set back meanwhile, perhaps by years. */
function isPast(at: number, afterMs: number, now: number): boolean {
  return now < at || now - at >= afterMs
}

/** Which links have to be compared, and which items have none. */
async function findWork(
  round: Round,
  pulled: Readonly<Record<Side, Pulled>>,
  isBrakeReleased: boolean,
): Promise<{ readonly links: readonly Link[]; readonly unlinked: Readonly<Record<Side, readonly string[]>> }> {
  const { store, scope } = round.context
  const links = new Map<string, Link>()
  const unlinked: Record<Side, string[]> = { exchange: [], crm: [] }
  for (const link of await store.openLinks(scope, 'dirty')) links.set(link.key, link)
  if (isBrakeReleased) for (const link of await store.openLinks(scope, 'held')) links.set(link.key, link)
  for (const side of ['exchange', 'crm'] as const) {
    const ids = [...new Set([...pulled[side].touched.keys(), ...round.recalled[side]])]
    const found = new Map((await store.findLinks(scope, side, ids)).map(link => [link[side].id, link]))
    for (const id of ids) {
      const link = found.get(id)
      if (!link) unlinked[side].push(id)
      else if (!isOwnEcho(round, side, link, pulled[side].touched.get(id))) links.set(link.key, link)
    }
  }
  return { links: [...links.values()], unlinked }
}

/** The change that we made ourselves comes back: its version is the one that our write was answered with. */
function isOwnEcho(round: Round, side: Side, link: Link, version: string | undefined): boolean {
  const isRecalled = round.recalled[side].has(link[side].id)
  return !link.isDirty && !isRecalled && version !== undefined && version === link[side].version
}

async function* allPairs({ context: { store, scope, limits } }: Round): AsyncGenerator<Pair> {
  let after: string | undefined
  do {
    const page = await store.listPairs(scope, after, limits.pairsPerPage)
    yield* page
    after = page.length < limits.pairsPerPage ? undefined : page.at(-1)?.key
  } while (after !== undefined)
}
