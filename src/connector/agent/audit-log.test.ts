import { appendFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { silentLog } from '../../kernel/log.ts'
import { systemClock } from '../../kernel/time.ts'
import { type ConnectorWorld, collectingLog } from './agent-world.ts'
import { findAuditBreak, openAuditLog } from './audit-log.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-audit-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

const limits = { auditBytes: 100_000, auditFiles: 4 }
const open = (more: Partial<typeof limits> = {}) =>
  openAuditLog({ dataFolder: folder, clock: systemClock, log: silentLog, limits: () => ({ ...limits, ...more }) })
const files = () => readdirSync(join(folder, 'audit')).toSorted()
const pathOf = (name: string | undefined) => join(folder, 'audit', name ?? '')

test('entries hang together across restarts, and a changed one shows', async () => {
  const first = open()
  first.write('stream.opened', { virtualHost: 'a:1' })
  first.write('stream.closed', { virtualHost: 'a:1' })
  first.close()
  const second = open()
  second.write('stream.opened', { virtualHost: 'b:1' })
  second.close()
  expect(findAuditBreak(folder)).toEqual({ entries: 3 })
  const [name] = files()
  writeFileSync(pathOf(name), readFileSync(pathOf(name), 'utf8').replace('stream.closed', 'stream.opened'))
  expect(findAuditBreak(folder)).toEqual({ entries: 1, brokenAt: 2 })
})

test('a removed line shows; a line that a crash tore does not count', async () => {
  const log = open()
  for (const number of [1, 2, 3]) log.write('x', { number })
  log.close()
  const [name] = files()
  appendFileSync(pathOf(name), '{"number":4,"at":"2026')
  expect(findAuditBreak(folder)).toEqual({ entries: 3 })
  const again = open()
  again.write('x', { number: 4 })
  again.close()
  expect(findAuditBreak(folder)).toEqual({ entries: 4 })
  const lines = readFileSync(pathOf(name), 'utf8').split('\n')
  writeFileSync(pathOf(name), [lines[0], ...lines.slice(2)].join('\n'))
  expect(findAuditBreak(folder)).toMatchObject({ brokenAt: 2 })
})

test('files have a size and a number', async () => {
  const log = open({ auditBytes: 1000, auditFiles: 3 })
  for (let number = 0; number < 60; number++) {
    log.write('x', { number })
    await nextTurn()
  }
  log.close()
  expect(files()).toHaveLength(3)
  for (const name of files()) expect(readFileSync(pathOf(name)).length).toBeLessThan(1400)
  // What is left still hangs together.
  expect(findAuditBreak(folder).brokenAt).toBeUndefined()
})

test('a disk that takes nothing is told once, and the connector goes on', async () => {
  const lines: ConnectorWorld['lines'] = []
  const log = openAuditLog({
    dataFolder: folder,
    clock: systemClock,
    log: collectingLog(lines),
    limits: () => limits,
  })
  await rm(join(folder, 'audit'), { recursive: true })
  log.write('x', {})
  await nextTurn()
  await nextTurn()
  log.write('x', {})
  await nextTurn()
  await nextTurn()
  expect(lines.map(({ event }) => event)).toEqual(['audit.failed'])
  expect(log.isWriting()).toBe(false)
  log.close()
})
