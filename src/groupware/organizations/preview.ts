import type { Log } from '../../kernel/log.ts'
import type { Clock } from '../../kernel/time.ts'
import type { CreateOutcome, Creation, SideDriver, WriteOutcome } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import { type Decision, type SyncLimits, syncLimits } from '../sync/context.ts'
import { runRound } from '../sync/round.ts'
import { openSyncStore } from '../sync/sqlite-sync-store.ts'
import type { Drivers } from './access-test.ts'
import { organizationLimits as limits } from './limits.ts'
import type { Mailbox } from './model.ts'
import { itemKinds } from './rules-input.ts'
import { scopeOf } from './scopes.ts'

/** What the first sync of a mailbox would do. Nothing is written, on neither side. */
export interface Preview {
  readonly mailbox: string
  readonly counts: Readonly<Partial<Record<ItemKind, Readonly<Partial<Record<Decision['what'], number>>>>>>
  /** The first of them, one by one. */
  readonly items: readonly (Decision & { readonly kind: ItemKind })[]
  readonly hasMore: boolean
}

/**
 * Runs the real rounds over an empty memory, with drivers whose writes only pretend. What is linked already is found by
 * its marks, and told as such.
 */
export async function previewMailbox(request: {
  readonly mailbox: Mailbox
  readonly rules: SyncRules
  readonly drivers: Drivers
  readonly clock: Clock
  readonly log: Log
  readonly signal: AbortSignal
  readonly newKey: () => string
  readonly limits?: SyncLimits
}): Promise<Preview> {
  const { mailbox, rules, drivers, clock, log, signal, newKey } = request
  const store = openSyncStore({ file: ':memory:' })
  const counts: Partial<Record<ItemKind, Partial<Record<Decision['what'], number>>>> = {}
  const items: (Decision & { kind: ItemKind })[] = []
  let total = 0
  try {
    for (const kind of itemKinds) {
      if (!isSynced(kind, rules, drivers)) continue
      const ofKind: Partial<Record<Decision['what'], number>> = {}
      counts[kind] = ofKind
      await runRound({
        scope: scopeOf(mailbox, kind, rules, clock.now()),
        drivers: { exchange: pretend(drivers.exchange), crm: pretend(drivers.crm) },
        store,
        rules,
        clock,
        signal,
        newKey,
        limits: request.limits ?? syncLimits,
        log,
        journal(decision) {
          total++
          ofKind[decision.what] = (ofKind[decision.what] ?? 0) + 1
          if (items.length < limits.previewItems) items.push({ ...decision, kind })
        },
      })
    }
    return { mailbox: mailbox.address, counts, items, hasMore: total > items.length }
  } finally {
    await store.close()
  }
}

/** True when a kind is on and both sides can hold it. */
export function isSynced(kind: ItemKind, rules: SyncRules, drivers: Drivers): boolean {
  return rules.kinds[kind].direction !== 'off' && areHeld(kind, drivers)
}

/** True when both sides can hold items of a kind. */
export function areHeld(kind: ItemKind, { exchange, crm }: Drivers): boolean {
  return exchange.abilities(kind).holds && crm.abilities(kind).holds
}

/** The same side, on which nothing is done: every write is answered as if it had been. */
function pretend(driver: SideDriver): SideDriver {
  let count = 0
  const done = (id: string): CreateOutcome & WriteOutcome => ({ state: 'done', id, version: 'preview', identity: null })
  return {
    side: driver.side,
    abilities: kind => driver.abilities(kind),
    changes: (scope, token, signal) => driver.changes(scope, token, signal),
    ...(driver.keys && { keys: driver.keys.bind(driver) }),
    ...(driver.findAlike && { findAlike: driver.findAlike.bind(driver) }),
    read: (scope, ids, signal) => driver.read(scope, ids, signal),
    findByMark: (scope, marks, signal) => driver.findByMark(scope, marks, signal),
    findByIdentity: (scope, identities, signal) => driver.findByIdentity(scope, identities, signal),
    create: async (_scope, items: readonly Creation[]) =>
      items.map(({ item }): CreateOutcome => {
        const error = driver.refusal?.(item)
        return error ? { state: 'refused', error } : done(`preview-${++count}`)
      }),
    update: async (_scope, changes) => changes.map(change => done(change.id)),
    remove: async (_scope, removals) => removals.map(removal => done(removal.id)),
    normalise: item => driver.normalise(item),
    concerns: error => driver.concerns(error),
  }
}
