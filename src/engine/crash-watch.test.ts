import { setTimeout as sleep } from 'node:timers/promises'
import { afterEach, describe, expect, test, vi } from 'vitest'
import type { StepResult } from '../flow/step.ts'
import { type Log, type LogFields, silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { MINUTE, SECOND } from '../kernel/time.ts'
import { crashLimits } from './crash-watch.ts'
import { type EngineWorld, engineWorld } from './engine-world.ts'

/** Long enough for what would begin by itself. */
const realMs = 50

let it: EngineWorld
/** Subjects of the messages that were begun in this life, in order. */
let begun: string[]
const letGo: (() => void)[] = []
afterEach(async () => {
  for (const go of letGo.splice(0)) go()
  await it.close()
})

/** A step in which a message stands still for as long as `isDeadly` says so: all that a hub shows before it dies. */
async function worldWith(isDeadly: (subject: string) => boolean, log: Log = silentLog): Promise<void> {
  const stand = async (message: Message): Promise<StepResult> => {
    const subject = message.headers['subject'] ?? ''
    begun.push(subject)
    if (isDeadly(subject)) await new Promise<void>(resolve => letGo.push(resolve))
    return { next: message }
  }
  begun = []
  it = await engineWorld({ steps: [stand], log })
  await it.engine().idle()
}

const accept = (subject: string) => it.accept(subject, { headers: { subject } })
const hasBegun = (...subjects: string[]) => vi.waitFor(() => expect(begun).toEqual(subjects))

async function die(): Promise<void> {
  begun = []
  await it.crash()
  await vi.waitFor(async () => expect(await noted()).toBeDefined())
}

const noted = async () => (await it.store().read('crash-watch', 'hub'))?.value
const revision = async () => (await it.store().read('crash-watch', 'hub'))?.revision

describe('a message that ends the hub', () => {
  test('is set aside after some deaths, and those beside it are delivered', async () => {
    await worldWith(subject => subject === 'deadly')
    const { id } = await accept('deadly')
    await accept('one')
    await hasBegun('deadly', 'one')
    await die()
    // Beside others in the first life after it, alone from then on.
    await hasBegun('deadly')
    await accept('two')
    await hasBegun('deadly', 'two')
    for (let life = 0; life < crashLimits.deaths - 1; life++) {
      await die()
      await hasBegun('deadly')
      const name = `beside ${life}`
      await accept(name)
      await it.clock.advance(crashLimits.besideMs - SECOND)
      await sleep(realMs)
      expect(begun).toEqual(['deadly'])
      await it.clock.advance(SECOND)
      await hasBegun('deadly', name)
    }
    await die()
    await it.engine().idle()
    expect(begun).toEqual([])
    expect(await it.store().get(id)).toMatchObject({ state: 'set-aside', error: { code: 'ENGINE_ENDS_THE_HUB' } })
    expect(it.ended().filter(({ state }) => state === 'delivered')).toHaveLength(crashLimits.deaths + 1)
    // Mended and repeated, it is like any other.
    await it.engine().close()
    expect(await noted()).toBeUndefined()
  })

  test('is told from one whose receiver hangs, and that stands beside it each time', async () => {
    await worldWith(() => true)
    const hanging = await accept('hangs')
    const deadly = await accept('deadly')
    await hasBegun('hangs', 'deadly')
    await die()
    await hasBegun('hangs', 'deadly')
    for (let life = 0; life < crashLimits.deaths - 1; life++) {
      await die()
      await hasBegun('hangs')
      await it.clock.advance(crashLimits.besideMs)
      await hasBegun('hangs', 'deadly')
    }
    await die()
    await hasBegun('hangs')
    await it.clock.advance(crashLimits.besideMs)
    await vi.waitFor(async () => expect(await it.store().get(deadly.id)).toMatchObject({ state: 'set-aside' }))
    expect(await it.store().get(hanging.id)).toMatchObject({ state: 'queued' })
  })

  test('has as many lives again when a person replays it', async () => {
    let isMended = false
    await worldWith(() => !isMended)
    const { id } = await accept('deadly')
    for (let life = 0; life <= crashLimits.deaths; life++) {
      await hasBegun('deadly')
      await die()
    }
    await it.engine().idle()
    isMended = true
    await it.engine().replay(id, 'anna')
    await hasBegun('deadly')
    await vi.waitFor(() => expect(it.ended().at(-1)).toMatchObject({ state: 'delivered' }))
  })
})

describe('what was under way by chance when the hub died', () => {
  test('runs one after the other, before anything else, and is delivered', async () => {
    let isStanding = true
    await worldWith(() => isStanding)
    await die()
    for (const name of ['one', 'two', 'three']) await accept(name)
    await hasBegun('one', 'two', 'three')
    expect(await noted()).toMatchObject({ underWay: { [idAt(0)]: 0, [idAt(1)]: 0, [idAt(2)]: 0 } })
    await die()
    await hasBegun('one')
    isStanding = false
    await die()
    await hasBegun('one', 'two', 'three')
    await it.engine().idle()
    expect(it.ended().map(({ state }) => state)).toEqual(['delivered', 'delivered', 'delivered'])
  })

  test('has others beside it after some minutes, however many there are', async () => {
    await worldWith(() => true)
    await die()
    for (const name of ['one', 'two', 'three']) await accept(name)
    await hasBegun('one', 'two', 'three')
    await die()
    await hasBegun('one')
    await it.clock.advance(crashLimits.besideMs)
    await hasBegun('one', 'two')
    await it.clock.advance(crashLimits.aloneMs)
    for (const name of ['four', 'five']) await accept(name)
    await hasBegun('one', 'two', 'three', 'four', 'five')
  })

  test('is not suspected while it is handed over', async () => {
    let handed = 0
    it = await engineWorld({
      receivers: [
        async (_message, effect) => {
          await effect.intend()
          handed++
          await new Promise<void>(resolve => letGo.push(resolve))
          return { summary: '250 ok' }
        },
      ],
    })
    const { id } = await it.accept('order')
    for (let life = 0; life <= crashLimits.deaths + 1; life++) {
      await vi.waitFor(() => expect(handed).toBe(life + 1))
      await it.crash()
    }
    expect(await it.store().get(id)).toMatchObject({ state: 'queued' })
  })

  test('is noted before it begins', async () => {
    const seen: unknown[] = []
    it = await engineWorld({ receivers: [async () => ({ summary: JSON.stringify(seen.push(await noted())) })] })
    await it.engine().idle()
    await it.crash()
    const { id } = await it.accept('order')
    await vi.waitFor(() => expect(it.ended()).toHaveLength(1))
    expect(seen).toEqual([{ v: 1, underWay: { [id]: 0 } }])
  })

  test('is not suspected when its attempt had ended before', async () => {
    const logged: LogFields[] = []
    const log = { ...silentLog, warn: (_event: string, fields: LogFields = {}) => void logged.push(fields) }
    await worldWith(subject => subject === 'stands', log)
    it.setActs(({ headers }) => {
      if (headers['subject'] === 'waits') throw new Error('nobody answers')
      return { summary: '250 ok' }
    })
    await die()
    const { id } = await accept('stands')
    await accept('waits')
    await accept('ends')
    await vi.waitFor(() => expect([it.failed().length, it.ended().length]).toEqual([1, 1]))
    expect(Object.keys(Object(Object(await noted()).underWay))).toHaveLength(3)
    await die()
    await hasBegun('stands')
    expect(logged.at(-1)).toMatchObject({ underWay: [id] })
  })
})

describe('the price', () => {
  test('an ordinary life writes one record, and its end removes it', async () => {
    await worldWith(() => false)
    for (let count = 0; count < 20; count++) await accept(`${count}`)
    await it.engine().idle()
    expect(await noted()).toEqual({ v: 1, underWay: {} })
    expect(await revision()).toBe(1)
    await it.engine().close()
    await die()
    await accept('after')
    await hasBegun('after')
    expect(await noted()).toEqual({ v: 1, underWay: {} })
  })

  test('a life after a death writes it with each begin, until it has lasted', async () => {
    await worldWith(subject => subject === 'stands')
    await die()
    await accept('first')
    await it.engine().idle()
    await vi.waitFor(async () => expect(await noted()).toEqual({ v: 1, underWay: {} }))
    const before = (await revision()) ?? 0
    await accept('second')
    await vi.waitFor(async () => expect(await revision()).toBe(before + 2))
    await accept('stands')
    await hasBegun('first', 'second', 'stands')
    await it.clock.advance(crashLimits.calmMs + MINUTE)
    await vi.waitFor(async () => expect(await noted()).toEqual({ v: 1, underWay: {} }))
    const calm = await revision()
    await accept('third')
    await hasBegun('first', 'second', 'stands', 'third')
    expect(await revision()).toBe(calm)
  })
})

/** Ids of what was accepted, in order. */
function idAt(index: number): string {
  const accepted = it.events.filter(event => event.type === 'delivery.accepted')
  return accepted[index]?.delivery ?? ''
}
