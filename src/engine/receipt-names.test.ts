import { expect, onTestFinished, test } from 'vitest'
import { z } from 'zod'
import type { LoadedFlow, StepNode } from '../flow/document.ts'
import { defineStep } from '../flow/step.ts'
import { type Body, heldBody, readBody } from '../kernel/body.ts'
import { hubErrors } from '../kernel/error.ts'
import { HOUR } from '../kernel/time.ts'
import { type Act, engineWorld, type WorldOptions } from './engine-world.ts'
import { ReceiptNames } from './receipt-names.ts'

const textOf = async (body: Body) => Buffer.from(await readBody(body, 1e6, 'test')).toString()

async function world(options: WorldOptions) {
  const it = await engineWorld(options)
  onTestFinished(() => it.close())
  return {
    ...it,
    /** The flow goes by another document from now on. */
    async change(changed: Partial<LoadedFlow>) {
      await it.engine().stop(it.flow.name)
      await it.engine().start({ ...it.flow, revision: 'r2', ...changed })
    },
  }
}

/** A receiver that notes what it got; what its mood says is thrown. */
function noting(seen: string[], name: string, mood: { error?: Error | undefined } = {}): Act {
  return async message => {
    if (mood.error) throw mood.error
    seen.push(`${name} ${await textOf(message.body)}`)
    return { summary: 'ok' }
  }
}

const away = () => hubErrors.UNEXPECTED({ text: 'away' }, { retry: 'soon' })

test('a receiver that has a message does not get it again when one that was down is taken out of the document', async () => {
  const seen: string[] = []
  const it = await world({ receivers: [noting(seen, 'archive'), noting(seen, 'dead', { error: away() })] })
  await it.accept('order')
  await it.engine().idle()
  await it.change({ to: it.flow.to.slice(0, 1) })
  await it.advance(HOUR)
  expect(it.ended()).toMatchObject([{ state: 'delivered' }])
  expect(seen).toEqual(['archive order'])
})

test('nor when they change places, or something new stands before it; the new one gets it', async () => {
  const seen: string[] = []
  const mood: { error?: Error | undefined } = { error: away() }
  const it = await world({
    receivers: [noting(seen, 'archive'), noting(seen, 'sap', mood), noting(seen, 'new')],
  })
  await it.change({ to: it.flow.to.slice(0, 2), revision: 'r1' })
  await it.accept('order')
  await it.engine().idle()
  mood.error = undefined
  const [archive, sap, added] = it.flow.to
  if (!archive || !sap || !added) throw new Error('three receivers were asked for')
  await it.change({ to: [added, sap, archive] })
  await it.advance(HOUR)
  expect(seen).toEqual(['archive order', 'new order', 'sap order'])
})

test('one that is left alone gets what only the other one had', async () => {
  const seen: string[] = []
  const it = await world({
    receivers: [noting(seen, 'archive'), noting(seen, 'sap', { error: away() }), noting(seen, 'new')],
  })
  await it.change({ to: it.flow.to.slice(0, 2), revision: 'r1' })
  await it.accept('order')
  await it.engine().idle()
  await it.change({ to: it.flow.to.slice(2) })
  await it.advance(HOUR)
  expect(seen).toEqual(['archive order', 'new order'])
})

test('a step that makes another content at each try sends it once', async () => {
  const seen: string[] = []
  const mood: { error?: Error | undefined } = { error: away() }
  let tries = 0
  const it = await world({
    steps: [message => ({ next: { ...message, body: heldBody(`try ${++tries}`, 'text/plain') } })],
    receivers: [noting(seen, 'archive'), noting(seen, 'sap', mood)],
  })
  await it.accept('order')
  await it.advance(2 * HOUR)
  mood.error = undefined
  await it.advance(2 * HOUR)
  expect(it.ended()).toMatchObject([{ state: 'delivered' }])
  expect(seen).toEqual(['archive try 1', `sap try ${tries}`])
})

test('each part of a repaired message is handed over, also where another one stood at its place', async () => {
  const seen: string[] = []
  const it = await world({ receivers: [noting(seen, 'sap')] })
  await it.change({ steps: [eachWord(it.flow.to)], to: [], revision: 'r1' })
  const { id } = await it.accept('one two BAD four')
  await it.engine().idle()
  expect(seen).toEqual(['sap one', 'sap two'])
  await it.engine().repair(id, { body: Buffer.from('zero one two three four') }, 'admin')
  await it.engine().idle()
  expect(it.ended()).toMatchObject([{ state: 'set-aside' }, { state: 'delivered' }])
  expect(seen).toEqual(['sap one', 'sap two', 'sap zero', 'sap three', 'sap four'])
})

test('parts that are the same are handed over as often as they are there', async () => {
  const seen: string[] = []
  const it = await world({ receivers: [noting(seen, 'sap')] })
  await it.change({ steps: [eachWord(it.flow.to)], to: [], revision: 'r1' })
  const { id } = await it.accept('one BAD one')
  await it.engine().idle()
  await it.engine().repair(id, { body: Buffer.from('one two one') }, 'admin')
  await it.engine().idle()
  expect(seen).toEqual(['sap one', 'sap two', 'sap one'])
})

test.each([
  ['several receivers', 'to[1]', (name: string) => name.replace(/\.[0-9a-f]{8}$/, '')],
  ['one receiver', 'steps[0].each[1].to[0]', (name: string) => name.replace(/ #.*$/, '')],
])('receipts that an older hub wrote in a flow with %s count', (_, place, asBefore) => {
  const sap = { fingerprint: 'f' }
  const message = { headers: {}, attributes: {}, body: heldBody('x', 'text/plain') }
  const body = { bytes: 1, type: 'text/plain', sha256: undefined, inline: Buffer.from('x') }
  const claimed = { id: 'm', headers: {}, attributes: {}, body }
  const effect = asBefore(new ReceiptNames(claimed, 'r1', []).fresh(place, sap, message))
  const done = { effect, state: 'done', at: 0, summary: 'ok', fields: undefined, answer: undefined } as const
  expect(new ReceiptNames(claimed, 'r1', [done]).known(place, sap, message)).toBe(effect)
  expect(
    new ReceiptNames(claimed, 'r1', [done]).known('to[0]', sap, { ...message, headers: { a: 'b' } }),
  ).toBeUndefined()
})

/** Hands over each word of the body by itself; BAD cannot be. */
function eachWord(to: LoadedFlow['to']): StepNode {
  const declaration = defineStep({
    id: 'words',
    title: 'Words',
    summary: 'Hands over each word by itself.',
    config: () => z.strictObject({}),
    examples: [],
    errors: {},
    async prepare(context) {
      const block = await context.block('each', [], to)
      return {
        async run(message, run) {
          const words = (await textOf(message.body)).split(' ')
          for (const [index, word] of words.entries()) {
            if (word === 'BAD') return { end: 'set-aside', reason: 'bad' }
            await run.enter(block, { ...message, body: heldBody(word, 'text/plain') }, index)
          }
          return { next: message }
        },
      }
    },
  })
  return { declaration, config: {}, path: 'steps[0]' }
}
