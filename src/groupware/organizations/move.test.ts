import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { MINUTE, SECOND } from '../../kernel/time.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'

const people = Array.from({ length: 30 }, (_, index) => `p${String(index).padStart(2, '0')}@contoso.com`)
const asGraph = { ...organizationSettings, access: 'graph', exchange: { auth: 'graph-app' } }
let folder: string
let world: GroupwareWorld

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'groupware-move-'))
  world = new GroupwareWorld()
})
afterEach(async () => {
  await world.groupware.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The disk is a real one: it takes its own time. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 1000 && !isSo(); turn++) {
    await sleep(5)
    await world.pass(SECOND)
  }
  expect(isSo()).toBe(true)
}

test('a move that is cut off goes on, and no mailbox is listed before its own links went over', async () => {
  for (const person of people) world.addPerson(person).mailbox.add(appointment({ subject: person }))
  const groupware = await world.start(folder)
  await groupware.createOrganization('contoso', organizationSettings)
  await groupware.addList('contoso', people.join('\n'), false)
  await groupware.startJob('contoso', 'activate', 'all')
  await until(() => people.every(person => world.crms.get(person)?.held.size === 1))
  // Each has had a round with the old way to its end.
  await until(() => people.every(person => groupware.progressOf(person).lastRoundAt !== undefined))

  const { promise, resolve } = Promise.withResolvers<void>()
  world.translateGate = promise
  const { move } = await groupware.updateOrganization('contoso', asGraph)
  await world.pass(MINUTE)
  const closing = groupware.close()
  resolve()
  await closing
  expect(groupware.job(move?.id ?? '').endedAt).toBeUndefined()

  world.translateGate = undefined
  world.asked.length = 0
  const again = await world.start(folder)
  await until(() => again.job(move?.id ?? '').endedAt !== undefined)
  expect(again.job(move?.id ?? '')).toMatchObject({ action: 'move', total: 30, done: 30, failedCount: 0 })
  await until(() => people.every(person => world.asked.includes(`list ${person}`)))
  const translated = people.filter(person => world.asked.includes(`translate ${person}`))
  for (const person of translated) {
    expect(world.asked.indexOf(`list ${person}`)).toBeGreaterThan(world.asked.indexOf(`translate ${person}`))
  }
  expect(translated.length).toBeGreaterThan(0)
  for (const person of people) {
    expect([world.mailboxes.get(person)?.held.size, world.crms.get(person)?.held.size]).toEqual([1, 1])
  }
})

test('back and forth again asks for nothing that is there already', async () => {
  const { mailbox } = world.addPerson('ada@contoso.com')
  mailbox.add(appointment())
  const groupware = await world.start()
  await groupware.createOrganization('contoso', organizationSettings)
  await groupware.addList('contoso', 'ada@contoso.com', false)
  await groupware.startJob('contoso', 'activate', 'all')
  await world.pass(5 * MINUTE)
  for (const settings of [asGraph, organizationSettings, asGraph]) {
    const { move } = await groupware.updateOrganization('contoso', settings)
    await world.pass(5 * MINUTE)
    expect(groupware.job(move?.id ?? '')).toMatchObject({ done: 1, failedCount: 0 })
  }
  expect((await groupware.updateOrganization('contoso', asGraph)).move).toBeUndefined()
  expect([mailbox.held.size, world.crms.get('ada@contoso.com')?.held.size]).toEqual([1, 1])
})
