import { z } from 'zod'
import { createEngine } from '../../src/engine/engine.ts'
import { defineReceiver, defineSender, type Intake } from '../../src/flow/adapter.ts'
import type { LoadedFlow } from '../../src/flow/document.ts'
import type { Expression } from '../../src/flow/expression.ts'
import { defaultLimits } from '../../src/kernel/limit.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { DAY, HOUR, MINUTE, systemClock } from '../../src/kernel/time.ts'
import type { Store } from '../../src/store/port.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { type LoopRequest, type LoopResult, LoopWatch, messageBody, produce } from './loop.ts'

/**
 * The whole engine around a store (SQLite when none is given): a flow with an idempotency key and an order key for each
 * message, and a receiver that only checks the order. What it costs above the bare store loop is the engine.
 */
export async function runEngineLoop(request: LoopRequest, given?: Store): Promise<LoopResult> {
  const { messages, workers } = request
  const store = given ?? (await openSqliteStore({ folder: request.folder }))
  const watch = new LoopWatch(messages)
  let allArrived = () => {}
  const end = new Promise<void>(resolve => {
    allArrived = resolve
  })

  const receiver = defineReceiver({
    id: 'order-check',
    title: 'Order check',
    summary: 'Counts messages and checks their order.',
    answers: false,
    config: z.strictObject({}),
    examples: [],
    errors: {},
    async open() {
      return {
        async deliver(message) {
          watch.deliver(message.headers['key'] ?? '', message.body.held)
          if (watch.isOver) allArrived()
          return { summary: 'seen' }
        },
        check: async () => ({ ok: true, detail: 'counts' }),
        close: async () => {},
      }
    },
  })
  let intake: Intake | undefined
  const sender = defineSender({
    id: 'producer',
    title: 'Producer',
    summary: 'Hands over messages as fast as they are taken.',
    config: z.strictObject({}),
    examples: [],
    errors: {},
    async open(context) {
      intake = context.intake
      return {
        receive: () => new Promise(resolve => context.signal.addEventListener('abort', () => resolve())),
        check: async () => ({ ok: true, detail: 'produces' }),
        close: async () => {},
      }
    },
  })

  const flow: LoadedFlow = {
    name: 'bench',
    about: 'Measures the engine.',
    owner: undefined,
    stage: 'dev',
    params: {},
    from: { declaration: sender, config: {} },
    steps: [],
    to: [{ declaration: receiver, config: {}, path: 'to' }],
    delivery: {
      onceBy: header('number'),
      orderBy: header('key'),
      onlyNewer: undefined,
      whenSetAside: 'hold',
      retry: { everyMs: MINUTE, upToMs: HOUR, forMs: DAY },
      parallel: workers,
    },
    answer: undefined,
    keep: { deliveredMs: DAY, setAsideMs: DAY },
    expect: { quietMs: undefined, probe: undefined },
    alert: [],
    file: 'bench.yaml',
    folder: '.',
    revision: 'bench',
  }
  const limits = { ...defaultLimits, runningDeliveries: workers, queuedPerFlow: messages + 1 }
  const unused = () => Promise.reject(new Error('the bench connects to nothing'))
  const engine = createEngine({
    store,
    clock: systemClock,
    log: silentLog,
    limits,
    connect: Object.assign(unused, { upgrade: unused }),
    credential: unused,
    serve: () => () => {},
    owner: 'bench',
  })
  await engine.start(flow)
  const taking = intake
  if (!taking) throw new Error('the flow did not open its sender')

  await produce(request, watch, (number, key) =>
    taking.accept({
      headers: { key, number: String(number) },
      attributes: {},
      type: 'application/octet-stream',
      body: messageBody(request.bytes, number),
    }),
  )
  await end
  await engine.idle()
  const result = watch.result()
  await engine.close()
  await store.close()
  return result
}

/** What a compiled `message.headers.…` comes down to; the cost of CEL itself is measured with its library. */
function header(name: string): Expression {
  return { text: `message.headers.${name}`, needsBody: false, evaluate: scope => scope.message.headers[name] ?? null }
}
