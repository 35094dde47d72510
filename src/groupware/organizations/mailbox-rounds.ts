import { HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Concern } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import { type Decision, type SyncLimits, syncLimits } from '../sync/context.ts'
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
  /** Only these kinds; a notification named them. */
  readonly kinds?: readonly ItemKind[] | undefined
  readonly limits?: SyncLimits
}

/** What all rounds of a mailbox together did. */
export interface RoundsSummary {
  readonly reports: ReadonlyMap<ItemKind, RoundReport>
  readonly isUnfinished: boolean
}

/** Syncs one mailbox, kind after kind. Throws the failure that stopped it; what was done before it stays done. */
export async function syncMailbox(request: RoundsRequest): Promise<RoundsSummary> {
  const { mailbox, rules, drivers, kinds = itemKinds, signal } = request
  const reports = new Map<ItemKind, RoundReport>()
  let isUnfinished = false
  for (const kind of kinds) {
    if (signal.aborted || !isSynced(kind, rules, drivers)) continue
    let report = await oneRound(request, kind)
    const total = report
    for (let again = 1; report.isUnfinished && again < syncLimits.roundsInARow && !signal.aborted; again++) {
      report = await oneRound(request, kind)
      addTo(total, report)
    }
    isUnfinished ||= report.isUnfinished
    reports.set(kind, total)
  }
  request.log.debug('groupware.synced', { mailbox: mailbox.address })
  return { reports, isUnfinished }
}

function oneRound(request: RoundsRequest, kind: ItemKind): Promise<RoundReport> {
  const { mailbox, rules, drivers, store, clock, log, signal, newKey, journal } = request
  return runRound({
    scope: scopeOf(mailbox, kind, rules, clock.now()),
    drivers,
    store,
    rules,
    clock,
    signal,
    newKey,
    limits: request.limits ?? syncLimits,
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
}

/** Whom a failure of a mailbox's rounds stops; what is no failure of a side concerns the mailbox. */
export function concernOf(error: unknown, { exchange, crm }: Drivers): Concern {
  if (!(error instanceof HubError)) return 'mailbox'
  const concerns = [exchange.concerns(error), crm.concerns(error)]
  return concerns.find(each => each === 'either') ?? concerns.find(each => each === 'account') ?? 'mailbox'
}
