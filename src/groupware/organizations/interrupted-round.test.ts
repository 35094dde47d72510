import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings } from './groupware-world.ts'

// A hub without notifications that asks its mailboxes once a day, and ends in the midst of a round.

const address = 'ada@contoso.com'
let folder: string
let data: string
let world: GroupwareWorld
let ada: ReturnType<GroupwareWorld['addPerson']>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'groupware-'))
  data = join(folder, 'data')
  world = new GroupwareWorld()
  ada = world.addPerson(address)
  const groupware = await world.start(data)
  await groupware.createOrganization('contoso', { ...organizationSettings, every: '1d' })
  await groupware.addList('contoso', address, false)
  await groupware.jobEnded((await groupware.startJob('contoso', 'activate', 'all')).id)
  await until(() => groupware.progressOf(address).firstRoundAt !== undefined)
})
afterEach(async () => {
  await world.groupware.close()
  rmSync(folder, { recursive: true, force: true })
})

/** The disk is a real one: it takes its own time. */
async function until(isSo: () => boolean): Promise<void> {
  for (let turn = 0; turn < 2000 && !isSo(); turn += 1) {
    await sleep(1)
    await world.pass(SECOND / 10)
  }
}

/** Has the hub end as soon as some of the items have come over, in order or by a kill; then it is started again. */
async function endInTheMidst(how: 'stopped' | 'killed'): Promise<void> {
  let closing: Promise<void> | undefined
  const left = join(folder, 'killed')
  world.around.onRequest = (side, name, when) => {
    if (closing || side !== 'crm' || name !== 'create' || when !== 'after') return
    if (how === 'killed') for (const file of readdirSync(data)) cpSync(join(data, file), join(left, file))
    closing = world.groupware.close()
  }
  world.groupware.syncNow(address)
  await until(() => closing !== undefined)
  await closing
  world.around.onRequest = () => undefined
  await world.start(how === 'killed' ? left : data)
}

test.each(['stopped', 'killed'] as const)(
  'a round in whose midst the hub is %s goes on within a minute of its next start',
  async how => {
    for (let number = 0; number < 60; number += 1) ada.mailbox.add(appointment({ subject: String(number) }))
    await endInTheMidst(how)
    const [startedAt, before, { listings }] = [world.clock.now(), ada.crm.held.size, world]
    expect(before).toBeLessThan(60)
    await until(() => world.listings > listings)
    expect(world.clock.now() - startedAt).toBeLessThanOrEqual(MINUTE)
    await until(() => ada.crm.held.size === 60)
    expect(ada.crm.held.size).toBe(60)
  },
)

test('one whose rounds have come to their end is asked when its time comes', async () => {
  ada.mailbox.add(appointment({ subject: 'one' }))
  world.groupware.syncNow(address)
  await until(() => world.groupware.progressOf(address).itemsIn === 1)
  await world.groupware.close()
  await world.start(data)
  const { listings } = world
  await world.pass(HOUR)
  expect(world.listings).toBe(listings)
})
