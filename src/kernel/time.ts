import { defineErrors } from './error.ts'

export const SECOND = 1000
export const MINUTE = 60 * SECOND
export const HOUR = 60 * MINUTE
export const DAY = 24 * HOUR

/** Where time comes from. Everything that waits takes one, so that a test can own it. */
export interface Clock {
  /** Milliseconds since 1970-01-01 UTC. */
  now(): number
  /** Resolves after `ms`, or at once when the signal aborts (it never rejects). */
  sleep(ms: number, signal?: AbortSignal): Promise<void>
  /** Calls back once after `ms`; the returned function cancels. */
  after(ms: number, callback: () => void): () => void
}

// setTimeout fires at once for longer waits than this.
const timerMsMax = 2 ** 31 - 1

/** Waits by the timer of a clock; ends early, without an error, when the signal aborts. */
export function sleepOn(clock: Pick<Clock, 'after'>, ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise(resolve => {
    if (signal?.aborted) return resolve()
    const cancel = clock.after(ms, done)
    function done() {
      cancel()
      signal?.removeEventListener('abort', done)
      resolve()
    }
    signal?.addEventListener('abort', done, { once: true })
  })
}

/** The real clock. Its timers do not keep the process alive: the hub's sockets and pollers do. */
export const systemClock: Clock = {
  now: () => Date.now(),
  sleep: (ms, signal) => sleepOn(systemClock, ms, signal),
  after(ms, callback) {
    const timer = setTimeout(callback, Math.min(ms, timerMsMax))
    return () => clearTimeout(timer)
  },
}

/**
 * The same clock for spans of time: its `now` never goes back. Machines set theirs back, some by hours, and whatever was
 * due "a second from now" would be due that much later.
 */
export function steadyClock(clock: Clock): Clock {
  let last = clock.now()
  let setBackMs = 0
  return {
    now() {
      const now = clock.now()
      setBackMs += Math.max(0, last - now)
      last = now
      return now + setBackMs
    },
    sleep: (ms, signal) => clock.sleep(ms, signal),
    after: (ms, callback) => clock.after(ms, callback),
  }
}

export const timeErrors = defineErrors('TIME', {
  NOT_A_DURATION: {
    side: 'flow',
    retry: 'never',
    means: '"{text}" is not a duration.',
    next: 'Write a number and a unit: 250ms, 30s, 15m, 4h, 2d; parts may follow each other (1h30m).',
  },
})

const unitMs: Record<string, number> = { ms: 1, s: SECOND, m: MINUTE, h: HOUR, d: DAY }

/** Milliseconds of a duration in words: `30s`, `1h30m`, `2d`. Throws TIME_NOT_A_DURATION. */
export function parseDuration(text: string): number {
  const parts = [...text.matchAll(/(\d+(?:\.\d+)?)(ms|s|m|h|d)/g)]
  const isWhole = parts.length > 0 && parts.map(part => part[0]).join('') === text.replaceAll(' ', '')
  if (!isWhole) throw timeErrors.NOT_A_DURATION({ text })
  return parts.reduce((sum, [, amount, unit]) => sum + Number(amount) * (unitMs[unit ?? ''] ?? 0), 0)
}

/** A duration as a person writes it: 5400000 is `1h30m`. */
export function formatDuration(ms: number): string {
  if (ms < SECOND) return `${Math.round(ms)}ms`
  let rest = Math.round(ms / SECOND) * SECOND
  let text = ''
  for (const unit of ['d', 'h', 'm', 's']) {
    const size = unitMs[unit] ?? 1
    const count = Math.floor(rest / size)
    if (count > 0) text += `${count}${unit}`
    rest -= count * size
  }
  return text || '0s'
}
