import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import type { JsonObject } from '../../kernel/json.ts'
import { MINUTE } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import { MemoryRecords } from '../records-world.ts'
import { recordingLog } from '../service/service-world.ts'
import { openVault } from '../vault.ts'
import { openAdministrators } from './administrators.ts'
import { openSessions, sessionLimits } from './sessions.ts'
import { totpCode } from './totp.ts'

const password = 'correct horse battery'
const everything = ['AuthGroup.Administrator']

async function administratorsWorld() {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-administrators-'))
  onTestFinished(() => rm(folder, { recursive: true, force: true }))
  const records = new MemoryRecords()
  const clock = new SimulatedClock(Date.now())
  const { log, lines } = recordingLog()
  const keyFile = join(folder, 'master.key')
  return {
    records,
    clock,
    lines,
    keyFile,
    /** As after a start of the hub. */
    async open(kept: Pick<Records, 'list' | 'write' | 'remove'> = records) {
      const vault = await openVault({ records, keyFile })
      return { vault, admins: await openAdministrators({ records: kept, vault, clock, log }) }
    },
  }
}

test('passwords and secrets of authenticators lie nowhere in the clear, and used codes stay used over a restart', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'Anna', password, roles: everything })
  const { secret } = await admins.beginTotp('anna')
  await admins.confirmTotp('anna', totpCode(secret, world.clock.now()))
  await world.clock.advance(MINUTE)
  const attempt = { name: 'anna', password, code: totpCode(secret, world.clock.now()), address: '10.0.0.1' }
  expect(await admins.logIn(attempt)).toMatchObject({ name: 'anna', hasTotp: true })
  for (const text of [password, secret]) {
    expect(world.records.dump()).not.toContain(text)
    expect(world.lines.join()).not.toContain(text)
  }
  const again = await world.open()
  await expect(again.admins.logIn(attempt)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_REFUSED' })
  await world.clock.advance(MINUTE)
  await again.admins.logIn({ ...attempt, code: totpCode(secret, world.clock.now()) })
})

test('a recovery code stands in for the authenticator once, also after a restart, and new codes end the old ones', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'anna', password, roles: everything })
  const { secret } = await admins.beginTotp('anna')
  const codes = await admins.confirmTotp('anna', totpCode(secret, world.clock.now()))
  expect([codes.length, new Set(codes).size, admins.get('anna').recoveryCodesLeft]).toEqual([10, 10, 10])
  for (const code of codes) expect(world.records.dump()).not.toContain(code.replaceAll('-', ''))
  const [first = '', second = '', third = ''] = codes
  const attempt = (code: string, of = admins) => of.logIn({ name: 'anna', password, code, address: '10.0.0.1' })

  expect(await attempt(first)).toMatchObject({ name: 'anna', recoveryCodesLeft: 9 })
  expect(world.lines.join()).toMatch(/admin\.recovery-code-used.*anna.*9/)
  const { admins: again } = await world.open()
  await expect(attempt(first, again)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_REFUSED' })
  // As people type them: small letters, blanks instead of hyphens. Of two at the same moment one gets in.
  const typed = second.toLowerCase().replaceAll('-', ' ')
  const both = await Promise.allSettled([attempt(typed, again), attempt(typed, again)])
  expect(both.map(({ status }) => status).toSorted()).toEqual(['fulfilled', 'rejected'])

  await expect(again.renewRecoveryCodes('anna', 'AAAA-AAAA-AAAA-AAAA')).rejects.toMatchObject({
    code: 'ADMIN_CODE_WRONG',
  })
  for (let guess = 1; guess < 5; guess++) await again.renewRecoveryCodes('anna', '000000').catch(() => {})
  expect(world.lines.filter(line => /code-refused.*recovery codes/.test(line))).toHaveLength(5)
  // Guesses there keep nobody from logging in.
  await expect(again.renewRecoveryCodes('anna', third)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_TOO_OFTEN' })
  await attempt(codes[4] ?? '', again)
  await world.clock.advance(5 * MINUTE)
  const [fresh = ''] = await again.renewRecoveryCodes('anna', third)
  await expect(attempt(codes[3] ?? '', again)).rejects.toMatchObject({ code: 'ADMIN_LOGIN_REFUSED' })
  expect(await attempt(fresh, again)).toMatchObject({ recoveryCodesLeft: 9 })
})

test('an authenticator of before there were recovery codes has none, and gets some', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'anna', password, roles: everything })
  const { secret } = await admins.beginTotp('anna')
  await admins.confirmTotp('anna', totpCode(secret, world.clock.now()))
  const { records } = world
  const ofBefore: Pick<Records, 'list' | 'write' | 'remove'> = {
    write: (...what) => records.write(...what),
    remove: (...what) => records.remove(...what),
    async list(area) {
      return (await records.list(area)).map(record => {
        const { recovery: _codes, ...value } = record.value as JsonObject
        return { ...record, value }
      })
    },
  }
  const { admins: again } = await world.open(ofBefore)
  expect(again.get('anna')).toMatchObject({ hasTotp: true, recoveryCodesLeft: 0 })
  await world.clock.advance(MINUTE)
  expect(await again.renewRecoveryCodes('anna', totpCode(secret, world.clock.now()))).toHaveLength(10)
})

