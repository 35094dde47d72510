import { afterEach, expect, test, vi } from 'vitest'
import { z } from 'zod'
import { answers } from '../adapters/answers.ts'
import { defineReceiver } from '../flow/adapter.ts'
import type { AnsweredState, LoadedFlow } from '../flow/document.ts'
import { readBody } from '../kernel/body.ts'
import { defineErrors, hubErrors } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { DAY } from '../kernel/time.ts'
import { type Act, type EngineWorld, engineWorld } from './engine-world.ts'

const crm = defineErrors('CRM', {
  REFUSED: { side: 'receiver', retry: 'never', means: 'The name is too long.', next: 'Shorten it.' },
})

let it: EngineWorld
/** The outcome that the listener does not want to hear of. */
let refused: string | undefined
let told: { readonly outcome: unknown; readonly docnum: unknown; readonly body: JsonObject }[] = []
afterEach(async () => {
  await it.close()
  told = []
  refused = undefined
})

async function world(receiver: Act, on: readonly AnsweredState[], afterMs = 0): Promise<void> {
  it = await engineWorld({ receivers: [receiver], answer: { to: 'acks', on, afterMs } })
}

const listener = defineReceiver({
  id: 'listener',
  title: 'Listener',
  summary: 'Keeps what it is told.',
  answers: false,
  config: z.strictObject({}),
  examples: [],
  errors: {},
  open: async () => ({
    async deliver({ attributes, body }) {
      const text = Buffer.from(await readBody(body, 1e6, 'test')).toString()
      const { outcome, docnum } = attributes
      if (outcome === refused) throw crm.REFUSED()
      told.push({ outcome, docnum, body: JSON.parse(text) as JsonObject })
      return { summary: 'told' }
    },
    check: async () => ({ ok: true as const, detail: '' }),
    close: async () => {},
  }),
})

function acks(): LoadedFlow {
  return {
    ...it.flow,
    name: 'acks',
    from: { declaration: answers, config: {} },
    to: [{ declaration: listener, config: {}, path: 'to' }],
    answer: undefined,
  }
}

const outcomes = () => told.map(({ outcome }) => outcome)

test('what an answer tells of is on the disk before the answer is: no crash in between takes it back', async () => {
  await world(() => ({ summary: '204 updated' }), ['delivered'])
  const store = it.store()
  const { accept } = store
  const kept: string[] = []
  vi.spyOn(store, 'accept').mockImplementation(async delivery => {
    const [about = ''] = delivery.flow === 'acks' ? delivery.terms : []
    for (const { summary } of (await store.get(about))?.receipts ?? []) kept.push(summary)
    return accept(delivery)
  })
  await it.engine().start(acks())
  await it.accept('x')
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered'])
  expect(kept).toEqual(['204 updated'])
})

test('another flow is told what the receiver said, with the attributes of the message', async () => {
  await world(() => ({ summary: '204 updated', fields: { operation: 'updated', status: 204 } }), ['delivered'])
  await it.engine().start(acks())
  const { id } = await it.accept('x', { attributes: { docnum: '4711' } })
  await it.engine().idle()
  expect(told).toEqual([
    {
      outcome: 'delivered',
      docnum: '4711',
      body: {
        flow: 'orders',
        message: id,
        state: 'delivered',
        at: expect.stringMatching(/^\d{4}-.*Z$/),
        summary: '204 updated',
        error: null,
        receipt: { operation: 'updated', status: 204 },
      },
    },
  ])
  expect(await it.store().find({ flow: 'acks', term: id, limit: 5 })).toHaveLength(1)
})

test('that it was accepted is told first, also when it has ended before', async () => {
  await world(() => ({ summary: 'ok' }), ['accepted', 'delivered'])
  await it.engine().start(acks())
  for (let count = 0; count < 5; count += 1) await it.accept('x', { attributes: { docnum: String(count) } })
  await it.engine().idle()
  for (let count = 0; count < 5; count += 1) {
    const own = told.filter(({ docnum }) => docnum === String(count)).map(({ outcome }) => outcome)
    expect(own).toEqual(['accepted', 'delivered'])
  }
})

