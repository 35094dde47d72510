import { readFileSync } from 'node:fs'
import path from 'node:path'
import { expect, test } from 'vitest'
import { http } from '../adapters/http.ts'
import { imap } from '../adapters/imap.ts'
import { smtp } from '../adapters/smtp.ts'
import { timer } from '../adapters/timer.ts'
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

test('expressions that the guide shows compile', () => {
  const shown = [...guide.matchAll(/`([^`\n$/]*\b(?:message|params|flow)\.[^`\n$]*)`/g)].map(match => match[1] ?? '')
  const whole = shown.filter(text => !text.includes('<') || text.includes(' < '))
  expect(whole.length).toBeGreaterThan(8)
  for (const text of whole.flatMap(line => line.split(/`, `/)))
    expect(() => compileExpression(text), text).not.toThrow()
})
