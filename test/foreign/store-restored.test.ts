import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import {
  accept,
  claim,
  claimOne,
  delivered,
  receiptOf,
  replayInTurn,
  retryLater,
  startedAt,
} from '../../src/store/contract/store-world.ts'
import { lifeRecord } from '../../src/store/life-record.ts'
import type { PostgresAddress } from '../../src/store/postgres/connection.ts'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { type AsideRequest, setWaitingAside } from '../../src/store/postgres/set-waiting-aside.ts'
import { GuideMachine } from '../hub/guide.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'
import { postgresqlPrograms } from './servers/postgresql-programs.ts'

const now = startedAt + 60_000

describeForeign('a database that was put back to an earlier state', ['postgresql', 'openssl'], () => {
  let server: Postgresql
  let folder: string
  let schemas = 0

  beforeAll(async () => {
    server = await startPostgresql()
    folder = mkdtempSync(join(tmpdir(), 'isthmus-restored-'))
  })
  afterAll(async () => {
    await server?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const newSchema = () => server.address(`restored_${++schemas}`)
  const open = (address: PostgresAddress) => openPostgresStore({ address, owner: 'hub-1' })
  const aside = (address: PostgresAddress, changes: Partial<AsideRequest> = {}) =>
    setWaitingAside({
      address,
      who: 'anna@db',
      now,
      switches: [{ area: 'groupware-organization', field: 'isPaused' }],
      signal: new AbortController().signal,
      onProgress: () => {},
      ...changes,
    })

  /** One of PostgreSQL's own programs. */
  function postgres(
    program: string,
    { host, port, user, password, database }: PostgresAddress,
    args: readonly string[],
  ) {
    const address = [`--host=${host}`, `--port=${port}`, `--username=${user}`, `--dbname=${database}`]
    execFileSync(join(postgresqlPrograms, program), [...address, ...args], {
      env: { ...process.env, PGPASSWORD: password },
      stdio: 'pipe',
    })
  }

  test('what waited at the time of the dump is set aside, holding its order key; what arrived since is not sent again', async () => {
    const address = newSchema()
    const before = await open(address)
    const ids: string[] = []
    for (let number = 0; number < 6; number++) {
      ids.push(await accept(before, { orderKey: `order ${number % 2}`, acceptedAt: startedAt + number }))
    }
    const [first] = await claim(before)
    if (!first) throw new Error('nothing to claim')
    await before.finish(first, delivered())
    const next = await claimOne(before, { max: 1 })
    await before.receipt(next, receiptOf('to[0]', { state: 'intended' }))
    await before.retry(next, retryLater({ awaitsChange: true }))
    const probe = await accept(before, { isProbe: true })
    await before.write(lifeRecord.area, lifeRecord.id, { v: 1, underWay: {} })
    await before.write('groupware-organization', 'contoso', { isPaused: false, every: 10 })
    await before.write('groupware-organization', 'fabrikam', { isPaused: true })
    await before.audit({ at: startedAt, who: 'admin', action: 'one', detail: {} })

    const dump = join(folder, 'monday.dump')
    postgres('pg_dump', address, ['--format=custom', `--schema=${address.schema}`, `--file=${dump}`])
    for (const one of await claim(before, { now, places: { orders: 9 } }))
      await before.finish(one, delivered({ at: now }))
    await expect(aside(address)).rejects.toMatchObject({ code: 'STORE_OWNED' })
    await before.close()
    await server.admin(`drop schema ${address.schema} cascade`)
    postgres('pg_restore', address, [dump])

    expect(await aside(address)).toEqual({ setAside: 5, paused: ['contoso'], knownTo: startedAt + 5 })
    const restored = await open(address)
    expect(await restored.counts('orders')).toMatchObject({ accepted: 6, queued: 0, delivered: 1, setAside: 5 })
    const about = await restored.get(ids[3] ?? '')
    expect(about).toMatchObject({ state: 'set-aside', at: now, error: { code: 'STORE_RESTORED', side: 'hub' } })
    expect(about?.error?.next).toContain(ids[3])
    expect(await restored.get(next.id)).toMatchObject({ awaitsChange: false, receipts: [{ state: 'intended' }] })
    // A probe carries nothing.
    expect((await restored.get(probe))?.state).toBe('queued')
    expect(await restored.read(lifeRecord.area, lifeRecord.id)).toBeUndefined()
    expect(await restored.read('groupware-organization', 'contoso')).toMatchObject({
      value: { isPaused: true, every: 10 },
    })
    expect(await restored.auditLog({ limit: 5 })).toMatchObject([
      { who: 'anna@db', action: 'store.restore', detail: { setAside: 5, paused: ['contoso'] } },
      { action: 'one' },
    ])
    expect(await restored.auditBreak()).toBeUndefined()

    // What is new does not overtake what is in doubt of its key.
    const later = await accept(restored, { orderKey: 'order 1', acceptedAt: now })
    expect((await claim(restored, { now })).map(({ id }) => id)).toEqual([probe])
    const odd = ids.filter((_, index) => index % 2 === 1)
    expect(await replayInTurn(restored, odd, now)).toEqual(odd)
    expect((await claimOne(restored, { now })).id).toBe(later)
    await restored.close()
  })

  test('also where more wait than are set aside together, in several flows; ended in its midst, nothing is', async () => {
    const address = newSchema()
    const store = await open(address)
    const accepted = Array.from({ length: 2300 }, (_, index) =>
      accept(store, { flow: index % 10 === 0 ? 'few' : 'many' }),
    )
    await Promise.all(accepted)
    await store.close()
    const ending = new AbortController()
    const onProgress = () => ending.abort(new Error('Ctrl-C'))
    await expect(aside(address, { signal: ending.signal, onProgress })).rejects.toThrow('Ctrl-C')
    const untouched = await open(address)
    expect(await untouched.counts('many')).toMatchObject({ queued: 2070, setAside: 0 })
    await untouched.close()

    const told: number[] = []
    expect(await aside(address, { onProgress: count => told.push(count) })).toMatchObject({ setAside: 2300 })
    expect(told.at(-1)).toBe(2300)
    expect(told.length).toBeGreaterThan(2)
    const restored = await open(address)
    expect(await restored.counts('many')).toMatchObject({ queued: 0, setAside: 2070 })
    expect(await restored.counts('few')).toMatchObject({ queued: 0, setAside: 230 })
    expect(await restored.find({ state: 'queued', limit: 10 })).toEqual([])
    await restored.close()
  })

  test('isthmus store restored says what it did, and that a data folder needs none of it', async () => {
    const address = newSchema()
    const { host, port, user, schema } = address
    const environment = { ISTHMUS_POSTGRES_PASSWORD: 'pw' }
    const machine = new GuideMachine({ folder, environment, replacements: [] })
    const configure = (settings: object) =>
      writeFileSync(join(folder, 'isthmus.yaml'), stringify({ flows: [], ...settings }))
    configure({})
    expect(await machine.try('isthmus store restored')).toMatchObject({
      code: 2,
      output: expect.stringContaining('STORE_NOT_IN_POSTGRES'),
    })
    configure({ store: { postgres: { host, port, user, schema } } })
    expect(await machine.run('isthmus store restored')).toContain('The database is empty')
    const store = await open(address)
    await accept(store, { acceptedAt: startedAt })
    await store.close()
    const output = await machine.run('isthmus store restored')
    expect(output).toContain('The last that the database knows of was at 2026-01-05T08:00:00.000Z.')
    expect(output).toContain('1 message that waited then may have arrived since')
    expect(await machine.run('isthmus store restored')).toContain('0 messages')
  })
})
