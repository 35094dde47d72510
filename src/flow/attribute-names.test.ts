import path from 'node:path'
import { expect, test } from 'vitest'
import { builtInReceivers, builtInSenders } from '../adapters/built-in.ts'
import { builtInSteps } from '../steps/built-in.ts'
import { adapters } from './flow-world.ts'
import { loadFlow } from './load-flow.ts'

const declarations = {
  senders: [...builtInSenders, ...adapters.senders],
  receivers: builtInReceivers,
  steps: builtInSteps,
}
const imap = 'imap: { host: mail.example, user: orders@contoso.com, auth: box }'
const smtp = 'smtp: { host: s4.example, to: sap@s4.example }'

/** `line:column message | next` of each error in a document with this sender and these further lines. */
async function lint(from: string, ...more: readonly string[]): Promise<readonly string[]> {
  const text = ['flow: mails', 'from:', `  ${from}`, 'to:', `  ${smtp}`, ...more, ''].join('\n')
  const file = path.resolve('/flows/mails/flow.yaml')
  const result = await loadFlow({ ...declarations, file, text, stage: 'dev' })
  if ('flow' in result) return []
  return result.problems.map(({ line, column, message, next }) => `${line}:${column} ${message} | ${next}`)
}

test('a typo in once-by is found before it keeps mails in the mailbox', async () => {
  expect(await lint(imap, 'delivery: { once-by: message.mesageId, order-by: message.from }')).toEqual([
    '6:30 This expression is not valid: a message has no "mesageId". | Did you mean message.messageId?',
  ])
  expect(await lint(imap, `delivery: { once-by: "message['messageId']", order-by: message.mailbox }`)).toEqual([])
})

test('a name that is near to none is answered with all there are', async () => {
  const [problem] = await lint(imap, 'delivery: { order-by: message.orderNumber }')
  expect(problem).toContain('6:31 This expression is not valid: a message has no "orderNumber"')
  expect(problem).toContain('message has from, to, cc, subject, messageId, date,')
})

const conditions: readonly [string, string, string][] = [
  ['a filter', '  - filter: { keep: message.sbject != "" }', '7:29'],
  ['a template', '  - map: { set: { headers: { x: "a ${message.sbject}" } } }', '7:46'],
  ['has()', '  - filter: { keep: has(message.sbject) }', '7:33'],
  [
    'a choice inside a split',
    '  - split: { each: lines, steps: [{ filter: { keep: message.sbject == "" } }] }',
    '7:61',
  ],
]
test.each(conditions)('%s is checked too', async (_what, step, place) => {
  expect(await lint(imap, 'steps:', step)).toEqual([
    `${place} This expression is not valid: a message has no "sbject". | Did you mean message.subject?`,
  ])
})

test('what steps give to messages may be named on their way, but not before the first step', async () => {
  const steps = [
    'steps:',
    '  - map: { set: { attributes: { region: EU } } }',
    '  - enrich: { from: { http: { url: "https://crm.example/${message.region}" } }, into: customer }',
    '  - split: { each: message.customer.orders, as: order, steps: [{ filter: { keep: message.part > 0 && message.order.id != "" } }] }',
  ]
  expect(await lint(imap, ...steps)).toEqual([])
  expect(await lint(imap, ...steps, 'delivery: { order-by: message.region }')).toEqual([
    expect.stringMatching(/^10:31 This expression is not valid: a message has no "region"/),
  ])
})

test('every built-in sender says what its messages have', async () => {
  // The attributes of an answer are those of the message that it is about, whichever flow that came from.
  const known = builtInSenders.filter(({ id }) => id !== 'answers')
  for (const { id, attributes } of known) expect([id, attributes]).toEqual([id, expect.any(Array)])
  expect(await lint('https: { path: /orders }', 'delivery: { once-by: message.query.id }')).toEqual([])
  expect(await lint('https: { path: /orders }', 'delivery: { once-by: message.subject }')).toHaveLength(1)
  expect(await lint('timer: { every: 1h }', 'delivery: { once-by: message.due }')).toEqual([])
})

test('where nobody knows the names (a sender of one’s own, a mapping function) every name passes', async () => {
  const own = 'mailbox: { host: mail.example, user: a, auth: box }'
  expect(await lint(own, 'delivery: { once-by: message.whatever }')).toEqual([])
  const mapped = ['steps:', '  - map: { module: ./map.ts }', '  - filter: { keep: message.whatever == 1 }']
  expect((await lint(imap, ...mapped)).filter(problem => problem.includes('whatever'))).toEqual([])
})
