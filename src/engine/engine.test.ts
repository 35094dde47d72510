import { afterEach, describe, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { defineReceiver } from '../flow/adapter.ts'
import { readBody } from '../kernel/body.ts'
import { hubErrors } from '../kernel/error.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../kernel/time.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { storeErrors } from '../store/errors.ts'
import { type EngineWorld, engineWorld, type WorldOptions } from './engine-world.ts'
import { engineErrors } from './errors.ts'

let worlds: EngineWorld[] = []
async function world(options?: WorldOptions): Promise<EngineWorld> {
  const made = await engineWorld(options)
  worlds.push(made)
  return made
}
afterEach(async () => {
  await Promise.all(worlds.map(made => made.close()))
  worlds = []
})

const ok = { summary: '250 ok' }
const busy = () => hubErrors.UNEXPECTED({ text: '451 busy' })
const textOf = async (message: Message) => Buffer.from(await readBody(message.body, 1e6, 'test')).toString()

describe('a message that is accepted', () => {
  test('is delivered, and its receipt is kept and found', async () => {
    const it = await world({ receivers: [() => ({ summary: '250 queued as 4F2A1', terms: ['4F2A1'] })] })
    const { id, duplicate } = await it.accept('order 1', { terms: ['<m1@contoso.com>'] })
    expect(duplicate).toBe(false)
    expect(await it.outcome(id)).toMatchObject({ id, state: 'delivered', summary: '250 queued as 4F2A1' })
    await it.engine().idle()
    for (const term of ['4F2A1', '<m1@contoso.com>']) {
      expect(await it.store().find({ term, limit: 10 })).toMatchObject([{ id, state: 'delivered' }])
    }
    expect((await it.store().get(id))?.receipts).toMatchObject([
      { effect: 'to[0]', state: 'done', summary: '250 queued as 4F2A1' },
    ])
  })

  test('is refused as a duplicate by its source key and by once-by, with the earlier id', async () => {
    const it = await world({ onceBy: 'message-id' })
    const first = await it.accept('a', { sourceKey: 'inbox/1', headers: { 'message-id': '<1>' } })
    expect(await it.accept('a', { sourceKey: 'inbox/1' })).toEqual({ id: first.id, duplicate: true })
    expect(await it.accept('a', { sourceKey: 'inbox/2', headers: { 'message-id': '<1>' } })).toEqual({
      id: first.id,
      duplicate: true,
    })
    expect((await it.accept('a', { sourceKey: 'inbox/3', headers: { 'message-id': '<2>' } })).duplicate).toBe(false)
    await it.engine().idle()
    expect(it.ended()).toHaveLength(2)
    expect(await it.intake().known(['inbox/1', 'inbox/9'])).toEqual(
      new Map([['inbox/1', { id: first.id, state: 'delivered' }]]),
    )
  })

  test('as a repeat after renumbering is told apart from a resend', async () => {
    const it = await world()
    const repeat = (sourceKey: string, refuse: boolean) =>
      it.accept('same bytes', { sourceKey, repeat: { key: '<1>', refuse } })
    const first = await repeat('v1/1', false)
    const resent = await repeat('v1/2', false)
    expect(resent.duplicate).toBe(false)
    const renumbered = await repeat('v2/1', true)
    expect(renumbered.duplicate).toBe(true)
    expect([first.id, resent.id]).toContain(renumbered.id)
  })

  test('without a value for once-by is not taken for a repeat of the next one', async () => {
    const it = await world({ onceBy: 'message-id' })
    await it.accept('a')
    expect((await it.accept('b')).duplicate).toBe(false)
  })

  test('may be larger than memory should hold: its bytes are streamed in and out', async () => {
    let seen = 0
    let chunksMax = 0
    const it = await world({
      receivers: [
        async message => {
          expect(message.body.held).toBeUndefined()
          for await (const chunk of message.body.stream()) {
            seen += chunk.length
            chunksMax = Math.max(chunksMax, chunk.length)
          }
          return ok
        },
      ],
    })
    async function* large() {
      for (let count = 0; count < 80; count++) yield Buffer.alloc(64 * 1024, count)
    }
    const { id } = await it.accept('', { body: large() })
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    expect(seen).toBe(80 * 64 * 1024)
    expect(chunksMax).toBeLessThanOrEqual(1024 * 1024)
  })

  test('above a limit is refused with the name of the limit, and nothing is left behind', async () => {
    const it = await world({
      limits: { messageBytes: 10, headerBytes: 20, queuedPerFlow: 1 },
      receivers: [() => Promise.reject(busy())],
    })
    await expect(it.accept('more than ten bytes')).rejects.toMatchObject({ code: 'BODY_TOO_LARGE' })
    await expect(it.accept('x', { headers: { subject: 'far too long a subject' } })).rejects.toMatchObject({
      code: 'ENGINE_HEADERS_TOO_LARGE',
    })
    await it.accept('x')
    await expect(it.accept('x')).rejects.toMatchObject({ code: 'ENGINE_QUEUE_FULL', retryAfterMs: 30 * SECOND })
    expect(await it.store().counts('orders')).toMatchObject({ accepted: 1, queued: 1 })
  })
})

describe('a delivery that fails', () => {
  test('twice and then succeeds is delivered once, after the waits of its policy', async () => {
    const tries: number[] = []
    const it = await world({
      receivers: [
        (_, { attempt }) => {
          tries.push(it.clock.now())
          if (attempt < 3) throw busy()
          return ok
        },
      ],
    })
    const startedAt = it.clock.now()
    await it.accept('order')
    await it.advance(10 * MINUTE)
    expect(tries.map(at => at - startedAt)).toEqual([0, MINUTE, 3 * MINUTE])
    expect(it.ended()).toMatchObject([{ state: 'delivered' }])
    expect((await it.store().find({ limit: 1 }))[0]).toMatchObject({ state: 'delivered', attemptCount: 3 })
  })

  test('for two days is set aside, with its cause and the next step, and can be replayed', async () => {
    const it = await world({ receivers: [() => Promise.reject(busy())] })
    const { id } = await it.accept('order')
    await it.advance(2 * DAY)
    expect(it.ended()).toMatchObject([{ delivery: id, state: 'set-aside', error: { code: 'HUB_UNEXPECTED' } }])
    expect((await it.store().get(id))?.error).toMatchObject({
      side: 'hub',
      message: expect.stringMatching(/^After \d+ attempts in .* it still failed\. .*451 busy/),
      next: expect.stringMatching(/./),
    })
    it.setActs(() => ok)
    expect(await it.engine().replay(id, 'admin')).toBe(id)
    await it.engine().idle()
    expect(it.ended()).toMatchObject([{}, { delivery: id, state: 'delivered' }])
    expect(await it.store().auditLog({ limit: 5 })).toMatchObject([{ who: 'admin', action: 'message.replay' }])
  })

  test('gets its full time again after a replay', async () => {
    const it = await world({ receivers: [() => Promise.reject(busy())] })
    const { id } = await it.accept('order')
    await it.advance(2 * DAY)
    await it.engine().replay(id, 'admin')
    await it.advance(DAY)
    expect((await it.store().get(id))?.state).toBe('queued')
    await it.advance(DAY)
    expect((await it.store().get(id))?.state).toBe('set-aside')
  })

  test('for good is set aside at once', async () => {
    const it = await world({
      receivers: [() => Promise.reject(hubErrors.UNEXPECTED({ text: '550 no such user' }, { retry: 'never' }))],
    })
    const { id } = await it.accept('order')
    expect(await it.outcome(id)).toMatchObject({
      state: 'set-aside',
      error: { message: expect.stringContaining('550') },
    })
    expect(it.failed()).toHaveLength(0)
  })

  test('until somebody changes something is tried at once after the change', async () => {
    let isAllowed = false
    const it = await world({
      receivers: [
        () => {
          if (!isAllowed) throw hubErrors.UNEXPECTED({ text: '535 refused' }, { retry: 'after-change' })
          return ok
        },
      ],
    })
    const { id } = await it.accept('order')
    await it.advance(MINUTE)
    expect((await it.store().get(id))?.awaitsChange).toBe(true)
    isAllowed = true
    expect(await it.engine().wake()).toBe(1)
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    expect(it.failed()).toHaveLength(1)
  })

  test('for want of a change that came while it was under way is tried again at once', async () => {
    let isAllowed = false
    const it = await world({
      receivers: [
        async () => {
          if (isAllowed) return ok
          isAllowed = true
          await it.engine().wake()
          throw hubErrors.UNEXPECTED({ text: '535 refused' }, { retry: 'after-change' })
        },
      ],
    })
    const { id } = await it.accept('order')
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
  })

  test('keeps what the other side answered while the disk is full, and asks it only once', async () => {
    let count = 0
    const it = await world({
      receivers: [
        () => {
          count++
          return ok
        },
      ],
    })
    const store = it.store()
    const finish = store.finish
    let refusals = 2
    store.finish = (claim, end) =>
      refusals-- > 0 ? Promise.reject(storeErrors.FULL({ text: 'ENOSPC' })) : finish(claim, end)
    const { id } = await it.accept('order')
    await it.clock.advance(5 * SECOND, () => new Promise(resolve => setTimeout(resolve, 2)))
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    expect(count).toBe(1)
  })

  test('of many flows stops no later than one whose receivers take their time to say goodbye', async () => {
    const it = await world()
    let closingCount = 0
    const allClose = Promise.withResolvers<void>()
    const declaration = defineReceiver({
      id: 'slow',
      title: 'Slow',
      summary: 'Ends when the others do.',
      answers: false,
      config: z.strictObject({}),
      examples: [],
      errors: {},
      open: async () => ({
        deliver: async () => ok,
        check: async () => ({ ok: true as const, detail: '' }),
        close() {
          closingCount += 1
          if (closingCount === 2) allClose.resolve()
          return allClose.promise
        },
      }),
    })
    for (const name of ['first', 'second']) {
      await it.engine().start({ ...it.flow, name, to: [{ declaration, config: {}, path: 'to[0]' }] })
    }
    await it.engine().close()
    expect(closingCount).toBe(2)
  })

  test('that finds the disk full when the hub stops is told of once; the next start has it', async () => {
    const told: unknown[] = []
    const tell = (event: string, fields?: object) => void told.push({ event, ...fields })
    const log: Log = { ...silentLog, info: tell, error: tell }
    const it = await world({ receivers: [() => ok], log })
    it.store().finish = () => Promise.reject(storeErrors.FULL({ text: 'ENOSPC' }))
    await it.accept('order')
    await vi.waitFor(() => expect(told).toHaveLength(1))
    await it.engine().close()
    await it.store().close()
    await it.clock.advance(10 * SECOND, () => new Promise(resolve => setTimeout(resolve, 2)))
    expect(told).toMatchObject([
      { event: 'engine.write-delayed', what: 'finish', code: 'STORE_FULL' },
      { event: 'delivery.not-recorded', code: 'STORE_FULL' },
    ])
  })

  test('marks its receiver as down, and as up again when it answers', async () => {
    const down = hubErrors.UNEXPECTED({ text: 'x' })
    const it = await world({ receivers: [() => Promise.reject(Object.assign(down, { side: 'receiver' }))] })
    await it.accept('order')
    await it.engine().idle()
    const link = () =>
      it
        .engine()
        .flows()[0]
        ?.links.find(entry => entry.link === 'to[0]')
    expect(link()).toMatchObject({ state: 'down', error: { code: 'HUB_UNEXPECTED' } })
    it.setActs(() => ok)
    await it.advance(MINUTE)
    expect(link()).toMatchObject({ state: 'up' })
  })

  test.each([
    [
      'a proxy that is away',
      () => netErrors.PROXY_UNREACHABLE({ proxy: 'proxy:8080', reason: 'ECONNREFUSED', setting: 'x' }),
    ],
    ['no connector', () => netErrors.NO_CONNECTOR({ via: 'dc', host: 's4', port: 25 })],
  ])('marks the link as down also where the way there is at fault: %s', async (_what, failure) => {
    let isDown = false
    const it = await world({ receivers: [() => (isDown ? Promise.reject(failure()) : ok)] })
    const link = () =>
      it
        .engine()
        .flows()[0]
        ?.links.find(entry => entry.link === 'to[0]')
    await it.accept('before')
    await it.engine().idle()
    expect(link()).toMatchObject({ state: 'up' })
    isDown = true
    await it.accept('order')
    await it.engine().idle()
    expect(link()).toMatchObject({ state: 'down', error: { code: failure().code, next: failure().next } })
    isDown = false
    await it.engine().wake('orders', true)
    await it.engine().idle()
    expect(link()).toMatchObject({ state: 'up' })
  })

  test('says nothing against its receiver where it is about the one message', async () => {
    const options = { isAboutMessage: true }
    const refused = Object.assign(hubErrors.UNEXPECTED({ text: '451 for one recipient' }, options), {
      side: 'receiver',
    })
    const it = await world({ receivers: [() => Promise.reject(refused)] })
    await it.accept('order')
    await it.engine().idle()
    const links = it.engine().flows()[0]?.links
    expect(links?.find(entry => entry.link === 'to[0]')).toMatchObject({ state: 'up', error: undefined })
    expect(it.failed()).toMatchObject([{ error: { code: 'HUB_UNEXPECTED' } }])
  })

  test('because a step takes too long is ended and tried again', async () => {
    let count = 0
    const it = await world({
      limits: { stepMs: 5 * MINUTE },
      receivers: [() => (count++ === 0 ? new Promise(() => {}) : ok)],
    })
    await it.accept('order')
    await it.clock.advance(6 * MINUTE, () => new Promise(resolve => setTimeout(resolve, 1)))
    await vi.waitFor(() => expect(it.failed()).toMatchObject([{ error: { code: 'ENGINE_STEP_TIMEOUT' } }]), 5000)
    await it.advance(MINUTE)
    expect(it.ended()).toMatchObject([{ state: 'delivered' }])
  })
})

describe('an attempt that is ended from outside', () => {
  test('is believed when its receiver says that the other side does not have it', async () => {
    const seen: boolean[] = []
    const interrupted = () => Object.assign(hubErrors.STOPPING(), { code: 'SAMPLE_INTERRUPTED' })
    const it = await world({
      limits: { stepMs: 5 * MINUTE },
      receivers: [
        async (_, effect) => {
          seen.push(effect.isUnknown)
          await effect.intend()
          if (effect.attempt > 1) return ok
          return new Promise((_resolve, reject) => effect.signal.addEventListener('abort', () => reject(interrupted())))
        },
      ],
    })
    await it.accept('order')
    await it.clock.advance(6 * MINUTE, () => new Promise(resolve => setTimeout(resolve, 1)))
    await it.advance(MINUTE)
    expect(seen).toEqual([false, false])
    expect(it.ended()).toMatchObject([{ state: 'delivered' }])
  })
})

describe('order by key', () => {
  test('deliveries of a key run one after the other, others meanwhile; a failed one holds back only its key', async () => {
    const seen: string[] = []
    let refuseA1 = true
    const it = await world({
      orderBy: 'key',
      receivers: [
        async message => {
          const text = await textOf(message)
          if (text === 'a1' && refuseA1) throw busy()
          seen.push(text)
          return ok
        },
      ],
    })
    for (const text of ['a1', 'b1', 'a2', 'b2', 'a3']) await it.accept(text, { headers: { key: text.slice(0, 1) } })
    await it.advance(30 * SECOND)
    expect(seen).toEqual(['b1', 'b2'])
    refuseA1 = false
    await it.advance(MINUTE)
    expect(seen).toEqual(['b1', 'b2', 'a1', 'a2', 'a3'])
  })

  test('a set-aside delivery holds its successors until it is repaired; then they follow in order', async () => {
    const seen: string[] = []
    const it = await world({
      orderBy: 'key',
      receivers: [
        async message => {
          const text = await textOf(message)
          if (text.includes('broken')) throw hubErrors.UNEXPECTED({ text: 'bad value' }, { retry: 'never' })
          seen.push(text)
          return ok
        },
      ],
    })
    const broken = await it.accept('a1 broken', { headers: { key: 'a' } })
    const held = await it.accept('a2', { headers: { key: 'a' } })
    await it.accept('a3', { headers: { key: 'a' } })
    await it.engine().idle()
    expect(seen).toEqual([])
    expect(await it.store().get(held.id)).toMatchObject({ state: 'queued', heldBy: broken.id })
    await it.engine().repair(broken.id, { body: Buffer.from('a1 repaired') }, 'admin')
    await it.engine().idle()
    expect(seen).toEqual(['a1 repaired', 'a2', 'a3'])
    expect((await it.store().get(broken.id))?.original?.body.bytes).toBe('a1 broken'.length)
  })

  test('a skipped delivery lets its successors go on; with when-set-aside: pass nothing is held', async () => {
    const refuseFirst = async (message: Message) => {
      if ((await textOf(message)) === '1') throw hubErrors.UNEXPECTED({ text: 'bad' }, { retry: 'never' })
      return ok
    }
    const holding = await world({ orderBy: 'key', receivers: [refuseFirst] })
    const passing = await world({ orderBy: 'key', whenSetAside: 'pass', receivers: [refuseFirst] })
    const ids: string[] = []
    for (const it of [holding, passing]) {
      ids.push((await it.accept('1', { headers: { key: 'k' } })).id)
      await it.accept('2', { headers: { key: 'k' } })
      await it.engine().idle()
    }
    const delivered = (it: EngineWorld) => it.ended().filter(event => event.state === 'delivered').length
    expect([delivered(holding), delivered(passing)]).toEqual([0, 1])
    await holding.engine().skip(ids[0] ?? '', 'wrong order', 'admin')
    await holding.engine().idle()
    expect(delivered(holding)).toBe(1)
  })
})

describe('effects', () => {
  test('a receiver that answered is not asked again when another one fails', async () => {
    const calls = [0, 0]
    const it = await world({
      receivers: [
        () => ({ summary: `first ${(calls[0] ?? 0) + 1}`, fields: { count: ++(calls[0] as number) } }),
        () => {
          if (++(calls[1] as number) < 3) throw busy()
          return ok
        },
      ],
    })
    await it.accept('order')
    await it.advance(HOUR)
    expect(it.ended()).toMatchObject([{ state: 'delivered' }])
    expect(it.failed()).toHaveLength(2)
    expect(calls[1]).toBe(3)
    const [row] = await it.store().find({ limit: 1 })
    const receipts = (await it.store().get(row?.id ?? ''))?.receipts
    expect(receipts?.find(receipt => receipt.effect.startsWith('to[0]'))?.summary).toBe('first 1')
  })

  test('what was asked is asked once for all attempts, and anew for a replay behind which nothing was done', async () => {
    let asked = 0
    let isRefused = true
    const ask = () => ({ summary: `asked ${++asked}`, isQuestion: true }) as const
    const tell = () => {
      if (!isRefused) return ok
      throw it.failed().length < 2 ? busy() : hubErrors.UNEXPECTED({ text: '550 no' }, { retry: 'never' })
    }
    const it = await world({ receivers: [ask, tell] })
    const { id } = await it.accept('order')
    await it.advance(HOUR)
    expect(it.ended()).toMatchObject([{ state: 'set-aside' }])
    expect(asked).toBe(1)
    isRefused = false
    await it.engine().replay(id, 'anna')
    await it.engine().idle()
    expect(asked).toBe(2)
  })

  test('after a repair every receiver gets the repaired message, not the receipt of the old one', async () => {
    const seen: string[] = []
    const it = await world({
      receivers: [
        async message => {
          seen.push(`archive ${await textOf(message)}`)
          return ok
        },
        async message => {
          const text = await textOf(message)
          if (text === 'broken') throw hubErrors.UNEXPECTED({ text: 'bad value' }, { retry: 'never' })
          seen.push(`sap ${text}`)
          return ok
        },
      ],
    })
    const { id } = await it.accept('broken')
    await it.outcome(id)
    await it.engine().repair(id, { body: Buffer.from('repaired') }, 'admin')
    await it.engine().idle()
    expect(seen).toEqual(['archive broken', 'archive repaired', 'sap repaired'])
  })

  test('words of a receipt are found although a later attempt made the end', async () => {
    let isDown = true
    const it = await world({
      receivers: [
        () => ({ summary: 'taken', terms: ['QUEUE1'] }),
        () => {
          if (isDown) throw busy()
          return ok
        },
      ],
    })
    const { id } = await it.accept('order')
    await it.advance(SECOND)
    isDown = false
    await it.advance(MINUTE)
    expect(await it.store().find({ term: 'QUEUE1', limit: 5 })).toMatchObject([{ id, state: 'delivered' }])
  })

  test('one dead receiver does not keep the message from the others', async () => {
    let second = 0
    const it = await world({
      receivers: [
        () => Promise.reject(busy()),
        () => {
          second++
          return ok
        },
      ],
    })
    await it.accept('order')
    await it.advance(HOUR)
    expect(second).toBe(1)
    expect(it.failed().length).toBeGreaterThan(3)
  })

  test('after a crash the delivery goes on behind its last receipt', async () => {
    let first = 0
    let stuck: (() => void) | undefined
    const hanging = new Promise<typeof ok>(resolve => {
      stuck = () => resolve(ok)
    })
    const it = await world({
      receivers: [
        () => {
          first++
          return { summary: 'first done' }
        },
        () => hanging,
      ],
    })
    const { id } = await it.accept('order')
    while (((await it.store().get(id))?.receipts.length ?? 0) === 0)
      await new Promise(resolve => setTimeout(resolve, 1))
    it.setActs(
      () => {
        first++
        return { summary: 'again' }
      },
      () => ({ summary: 'second done' }),
    )
    await it.crash()
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered', summary: 'second done' })
    expect(first).toBe(1)
    stuck?.()
  })

  test('an intent without a receipt is known as such after a crash, and forgotten by a replay', async () => {
    const seen: boolean[] = []
    const it = await world({
      receivers: [
        async (_, effect) => {
          await effect.intend()
          return new Promise(() => {})
        },
      ],
    })
    const { id } = await it.accept('order')
    while (((await it.store().get(id))?.receipts.length ?? 0) === 0)
      await new Promise(resolve => setTimeout(resolve, 1))
    it.setActs((_, effect) => {
      seen.push(effect.isUnknown)
      if (effect.isUnknown) throw hubErrors.UNEXPECTED({ text: 'unknown outcome' }, { retry: 'never' })
      return ok
    })
    await it.crash()
    expect(await it.outcome(id)).toMatchObject({ state: 'set-aside' })
    await it.engine().replay(id, 'admin')
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    expect(seen).toEqual([true, false])
  })

  test('what is noted with an intent is there for the attempt after a crash, the last note of an attempt', async () => {
    const seen: unknown[] = []
    const recorded = Promise.withResolvers<void>()
    const it = await world({
      receivers: [
        async (_, effect) => {
          await effect.intend({ stream: 'one' })
          await effect.intend({ stream: 'two' })
          recorded.resolve()
          return new Promise(() => {})
        },
      ],
    })
    const { id } = await it.accept('order')
    await recorded.promise
    let attempts = 0
    it.setActs(async (_, effect) => {
      seen.push(effect.note)
      attempts++
      // As after a restart: it was in doubt no longer, and then another server is busy.
      if (attempts === 1) await effect.intend(effect.note)
      if (attempts === 1) throw hubErrors.STOPPING()
      return ok
    })
    await it.crash()
    await it.advance(HOUR)
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    expect(seen).toEqual([{ stream: 'two' }, undefined])
  })

  test('an intent in doubt stays in doubt when another receiver fails in a known way', async () => {
    const doubts: boolean[] = []
    let sentCount = 0
    const inDoubt = engineErrors.OUTCOME_UNKNOWN({ where: 'to[0]' })
    const it = await world({
      receivers: [
        async (_, effect) => {
          doubts.push(effect.isUnknown)
          if (effect.isUnknown) throw inDoubt
          await effect.intend()
          sentCount++
          throw inDoubt
        },
        async (_, effect) => {
          await effect.intend()
          if (effect.attempt === 1) throw hubErrors.STOPPING()
          return ok
        },
      ],
    })
    const { id } = await it.accept('mail')
    await it.engine().idle()
    await it.advance(2 * MINUTE)
    expect({ sentCount, doubts }).toEqual({ sentCount: 1, doubts: [false, true] })
    expect((await it.store().get(id))?.state).toBe('set-aside')
  })

  test('what a receiver asks to do once is done once over all attempts and a crash', async () => {
    const asked: boolean[] = []
    let isHanging = true
    const it = await world({
      receivers: [
        async (_, effect) => {
          asked.push(await effect.isFirst('bounce', 'anna is told'))
          if (isHanging) return new Promise(() => {})
          throw hubErrors.UNEXPECTED({ text: '550' }, { retry: 'never' })
        },
        async () => {
          throw hubErrors.STOPPING()
        },
      ],
    })
    const { id } = await it.accept('mail')
    while (((await it.store().get(id))?.receipts.length ?? 0) === 0)
      await new Promise(resolve => setTimeout(resolve, 1))
    isHanging = false
    await it.crash()
    await it.advance(10 * MINUTE)
    expect(asked.length).toBeGreaterThan(3)
    expect(asked.filter(Boolean)).toEqual([true])
    expect((await it.store().get(id))?.receipts).toMatchObject([{ state: 'done', summary: 'anna is told' }])
  })

  test('what a receiver unlearns is gone from the key map though its attempt failed', async () => {
    const it = await world({
      receivers: [
        async (_, effect) => {
          effect.unlearn('the record may be another now', [{ map: 'records', key: '1', value: { id: 7 } }])
          throw hubErrors.UNEXPECTED({ text: 'cut off' }, { retry: 'never' })
        },
      ],
    })
    const { id } = await it.accept('mail')
    await it.engine().idle()
    const message = await it.store().get(id)
    expect(message?.state).toBe('set-aside')
    expect(message?.receipts).toMatchObject([{ state: 'withdrawn', summary: 'the record may be another now' }])
    expect((await it.store().recall('records', '1'))?.value).toEqual({ id: 7 })
  })

  test('an intent that was refused is withdrawn: the next attempt is not in doubt', async () => {
    const seen: boolean[] = []
    const refused = () => Object.assign(hubErrors.UNEXPECTED({ text: '451' }), { code: 'SAMPLE_REFUSED_FOR_NOW' })
    const it = await world({
      receivers: [
        async (_, effect) => {
          seen.push(effect.isUnknown)
          await effect.intend()
          if (effect.attempt === 1) throw refused()
          return ok
        },
      ],
    })
    await it.accept('order')
    await it.advance(HOUR)
    expect(seen).toEqual([false, false])
    expect(it.ended()).toMatchObject([{ state: 'delivered' }])
  })
})

describe('steps', () => {
  test.each(['dropped', 'rejected', 'set-aside'] as const)(
    'a step may end the way as %s, with a reason and no effect',
    async end => {
      let delivered = 0
      const it = await world({
        steps: [() => ({ end, reason: 'no recipient' })],
        receivers: [
          () => {
            delivered++
            return ok
          },
        ],
      })
      const { id } = await it.accept('mail')
      expect(await it.outcome(id)).toMatchObject({ state: end, summary: 'no recipient' })
      expect(delivered).toBe(0)
    },
  )

  test('a step that throws something unforeseen fails the attempt, not the hub', async () => {
    const it = await world({
      steps: [
        () => {
          throw new TypeError('x is undefined')
        },
      ],
    })
    await it.accept('mail')
    await it.engine().idle()
    expect(it.failed()).toMatchObject([{ error: { code: 'HUB_UNEXPECTED' } }])
  })
})

test('a probe travels the whole way and is not counted as traffic', async () => {
  const it = await world({
    probe: async (token, intake) => {
      await intake.accept({ headers: {}, attributes: {}, type: 'text/plain', body: Buffer.from('probe'), probe: token })
    },
  })
  expect(await it.engine().probe('orders', MINUTE)).toMatchObject({ state: 'delivered', summary: '250 ok' })
  expect(await it.store().counts('orders')).toMatchObject({ accepted: 0, delivered: 0, lastAcceptedAt: undefined })
})

test('a probe that is under way ends when its flow stops', async () => {
  const it = await world({ probe: async () => {} })
  const probe = it.engine().probe('orders', 10 * MINUTE)
  await it.engine().stop('orders')
  expect(await probe).toBeUndefined()
})

test('a probe that comes twice is one success', async () => {
  const it = await world()
  const first = await it.accept('probe', { probe: 't1', sourceKey: 'inbox/1' })
  expect(await it.accept('probe, changed on the way', { probe: 't1', sourceKey: 'inbox/2' })).toEqual({
    id: first.id,
    duplicate: true,
  })
  await it.engine().idle()
  expect(it.ended()).toHaveLength(1)
})

test('probes that were on their way over a restart take no place in the queue of real messages', async () => {
  let isHung = true
  const it = await world({
    limits: { queuedPerFlow: 2 },
    receivers: [() => (isHung ? Promise.reject(busy()) : ok)],
    probe: async (token, intake) => {
      await intake.accept({ headers: {}, attributes: {}, type: 'text/plain', body: Buffer.from('probe'), probe: token })
    },
  })
  const probes = ['t1', 't2', 't3'].map(probe => it.accept('probe', { probe }))
  await Promise.all(probes)
  await it.engine().idle()
  // They count neither while they wait nor, after a restart, when they end.
  await it.accept('order 1')
  await it.crash()
  isHung = false
  await it.advance(HOUR)
  expect(await it.store().counts('orders')).toMatchObject({ accepted: 1, queued: 0 })
  it.setActs(() => Promise.reject(busy()))
  await it.accept('order 2')
  await it.accept('order 3')
  await expect(it.accept('order 4')).rejects.toMatchObject({ code: 'ENGINE_QUEUE_FULL', fields: { queued: 2 } })
})

describe('a claim that the store no longer knows', () => {
  async function withLostClaim() {
    const warnings: string[] = []
    const log: Log = {
      ...silentLog,
      warn: (event, fields) => void warnings.push(`${event} ${String(fields?.['delivery'])}`),
    }
    const hang = Promise.withResolvers<{ summary: string }>()
    const it = await world({ log: { ...log, with: () => log }, receivers: [() => hang.promise] })
    const { id } = await it.accept('order')
    await vi.waitFor(() => expect(it.engine().flows()[0]?.running).toBe(1))
    vi.spyOn(it.store(), 'renew').mockImplementation(async claims => claims.map(claim => claim.id))
    return { it, id, warnings, end: () => hang.resolve(ok) }
  }

  test('because it has just ended is no loss', async () => {
    const { it, id, warnings, end } = await withLostClaim()
    await it.clock.advance(20 * SECOND)
    end()
    expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
    await it.clock.advance(MINUTE)
    expect(warnings).toEqual([])
  })

  test('although it goes on running is told, once', async () => {
    const { it, id, warnings, end } = await withLostClaim()
    await it.clock.advance(2 * MINUTE)
    expect(warnings).toEqual([`delivery.lost-claim ${id}`])
    end()
  })
})

test('a probe that does not arrive in time is undefined', async () => {
  const it = await world({ probe: async () => {} })
  const waiting = it.engine().probe('orders', MINUTE)
  await it.advance(MINUTE)
  expect(await waiting).toBeUndefined()
})

test('a flow that stops lets nothing be lost: what waits is delivered after the next start', async () => {
  const it = await world({ receivers: [() => Promise.reject(busy())] })
  const { id } = await it.accept('order')
  await it.engine().idle()
  await it.engine().stop('orders')
  await it.clock.advance(HOUR)
  expect((await it.store().get(id))?.state).toBe('queued')
  it.setActs(() => ok)
  await it.engine().start(it.flow)
  expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
})

test('a finished delivery is replayed as a new one that names the old', async () => {
  const it = await world({ onceBy: 'message-id' })
  const { id } = await it.accept('order', { headers: { 'message-id': '<1>' } })
  await it.outcome(id)
  await it.engine().idle()
  const again = await it.engine().replay(id, 'admin')
  expect(again).not.toBe(id)
  expect(await it.outcome(again)).toMatchObject({ state: 'delivered' })
  expect(await it.store().get(again)).toMatchObject({ replayOf: id })
})
