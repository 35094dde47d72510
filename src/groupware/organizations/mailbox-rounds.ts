import { HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Concern } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import type { Claims } from '../sync/claims.ts'
import { type Decision, type RoundContext, type SyncLimits, syncLimits } from '../sync/context.ts'
import { InStep } from '../sync/in-step.ts'
import { runRound } from '../sync/round.ts'
import type { RoundReport } from '../sync/round-state.ts'
import type { SyncStore } from '../sync/sync-store.ts'
import type { Drivers } from './access-test.ts'
import type { Mailbox } from './model.ts'
import { isSynced } from './preview.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

export interface RoundsRequest {
  readonly mailbox: Mailbox
  readonly rules: SyncRules
  readonly drivers: Drivers
  readonly store: SyncStore
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly newKey: () => string
  readonly journal: (kind: ItemKind, decision: Decision) => void
  /** Shared by all mailboxes. */
  readonly claims: Claims
  /** Only these kinds; a notification named them. */
  readonly kinds?: readonly ItemKind[] | undefined
  readonly limits?: SyncLimits
}

/** What all rounds of a mailbox together did. */
export interface RoundsSummary {
  readonly reports: ReadonlyMap<ItemKind, RoundReport>
  readonly isUnfinished: boolean
  /** When something that waits is to be looked at again; Infinity: never. */
  readonly dueAt: number
  /** Other mailboxes that have something to do now. */
  readonly concerned: ReadonlySet<string>
}

/**
 * Syncs one mailbox, its kinds in step, so that they share requests. One that fails leaves the others alone; its failure is
 * thrown when all have ended, and what was done stays done.
 */
export async function syncMailbox(request: RoundsRequest): Promise<RoundsSummary> {
  const { mailbox, rules, drivers, signal } = request
  const kinds = (request.kinds ?? itemKinds).filter(kind => isSynced(kind, rules, drivers))
  const step = new InStep(kinds.length)
  const together: KindRequest = {
    ...request,
    drivers: step.driversOf(drivers),
    // Of this turn alone: what is asked with one signal shares requests.
    signal: AbortSignal.any([signal]),
    broughtCount: { exchange: 0, crm: 0 },
  }
  const reports = new Map<ItemKind, RoundReport>()
  const ended = await Promise.allSettled(
    kinds.map(async kind => reports.set(kind, await syncKind(together, kind).finally(() => step.leave()))),
  )
  if (step.failure) throw step.failure
  for (const each of ended) if (each.status === 'rejected') throw each.reason
  request.log.debug('groupware.synced', { mailbox: mailbox.address })
  return {
    reports,
    isUnfinished: reports.values().some(report => report.isUnfinished || report.isPostponed),
    dueAt: Math.min(...reports.values().map(({ dueAt }) => dueAt)),
    concerned: new Set(reports.values().flatMap(({ concerned }) => concerned)),
  }
}

type KindRequest = RoundsRequest & Required<Pick<RoundContext, 'broughtCount'>>

/** What the rounds of one kind did: further ones follow at once while something is left. */
async function syncKind(request: KindRequest, kind: ItemKind): Promise<RoundReport> {
  const total = await oneRound(request, kind)
  for (let again = 1; total.isUnfinished && again < syncLimits.roundsInARow && !request.signal.aborted; again++) {
    addTo(total, await oneRound(request, kind))
  }
  return total
}

function oneRound(request: KindRequest, kind: ItemKind): Promise<RoundReport> {
  const { mailbox, rules, drivers, store, clock, log, signal, newKey, journal, broughtCount, claims } = request
  return runRound({
    scope: scopeOf(mailbox, kind, rules, clock.now()),
    drivers,
    store,
    rules,
    clock,
    signal,
    newKey,
    limits: request.limits ?? syncLimits,
    broughtCount,
    claims,
    log,
    journal: decision => journal(kind, decision),
  })
}

function addTo(total: RoundReport, more: RoundReport): void {
  for (const name of ['told', 'created', 'updated', 'removed'] as const) {
    total[name].exchange += more[name].exchange
    total[name].crm += more[name].crm
  }
  for (const name of ['linked', 'skipped', 'conflicts', 'refused'] as const) total[name] += more[name]
  total.held = more.held
  total.openIntents = more.openIntents
  total.dueAt = more.dueAt
  total.isUnfinished = more.isUnfinished
  total.isPostponed = more.isPostponed
  for (const mailbox of more.concerned) total.concerned.add(mailbox)
}

/** Whom a failure of a mailbox's rounds stops; what is no failure of a side concerns the mailbox. */
export function concernOf(error: unknown, { exchange, crm }: Drivers): Concern {
  if (!(error instanceof HubError)) return 'mailbox'
  const concerns = [exchange.concerns(error), crm.concerns(error)]
  return concerns.find(each => each === 'either') ?? concerns.find(each => each === 'account') ?? 'mailbox'
}
