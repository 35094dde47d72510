import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { formatId } from '../../kernel/id.ts'
import { claim, newDelivery } from '../contract/store-world.ts'
import { migrate, schemaVersion } from './migrations.ts'
import { openSqliteStore } from './open.ts'
import { schemaV1 } from './schema-v1.ts'

let folder: string
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-migrate-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

test('a filled database of version 1 opens under this program with all that is in it', async () => {
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  database.exec(`
    pragma journal_mode = wal;
    ${schemaV1};
    pragma user_version = 1;
    insert into flow (number, name, queued, delivered, set_aside, last_accepted_at) values (4, 'orders', 2, 1, 1, 1704);
    insert into delivery values
      (1001, 4, 3, 1800, 'a', 1, 1, 1700, 1700, 3, 'text/plain', null, '["k1"]', '["<1@x>"]', null, '250 Ok', null,
        '[{"effect":"to[0]","state":"done","at":1800,"summary":"250 Ok"}]'),
      (1002, 4, 6, 1801, 'b', 1, 3, 1701, 1701, 3, 'text/plain', null, null, null, null, 'gave up',
        '{"code":"SMTP_REFUSED","side":"receiver","message":"no","next":"wait"}', null),
      (1003, 4, 2, 1702, 'b', 1, 0, 1702, 1702, 3, 'text/plain', null, null, null, null, null, null, null),
      (1004, 4, 2, 9000, 'c', 5, 2, 1703, 1703, 3, 'text/plain', null, null, null, 1001, null,
        '{"code":"SMTP_REFUSED","side":"receiver","message":"no","next":"wait"}', null);
    insert into content values (1001, '{"a":"1"}', '{}', x'010203', null, null, null, null), (1002, '{}', '{}', x'010203', null, null, null, null),
      (1003, '{}', '{}', x'010203', null, null, null, null), (1004, '{"d":"4"}', '{"n":1}', x'040506', null, null, null, null);
    insert into once values (4, 'k1', 1001);
    insert into term values ('<1@x>', 1001);
    insert into receipt (seq, effect, state, at, summary) values (1004, 'to[0]', 'intended', 1900, '');
    insert into attempt (seq, attempt, at, error) values
      (1004, 2, 1900, '{"code":"SMTP_REFUSED","side":"receiver","message":"no","next":"wait"}');
    insert into record values ('credential', 'm365', '{"kind":"basic"}', 7)`)
  database.close()

  const store = await openSqliteStore({ folder })
  expect(await store.counts('orders')).toMatchObject({ accepted: 4, queued: 2, delivered: 1, setAside: 1 })
  expect(await store.get(formatId(1001))).toMatchObject({
    summary: '250 Ok',
    receipts: [{ effect: 'to[0]', state: 'done' }],
  })
  expect(await store.get(formatId(1003))).toMatchObject({ heldBy: formatId(1002) })
  expect(await store.find({ term: '<1@x>', limit: 9 })).toMatchObject([{ id: formatId(1001) }])
  expect(await store.accept(newDelivery({ keys: ['k1'] }))).toEqual({ id: formatId(1001), duplicate: true })
  expect(await store.read('credential', 'm365')).toEqual({ value: { kind: 'basic' }, revision: 7 })
  expect(await store.wake(8000)).toBe(1)
  const [due, ...others] = await claim(store, { now: 8000 })
  expect(others).toEqual([])
  expect(due).toMatchObject({
    id: formatId(1004),
    attemptCount: 2,
    attributes: { n: 1 },
    receipts: [{ state: 'intended' }],
  })
  await store.close()
})

test('a new database has the version of this program, and a second start changes nothing', () => {
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  const schema = () => database.prepare('select sql from sqlite_schema order by name').all()
  migrate(database)
  const first = schema()
  expect(first.length).toBeGreaterThan(10)
  expect(database.prepare('pragma user_version').get()).toEqual({ user_version: schemaVersion })
  migrate(database)
  expect(schema()).toEqual(first)
  database.close()
})

test('a step that fails leaves the database as it was', () => {
  const database = new DatabaseSync(join(folder, 'isthmus.db'))
  database.exec('create table audit (mine text)')
  expect(() => migrate(database)).toThrow('audit')
  expect(database.prepare('select name from sqlite_schema').all()).toEqual([{ name: 'audit' }])
  expect(database.prepare('pragma user_version').get()).toEqual({ user_version: 0 })
  database.close()
})

test('programs that do not look for intents in the row of a delivery are kept out', () => {
  // Those know version 2 at most, and refuse a newer database with STORE_NEWER.
  expect(schemaVersion).toBeGreaterThan(2)
})