test('one that is set aside, then replayed, is told of twice: refused, then delivered', async () => {
  let isRefusing = true
  await world(() => {
    if (isRefusing) throw crm.REFUSED()
    return { summary: 'ok' }
  }, ['delivered', 'set-aside'])
  await it.engine().start(acks())
  const { id } = await it.accept('x')
  await it.engine().idle()
  expect(told[0]?.body['error']).toMatchObject({
    code: 'CRM_REFUSED',
    side: 'receiver',
    message: 'The name is too long.',
  })
  isRefusing = false
  await it.engine().replay(id, 'operator')
  await it.engine().idle()
  expect(outcomes()).toEqual(['set-aside', 'delivered'])
})

test('one that is skipped by hand is told of', async () => {
  await world(() => {
    throw crm.REFUSED()
  }, ['skipped'])
  await it.engine().start(acks())
  const { id } = await it.accept('x')
  await it.engine().idle()
  await it.engine().skip(id, 'not needed', 'operator')
  await it.engine().idle()
  expect(told.map(({ body }) => body['summary'])).toEqual(['not needed'])
})

test('a replay that a newer one overtook takes nothing back of what was told before', async () => {
  it = await engineWorld({
    receivers: [() => ({ summary: 'ok' })],
    answer: { to: 'acks', on: ['delivered', 'skipped'], afterMs: 0 },
    orderBy: 'object',
    onlyNewer: 'number',
  })
  await it.engine().start(acks())
  const send = (number: string) => it.accept('x', { headers: { object: 'a', number }, attributes: { docnum: number } })
  const { id } = await send('4')
  await send('5')
  await send('3')
  await it.engine().idle()
  const ends = () => told.map(({ docnum, outcome }) => `${String(docnum)} ${String(outcome)}`).toSorted()
  expect(ends()).toEqual(['3 skipped', '4 delivered', '5 delivered'])
  const replayed = await it.engine().replay(id, 'operator')
  await it.engine().idle()
  expect(await it.outcome(replayed)).toMatchObject({ state: 'skipped' })
  expect(ends()).toEqual(['3 skipped', '4 delivered', '5 delivered'])
})

test('while the other flow does not run the answers wait, and health says so', async () => {
  await world(() => ({ summary: 'ok' }), ['delivered'])
  await it.accept('x')
  await it.engine().idle()
  const linkOf = () =>
    it
      .engine()
      .flows()
      .find(({ flow }) => flow.name === 'orders')
      ?.links.find(({ link }) => link === 'answer')
  expect(linkOf()).toMatchObject({ state: 'down', error: { code: 'ENGINE_ANSWER_WAITS' } })
  expect(it.ended()).toMatchObject([{ flow: 'orders', state: 'delivered' }])
  await it.engine().start(acks())
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered'])
  expect(linkOf()).toMatchObject({ state: 'up' })
})

test('a crash before the end is recorded neither loses the answer nor gives it twice', async () => {
  await world(() => ({ summary: 'ok' }), ['delivered'])
  const store = it.store()
  const finish = store.finish.bind(store)
  // The process dies between the answer and the end.
  store.finish = () => Promise.reject(hubErrors.STOPPING())
  await it.accept('x')
  await expect.poll(async () => (await store.find({ flow: 'acks', limit: 5 })).length).toBe(1)
  store.finish = finish
  await it.crash()
  await it.engine().start(acks())
  await it.advance(DAY / 24)
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered'])
})

test('nor where the next attempt fails first, with which its tries begin', async () => {
  let isBusy = false
  it = await engineWorld({
    steps: [
      next => {
        if (isBusy) throw hubErrors.UNEXPECTED({ text: 'busy' })
        return { next }
      },
    ],
    answer: { to: 'acks', on: ['delivered'], afterMs: 0 },
  })
  const store = it.store()
  store.finish = () => Promise.reject(hubErrors.STOPPING())
  await it.accept('x')
  await expect.poll(async () => (await store.find({ flow: 'acks', limit: 5 })).length).toBe(1)
  isBusy = true
  it.clock.set(it.clock.now() + 7000)
  await it.crash()
  await expect.poll(() => it.failed().length).toBe(1)
  isBusy = false
  await it.engine().start({ ...acks(), steps: [] })
  await it.advance(DAY / 24)
  expect(it.ended()).toContainEqual(expect.objectContaining({ flow: 'orders', state: 'delivered' }))
  expect(outcomes()).toEqual(['delivered'])
})

