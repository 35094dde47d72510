import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineReceiver, defineSender, type Intake } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { simulate } from '../testing/simulate.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

/** A flow with these steps whose messages the test hands over, and whose receiver keeps what it gets. */
async function world(steps: string) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-key-map-'))
  closing.push(async () => rmSync(folder, { recursive: true }))
  const flowFile = join(folder, 'flow.yaml')
  writeFileSync(flowFile, `flow: orders\nfrom:\n  script: {}\nsteps:\n${steps}\nto:\n  script: {}\n`)
  let intake: Intake | undefined
  let refusals = 0
  const got: Json[] = []
  const base = {
    id: 'script',
    title: 'Script',
    summary: 'As the test says.',
    config: z.strictObject({}),
    examples: [],
    errors: {},
  }
  const check = async () => ({ ok: true as const, detail: 'scripted' })
  const sender = defineSender({
    ...base,
    async open(context) {
      ;({ intake } = context)
      const ended = new Promise<void>(resolve =>
        context.signal.addEventListener('abort', () => resolve(), { once: true }),
      )
      return { receive: () => ended, check, close: async () => {} }
    },
  })
  const receiver = defineReceiver({
    ...base,
    answers: false,
    open: async () => ({
      async deliver({ attributes, body }) {
        if (refusals > 0) {
          refusals -= 1
          throw new Error('not now')
        }
        got.push({ ...attributes, body: JSON.parse(Buffer.from(body.held ?? []).toString()) as Json })
        return { summary: 'ok' }
      },
      check,
      close: async () => {},
    }),
  })
  const simulated = await simulate({ flowFile, declarations: { senders: [sender], receivers: [receiver] } })
  closing.push(simulated.close)
  return {
    simulated,
    got,
    refuse: (times: number) => {
      refusals = times
    },
    async hand(body: Json) {
      await intake?.accept({
        headers: {},
        attributes: {},
        type: 'application/json',
        body: Buffer.from(JSON.stringify(body)),
      })
      await simulated.settle()
    },
  }
}

const both = `
  - choose:
      - when: has(message.body.id)
        steps: [{ remember: { map: accounts, key: '\${message.body.customer}', value: '\${message.body.id}' } }]
      - otherwise:
          steps: [{ lookup: { map: accounts, key: '\${message.body.customer}', into: account, missing: wait } }]
`

test('what one message brought is there for the next, over a crash', async () => {
  const it = await world(`
  - lookup: { map: accounts, key: '\${message.body.customer}', into: before, missing: 'null' }
  - remember: { map: accounts, key: '\${message.body.customer}', value: { id: '\${message.body.id}' } }`)
  await it.hand({ customer: 1001, id: 'a' })
  await it.simulated.crash()
  await it.hand({ customer: '1001', id: 'b' })
  expect(it.got).toMatchObject([{ before: null }, { before: { id: 'a' } }])
})

test('a lookup gives the same at every attempt, whatever is written meanwhile', async () => {
  const it = await world(`
  - lookup: { map: accounts, key: '\${message.body.customer}', into: before, missing: 'null' }
  - remember: { map: accounts, key: '\${message.body.customer}', value: '\${message.body.id}' }`)
  it.refuse(1)
  await it.hand({ customer: '1001', id: 'a' })
  await it.simulated.advance('2m')
  // The first attempt had remembered already; the second still sees what was there before it.
  expect(it.got).toEqual([{ before: null, body: { customer: '1001', id: 'a' } }])
})

test('a message waits until another has brought what it looks up', async () => {
  const it = await world(both)
  await it.hand({ customer: '1001' })
  expect(it.got).toEqual([])
  await it.hand({ customer: '1001', id: 'x' })
  await it.simulated.advance('5m')
  expect(it.got).toMatchObject([{ body: { id: 'x' } }, { account: 'x' }])
})

test('a lookup that finds nothing sets aside, and a key is a text or a number', async () => {
  const it = await world("  - lookup: { map: accounts, key: '${message.body.customer}', into: account }")
  await it.hand({ customer: '1001' })
  await it.hand({ customer: { a: 1 } })
  await it.hand({ customer: '' })
  const rows = await it.simulated.deliveries()
  expect(rows.map(({ state, summary, error }) => [state, error?.code ?? summary])).toEqual([
    ['set-aside', 'ENGINE_ENDED_BY_STEP'],
    ['set-aside', 'KEYMAP_KEY_UNFIT'],
    ['set-aside', 'KEYMAP_KEY_UNFIT'],
  ])
  expect(rows[0]?.summary).toContain('accounts has nothing under 1001')
})

test('a replay looks up anew, but not what something was done after', async () => {
  const it = await world(`
  - choose:
      - when: has(message.body.account)
        steps: [{ remember: { map: accounts, key: '\${message.body.customer}', value: '\${message.body.account}' } }]
      - otherwise:
          steps:
            - lookup: { map: orders, key: '\${message.body.customer}', into: before, missing: 'null' }
            - remember: { map: orders, key: '\${message.body.customer}', value: '\${message.body.order}' }
            - lookup: { map: accounts, key: '\${message.body.customer}', into: account }`)
  await it.hand({ customer: '1001', order: 7 })
  await it.hand({ customer: '1001', account: 'x' })
  const [waiting] = (await it.simulated.deliveries()).filter(({ state }) => state === 'set-aside')
  await it.simulated.engine.replay(waiting?.id ?? '', 'ada')
  await it.simulated.settle()
  expect(it.got).toMatchObject([{ body: { account: 'x' } }, { before: null, account: 'x', body: { order: 7 } }])
})

test('forget takes a key out again', async () => {
  const it = await world(`
  - remember: { map: accounts, key: a, value: 1 }
  - remember: { map: accounts, key: a, forget: true }
  - lookup: { map: accounts, key: a, into: account, missing: 'null' }`)
  await it.hand({})
  expect(it.got).toMatchObject([{ account: null }])
})
