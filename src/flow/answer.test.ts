import path from 'node:path'
import { expect, test } from 'vitest'
import { z } from 'zod'
import { answers } from '../adapters/answers.ts'
import { builtInSteps } from '../steps/built-in.ts'
import { defineSender } from './adapter.ts'
import { adapters, flowFolder } from './flow-world.ts'
import { loadFlow } from './load-flow.ts'

const numbered = defineSender({
  id: 'numbered',
  title: 'Numbered',
  summary: 'Knows an order of its own.',
  config: z.strictObject({}),
  examples: [],
  errors: {},
  attributes: ['number', 'object'],
  delivery: { 'order-by': 'message.object', 'only-newer': 'message.number' },
  open: () => Promise.reject(new Error('not opened here')),
})

async function load(text: string) {
  const { folder, remove } = await flowFolder({ 'flow.yaml': text })
  try {
    const senders = [...adapters.senders, answers, numbered]
    return await loadFlow({
      file: path.join(folder, 'flow.yaml'),
      stage: 'dev',
      senders,
      receivers: adapters.receivers,
      steps: builtInSteps,
    })
  } finally {
    await remove()
  }
}

const to = 'to: { server: { host: s4.virtual } }'

test('a flow names who is told of its messages', async () => {
  const result = await load(`flow: orders\nfrom: { schedule: { every: 1m } }\n${to}\nanswer: { to: acks }`)
  expect(result).toMatchObject({
    flow: { answer: { to: 'acks', on: ['delivered', 'set-aside', 'rejected', 'dropped', 'skipped'], afterMs: 5000 } },
  })
  const own = await load(
    `flow: orders\nfrom: { schedule: { every: 1m } }\n${to}\nanswer: { to: acks, on: [accepted], after: 1m }`,
  )
  expect(own).toMatchObject({ flow: { answer: { on: ['accepted'], afterMs: 60_000 } } })
})

test.each([
  ['itself', `flow: orders\nfrom: { schedule: { every: 1m } }\n${to}\nanswer: { to: orders }`, /answered, and so on/],
  ['an answer', `flow: acks\nfrom: { answers: {} }\n${to}\nanswer: { to: others }`, /answered, and so on/],
  ['nothing', `flow: orders\nfrom: { schedule: { every: 1m } }\n${to}\nanswer: { to: acks, on: [] }`, /./],
])('it cannot answer %s', async (_, text, words) => {
  const result = await load(text)
  expect('problems' in result ? result.problems.map(({ message }) => message).join() : '').toMatch(words)
})

test('only-newer needs something that belongs together', async () => {
  const text = `flow: orders\nfrom: { schedule: { every: 1m } }\n${to}\ndelivery: { only-newer: message.size }`
  const result = await load(text)
  expect('problems' in result ? result.problems : []).toMatchObject([
    { line: 4, message: expect.stringContaining('there is none'), severity: 'error' },
  ])
})

test('a sender brings its own order; the document wins', async () => {
  const flowOf = async (more: string) => {
    const result = await load(`flow: orders\nfrom: { numbered: {} }\n${to}\n${more}`)
    if (!('flow' in result)) throw new Error(JSON.stringify(result.problems))
    const { orderBy, onlyNewer } = result.flow.delivery
    return [orderBy?.text, onlyNewer?.text]
  }
  expect(await flowOf('')).toEqual(['message.object', 'message.number'])
  expect(await flowOf('delivery: { order-by: message.number }')).toEqual(['message.number', 'message.number'])
  expect(await flowOf(`delivery: { only-newer: "''" }`)).toEqual(['message.object', "''"])
})
