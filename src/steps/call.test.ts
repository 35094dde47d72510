import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { z } from 'zod'
import { defineReceiver, defineSender, type Intake, type Receipt } from '../flow/adapter.ts'
import { simulate } from '../testing/simulate.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

test('an answer is the same for each attempt, so that what was done with it is not done again', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-call-'))
  closing.push(async () => rmSync(folder, { recursive: true }))
  const flowFile = join(folder, 'flow.yaml')
  writeFileSync(
    flowFile,
    `flow: orders
from: { script: {} }
steps:
  - call: { to: { ask: {} }, into: asked, take: answer }
to: [{ make: {} }, { tell: {} }]
`,
  )
  const done: string[] = []
  let intake: Intake | undefined
  const common = { title: 'Script', summary: 'As the test says.', config: z.strictObject({}), examples: [], errors: {} }
  const check = async () => ({ ok: true as const, detail: 'scripted' })
  const sender = defineSender({
    ...common,
    id: 'script',
    async open(context) {
      ;({ intake } = context)
      const receive = () => new Promise<void>(resolve => context.signal.addEventListener('abort', () => resolve()))
      return { receive, check, close: async () => {} }
    },
  })
  const receiver = (id: string, answers: boolean, deliver: () => Receipt) =>
    defineReceiver({
      ...common,
      id,
      answers,
      open: async () => ({
        deliver: async () => {
          done.push(id)
          return deliver()
        },
        check,
        close: async () => {},
      }),
    })
  const receivers = [
    receiver('ask', true, () => ({ isQuestion: true, summary: 'found', terms: ['4711'] })),
    receiver('make', false, () => ({ summary: 'made' })),
    receiver('tell', false, () => {
      if (done.filter(each => each === 'tell').length === 1) throw new Error('not now')
      return { summary: 'told' }
    }),
  ]
  const simulated = await simulate({ flowFile, declarations: { senders: [sender], receivers } })
  closing.push(simulated.close)
  await intake?.accept({ headers: {}, attributes: {}, type: 'text/plain', body: Buffer.from('x') })
  await simulated.advance('2m')
  expect(done).toEqual(['ask', 'make', 'tell', 'tell'])
})
