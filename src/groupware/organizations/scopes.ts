import { DAY } from '../../kernel/time.ts'
import type { Scope } from '../drivers.ts'
import type { ItemKind } from '../plan/items.ts'
import type { SyncRules } from '../plan/rules.ts'
import type { Mailbox } from './model.ts'

/** The scope of one kind of a mailbox, with the window that its rules want listed. */
export function scopeOf(mailbox: Mailbox, kind: ItemKind, rules: SyncRules, now: number): Scope {
  const { pastMs, futureMs } = rules.kinds[kind]
  const { series } = rules
  // By whole days, so that a listing asked for again a moment later is the same one.
  const today = Math.floor(now / DAY) * DAY
  return {
    organization: mailbox.organization,
    mailbox: mailbox.address,
    kind,
    owner: mailbox.crmAddress,
    folders: foldersOf(kind, rules),
    from: pastMs === undefined ? null : new Date(today - pastMs).toISOString(),
    to: futureMs === undefined ? null : new Date(today + DAY + futureMs).toISOString(),
    ...(kind === 'appointment' && { series }),
  }
}

/** The folders that a rule asks for; none: the usual ones of the kind. */
export function foldersOf(kind: ItemKind, { kinds }: SyncRules): readonly string[] {
  const { onlyFolder } = kinds[kind]
  return onlyFolder === undefined ? [] : [onlyFolder]
}
