import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import type { Claimed, DeliveryState } from '../port.ts'
import {
  claim,
  delivered,
  newDelivery,
  type OpenWorld,
  retryLater,
  type StoreWorld,
  setAside,
  startedAt,
} from './store-world.ts'

/** What can happen, with numbers that pick whom it happens to. */
type Act =
  | { readonly do: 'accept'; readonly key: number; readonly order: number | undefined; readonly holds: boolean }
  | { readonly do: 'claim'; readonly max: number }
  | { readonly do: 'finish' | 'set aside' | 'retry' | 'release' | 'skip' | 'requeue'; readonly pick: number }
  | { readonly do: 'wait' | 'crash' | 'reopen' | 'wake' | 'skip all' | 'requeue all' }

const pick = fc.nat(1000)
const act: fc.Arbitrary<Act> = fc.oneof(
  {
    weight: 8,
    arbitrary: fc.record({
      do: fc.constant('accept' as const),
      key: fc.nat(30),
      order: fc.option(fc.nat(2), { nil: undefined, freq: 6 }),
      holds: fc.boolean(),
    }),
  },
  { weight: 6, arbitrary: fc.record({ do: fc.constant('claim' as const), max: fc.integer({ min: 1, max: 5 }) }) },
  {
    weight: 12,
    arbitrary: fc.record({
      do: fc.constantFrom('finish', 'finish', 'set aside', 'retry', 'release', 'skip', 'requeue'),
      pick,
    }),
  },
  {
    weight: 3,
    arbitrary: fc.record({ do: fc.constantFrom('wait', 'crash', 'reopen', 'wake', 'skip all', 'requeue all') }),
  },
)

/** Random lives of a store, beside a model of a few lines that says what must be. */
export function describeRandomRuns(open: OpenWorld): void {
  describe('over random lives', () => {
    test('nothing is lost, keys run one by one and in order, and no late write is taken', {
      timeout: 120_000,
    }, async () => {
      await fc.assert(
        fc.asyncProperty(fc.array(act, { minLength: 5, maxLength: 60 }), async acts => {
          const life = new Life(await open())
          try {
            for (const one of acts) await life.act(one)
            await life.compare()
            await life.drain()
          } finally {
            await life.world.close()
          }
        }),
        { numRuns: 120, seed: 20_261_121 },
      )
    })
  })
}

interface Known {
  readonly id: string
  readonly order: number | undefined
  readonly holds: boolean
  state: DeliveryState
  dueAt: number
  awaitsChange: boolean
  claim: Claimed | undefined
}

class Life {
  readonly world: StoreWorld
  /** In the order of acceptance. */
  readonly #deliveries: Known[] = []
  readonly #byKey = new Map<number, Known>()
  /** Claims that were lost; writes of theirs must be refused. */
  readonly #lost: Claimed[] = []
  #now = startedAt

  constructor(world: StoreWorld) {
    this.world = world
  }

