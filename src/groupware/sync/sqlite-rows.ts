import type { SQLOutputValue } from 'node:sqlite'
import type { Side } from '../drivers.ts'
import type { Ghost, Intent, Link, LinkElsewhere, OpenWork, Pair, ScopeState, Unseen, Waiting } from './sync-store.ts'

// How what the sync remembers lies in rows. The rows come from our own strict tables, so their types are known.

export type Row = Record<string, SQLOutputValue>
type Column = SQLOutputValue | undefined

const nothingPending = { exchange: {}, crm: {} }

export function stateOf(row: Row | undefined): ScopeState {
  return {
    tokens: { exchange: optionalText(row?.['exchange_token']), crm: optionalText(row?.['crm_token']) },
    keysComparedAt: optionalNumber(row?.['keys_compared_at']),
    storedAt: optionalNumber(row?.['stored_at']),
    firstRoundAt: optionalNumber(row?.['first_round_at']),
    isBrakeReleased: row?.['is_brake_released'] === 1,
    brakeReleasedAt: optionalNumber(row?.['brake_released_at']),
    admission: admissionOf(row),
    idSpace: optionalText(row?.['id_space']),
    isUnderWay: row?.['is_under_way'] === 1,
  }
}

export function linkOf(row: Row): Link {
  return {
    key: text(row['key']),
    exchange: endOf(row, 'exchange'),
    crm: endOf(row, 'crm'),
    base: JSON.parse(text(row['base'])) as Link['base'],
    pending: row['pending'] === null ? nothingPending : (JSON.parse(text(row['pending'])) as Link['pending']),
    isDirty: row['is_dirty'] === 1,
    role: text(row['role']) as Link['role'],
    held: heldOf(row),
    ...(row['said_in_crm'] !== null && { saidInCrm: JSON.parse(text(row['said_in_crm'])) as readonly string[] }),
  }
}

export function pairOf(row: Row): Pair {
  return { key: text(row['key']), exchange: text(row['exchange_id']), crm: text(row['crm_id']) }
}

/** Columns of a link in the order of its table. */
export function linkColumns(scope: number, link: Link) {
  const { key, exchange, crm, base, pending, isDirty, role, held, saidInCrm = [] } = link
  const isPending = Object.keys(pending.exchange).length + Object.keys(pending.crm).length > 0
  return [
    scope,
    key,
    exchange.id,
    exchange.version,
    exchange.identity,
    crm.id,
    crm.version,
    crm.identity,
    JSON.stringify(base),
    isPending ? JSON.stringify(pending) : null,
    Number(isDirty),
    role,
    held?.side ?? null,
    held ? Math.round(held.at) : null,
    saidInCrm.length > 0 ? JSON.stringify(saidInCrm) : null,
  ]
}

export function elsewhereOf(row: Row): LinkElsewhere {
  const role = text(row['role']) as Link['role']
  return { mailbox: text(row['mailbox']), key: text(row['key']), crmId: text(row['crm_id']), role }
}

export function openWorkOf(row: Row): OpenWork {
  return { organization: text(row['organization']), mailbox: text(row['mailbox']), dueAt: Number(row['due_at']) }
}

export function intentOf(row: Row): Intent {
  return JSON.parse(text(row['content'])) as Intent
}

export function unseenOf(row: Row): Unseen {
  return { side: text(row['side']) as Side, id: text(row['id']), at: Number(row['at']) }
}

export function ghostOf(row: Row): Ghost {
  return {
    side: text(row['side']) as Side,
    id: text(row['id']),
    version: optionalText(row['version']) ?? null,
    reason: text(row['reason']) as Ghost['reason'],
    at: Number(row['at']),
  }
}

export function waitingOf(row: Row): Waiting {
  return {
    side: text(row['side']) as Side,
    id: text(row['id']),
    version: optionalText(row['version']),
    attemptCount: Number(row['attempt_count']),
    dueAt: optionalNumber(row['due_at']),
    at: Number(row['at']),
    error: row['error'] === null ? undefined : (JSON.parse(text(row['error'])) as Waiting['error']),
    isWanted: row['is_wanted'] === 1,
  }
}

function admissionOf(row: Row | undefined): ScopeState['admission'] {
  const kept = optionalText(row?.['admission'])
  return kept === undefined ? undefined : (JSON.parse(kept) as ScopeState['admission'])
}

function heldOf(row: Row): Link['held'] {
  const side = optionalText(row['held_side'])
  return side === undefined ? undefined : { side: side as Side, at: Number(row['held_at']) }
}

function endOf(row: Row, side: Side): Link['exchange'] {
  const identity = optionalText(row[`${side}_identity`]) ?? null
  return { id: text(row[`${side}_id`]), version: text(row[`${side}_version`]), identity }
}

function text(column: Column): string {
  if (typeof column !== 'string') throw new TypeError(`expected text in the groupware store, found ${typeof column}`)
  return column
}

function optionalText(column: Column): string | undefined {
  return typeof column === 'string' ? column : undefined
}

function optionalNumber(column: Column): number | undefined {
  return typeof column === 'number' ? column : undefined
}
