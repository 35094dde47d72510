import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { z } from 'zod'
import {
  defineReceiver,
  defineSender,
  type Effect,
  type Incoming,
  type Intake,
  type Outcome,
  type Receipt,
} from '../flow/adapter.ts'
import type { LoadedFlow, StepNode } from '../flow/document.ts'
import type { Expression } from '../flow/expression.ts'
import { defineStep, type StepResult } from '../flow/step.ts'
import type { ServeRoute } from '../kernel/http-exchange.ts'
import type { JsonObject } from '../kernel/json.ts'
import { defaultLimits, type Limits } from '../kernel/limit.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import { type Clock, DAY, HOUR, MINUTE } from '../kernel/time.ts'
import type { Store } from '../store/port.ts'
import { openSqliteStore } from '../store/sqlite/open.ts'
import { SimulatedClock } from '../testing/simulated-clock.ts'
import type { Engine, EngineEvent } from './control.ts'
import { createEngine } from './engine.ts'

export type Act = (message: Message, effect: Effect) => Receipt | Promise<Receipt>
type Step = (message: Message) => StepResult | Promise<StepResult>

export interface WorldOptions {
  /** One receiver for each; the default answers `250 ok`. */
  readonly receivers?: readonly Act[]
  readonly steps?: readonly Step[]
  readonly onceBy?: string
  readonly orderBy?: string
  readonly onlyNewer?: string
  readonly whenSetAside?: 'hold' | 'pass'
  readonly answer?: LoadedFlow['answer']
  /** Senders wait for the results of messages with the attribute `asks`. */
  readonly keepsResult?: boolean
  readonly limits?: Partial<Limits>
  readonly probe?: (token: string, intake: Intake) => Promise<void>
  readonly log?: Log
  readonly serve?: ServeRoute
  /** Instead of one on SQLite. */
  readonly openStore?: (clock: Clock) => Promise<Store>
}

/** An engine on a real store, mostly SQLite, under a simulated clock, with a sender and receivers that the test scripts. */
export async function engineWorld(options: WorldOptions = {}) {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-engine-'))
  const clock = new SimulatedClock()
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const events: EngineEvent[] = []
  let acts = options.receivers ?? [() => ({ summary: '250 ok' })]
  let store: Store
  let engine: Engine
  let taking: Intake | undefined

  const sender = defineSender({
    id: 'script',
    title: 'Script',
    summary: 'Hands over what the test says.',
    config: z.strictObject({}),
    examples: [],
    errors: {},
    ...(options.keepsResult && { keepsResult: (_: object, { asks }: JsonObject) => asks === true }),
    async open({ intake, signal }) {
      taking = intake
      const { probe } = options
      return {
        receive: () => new Promise<void>(resolve => signal.addEventListener('abort', () => resolve(), { once: true })),
        check: async () => ({ ok: true as const, detail: 'scripted' }),
        ...(probe && { probe: (token: string) => probe(token, intake) }),
        close: async () => {},
      }
    },
  })
  const receiver = (index: number) =>
    defineReceiver({
      id: `script-${index}`,
      title: 'Script',
      summary: 'Answers what the test says.',
      answers: false,
      config: z.strictObject({}),
      examples: [],
      errors: {},
      async open() {
        return {
          deliver: async (message, effect) => act(index)(message, effect),
          check: async () => ({ ok: true as const, detail: 'scripted' }),
          close: async () => {},
        }
      },
    })
  const act = (index: number): Act => acts[index] ?? (() => ({ summary: '250 ok' }))
  const stepNode = (run: Step, index: number): StepNode => ({
    declaration: defineStep({
      id: 'script',
      title: 'Script',
      summary: 'Does what the test says.',
      config: () => z.strictObject({}),
      examples: [],
      errors: {},
      prepare: () => ({ run }),
    }),
    config: {},
    path: `steps[${index}]`,
  })

  const flow: LoadedFlow = {
    name: 'orders',
    about: 'A flow of the test.',
    owner: undefined,
    stage: 'test',
    params: {},
    from: { declaration: sender, config: {} },
    steps: (options.steps ?? []).map(stepNode),
    to: acts.map((_, index) => ({ declaration: receiver(index), config: {}, path: `to[${index}]` })),
    delivery: {
      onceBy: options.onceBy === undefined ? undefined : header(options.onceBy),
      orderBy: options.orderBy === undefined ? undefined : header(options.orderBy),
      onlyNewer: options.onlyNewer === undefined ? undefined : header(options.onlyNewer),
      whenSetAside: options.whenSetAside ?? 'hold',
      retry: { everyMs: MINUTE, upToMs: HOUR, forMs: 2 * DAY },
      parallel: 16,
    },
    answer: options.answer,
    keep: { deliveredMs: DAY, setAsideMs: 30 * DAY },
    expect: { quietMs: undefined, probe: undefined },
    alert: [],
    file: 'orders.yaml',
    folder,
    revision: 'r1',
  }

  async function boot(): Promise<void> {
    store = await (options.openStore?.(clock) ?? openSqliteStore({ folder, limits, clock }))
    const unused = () => Promise.reject(new Error('nothing is connected here'))
    engine = createEngine({
      store,
      clock,
      log: options.log ?? silentLog,
      limits,
      connect: Object.assign(unused, { upgrade: unused }),
      credential: unused,
      serve: options.serve ?? (() => () => {}),
      owner: 'hub-1',
      random: () => 1,
    })
    engine.on(event => events.push(event))
    await engine.start(flow)
  }
  await boot()

  function intake(): Intake {
    if (!taking) throw new Error('the flow did not open its sender')
    return taking
  }

  return {
    clock,
    events,
    flow,
    intake,
    engine: () => engine,
    store: () => store,
    setActs(...changed: Act[]) {
      acts = changed
    },
    accept: (text: string, more: Partial<Incoming> = {}) =>
      intake().accept({ headers: {}, attributes: {}, type: 'text/plain', body: Buffer.from(text), ...more }),
    /** Waits for real work to end and then moves the clock on, timer by timer. */
    advance: (ms: number) => clock.advance(ms, () => engine.idle()),
    ended: (): Extract<EngineEvent, { type: 'delivery.ended' }>[] =>
      events.filter(event => event.type === 'delivery.ended'),
    failed: (): Extract<EngineEvent, { type: 'delivery.failed' }>[] =>
      events.filter(event => event.type === 'delivery.failed'),
    outcome: async (id: string): Promise<Outcome | undefined> => intake().outcome(id),
    /** The process dies where it stands: nothing that runs is recorded any more, and a new one opens the same folder. */
    async crash(meanwhile = () => {}) {
      await store.close()
      meanwhile()
      await boot()
    },
    async close() {
      await engine.close()
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

export type EngineWorld = Awaited<ReturnType<typeof engineWorld>>

function header(name: string): Expression {
  return {
    text: `message.headers['${name}']`,
    needsBody: false,
    evaluate: scope => scope.message.headers[name] ?? null,
  }
}
