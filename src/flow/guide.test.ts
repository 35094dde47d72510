import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { http } from '../adapters/http.ts'
import { imap } from '../adapters/imap.ts'
import { smtp } from '../adapters/smtp.ts'
import { timer } from '../adapters/timer.ts'
import { parseDuration, SECOND } from '../kernel/time.ts'
import { builtInSteps } from '../steps/built-in.ts'
import type { ReceiverDeclaration, SenderDeclaration } from './adapter.ts'
import { compileExpression } from './compile-expression.ts'
import { flowFolder } from './flow-world.ts'
import { loadFlow } from './load-flow.ts'

const guide = readFileSync(path.resolve(import.meta.dirname, '../../docs/guides/flow-document.md'), 'utf8')
const documents = [...guide.matchAll(/```yaml\n(flow: ([a-z-]+)\n[\s\S]*?)```/g)].map(match => [
  match[2] ?? '',
  match[1] ?? '',
])

test('the guide has flow documents', () => {
  expect(documents.map(([name]) => name)).toEqual(['orders-by-mail', 'order-lines'])
})

test.each(documents)('the guide: %s loads', async (_name, text) => {
  const { folder, remove } = await flowFolder({ 'flow.yaml': text })
  const result = await loadFlow({
    file: path.join(folder, 'flow.yaml'),
    stage: 'dev',
    params: text.includes('mailbox:') ? { mailbox: 'orders@contoso.com' } : {},
    senders: [imap, timer] as readonly SenderDeclaration[],
    receivers: [smtp, http] as readonly ReceiverDeclaration[],
    steps: builtInSteps,
  })
  await remove()
  expect('problems' in result ? result.problems : result.warnings).toEqual([])
})

test('the defaults that the guide names are those of a flow that names none', async () => {
  const text = 'flow: bare\nfrom: { timer: { every: 1h } }\nto: []\nanswer: { to: others }\n'
  const { folder, remove } = await flowFolder({ 'flow.yaml': text })
  const result = await loadFlow({
    file: path.join(folder, 'flow.yaml'),
    stage: 'dev',
    params: {},
    senders: [timer] as readonly SenderDeclaration[],
    receivers: [],
    steps: builtInSteps,
  })
  await remove()
  if ('problems' in result) throw new Error(result.problems.join('\n'))
  const { delivery, keep, answer } = result.flow
  const defaultOf = (key: string) => {
    const row = new RegExp(`^\\| \`${key}\` \\|.*\\| (.*) \\|$`, 'm').exec(guide)?.[1] ?? `no row of ${key}`
    return [...row.matchAll(/[a-z0-9]+/g)].map(([word]) => word)
  }
  const { everyMs, upToMs, forMs } = delivery.retry
  expect(defaultOf('delivery.parallel')).toEqual([String(delivery.parallel)])
  expect(defaultOf('delivery.when-set-aside')).toEqual([delivery.whenSetAside])
  expect(defaultOf('delivery.retry').map(parseDuration)).toEqual([everyMs, upToMs, forMs])
  expect(defaultOf('keep').map(parseDuration)).toEqual([keep.deliveredMs, keep.setAsideMs])
  expect(guide).toContain(`\`after\` is how long each waits (${(answer?.afterMs ?? 0) / SECOND}s)`)
})

test('expressions that the guide shows compile', () => {
  const shown = [...guide.matchAll(/`([^`\n$/]*\b(?:message|params|flow)\.[^`\n$]*)`/g)].map(match => match[1] ?? '')
  const whole = shown.filter(text => !text.includes('<') || text.includes(' < '))
  expect(whole.length).toBeGreaterThan(8)
  for (const text of whole.flatMap(line => line.split(/`, `/)))
    expect(() => compileExpression(text), text).not.toThrow()
})
