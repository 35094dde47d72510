import { type Clock, systemClock } from '../../src/kernel/time.ts'

/** A clock that runs so many times as fast as the real one, so that a test sees minutes go by in seconds. */
export function hurriedClock(times: number): Clock {
  const startedAt = Date.now()
  return {
    now: () => startedAt + (Date.now() - startedAt) * times,
    sleep: (ms, signal) => systemClock.sleep(ms / times, signal),
    after: (ms, callback) => systemClock.after(ms / times, callback),
  }
}