test('authenticators are sealed anew with everything else, and a hub that lost its master key says so', async () => {
  const world = await administratorsWorld()
  const { admins, vault } = await world.open()
  await admins.create({ name: 'anna', password, roles: everything })
  const { secret } = await admins.beginTotp('anna')
  await admins.confirmTotp('anna', totpCode(secret, world.clock.now()))
  const before = world.records.dump()
  expect(await admins.reseal()).toBe(1)
  expect(world.records.dump()).not.toBe(before)
  await vault.retireOldKeys()
  await world.clock.advance(MINUTE)
  const { admins: again } = await world.open()
  const code = totpCode(secret, world.clock.now())
  expect(await again.logIn({ name: 'anna', password, code, address: '10.0.0.1' })).toMatchObject({ hasTotp: true })
  await writeFile(world.keyFile, '')
  await expect(world.open()).rejects.toThrow()
})

test('of two who take the role from each other at one moment one keeps it', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  for (const name of ['anna', 'bert']) await admins.create({ name, password, roles: everything })
  const ended = await Promise.allSettled([
    admins.update('anna', { roles: ['Auditor'] }),
    admins.delete('bert'),
    admins.update('bert', { disabled: true }),
  ])
  expect(ended.map(({ status }) => status)).toEqual(['fulfilled', 'rejected', 'rejected'])
  expect(admins.get('bert')).toMatchObject({ roles: everything, disabledAt: undefined })
})

test('an authenticator goes with its administrator: a new one of that name has none', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'root', password, roles: everything })
  await admins.create({ name: 'anna', password, roles: [] })
  const { secret } = await admins.beginTotp('anna')
  await admins.confirmTotp('anna', totpCode(secret, world.clock.now()))
  await admins.delete('anna')
  const { admins: again } = await world.open()
  await again.create({ name: 'anna', password, roles: [] })
  expect(again.get('anna').hasTotp).toBe(false)
  expect((await again.logIn({ name: 'anna', password, address: '10.0.0.1' })).name).toBe('anna')
})

test('who has a network of IPv6 guesses no more than who has one address', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'anna', password, roles: everything })
  const codes: unknown[] = []
  for (let guess = 1; guess <= 6; guess++) {
    const address = guess % 2 === 0 ? `2001:db8::${guess}` : `2001:db8:0:0:${guess}::`
    const wrong = admins.logIn({ name: 'anna', password: 'not the password', address })
    codes.push(await wrong.catch((error: { readonly code: string }) => error.code))
  }
  expect(codes).toEqual([...Array.from({ length: 5 }, () => 'ADMIN_LOGIN_REFUSED'), 'ADMIN_LOGIN_TOO_OFTEN'])
  expect((await admins.logIn({ name: 'anna', password, address: '2001:db8:0:1::1' })).name).toBe('anna')
})

test('guessing from one address keeps nobody out who is elsewhere', async () => {
  const world = await administratorsWorld()
  const { admins } = await world.open()
  await admins.create({ name: 'anna', password, roles: [] })
  for (let count = 0; count < 5; count++) {
    const wrong = admins.logIn({ name: 'anna', password: 'not the password', address: '10.0.0.1' })
    await expect(wrong).rejects.toMatchObject({ code: 'ADMIN_LOGIN_REFUSED' })
  }
  const blocked = admins.logIn({ name: 'anna', password, address: '10.0.0.1' })
  await expect(blocked).rejects.toMatchObject({ code: 'ADMIN_LOGIN_TOO_OFTEN', retryAfterMs: expect.any(Number) })
  expect((await admins.logIn({ name: 'anna', password, address: '10.0.0.2' })).name).toBe('anna')
})

test('sessions are kept by their digest, end by themselves, and the oldest of too many goes first', async () => {
  const { records, clock } = await administratorsWorld()
  const sessions = await openSessions({ records, clock })
  const ids: string[] = []
  for (let count = 0; count <= sessionLimits.perPerson; count++) {
    await clock.advance(1)
    ids.push(await sessions.begin('anna', '10.0.0.1'))
  }
  expect(new Set(ids).size).toBe(sessionLimits.perPerson + 1)
  for (const id of ids) expect(records.dump()).not.toContain(id)
  const [oldest = '', next = '', kept = ''] = ids
  expect(await sessions.use(oldest)).toBeUndefined()
  expect(await sessions.use(next)).toMatchObject({ administrator: 'anna' })
  expect(await sessions.endAllOf('anna', kept)).toBe(sessionLimits.perPerson - 1)
  const reopened = await openSessions({ records, clock })
  expect(reopened.listOf('anna')).toHaveLength(1)
  expect(await reopened.use(next)).toBeUndefined()
  expect(await reopened.use(kept)).toBeDefined()
  await clock.advance(sessionLimits.idleMs)
  await openSessions({ records, clock })
  expect(await records.list('administrator-session')).toEqual([])
})
