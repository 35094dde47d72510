import type { Receipt } from '../flow/adapter.ts'
import type { ReceiverNode, StepNode } from '../flow/document.ts'
import { adapters } from '../flow/flow-world.ts'
import { flowSchema } from '../flow/schema.ts'
import type { Block, OpenReceiver, PreparedStep, StepContext, StepResult, StepRun } from '../flow/step.ts'
import { type Body, heldBody } from '../kernel/body.ts'
import { defaultLimits, type Limits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { builtInSteps } from './built-in.ts'

/** Test material: runs steps as the engine does, without store and without receipts. */

export interface StepWorldOptions {
  readonly folder?: string
  readonly limits?: Partial<Limits>
  readonly params?: Readonly<Record<string, unknown>>
  /** What receivers answer, by the id of their declaration. */
  readonly answer?: (id: string, message: Message) => Receipt
}

interface WorldBlock {
  readonly steps: readonly PreparedStep[]
  readonly to: readonly ReceiverNode[]
}

interface Delivered {
  readonly to: string
  readonly path: string
  readonly message: Message
}

/** Parses a list of steps as a document would and runs messages through it. */
export async function stepWorld(steps: readonly unknown[], options: StepWorldOptions = {}) {
  const delivered: Delivered[] = []
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const schema = flowSchema({ ...adapters, steps: builtInSteps })
  const document = schema.parse({ flow: 'f', from: { schedule: { every: '1h' } }, steps, to: [] })

  async function prepare(node: StepNode): Promise<PreparedStep> {
    const context: StepContext<unknown> = {
      config: node.config,
      flow: 'f',
      folder: options.folder ?? '/',
      log: silentLog,
      limits,
      block: async (_name, inner, to = []) => {
        const block: WorldBlock = { steps: await Promise.all(inner.map(prepare)), to }
        return block as unknown as Block
      },
      receiver: async (_name, receiver) => receiver as unknown as OpenReceiver,
    }
    return node.declaration.prepare(context)
  }

  function deliver(to: ReceiverNode, message: Message, path: string): Receipt {
    delivered.push({ to: to.declaration.id, path, message })
    return options.answer?.(to.declaration.id, message) ?? { summary: 'ok' }
  }

  async function runBlock(block: WorldBlock, incoming: Message, path: string): Promise<StepResult> {
    let message = incoming
    const shelf = new Map<string, unknown>()
    for (const [index, step] of block.steps.entries()) {
      const own = `${path}[${index}]`
      const result = await step.run(message, stepRun(own, shelf))
      if (!('next' in result)) return result
      message = result.next
    }
    for (const to of block.to) deliver(to, message, path)
    return block.to.length > 0 ? { end: 'delivered', reason: 'ok' } : { next: message }
  }

  function stepRun(path: string, shelf: Map<string, unknown>): StepRun {
    return {
      shelf,
      signal: new AbortController().signal,
      scope: (message, locals) => ({
        message,
        params: options.params ?? {},
        flow: { name: 'f', stage: 'test' },
        limits,
        ...(locals && { locals }),
      }),
      enter: (block, message, part) => runBlock(block as unknown as WorldBlock, message, `${path}.${part ?? ''}`),
      call: async (receiver, message) => deliver(receiver as unknown as ReceiverNode, message, path),
    }
  }

  const top: WorldBlock = { steps: await Promise.all(document.steps.map(prepare)), to: [] }
  return { delivered, run: (message: Message) => runBlock(top, message, '') }
}

/** A message with this body: text as it is, everything else as JSON. */
export function message(body: unknown = {}, change: Partial<Message> = {}): Message {
  const held =
    typeof body === 'string' ? heldBody(body, 'text/plain') : heldBody(JSON.stringify(body), 'application/json')
  return {
    id: '0ABC',
    headers: { 'x-region': 'de' },
    attributes: { from: 'ann@contoso.com', to: ['a@b.c'] },
    body: held,
    acceptedAt: 0,
    ...change,
  }
}

export async function bodyText(of: { readonly body: Body }): Promise<string> {
  const chunks: Uint8Array[] = []
  for await (const chunk of of.body.stream()) chunks.push(chunk)
  return Buffer.concat(chunks).toString()
}

/** The message that comes out; fails when its way ended. */
export function nextOf(result: StepResult): Message {
  if ('next' in result) return result.next
  throw new Error(`its way ended: ${result.end} (${result.reason})`)
}

/** How long the work kept everybody else waiting in one go. */
export async function longestPauseMs(work: () => Promise<unknown>): Promise<number> {
  let longest = 0
  let last = performance.now()
  const look = () => {
    longest = Math.max(longest, performance.now() - last)
    last = performance.now()
  }
  const ticks = setInterval(look, 2)
  await work()
  clearInterval(ticks)
  look()
  return longest
}
