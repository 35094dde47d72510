import type { DatabaseSync } from 'node:sqlite'
import { storeErrors } from '../../store/errors.ts'

/** Steps from one version of the tables to the next; the number of steps done stands in user_version. */
const steps: readonly string[] = [
  `
  create table scope (
    number integer primary key,
    organization text not null, mailbox text not null, kind text not null,
    exchange_token text, crm_token text,
    keys_compared_at integer, stored_at integer, first_round_at integer,
    is_brake_released integer not null default 0,
    unique (organization, mailbox, kind)
  ) strict;
  create table link (
    scope integer not null, key text not null,
    exchange_id text not null, exchange_version text not null, exchange_identity text,
    crm_id text not null, crm_version text not null, crm_identity text,
    base text not null, pending text,
    is_dirty integer not null, role text not null, held_side text,
    primary key (scope, key)
  ) strict, without rowid;
  create unique index link_exchange on link (scope, exchange_id);
  create unique index link_crm on link (scope, crm_id);
  create index link_identity on link (scope, exchange_identity) where exchange_identity is not null;
  create index link_elsewhere on link (crm_id);
  create index link_dirty on link (scope) where is_dirty = 1;
  create index link_held on link (scope) where held_side is not null;
  create table intent (
    scope integer not null, key text not null, at integer not null, content text not null,
    primary key (scope, key)
  ) strict, without rowid;
  create table ghost (
    scope integer not null, side text not null, id text not null,
    version text, reason text not null, at integer not null,
    primary key (scope, side, id)
  ) strict, without rowid;
  create index ghost_at on ghost (at) where reason = 'deleted';
  create table waiting (
    scope integer not null, side text not null, id text not null,
    version text, attempt_count integer not null, due_at integer, at integer not null, error text,
    primary key (scope, side, id)
  ) strict, without rowid;
  create index waiting_due on waiting (scope, due_at) where due_at is not null`,
  `
  alter table link add column held_at integer;
  update link set held_at = unixepoch() * 1000 where held_side is not null;
  alter table waiting add column is_wanted integer not null default 0`,
  `
  create table unseen (
    scope integer not null, side text not null, id text not null, at integer not null,
    primary key (scope, side, id)
  ) strict, without rowid;
  alter table scope add column brake_released_at integer`,
  'alter table scope add column admission text; alter table scope add column id_space text',
  'alter table scope add column is_under_way integer not null default 0',
  'alter table link add column said_in_crm text',
]

export function migrateSyncStore(database: DatabaseSync): void {
  const found = Number(database.prepare('pragma user_version').get()?.['user_version'] ?? 0)
  if (found > steps.length) throw storeErrors.NEWER({ found, known: steps.length })
  for (let version = found; version < steps.length; version += 1) {
    database.exec(`begin immediate; ${steps[version]}; pragma user_version = ${version + 1}; commit`)
  }
}