test('nor that it was set aside, each time that it was', async () => {
  let fails: 'for good' | 'for now' = 'for good'
  it = await engineWorld({
    steps: [
      () => {
        throw fails === 'for now' ? hubErrors.UNEXPECTED({ text: 'busy' }) : crm.REFUSED()
      },
    ],
    answer: { to: 'acks', on: ['set-aside'], afterMs: 0 },
  })
  const crashAtEnd = async (answered: number) => {
    it.store().finish = () => Promise.reject(hubErrors.STOPPING())
    await expect.poll(async () => (await it.store().find({ flow: 'acks', limit: 5 })).length).toBe(answered)
    fails = 'for now'
    it.clock.set(it.clock.now() + 7000)
    await it.crash()
    await expect.poll(() => it.failed().length).toBe(answered)
    fails = 'for good'
    await it.advance(DAY / 24)
  }
  const accepting = it.accept('x')
  await crashAtEnd(1)
  const { id } = await accepting
  expect(await it.store().find({ flow: 'acks', limit: 5 })).toHaveLength(1)
  await it.engine().replay(id, 'operator')
  await crashAtEnd(2)
  expect(await it.store().find({ flow: 'acks', limit: 5 })).toHaveLength(2)
})

test('an answer that could not be told is not told behind a later one of the same message, when all are replayed', async () => {
  await world(() => ({ summary: 'ok' }), ['accepted', 'delivered'])
  await it.engine().start(acks())
  refused = 'accepted'
  await it.accept('first')
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered'])
  refused = undefined
  const [untold] = await it.store().find({ flow: 'acks', state: 'set-aside', limit: 5 })
  const id = untold?.id ?? ''
  await it.engine().replay(id, 'operator')
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered'])
  expect(await it.store().get(id)).toMatchObject({ state: 'skipped', summary: expect.stringMatching(/^superseded: /) })
  // Whoever wants it all the same says so once more.
  await it.engine().replay(id, 'operator')
  await it.engine().idle()
  expect(outcomes()).toEqual(['delivered', 'accepted'])
})

test('an earlier answer that was told a second time does not stand before a later one that could not be told', async () => {
  await world(() => ({ summary: 'ok' }), ['accepted', 'delivered'])
  await it.engine().start(acks())
  refused = 'delivered'
  await it.accept('first')
  await it.engine().idle()
  const [accepted] = await it.store().find({ flow: 'acks', state: 'delivered', limit: 5 })
  const [untold] = await it.store().find({ flow: 'acks', state: 'set-aside', limit: 5 })
  await it.engine().replay(accepted?.id ?? '', 'operator')
  await it.engine().idle()
  refused = undefined
  await it.engine().replay(untold?.id ?? '', 'operator')
  await it.engine().idle()
  expect(outcomes()).toEqual(['accepted', 'accepted', 'delivered'])
})

test('what its sender could not read is set aside with the reason, passes no step and is not answered', async () => {
  await world(() => ({ summary: 'ok' }), ['accepted', 'set-aside', 'delivered'])
  await it.engine().start(acks())
  const unreadable = crm.REFUSED()
  const { id } = await it.accept('<broken', { unreadable, sourceKey: 'bytes/1', attributes: { docnum: '1' } })
  await it.engine().idle()
  expect(await it.store().get(id)).toMatchObject({
    state: 'set-aside',
    error: { code: 'CRM_REFUSED', next: 'Shorten it.' },
  })
  expect(told).toEqual([])
  expect(await it.accept('<broken', { unreadable, sourceKey: 'bytes/1' })).toEqual({ id, duplicate: true })
})

test('an answer waits as long as the flow says, so that it does not overtake the answer to the call', async () => {
  await world(() => ({ summary: 'ok' }), ['accepted', 'delivered'], 5000)
  await it.engine().start(acks())
  await it.accept('x')
  await it.engine().idle()
  await it.advance(4000)
  expect(told).toEqual([])
  await it.advance(2000)
  expect(outcomes()).toEqual(['accepted', 'delivered'])
})