  async act(act: Act): Promise<void> {
    switch (act.do) {
      case 'accept':
        return this.#accept(act)
      case 'claim':
        return this.#claim(act.max)
      case 'wait':
        this.#now += 61_000
        return
      case 'crash':
      case 'reopen':
        await (act.do === 'crash' ? this.world.crash() : this.world.reopen())
        for (const delivery of this.#deliveries) this.#lose(delivery)
        return
      case 'wake':
        return this.#wake()
      case 'skip all':
      case 'requeue all':
        return this.#allByHand(act.do)
      case 'skip':
      case 'requeue':
        return this.#byHand(act.do, act.pick)
      case 'finish':
      case 'set aside':
      case 'retry':
      case 'release':
        return this.#end(act.do, act.pick)
    }
  }

  async #accept(act: Act & { do: 'accept' }): Promise<void> {
    const orderKey = act.order === undefined ? undefined : `order ${act.order}`
    const accepted = await this.world.store.accept(
      newDelivery({ keys: [`key ${act.key}`], orderKey, holds: act.holds, acceptedAt: this.#now }),
    )
    const earlier = this.#byKey.get(act.key)
    expect(accepted.duplicate).toBe(earlier !== undefined)
    if (earlier) {
      expect(accepted.id).toBe(earlier.id)
      return
    }
    expect(accepted.id > (this.#deliveries.at(-1)?.id ?? '')).toBe(true)
    const delivery: Known = {
      id: accepted.id,
      order: act.order,
      holds: act.holds,
      state: 'queued',
      dueAt: this.#now,
      awaitsChange: false,
      claim: undefined,
    }
    this.#deliveries.push(delivery)
    this.#byKey.set(act.key, delivery)
  }

  async #claim(max: number): Promise<void> {
    const expected = this.#claimable().slice(0, max)
    const claimed = await claim(this.world.store, { max, now: this.#now })
    expect(claimed.map(one => one.id)).toEqual(expected.map(one => one.id))
    for (const [index, delivery] of expected.entries()) delivery.claim = claimed[index]
  }

  /** By the book: due, first of its key among what has not ended or holds, nothing of its key running. */
  #claimable(): readonly Known[] {
    const isBlocking = (one: Known) => one.state === 'queued' || (one.state === 'set-aside' && one.holds)
    return this.#deliveries.filter(delivery => {
      if (delivery.state !== 'queued' || delivery.claim || delivery.dueAt > this.#now) return false
      if (delivery.order === undefined) return true
      const lane = this.#deliveries.filter(one => one.order === delivery.order)
      return lane.find(isBlocking) === delivery && !lane.some(one => one.claim)
    })
  }

  async #end(how: 'finish' | 'set aside' | 'retry' | 'release', pick: number): Promise<void> {
    const running = this.#deliveries.filter(delivery => delivery.claim)
    const delivery = running[pick % Math.max(1, running.length)]
    const ref = delivery?.claim
    if (!delivery || !ref) return this.#lateEnd(pick)
    const { store } = this.world
    if (how === 'finish') await store.finish(ref, delivered({ at: this.#now }))
    else if (how === 'set aside') await store.finish(ref, setAside({ at: this.#now }))
    else if (how === 'retry') {
      await store.retry(ref, retryLater({ at: this.#now, dueAt: this.#now + 60_000, awaitsChange: pick % 2 === 0 }))
      delivery.dueAt = this.#now + 60_000
      delivery.awaitsChange = pick % 2 === 0
    } else await store.release(ref)
    if (how === 'finish') delivery.state = 'delivered'
    if (how === 'set aside') delivery.state = 'set-aside'
    this.#lose(delivery)
  }

  async #lateEnd(pick: number): Promise<void> {
    const late = this.#lost[pick % Math.max(1, this.#lost.length)]
    if (late) await expect(this.world.store.finish(late, delivered())).rejects.toMatchObject({ code: 'STORE_FENCED' })
  }

  async #byHand(how: 'skip' | 'requeue', pick: number): Promise<void> {
    const delivery = this.#deliveries[pick % Math.max(1, this.#deliveries.length)]
    if (!delivery) return
    const done =
      how === 'skip'
        ? this.world.store.skip(delivery.id, this.#now, 'by hand')
        : this.world.store.requeue(delivery.id, { now: this.#now, forgetIntents: false })
    const isOpen = delivery.state === 'queued' || delivery.state === 'set-aside'
    const isAllowed = how === 'skip' ? isOpen && !delivery.claim : delivery.state === 'set-aside'
    if (!isAllowed) {
      await expect(done).rejects.toMatchObject({ side: 'caller' })
      return
    }
    await done
    delivery.state = how === 'skip' ? 'skipped' : 'queued'
    delivery.dueAt = this.#now
    delivery.awaitsChange = false
  }

  async #allByHand(how: 'skip all' | 'requeue all'): Promise<void> {
    const { store } = this.world
    const ids = this.#deliveries.map(({ id }) => id)
    const aside = this.#deliveries.filter(({ state }) => state === 'set-aside')
    const done = how === 'skip all' ? store.skipAll(ids, this.#now, 'by hand') : store.requeueAll(ids, this.#now)
    expect(await done).toEqual(aside.map(({ id }) => id))
    for (const delivery of aside) {
      delivery.state = how === 'skip all' ? 'skipped' : 'queued'
      delivery.dueAt = this.#now
      delivery.awaitsChange = false
    }
  }

  async #wake(): Promise<void> {
    const waiting = this.#deliveries.filter(one => one.state === 'queued' && !one.claim && one.awaitsChange)
    expect(await this.world.store.wake(this.#now)).toBe(waiting.length)
    for (const delivery of waiting) Object.assign(delivery, { dueAt: this.#now, awaitsChange: false })
  }

  #lose(delivery: Known): void {
    if (delivery.claim) this.#lost.push(delivery.claim)
    delivery.claim = undefined
  }

  /** The store shows every delivery in the state that the model has it in. */
  async compare(): Promise<void> {
    const found = await this.world.store.find({ limit: 1000 })
    expect(found.map(({ id, state }) => ({ id, state }))).toEqual(
      this.#deliveries.map(({ id, state }) => ({ id, state })).toReversed(),
    )
    const count = (state: DeliveryState) => this.#deliveries.filter(delivery => delivery.state === state).length
    expect(await this.world.store.counts('orders')).toMatchObject({
      accepted: this.#deliveries.length,
      queued: count('queued'),
      delivered: count('delivered'),
      setAside: count('set-aside'),
      skipped: count('skipped'),
    })
  }

  /** In the end everything can be delivered: nothing is stuck. */
  async drain(): Promise<void> {
    for (const delivery of this.#deliveries) if (delivery.claim) await this.#end('release', 0)
    for (const [index, delivery] of this.#deliveries.entries()) {
      if (delivery.state === 'set-aside') await this.#byHand('requeue', index)
    }
    this.#now += 100_000
    for (let round = 0; round <= this.#deliveries.length; round += 1) {
      await this.#claim(100)
      for (const delivery of this.#deliveries) if (delivery.claim) await this.#end('finish', 0)
    }
    expect(this.#deliveries.filter(delivery => delivery.state === 'queued')).toEqual([])
    await this.compare()
  }
}
