import type { Json } from '../kernel/json.ts'
import type { Clock } from '../kernel/time.ts'
import { storeErrors } from '../store/errors.ts'
import type { DeliveryRow, FlowCounts, Records } from '../store/port.ts'
import type { ProbeEnd, Watched, WatchedEvent, WatchedFlow, WatchedLink, WatchedStatus } from './watched.ts'

// Stand-ins for clock, records and engine, for the tests of monitor, API and CLI.

/** A clock that only `pass` moves; waits that are over are called back in their order. */
export function standInClock(startMs = Date.UTC(2026, 0, 5, 8)) {
  let now = startMs
  let timers: { readonly dueAt: number; readonly call: () => void }[] = []
  const clock: Clock = {
    now: () => now,
    after(ms, call) {
      const timer = { dueAt: now + ms, call }
      timers.push(timer)
      return () => {
        timers = timers.filter(each => each !== timer)
      }
    },
    sleep(ms, signal) {
      return new Promise(resolve => {
        if (signal?.aborted) return resolve()
        const cancel = clock.after(ms, resolve)
        signal?.addEventListener('abort', () => {
          cancel()
          resolve()
        })
      })
    },
  }
  /** Somebody sets the clock of the machine back; what waits goes on waiting for as long as it would have. */
  function setBack(ms: number): void {
    now -= ms
    timers = timers.map(timer => ({ ...timer, dueAt: timer.dueAt - ms }))
  }
  async function pass(ms: number): Promise<void> {
    now += ms
    const due = timers.filter(timer => timer.dueAt <= now).toSorted((one, other) => one.dueAt - other.dueAt)
    timers = timers.filter(timer => timer.dueAt > now)
    for (const timer of due) timer.call()
    await new Promise(resolve => setImmediate(resolve))
  }
  return { clock, pass, setBack }
}

/** Records in memory, with revisions as the store keeps them. */
export function standInRecords(): Pick<Records, 'read' | 'list' | 'write' | 'remove'> {
  const records = new Map<string, { area: string; id: string; value: Json; revision: number }>()
  const keyOf = (area: string, id: string) => JSON.stringify([area, id])
  return {
    read: async (area, id) => records.get(keyOf(area, id)),
    list: async area => [...records.values()].filter(record => record.area === area),
    async write(area, id, value, expected) {
      const before = records.get(keyOf(area, id))?.revision ?? 0
      if (expected !== undefined && expected !== before) throw storeErrors.CHANGED_MEANWHILE({ area, id })
      const copy = JSON.parse(JSON.stringify(value)) as Json
      records.set(keyOf(area, id), { area, id, value: copy, revision: before + 1 })
      return before + 1
    },
    remove: async (area, id) => records.delete(keyOf(area, id)),
  }
}

export const noCounts: FlowCounts = {
  accepted: 0,
  queued: 0,
  delivered: 0,
  dropped: 0,
  rejected: 0,
  setAside: 0,
  skipped: 0,
  oldestQueuedAt: undefined,
  lastAcceptedAt: undefined,
}

export const ordersFlow: WatchedFlow = {
  name: 'orders',
  owner: 'order-to-cash',
  alert: [],
  keep: { deliveredMs: 1000, setAsideMs: 5000 },
  expect: { quietMs: undefined, probe: undefined },
}

/** An engine whose flows, links and probes a test sets, and through which it lets events happen. */
export function standInEngine(clock: Clock) {
  const listeners = new Set<(event: WatchedEvent) => void>()
  const running = new Map<string, WatchedStatus>()
  let answerProbe: (flow: string, withinMs: number) => Promise<ProbeEnd | undefined> = async () => undefined
  const engine: Watched = {
    flows: () => [...running.values()],
    probe: (flow, withinMs) => answerProbe(flow, withinMs),
    on(listener) {
      listeners.add(listener)
      return () => listeners.delete(listener)
    },
  }
  return {
    engine,
    run(flow: WatchedFlow, links: readonly WatchedLink[] = []) {
      running.set(flow.name, { flow, state: 'running', startedAt: clock.now(), links })
    },
    halt: (flow: string) => running.delete(flow),
    onProbe(answer: typeof answerProbe) {
      answerProbe = answer
    },
    happen(event: WatchedEvent) {
      for (const listener of listeners) listener(event)
    },
  }
}

export function setAsideRow(row: Partial<DeliveryRow>): DeliveryRow {
  return {
    id: '0000000000A',
    flow: 'orders',
    state: 'set-aside',
    orderKey: undefined,
    attemptCount: 1,
    acceptedAt: 0,
    at: 0,
    awaitsChange: false,
    heldBy: undefined,
    summary: undefined,
    error: undefined,
    isProbe: false,
    replayOf: undefined,
    bytes: 3,
    terms: [],
    ...row,
  }
}
