import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { builtInReceivers, builtInSenders } from '../adapters/built-in.ts'
import type { Engine, EngineEvent } from '../engine/control.ts'
import { createEngine } from '../engine/engine.ts'
import type { LoadedFlow } from '../flow/document.ts'
import { loadFlow } from '../flow/load-flow.ts'
import type { Declarations } from '../flow/schema.ts'
import type { CredentialValue } from '../kernel/credential.ts'
import { defineErrors } from '../kernel/error.ts'
import { defaultLimits, type Limits } from '../kernel/limit.ts'
import { type Log, silentLog } from '../kernel/log.ts'
import type { Connect } from '../kernel/socket.ts'
import { parseDuration } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { builtInSteps } from '../steps/built-in.ts'
import type { DeliveryRow, DeliveryState, Store } from '../store/port.ts'
import { openSqliteStore } from '../store/sqlite/open.ts'
import { SimulatedClock } from './simulated-clock.ts'
import { pause, Traffic, turn } from './traffic.ts'

export interface SimulateOptions {
  /** Path of the flow document. */
  readonly flowFile: string
  /** Whose parameters count; `dev` where it is left out. */
  readonly stage?: string
  /** Values that win over the stage's: the ports of twins, short waits. */
  readonly params?: Readonly<Record<string, unknown>>
  /** The credentials that the flow names. */
  readonly credentials?: Readonly<Record<string, CredentialValue>>
  /** What stands behind the virtual hosts that the flow reaches with `via`: `{ 's4-smtp.virtual:25': s4.port }`. */
  readonly virtualHosts?: Readonly<Record<string, number>>
  /** PEM of the authority behind the certificates of the twins. */
  readonly trust?: string
  /** One that twins share, so that their tokens come of age with the hub. */
  readonly clock?: SimulatedClock
  /** Adapters and steps of your own, beside the built-in ones. */
  readonly declarations?: Partial<Declarations>
  readonly limits?: Partial<Limits>
  readonly log?: Log
}

/** One flow, really running: real adapters, sockets and database, and time that moves only when the test says so. */
export interface SimulatedWorld {
  readonly clock: SimulatedClock
  readonly engine: Engine
  readonly flow: LoadedFlow
  /** Everything that happened, oldest first. */
  readonly events: readonly EngineEvent[]
  /** Moves time on by `10m`, timer by timer, and lets what each began come to rest. */
  advance(duration: string): Promise<void>
  /** Lets what is under way come to rest, without moving time. */
  settle(): Promise<void>
  /** Deliveries of the flow, oldest first; probes are among them. */
  deliveries(state?: DeliveryState): Promise<readonly DeliveryRow[]>
  /** The process dies where it stands, and another one opens the same data folder. */
  crash(): Promise<void>
  close(): Promise<void>
}

export const simulationErrors = defineErrors('SIMULATION', {
  FLOW_DOES_NOT_LINT: {
    side: 'flow',
    retry: 'never',
    means: 'The flow document has mistakes: {text}',
    next: 'Correct them; isthmus lint shows the same.',
  },
  CREDENTIAL_MISSING: {
    side: 'flow',
    retry: 'never',
    means: 'The flow asks for a credential {credential}, which the test does not give.',
    next: 'Name it under credentials in simulate().',
  },
  VIRTUAL_HOST_MISSING: {
    side: 'flow',
    retry: 'never',
    means: 'The flow goes through location {via} to {address}, behind which the test puts nothing.',
    next: 'Name it under virtualHosts in simulate().',
  },
})

/** Turns of the event loop in which the work of a timer shows whether it needs a socket. */
const firstTurns = 6
/** Real time after which work that no socket moves is taken to wait for simulated time. */
const stuckMs = 250
const deliveriesMax = 1_000

/** Starts a flow for a test. Close the world at the end of it. Throws SIMULATION_FLOW_DOES_NOT_LINT. */
export async function simulate(options: SimulateOptions): Promise<SimulatedWorld> {
  const { clock = new SimulatedClock(), log = silentLog } = options
  const flow = await readFlow(options)
  const limits: Limits = { ...defaultLimits, ...options.limits }
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-simulation-'))
  const traffic = new Traffic(connectWithin(options.virtualHosts ?? {}), options.trust)
  const events: EngineEvent[] = []
  let store: Store
  let engine: Engine

  async function boot(): Promise<void> {
    store = await openSqliteStore({ folder, limits, clock })
    engine = createEngine({
      store: traffic.watchStore(store),
      clock,
      log,
      limits,
      connect: traffic.connect,
      credential: async name => {
        const credential = options.credentials?.[name]
        if (!credential) throw simulationErrors.CREDENTIAL_MISSING({ credential: name })
        return credential
      },
      serve: () => () => {},
      owner: 'simulation',
      // Without jitter, so that a test can say when something happens.
      random: () => 1,
    })
    engine.on(event => events.push(event))
    await engine.start(flow)
  }

  const progress = () => traffic.count + events.length

  async function settle(): Promise<void> {
    for (let before = -1; before !== progress(); ) {
      before = progress()
      await traffic.quiet()
      await Promise.race([engine.idle(), pause(stuckMs)])
    }
  }

  /** Most timers have nothing to do; only those that begin something are worth a wait. */
  async function settleAfterTimer(): Promise<void> {
    const before = progress()
    do {
      for (let turns = 0; turns < firstTurns; turns++) await turn()
      if (progress() !== before) return settle()
    } while (traffic.isBusy)
  }

  await boot()
  await settle()
  return {
    clock,
    get engine() {
      return engine
    },
    flow,
    events,
    settle,
    async advance(duration) {
      await settle()
      await clock.advance(parseDuration(duration), settleAfterTimer)
      await settle()
    },
    async deliveries(state) {
      const rows = await store.find({ flow: flow.name, state, limit: deliveriesMax })
      return rows.toReversed()
    },
    async crash() {
      // What still runs finds the store closed and can record nothing any more.
      const dead = engine
      await store.close()
      await boot()
      await dead.close()
      await settle()
    },
    async close() {
      await engine.close()
      await store.close()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

/** Where a connector would choose a server on premise, the port on this machine is taken that the test names. */
function connectWithin(virtualHosts: Readonly<Record<string, number>>): Connect {
  const direct = makeConnect()
  return makeConnect({
    tunnel: async ({ tls: _tls, via, host, port, ...request }) => {
      const address = `${host}:${port}`
      const behind = virtualHosts[address]
      if (behind === undefined) throw simulationErrors.VIRTUAL_HOST_MISSING({ via, address })
      return direct({ ...request, host: '127.0.0.1', port: behind })
    },
  })
}

async function readFlow({ flowFile, stage = 'dev', params, declarations }: SimulateOptions): Promise<LoadedFlow> {
  const result = await loadFlow({
    file: flowFile,
    stage,
    ...(params && { params }),
    senders: [...builtInSenders, ...(declarations?.senders ?? [])],
    receivers: [...builtInReceivers, ...(declarations?.receivers ?? [])],
    steps: [...builtInSteps, ...(declarations?.steps ?? [])],
  })
  if ('flow' in result) return result.flow
  const words = result.problems.map(({ file, line, column, message }) => `${file}:${line}:${column} ${message}`)
  throw simulationErrors.FLOW_DOES_NOT_LINT({ text: words.join('; ') })
}
