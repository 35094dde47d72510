/**
 * Version 1. A delivery is two rows: `delivery` is small and changes, `content` is large and does not, so that the end
 * of a delivery rewrites a hundred bytes and not the message. `seq` is the number behind the id (kernel/id.ts). The bytes
 * of a body lie in its row (`body`), in a segment file (`segment`, `position`, `length`, `crc32`), or, where all of these
 * are null, in a file of their own under their sha256.
 */
export const schemaV1 = `
create table flow (
  number integer primary key,
  name text not null unique,
  queued integer not null default 0,
  delivered integer not null default 0,
  dropped integer not null default 0,
  rejected integer not null default 0,
  set_aside integer not null default 0,
  skipped integer not null default 0,
  last_accepted_at integer
) strict;

create table delivery (
  seq integer primary key,
  flow integer not null,
  state integer not null,
  at integer not null,
  order_key text,
  flags integer not null,
  attempts integer not null,
  since integer not null,
  accepted_at integer not null,
  bytes integer not null,
  type text not null,
  sha256 text,
  once_keys text,
  terms text,
  replay_of integer,
  summary text,
  error text,
  receipts text
) strict;
create index delivery_by_flow on delivery (flow, state);

create table content (
  seq integer primary key,
  headers text not null,
  attributes text not null,
  body blob,
  segment integer,
  position integer,
  length integer,
  crc32 integer
) strict;
create index content_by_segment on content (segment, length) where segment is not null;

create table original (
  seq integer primary key,
  headers text not null,
  bytes integer not null,
  type text not null,
  sha256 text,
  body blob,
  segment integer,
  position integer,
  length integer,
  crc32 integer
) strict;
create index original_by_segment on original (segment, length) where segment is not null;

create table once (
  flow integer not null,
  key text not null,
  seq integer not null,
  primary key (flow, key)
) strict, without rowid;

create table term (
  word text not null,
  seq integer not null,
  primary key (word, seq)
) strict, without rowid;

create table receipt (
  number integer primary key,
  seq integer not null,
  effect text not null,
  state text not null,
  at integer not null,
  summary text not null,
  fields text,
  answer_headers text,
  answer_type text,
  answer_body blob,
  unique (seq, effect)
) strict;

create table attempt (
  number integer primary key,
  seq integer not null,
  attempt integer not null,
  at integer not null,
  error text not null
) strict;
create index attempt_by_delivery on attempt (seq);

create table body_use (
  seq integer not null,
  sha256 text not null,
  primary key (seq, sha256)
) strict, without rowid;
create index body_use_by_body on body_use (sha256);

create table record (
  area text not null,
  id text not null,
  value text not null,
  revision integer not null,
  primary key (area, id)
) strict, without rowid;

create table audit (
  number integer primary key,
  at integer not null,
  who text not null,
  action text not null,
  detail text not null,
  hash text not null
) strict;

create table lease (
  name text primary key,
  owner text not null,
  until integer not null,
  fence integer not null
) strict, without rowid;

create table fact (
  name text primary key,
  value text not null
) strict, without rowid
`
