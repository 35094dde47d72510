/**
 * Version 1: the tables of the SQLite store (sqlite/schema-v1.ts), but for bodies, which lie in the row of their content or,
 * when large, in rows of `body_chunk`. Texts compare by their bytes. Small JSON is text: it comes back as it was written.
 */
export const schemaV1 = `
create table flow (
  number integer generated always as identity primary key,
  name text collate "C" not null unique,
  queued bigint not null default 0,
  delivered bigint not null default 0,
  dropped bigint not null default 0,
  rejected bigint not null default 0,
  set_aside bigint not null default 0,
  skipped bigint not null default 0,
  last_accepted_at bigint
);

create table delivery (
  seq bigint primary key,
  flow integer not null,
  state integer not null,
  at bigint not null,
  order_key text,
  flags integer not null,
  attempts integer not null,
  since bigint not null,
  accepted_at bigint not null,
  bytes bigint not null,
  type text not null,
  sha256 text,
  once_keys text[] not null,
  terms text[] not null,
  replay_of bigint,
  summary text,
  error text
) with (fillfactor = 80);
create index delivery_by_flow on delivery (flow, state, seq);

create table content (
  seq bigint primary key,
  headers text not null,
  attributes text not null,
  body bytea
);
alter table content alter column body set storage external;

create table original (
  seq bigint primary key,
  headers text not null,
  bytes bigint not null,
  type text not null,
  sha256 text,
  body bytea
);
alter table original alter column body set storage external;

create table once (
  flow integer not null,
  key text collate "C" not null,
  seq bigint not null,
  primary key (flow, key)
);

create table term (
  word text collate "C" not null,
  seq bigint not null,
  primary key (word, seq)
);

create table receipt (
  number bigint generated always as identity primary key,
  seq bigint not null,
  effect text not null,
  state text not null,
  at bigint not null,
  summary text not null,
  fields text,
  answer_headers text,
  answer_type text,
  answer_body bytea,
  unique (seq, effect)
);

create table attempt (
  number bigint generated always as identity primary key,
  seq bigint not null,
  attempt integer not null,
  at bigint not null,
  error text not null
);
create index attempt_by_delivery on attempt (seq, number);

create table body (
  number bigint generated always as identity primary key,
  sha256 text unique
);

create table body_chunk (
  body bigint not null references body,
  number integer not null,
  bytes bytea not null,
  primary key (body, number)
);
alter table body_chunk alter column bytes set storage external;

create table body_use (
  seq bigint not null,
  sha256 text not null,
  primary key (seq, sha256)
);
create index body_use_by_body on body_use (sha256);

create table record (
  area text collate "C" not null,
  id text collate "C" not null,
  value text not null,
  revision bigint not null,
  primary key (area, id)
);

create table audit (
  number bigint primary key,
  at bigint not null,
  who text not null,
  action text not null,
  detail text not null,
  hash text not null
);

create table lease (
  name text primary key,
  owner text not null,
  until bigint not null,
  fence bigint not null
);

create table fact (
  name text primary key,
  value text not null
);

create table key_map (
  map text collate "C" not null,
  key text collate "C" not null,
  value text not null,
  revision bigint not null,
  at bigint not null,
  primary key (map, key)
);

create table schema_version (version integer not null)
`
