import { getEventListeners } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { skipWords } from '../plan/rules.ts'
import { appointment } from '../sync/sides-world.ts'
import { GroupwareWorld, organizationSettings, refusal, worldErrors } from './groupware-world.ts'

let world: GroupwareWorld

beforeEach(() => {
  world = new GroupwareWorld()
})

afterEach(async () => {
  await world.groupware.close()
})

const subjects = (held: ReadonlyMap<string, { readonly item: { readonly kind: string; readonly subject?: string } }>) =>
  [...held.values()].map(({ item }) => item.subject ?? '').toSorted()

async function contosoWith(...people: string[]) {
  const groupware = await world.start()
  await groupware.createOrganization('contoso', organizationSettings)
  await groupware.addList('contoso', people.join('\n'), false)
  return groupware
}

async function activateAll() {
  const { groupware } = world
  const job = await groupware.startJob('contoso', 'activate', 'all')
  await world.pass(SECOND)
  return groupware.jobEnded(job.id)
}

describe('bulk activation', () => {
  test('syncs every mailbox that can be reached, in both directions, and says of the others why', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const ben = world.addPerson('ben@contoso.com')
    ada.mailbox.add(appointment({ subject: 'from the mailbox' }))
    ben.crm.add(appointment({ subject: 'from the CRM' }))
    const groupware = await contosoWith('ada@contoso.com', 'ben@contoso.com', 'gone@contoso.com')
    const job = await activateAll()
    expect(job).toMatchObject({ total: 3, done: 3, failedCount: 1 })
    expect(job.failures).toEqual([
      { mailbox: 'gone@contoso.com', cause: expect.objectContaining({ code: 'WORLD_NO_MAILBOX' }) },
    ])
    await world.pass(MINUTE)
    expect(subjects(ada.crm.held)).toEqual(['from the mailbox'])
    expect(subjects(ben.mailbox.held)).toEqual(['from the CRM'])
    expect(groupware.statusOf('contoso').counts).toMatchObject({ active: 2, error: 1 })
    expect(groupware.mailbox('gone@contoso.com')).toMatchObject({
      state: 'error',
      cause: { message: 'Exchange has no mailbox gone@contoso.com.', next: 'Correct the address of the user.' },
    })
    expect(groupware.progressOf('ada@contoso.com')).toMatchObject({ itemsIn: 1, itemsOut: 0 })
    expect(groupware.progressOf('ben@contoso.com')).toMatchObject({ itemsIn: 0, itemsOut: 1 })
  })

  test('goes on after a stop in its midst, and takes each mailbox once', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'groupware-'))
    try {
      const people = Array.from({ length: 40 }, (_, index) => `p${String(index).padStart(2, '0')}@contoso.com`)
      for (const person of people) world.addPerson(person).mailbox.add(appointment({ subject: person }))
      const groupware = await world.start(folder)
      await groupware.createOrganization('contoso', organizationSettings)
      await groupware.addList('contoso', people.join('\n'), false)
      const job = await groupware.startJob('contoso', 'activate', 'all')
      await groupware.close()
      expect(groupware.job(job.id).endedAt).toBeUndefined()
      const again = await world.start(folder)
      await world.pass(SECOND)
      expect(await again.jobEnded(job.id)).toMatchObject({ total: 40, done: 40, failedCount: 0 })
      expect(again.statusOf('contoso').counts.active).toBe(40)
      // The disk is a real one: it takes its own time.
      const came = () => people.filter(person => world.crms.get(person)?.held.size === 1)
      for (let turn = 0; turn < 1000 && came().length < 40; turn++) {
        await sleep(5)
        await world.pass(SECOND)
      }
      for (const person of people) expect(subjects(world.crms.get(person)?.held ?? new Map())).toEqual([person])
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })

  test('behind an account that is refused knocks a few times, not once for each mailbox', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    world.failure = worldErrors.ACCOUNT_REFUSED()
    const job = await activateAll()
    expect(job).toMatchObject({ done: 200, failedCount: 200 })
    expect(groupware.mailbox('p199@contoso.com').cause).toMatchObject({ code: 'WORLD_ACCOUNT_REFUSED' })
    await world.pass(HOUR)
    expect(world.listings).toBeLessThan(40)
    world.failure = undefined
    await world.pass(HOUR)
    expect(groupware.statusOf('contoso').counts).toMatchObject({ active: 200 })
  })

  test('of mailboxes for some of which EWS is switched off tells those, and stops no other', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${String(index).padStart(3, '0')}@contoso.com`)
    for (const person of people) world.addPerson(person)
    for (const [index, person] of people.entries()) if (index % 20 === 0) world.forbidden.add(person)
    const groupware = await contosoWith(...people)
    const job = await activateAll()
    expect(job).toMatchObject({ done: 200, failedCount: 10 })
    expect(job.failures.map(({ mailbox }) => mailbox)).toEqual([...world.forbidden])
    await world.pass(10 * MINUTE)
    expect(groupware.statusOf('contoso')).toMatchObject({
      counts: { active: 190, error: 10 },
      account: { isRefused: false, pausedUntil: undefined },
    })
    expect(people.filter(person => groupware.progressOf(person).firstRoundAt !== undefined)).toHaveLength(190)
    for (const person of people) world.forbidden.add(person)
    await groupware.jobEnded((await groupware.startJob('contoso', 'deactivate', 'all')).id)
    const before = world.listings
    expect(await activateAll()).toMatchObject({ failedCount: 200 })
    expect(world.listings - before).toBeLessThan(20)
  })

  test('waits as long as a busy server asks, knocks a few times meanwhile, and goes on then', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    world.failure = worldErrors.BUSY({}, { retryAfterMs: 5 * MINUTE })
    const job = await groupware.startJob('contoso', 'activate', 'all')
    await world.pass(8 * MINUTE)
    expect(world.listings).toBeLessThan(20)
    expect(groupware.job(job.id)).toMatchObject({ done: 0, failedCount: 0 })
    world.failure = undefined
    await world.pass(5 * MINUTE)
    expect(await groupware.jobEnded(job.id)).toMatchObject({ done: 200, failedCount: 0 })
  })

  test('waits also when tests that were under way as the server asked it to wait go well', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${String(index).padStart(3, '0')}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    const [first = ''] = people
    world.busy.set(first, worldErrors.BUSY({}, { retryAfterMs: 5 * MINUTE }))
    const gate = Promise.withResolvers<void>()
    world.gate = gate.promise
    const job = await groupware.startJob('contoso', 'activate', 'all')
    await world.pass(SECOND)
    gate.resolve()
    await world.pass(4 * MINUTE)
    expect(groupware.statusOf('contoso').counts.active).toBeLessThan(20)
    world.busy.clear()
    await world.pass(5 * MINUTE)
    expect(await groupware.jobEnded(job.id)).toMatchObject({ done: 200, failedCount: 0 })
  })

  test('of a server that is busy for good ends all the same', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    world.failure = worldErrors.BUSY({}, { retryAfterMs: 5 * MINUTE })
    const job = await groupware.startJob('contoso', 'activate', 'all')
    await world.pass(HOUR)
    expect(await groupware.jobEnded(job.id)).toMatchObject({ done: 200, failedCount: 200 })
    expect(world.listings).toBeLessThan(200)
    world.failure = undefined
    await world.pass(HOUR)
    expect(groupware.statusOf('contoso').counts.active).toBe(200)
  })

  test('does not bring back what a person deactivated meanwhile', async () => {
    world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    const { promise, resolve } = Promise.withResolvers<void>()
    world.gate = promise
    const activating = await groupware.startJob('contoso', 'activate', 'all')
    await world.pass(SECOND)
    const deactivating = await groupware.startJob('contoso', 'deactivate', ['ada@contoso.com'])
    await groupware.jobEnded(deactivating.id)
    resolve()
    await groupware.jobEnded(activating.id)
    expect(groupware.mailbox('ada@contoso.com').state).toBe('not-activated')
  })

  test('of the same mailboxes twice at once, and while their list is taken in again, does each once', async () => {
    const people = Array.from({ length: 100 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    const jobs = [
      await groupware.startJob('contoso', 'activate', 'all'),
      await groupware.startJob('contoso', 'activate', 'all'),
    ]
    const lists = [1, 2, 3].map(() => groupware.addList('contoso', people.join('\n'), false))
    await world.pass(SECOND)
    for (const { id } of jobs) expect(await groupware.jobEnded(id)).toMatchObject({ done: 100, failures: [] })
    expect((await Promise.all(lists)).map(({ changed }) => changed.length)).toEqual([100, 100, 100])
    expect(groupware.statusOf('contoso').counts.active).toBe(100)
  })

  test('deletes those that are named, or all; one that is gone already is no failure', async () => {
    for (const person of ['ada', 'bea', 'cem']) world.addPerson(`${person}@contoso.com`)
    const groupware = await contosoWith('ada@contoso.com', 'bea@contoso.com', 'cem@contoso.com')
    expect(await groupware.jobTargets('contoso', 'delete', ['Bea@contoso.com'])).toEqual(['bea@contoso.com'])
    const one = await groupware.startJob('contoso', 'delete', ['bea@contoso.com'])
    await groupware.jobEnded(one.id)
    expect(groupware.mailboxes('contoso').map(({ address }) => address)).toEqual(['ada@contoso.com', 'cem@contoso.com'])
    const twice = await Promise.all([
      groupware.startJob('contoso', 'delete', 'all'),
      groupware.startJob('contoso', 'delete', 'all'),
    ])
    for (const { id } of twice) expect(await groupware.jobEnded(id)).toMatchObject({ done: 2, failures: [] })
    await groupware.removeOrganization('contoso')
  })

  test('can be cancelled; what it did stays', async () => {
    const groupware = await contosoWith(...Array.from({ length: 30 }, (_, index) => `p${index}@contoso.com`))
    const { id } = await groupware.startJob('contoso', 'activate', 'all')
    const job = await groupware.cancelJob(id)
    expect(job.isCancelled).toBe(true)
    expect(job.endedAt).toBeDefined()
    expect(job.done).toBeLessThan(30)
    expect((await refusal(Promise.resolve().then(() => groupware.job('x')))).code).toBe('ORGANIZATION_JOB_UNKNOWN')
  })
})

describe('an active mailbox', () => {
  test('is asked as often as its organization says, and carries changes both ways', async () => {
    const ada = world.addPerson('ada@contoso.com')
    await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    const held = ada.mailbox.add(appointment({ subject: 'first' }))
    await world.pass(3 * MINUTE)
    const [made] = ada.crm.held.values()
    expect(made?.item).toMatchObject({ subject: 'first' })
    ada.crm.edit(made?.id ?? '', item => ({ ...item, subject: 'second' }) as typeof item)
    await world.pass(3 * MINUTE)
    expect(ada.mailbox.held.get(held.id)?.item).toMatchObject({ subject: 'second' })
  })

  test('rests while it is paused, and goes on without doubles', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    await groupware.jobEnded((await groupware.startJob('contoso', 'pause', ['ada@contoso.com'])).id)
    ada.mailbox.add(appointment({ subject: 'while paused' }))
    await world.pass(HOUR)
    expect(ada.crm.held.size).toBe(0)
    await groupware.jobEnded((await groupware.startJob('contoso', 'resume', 'all')).id)
    await groupware.jobEnded((await groupware.startJob('contoso', 'resync', 'all')).id)
    await world.pass(5 * MINUTE)
    expect(subjects(ada.crm.held)).toEqual(['while paused'])
    expect(subjects(ada.mailbox.held)).toEqual(['while paused'])
  })

  test('of a paused organization rests, too', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await groupware.setPaused('contoso', true)
    ada.mailbox.add(appointment())
    await world.pass(HOUR)
    expect(ada.crm.held.size).toBe(0)
    await groupware.setPaused('contoso', false)
    await world.pass(2 * MINUTE)
    expect(ada.crm.held.size).toBe(1)
  })

  test('whose round takes long does not hold up a stop, also when a job waits for that round', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    ada.mailbox.add(appointment())
    world.isSlow = true
    await world.pass(2 * MINUTE)
    await groupware.startJob('contoso', 'pause', ['ada@contoso.com'])
    await groupware.close()
    const again = await world.start()
    expect(again.mailbox('ada@contoso.com').state).toBe('paused')
  })

  test('has one round at a time, also when its organization was paused and resumed in the midst of one', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    ada.mailbox.add(appointment({ subject: 'once' }))
    const { promise, resolve } = Promise.withResolvers<void>()
    world.gate = promise
    await world.pass(2 * MINUTE)
    await groupware.setPaused('contoso', true)
    await groupware.setPaused('contoso', false)
    await world.pass(2 * MINUTE)
    world.gate = undefined
    resolve()
    await world.pass(2 * MINUTE)
    expect(subjects(ada.crm.held)).toEqual(['once'])
    expect(subjects(ada.mailbox.held)).toEqual(['once'])
  })

  test('shows a lasting trouble with its next step, and is active again by itself', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    world.mailboxes.delete('ada@contoso.com')
    await world.pass(3 * MINUTE)
    expect(groupware.mailbox('ada@contoso.com')).toMatchObject({ state: 'error', cause: { code: 'WORLD_NO_MAILBOX' } })
    world.mailboxes.set('ada@contoso.com', ada.mailbox)
    groupware.syncNow('ada@contoso.com')
    await world.pass(SECOND)
    expect(groupware.mailbox('ada@contoso.com')).toMatchObject({ state: 'active', cause: undefined })
  })

  test('whose account is refused is not to blame: the organization rests, with one probe now and then', async () => {
    world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    world.failure = worldErrors.ACCOUNT_REFUSED()
    await world.pass(5 * MINUTE)
    expect(groupware.mailbox('ada@contoso.com').state).toBe('active')
    expect(groupware.statusOf('contoso').account).toMatchObject({ isRefused: true })
    world.failure = undefined
    await groupware.updateOrganization('contoso', { ...organizationSettings, about: 'new password' })
    await world.pass(MINUTE)
    expect(groupware.statusOf('contoso').account.isRefused).toBe(false)
  })

  test('that alone meets what looks like a refused account stops the others once, and no more', async () => {
    const ben = world.addPerson('ben@contoso.com')
    world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com', 'ben@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    world.odd.add('ada@contoso.com')
    await world.pass(2 * HOUR)
    expect(groupware.mailbox('ada@contoso.com')).toMatchObject({ state: 'error' })
    expect(groupware.statusOf('contoso').account).toMatchObject({ isRefused: false, trouble: undefined })
    ben.mailbox.add(appointment({ subject: 'soon' }))
    await world.pass(2 * MINUTE)
    expect(subjects(ben.crm.held)).toEqual(['soon'])
    world.odd.clear()
    groupware.syncNow('ada@contoso.com')
    await world.pass(MINUTE)
    expect(groupware.mailbox('ada@contoso.com').state).toBe('active')
  })

  test.each([
    ['a tenth', 1],
    ['half', 5],
    ['nine in ten', 9],
  ])('from which EWS is taken is in error alone, also when it is %s of them', async (_share, ofTen) => {
    const people = Array.from({ length: 200 }, (_, index) => `p${String(index).padStart(3, '0')}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    await activateAll()
    await world.pass(3 * MINUTE)
    const taken = people.filter((_, index) => index % 10 < ofTen)
    const kept = people.filter(person => !taken.includes(person))
    for (const person of taken) world.forbidden.add(person)
    await world.pass(30 * MINUTE)
    expect(groupware.statusOf('contoso')).toMatchObject({
      counts: { active: kept.length, error: taken.length },
      account: { isRefused: false, pausedUntil: undefined, trouble: undefined },
    })
    expect(groupware.mailbox(taken[0] ?? '').cause).toMatchObject({ code: 'WORLD_FORBIDDEN' })
    const before = world.clock.now()
    await world.pass(2 * MINUTE)
    expect(kept.filter(person => (groupware.progressOf(person).lastRoundAt ?? 0) <= before)).toEqual([])
  })

  test('from which EWS is taken as from all others is not to blame, and all go on by themselves when it is back', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${String(index).padStart(3, '0')}@contoso.com`)
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    await activateAll()
    await world.pass(3 * MINUTE)
    for (const person of people) world.forbidden.add(person)
    const before = world.listings
    await world.pass(2 * HOUR)
    expect(world.listings - before).toBeLessThan(60)
    expect(groupware.statusOf('contoso')).toMatchObject({
      counts: { active: 200 },
      account: { isRefused: true, trouble: { code: 'WORLD_FORBIDDEN' } },
    })
    world.forbidden.clear()
    const healedAt = world.clock.now()
    await world.pass(20 * MINUTE)
    expect(
      people.filter(
        person =>
          (groupware.progressOf(person).lastRoundAt ?? 0) < healedAt || groupware.progressOf(person).failedRounds > 0,
      ),
    ).toEqual([])
    expect(groupware.statusOf('contoso')).toMatchObject({ counts: { active: 200 }, account: { isRefused: false } })
    expect(people.filter(person => groupware.mailbox(person).cause !== undefined)).toEqual([])
  })

  test('with a log-in of its own that is refused stops no other', async () => {
    const people = ['ada@contoso.com', 'ben@contoso.com', 'carla@contoso.com']
    for (const person of people) world.addPerson(person)
    const groupware = await world.start()
    await groupware.createOrganization('contoso', { ...organizationSettings, access: 'ews-direct' })
    for (const address of people) await groupware.putMailbox('contoso', { address, auth: 'own' })
    await activateAll()
    await world.pass(3 * MINUTE)
    world.odd.add('ada@contoso.com')
    await world.pass(10 * MINUTE)
    expect(groupware.mailbox('ada@contoso.com')).toMatchObject({ state: 'error' })
    expect(groupware.statusOf('contoso').account).toMatchObject({ isRefused: false, trouble: undefined })
    const before = world.clock.now()
    await world.pass(2 * MINUTE)
    expect(groupware.progressOf('ben@contoso.com').lastRoundAt).toBeGreaterThan(before)
  })

  test('holds a mass deletion back until a person lets it pass', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const held = Array.from({ length: 30 }, (_, index) => ada.mailbox.add(appointment({ subject: `item ${index}` })))
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    expect(ada.crm.held.size).toBe(30)
    for (const { id } of held) ada.mailbox.drop(id)
    await world.pass(5 * MINUTE)
    expect(ada.crm.held.size).toBe(30)
    expect(groupware.progressOf('ada@contoso.com').held).toEqual({ appointment: 30 })
    expect(await groupware.decideHeld('ada@contoso.com', 'pass')).toBe(30)
    await world.pass(2 * MINUTE)
    expect(ada.crm.held.size).toBe(0)
    expect(groupware.progressOf('ada@contoso.com').held).toEqual({})
  })
})

test.each(['activate', 'resume', 'resync'] as const)(
  'a mailbox whose first sync a person had to mend has its turn when that person wants it (%s)',
  async action => {
    const ada = world.addPerson('ada@contoso.com')
    const ben = world.addPerson('ben@contoso.com')
    ada.mailbox.add(appointment({ subject: 'Visit' }))
    const groupware = await contosoWith('ada@contoso.com', 'ben@contoso.com')
    world.around.onRequest = (_side, name) => {
      if (name === 'create') throw worldErrors.NO_MAILBOX({ mailbox: 'ada@contoso.com' })
    }
    await activateAll()
    await world.pass(MINUTE)
    expect(groupware.mailbox('ada@contoso.com').state).toBe('error')
    world.around.onRequest = () => {}
    const job = await groupware.startJob('contoso', action, ['ada@contoso.com'])
    // The create that failed may still be under way.
    await world.pass(3 * MINUTE)
    expect(await groupware.jobEnded(job.id)).toMatchObject({ failedCount: 0 })
    expect(groupware.mailbox('ada@contoso.com').state).toBe('active')
    expect([subjects(ada.crm.held), subjects(ben.crm.held)]).toEqual([['Visit'], []])
  },
)

test('a clock that is set back stops nothing', async () => {
  const ada = world.addPerson('ada@contoso.com')
  const { id } = ada.crm.add(appointment({ subject: 'earlier' }))
  const groupware = await contosoWith('ada@contoso.com')
  await activateAll()
  await world.pass(5 * MINUTE)
  expect(subjects(ada.mailbox.held)).toEqual(['earlier'])
  ada.crm.refusals.set('refused', worldErrors.BUSY())
  ada.mailbox.add(appointment({ subject: 'refused' }))
  await world.pass(2 * MINUTE)
  world.around.delays = () => {
    world.around.delays = () => false
    throw worldErrors.CUT()
  }
  ada.mailbox.add(appointment({ subject: 'lost' }))
  await world.pass(2 * MINUTE)
  ada.crm.refusals.clear()
  world.clock.set(world.clock.now() - 90 * DAY)
  ada.mailbox.add(appointment({ subject: 'later' }))
  await world.pass(2 * MINUTE)
  expect(subjects(ada.crm.held)).toEqual(['earlier', 'later', 'refused'])
  await world.pass(3 * MINUTE)
  expect(subjects(ada.crm.held)).toEqual(['earlier', 'later', 'lost', 'refused'])
  ada.crm.drop(id)
  await world.pass(HOUR)
  expect(subjects(ada.mailbox.held)).toEqual(['later', 'lost', 'refused'])
  world.failure = worldErrors.BUSY({}, { retryAfterMs: 5 * MINUTE })
  await world.pass(2 * MINUTE)
  const { account } = groupware.statusOf('contoso')
  expect(account.pausedUntil).toBeLessThan(world.clock.now() + 6 * MINUTE)
})

describe('notifications', () => {
  async function watchedContoso() {
    world.watches = []
    const people = ['ada@contoso.com', 'ben@contoso.com', 'eve@contoso.com']
    for (const person of people) world.addPerson(person)
    const groupware = await contosoWith(...people)
    await activateAll()
    await world.pass(MINUTE)
    return { groupware, watches: world.watches }
  }

  test('are asked for anew for whom they are missing, not because one mailbox rests or is read anew', async () => {
    const { groupware, watches } = await watchedContoso()
    expect(watches.map(({ mailboxes }) => mailboxes.length)).toEqual([3])
    for (const action of ['resync', 'pause', 'resume'] as const) {
      await groupware.jobEnded((await groupware.startJob('contoso', action, ['ada@contoso.com'])).id)
      await world.pass(MINUTE)
    }
    expect(watches).toHaveLength(1)
    world.addPerson('new@contoso.com')
    await groupware.addList('contoso', 'new@contoso.com', false)
    await activateAll()
    await world.pass(MINUTE)
    expect(watches.map(({ mailboxes, signal }) => [mailboxes.length, signal.aborted])).toEqual([
      [3, true],
      [4, false],
    ])
  })

  test('are asked for what is synced, and for something else when the rules are others', async () => {
    const { groupware, watches } = await watchedContoso()
    const asked = (mailbox: string) =>
      watches.map(({ scopesOf }) => scopesOf(mailbox).map(({ kind, folders }) => [kind, ...folders].join(' ')))
    const all = ['mail', 'appointment', 'contact', 'task']
    expect(asked('ada@contoso.com')).toEqual([all])
    await groupware.writeProfile('default', { rules: { task: { direction: 'off' }, contact: { folder: 'CRM' } } })
    await world.pass(MINUTE)
    const less = ['mail', 'appointment', 'contact CRM']
    expect(asked('ada@contoso.com')).toEqual([all, less])
    await groupware.putMailbox('contoso', { address: 'ada@contoso.com' }, { mail: { direction: 'off' } })
    await world.pass(MINUTE)
    expect(asked('ada@contoso.com')).toEqual([all, less, less.slice(1)])
    expect(asked('ben@contoso.com')).toEqual([all, less, less])
    await groupware.writeProfile('default', { rules: { task: { direction: 'off' }, contact: { folder: 'CRM' } } })
    await world.pass(MINUTE)
    expect(watches).toHaveLength(3)
  })

  test('count from when they are asked for anew, however long the former ones take to end', async () => {
    Object.assign(world, { watchEndsMs: 20 * SECOND, isFeedQuiet: true })
    const { groupware, watches } = await watchedContoso()
    await groupware.writeProfile('default', { rules: { task: { direction: 'off' } } })
    await world.pass(5 * MINUTE)
    expect(watches).toHaveLength(2)
    const before = world.listings
    await world.pass(25 * MINUTE)
    // Each is asked twice an hour, not every minute.
    expect(world.listings - before).toBeLessThan(6)
    world.watchEndsMs = 0
  })

  test('do not put off an item whose create got lost, nor one that was refused for a while', async () => {
    world.isFeedQuiet = true
    const { watches } = await watchedContoso()
    await world.pass(5 * MINUTE)
    const put = (mailbox: string) => {
      world.mailboxes.get(mailbox)?.add(appointment({ subject: 'Visit' }))
      watches[0]?.onChange(mailbox, 'appointment')
    }
    const made = (mailbox: string) => subjects(world.crms.get(mailbox)?.held ?? new Map())
    const refusals = world.crms.get('ben@contoso.com')?.refusals
    refusals?.set('Visit', worldErrors.BUSY())
    put('ben@contoso.com')
    await world.pass(5 * SECOND)
    world.around.delays = () => {
      world.around.delays = () => false
      throw worldErrors.CUT()
    }
    put('ada@contoso.com')
    await world.pass(2 * MINUTE)
    refusals?.clear()
    // The request may still be under way.
    expect(made('ada@contoso.com')).toEqual([])
    await world.pass(2 * MINUTE)
    expect(made('ada@contoso.com')).toEqual(['Visit'])
    expect(made('ben@contoso.com')).toEqual([])
    await world.pass(2 * MINUTE)
    expect(made('ben@contoso.com')).toEqual(['Visit'])
  })

  test('of a CRM that has very much to tell bring each change over, though it is asked less often', async () => {
    world.sharedFeedNoise = 5000
    await watchedContoso()
    await world.pass(10 * MINUTE)
    world.crms.get('ben@contoso.com')?.add(appointment({ subject: 'of Ben' }))
    await world.pass(MINUTE)
    // The feed has just been asked for Ben.
    world.crms.get('ada@contoso.com')?.add(appointment({ subject: 'of Ada' }))
    await world.pass(5 * MINUTE)
    expect(subjects(world.mailboxes.get('ben@contoso.com')?.held ?? new Map())).toEqual(['of Ben'])
    expect(subjects(world.mailboxes.get('ada@contoso.com')?.held ?? new Map())).toEqual(['of Ada'])
  })

  test('leave nothing behind, however many come', async () => {
    const { watches } = await watchedContoso()
    await world.pass(2 * HOUR)
    const [request] = watches
    if (!request) throw new Error('nobody watches')
    expect(getEventListeners(request.signal, 'abort').length).toBeLessThan(10)
  })
})

describe('before and after', () => {
  test('a preview tells what the first sync would do, and writes nothing', async () => {
    const ada = world.addPerson('ada@contoso.com')
    ada.mailbox.add(appointment({ subject: 'open' }))
    ada.mailbox.add(appointment({ subject: 'secret', sensitivity: 'private' }))
    ada.crm.add(appointment({ subject: 'customer' }))
    const groupware = await contosoWith('ada@contoso.com')
    const preview = await groupware.preview('ada@contoso.com')
    expect(preview.counts).toEqual({ appointment: { created: 2, skipped: 1 } })
    expect(preview.items.find(({ what }) => what === 'skipped')).toMatchObject({ title: '', reason: 'private' })
    expect([ada.mailbox.writeCount, ada.crm.writeCount]).toEqual([0, 0])
  })

  test('an item is explained by what stands now and what was done before', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const open = ada.mailbox.add(appointment({ subject: 'Offer for Söhne' }))
    const doctor = ada.mailbox.add(appointment({ subject: 'Doctor', sensitivity: 'private' }))
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    const synced = await groupware.explain('ada@contoso.com', open.id)
    expect(synced.findings).toContainEqual(expect.objectContaining({ side: 'exchange', state: 'linked', id: open.id }))
    expect(synced.history).toContainEqual(expect.objectContaining({ what: 'created', title: 'Offer for Söhne' }))
    const kept = await groupware.explain('ada@contoso.com', doctor.id)
    expect(kept.findings).toContainEqual(
      expect.objectContaining({
        state: 'stays-out',
        title: '',
        text: 'The item is private or confidential; such items stay in the mailbox.',
      }),
    )
    expect(JSON.stringify(groupware.logOf({ mailbox: 'ada@contoso.com', limit: 100 }))).not.toContain('Doctor')
    expect((await groupware.explain('ada@contoso.com', 'doctor')).findings).toEqual([])
    expect((await groupware.explain('ada@contoso.com', 'never heard of')).findings).toEqual([])
  })

  test('an explanation tells of copies, and of what is linked but does not go between the two now', async () => {
    const ada = world.addPerson('ada@contoso.com')
    const visit = ada.mailbox.add(appointment({ subject: 'Visit' }))
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    const copy = ada.mailbox.add(appointment({ subject: 'Visit' }))
    copy.uid = visit.uid
    await world.pass(2 * MINUTE)
    const findingsOf = async (id: string) => {
      const { findings } = await groupware.explain('ada@contoso.com', id)
      return findings.map(({ side, state, text }) => `${side} ${state}: ${text}`)
    }
    expect(await findingsOf(copy.id)).toEqual([`exchange stays-out: ${skipWords.copy}`])
    ada.mailbox.edit(visit.id, item => ({ ...item, sensitivity: 'private' }))
    await world.pass(2 * MINUTE)
    const [made] = ada.crm.held.keys()
    const linked = (why: 'private' | 'kind-off') => [
      `exchange linked: It is linked with ${made}, but nothing of it is synced now. ${skipWords[why]}`,
      `crm linked: It is linked with ${visit.id}, but nothing of it is synced now. ${skipWords[why]}`,
    ]
    expect(await findingsOf(visit.id)).toEqual(linked('private'))
    await groupware.putMailbox('contoso', { address: 'ada@contoso.com' }, { appointment: { direction: 'off' } })
    expect(await findingsOf(visit.id)).toEqual(linked('kind-off'))
  })

  test('the log of a mailbox is read page by page, newest first', async () => {
    const ada = world.addPerson('ada@contoso.com')
    for (let index = 0; index < 5; index++) ada.mailbox.add(appointment({ subject: `item ${index}` }))
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(MINUTE)
    const page = groupware.logOf({ mailbox: 'ada@contoso.com', limit: 3 })
    const next = groupware.logOf({ mailbox: 'ada@contoso.com', limit: 100, before: page.at(-1)?.number })
    expect(page).toHaveLength(3)
    expect(next.at(-1)).toMatchObject({ about: 'mailbox', text: 'Activated.' })
    expect(new Set([...page, ...next].map(({ number }) => number)).size).toBe(page.length + next.length)
  })
})

describe('the way into the mailboxes', () => {
  test('is tested with one mailbox, and both sides are told of at once', async () => {
    world.addPerson('ada@contoso.com')
    const groupware = await contosoWith('ada@contoso.com')
    expect(await groupware.testOrganization('contoso')).toMatchObject({ ok: true, mailbox: 'ada@contoso.com' })
    const other = await groupware.testOrganization('contoso', 'nobody@contoso.com')
    expect(other.ok).toBe(false)
    expect(other.steps).toContainEqual(
      expect.objectContaining({
        step: 'exchange appointment',
        ok: false,
        detail: 'the mailbox: Exchange has no mailbox nobody@contoso.com.',
      }),
    )
    expect(other.steps).toContainEqual(expect.objectContaining({ step: 'crm appointment', ok: true }))
    expect(groupware.mailboxes('contoso')).toHaveLength(1)
  })

  test('can become another one; every link is kept, nothing is made again', async () => {
    const ada = world.addPerson('ada@contoso.com')
    for (let index = 0; index < 12; index++) ada.mailbox.add(appointment({ subject: `item ${index}` }))
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    expect(ada.crm.held.size).toBe(12)
    // Another protocol has another id for each item.
    const before = Array.from(ada.mailbox.held.keys())
    for (const id of before) ada.mailbox.move(id)
    ada.mailbox.loseState()
    const settings = { ...organizationSettings, access: 'graph', exchange: { auth: 'graph-app' } }
    await groupware.updateOrganization('contoso', settings)
    await world.pass(10 * MINUTE)
    expect(ada.crm.held.size).toBe(12)
    expect(ada.mailbox.held.size).toBe(12)
    const [first] = ada.mailbox.held.values()
    ada.mailbox.edit(first?.id ?? '', item => ({ ...item, subject: 'after the move' }) as typeof item)
    await world.pass(5 * MINUTE)
    expect(subjects(ada.crm.held)).toContain('after the move')
  })

  test('is another one for a mailbox only when its links have gone over, however many wait for that', async () => {
    const people = Array.from({ length: 20 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person).mailbox.add(appointment())
    const groupware = await contosoWith(...people)
    await activateAll()
    await world.pass(5 * MINUTE)
    const { promise, resolve } = Promise.withResolvers<void>()
    world.translateGate = promise
    world.asked.length = 0
    const settings = { ...organizationSettings, access: 'graph', exchange: { auth: 'graph-app' } }
    // The save does not wait for it: a job tells how far it is.
    const { move } = await groupware.updateOrganization('contoso', settings)
    expect(move).toMatchObject({ action: 'move', total: 20, done: 0 })
    await world.pass(10 * MINUTE)
    expect(world.asked.filter(each => each.startsWith('list'))).toEqual([])
    resolve()
    await world.pass(10 * MINUTE)
    expect(groupware.job(move?.id ?? '')).toMatchObject({ done: 20, failedCount: 0, endedAt: expect.any(Number) })
    for (const person of people) {
      const at = world.asked.indexOf(`translate ${person}`)
      expect(at).toBeGreaterThanOrEqual(0)
      expect(world.asked.indexOf(`list ${person}`)).toBeGreaterThan(at)
      expect(world.crms.get(person)?.held.size).toBe(1)
    }
  })

  test('that is refused is not knocked at for the ids of each mailbox', async () => {
    const people = Array.from({ length: 200 }, (_, index) => `p${index}@contoso.com`)
    for (const person of people) world.addPerson(person).mailbox.add(appointment())
    const groupware = await contosoWith(...people)
    await activateAll()
    await world.pass(5 * MINUTE)
    world.failure = worldErrors.ACCOUNT_REFUSED()
    const settings = { ...organizationSettings, access: 'graph', exchange: { auth: 'graph-app' } }
    const { move } = await groupware.updateOrganization('contoso', settings)
    await world.pass(SECOND)
    expect(await groupware.jobEnded(move?.id ?? '')).toMatchObject({ done: 200, failedCount: 200 })
    expect(world.asked.filter(each => each.startsWith('translate')).length).toBeLessThan(40)
    // They go over with their next rounds, once the account works.
    world.failure = undefined
    world.asked.length = 0
    await groupware.updateOrganization('contoso', { ...settings, about: 'with the right password' })
    await world.pass(20 * MINUTE)
    for (const person of people) {
      const at = world.asked.indexOf(`translate ${person}`)
      expect(at).toBeGreaterThanOrEqual(0)
      expect(world.asked.indexOf(`list ${person}`)).toBeGreaterThan(at)
    }
  })

  test('to Exchange Online is closed for EWS from April 2027 on', async () => {
    const groupware = await world.start()
    await world.clock.advance(200 * 24 * HOUR)
    const exchange = { url: 'https://outlook.office365.com/EWS/Exchange.asmx', auth: 'app' }
    const refused = await refusal(groupware.createOrganization('contoso', { ...organizationSettings, exchange }))
    expect(refused.code).toBe('ORGANIZATION_EWS_OVER')
  })
})

describe('settings', () => {
  test('of a user win over the profile, which wins over what is usual', async () => {
    const groupware = await contosoWith('ada@contoso.com')
    await groupware.writeProfile('sales', {
      rules: { appointment: { past: '60d' }, contact: { direction: 'off' }, series: { weekly: '90d' } },
    })
    await groupware.updateOrganization('contoso', { ...organizationSettings, profile: 'sales' })
    const rules = { appointment: { past: false as const, conflict: 'crm' as const }, series: { weekly: '30d' } }
    await groupware.putMailbox('contoso', { address: 'ada@contoso.com' }, rules)
    const { kinds, series } = groupware.rulesOf(groupware.mailbox('ada@contoso.com'))
    expect(series).toMatchObject({ as: 'occurrences', aheadMs: { day: 60 * DAY, week: 30 * DAY } })
    expect(kinds.appointment).toMatchObject({ pastMs: undefined, conflict: 'crm', direction: 'both' })
    expect(kinds.contact.direction).toBe('off')
    expect((await refusal(groupware.removeProfile('sales'))).code).toBe('ORGANIZATION_PROFILE_IN_USE')
  })

  test.each([
    ['no credential', { exchange: { url: 'https://mail.contoso.com/' } }, /credential of the service account/],
    ['plain http', { crm: { url: 'http://my1.crm.example/', auth: 'c4c' } }, /https address/],
    ['a password in the address', { crm: { url: 'https://a:b@my1.crm.example/', auth: 'c4c' } }, /without user/],
    ['an unknown setting', { acces: 'graph' }, /acces/],
    ['an interval of a second', { every: '1s' }, /between 10s and 24h/],
    ['a connector to Graph', { access: 'graph', exchange: { auth: 'app', via: 'dc' } }, /Graph is reached directly/],
  ])('with %s are refused with the place', async (_name, change, words) => {
    const groupware = await world.start()
    const refused = await refusal(groupware.createOrganization('contoso', { ...organizationSettings, ...change }))
    expect(refused.code).toBe('ORGANIZATION_INVALID')
    expect(refused.message).toMatch(words)
    expect(groupware.organizations()).toEqual([])
  })

  test('that somebody else changed meanwhile are not written over', async () => {
    const groupware = await contosoWith('ada@contoso.com')
    const { revision } = groupware.organization('contoso')
    await groupware.updateOrganization('contoso', { ...organizationSettings, about: 'one' }, revision)
    const refused = await refusal(groupware.updateOrganization('contoso', organizationSettings, revision))
    expect(refused.code).toBe('ORGANIZATION_CHANGED_MEANWHILE')
  })

  test('outlive the process, and so do mailboxes, states and counts', async () => {
    const ada = world.addPerson('ada@contoso.com')
    ada.mailbox.add(appointment())
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    await groupware.close()
    const again = await world.start()
    expect(again.organization('contoso').everyMs).toBe(MINUTE)
    expect(again.mailbox('ada@contoso.com').state).toBe('active')
    expect(again.progressOf('ada@contoso.com').itemsIn).toBe(1)
  })
})

describe('a mailbox', () => {
  test('belongs to one organization', async () => {
    const groupware = await contosoWith('ada@contoso.com')
    await groupware.createOrganization('fabrikam', organizationSettings)
    const refused = await refusal(groupware.putMailbox('fabrikam', { address: 'ada@contoso.com' }))
    expect(refused.code).toBe('ORGANIZATION_MAILBOX_ELSEWHERE')
    const dryRun = await groupware.addList('fabrikam', 'eve@fabrikam.com\nada@contoso.com', true)
    expect(dryRun.mistakes).toEqual([{ line: 2, message: 'ada@contoso.com belongs to organization "contoso"' }])
    expect(groupware.mailboxes('fabrikam')).toEqual([])
  })

  test('that is one too many keeps the whole list out', async () => {
    const groupware = await contosoWith('ada@contoso.com')
    const many = Array.from({ length: 20_000 }, (_, index) => `p${index}@contoso.com`).join('\n')
    const refused = await refusal(groupware.addList('contoso', many, false))
    expect(refused.code).toBe('ORGANIZATION_TOO_MANY')
    expect(groupware.mailboxes('contoso')).toHaveLength(1)
  })

  test('is forgotten with its links; both sides keep what they have', async () => {
    const ada = world.addPerson('ada@contoso.com')
    ada.mailbox.add(appointment())
    const groupware = await contosoWith('ada@contoso.com')
    await activateAll()
    await world.pass(2 * MINUTE)
    expect((await refusal(groupware.removeOrganization('contoso'))).code).toBe('ORGANIZATION_IN_USE')
    await groupware.removeMailbox('ada@contoso.com')
    expect([ada.mailbox.held.size, ada.crm.held.size]).toEqual([1, 1])
    await groupware.removeOrganization('contoso')
    await world.pass(HOUR)
    expect(groupware.organizations()).toEqual([])
  })

  test('that is not active cannot be synced by hand, and says so', async () => {
    const groupware = await contosoWith('ada@contoso.com')
    expect(() => groupware.syncNow('ada@contoso.com')).toThrow(/is not-activated, so it cannot be synced/)
  })
})
