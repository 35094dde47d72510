import { parentPort, workerData } from 'node:worker_threads'
import type { Broken } from '../../../src/groupware/sync/model-broken-world.ts'
import { runSchedule, type ScheduleOptions, shrinkSchedule } from '../../../src/groupware/sync/model-world.ts'
import { openSyncStore } from '../../../src/groupware/sync/sqlite-sync-store.ts'

/** A worker of the model-based run: schedules of consecutive seeds on one SQLite store in memory. */
export interface Share {
  readonly firstSeed: number
  readonly count: number
  readonly broken: Broken | undefined
  readonly books: ScheduleOptions['books']
}

export interface ShareResult {
  readonly count: number
  readonly failures: readonly Failure[]
  readonly cpuMs: number
}

export interface Failure {
  readonly seed: number
  readonly faults: readonly string[]
  /** The shortest schedule found that fails the same way; of the first failures only. */
  readonly story: readonly string[]
}

/** Schedules that run side by side, so that their writes share transactions. */
const lanes = 16
const storiesMax = 3

async function runShare({ firstSeed, count, broken, books }: Share): Promise<ShareResult> {
  const store = openSyncStore({ file: ':memory:' })
  const options = { ...(broken && { broken }), ...(books && { books }) }
  const failing: { readonly seed: number; readonly faults: readonly string[] }[] = []
  const before = process.threadCpuUsage()
  let next = firstSeed
  async function runLane(): Promise<void> {
    while (next < firstSeed + count) {
      const seed = next
      next += 1
      const { faults } = await runSchedule(store, seed, options)
      if (faults.length > 0) failing.push({ seed, faults })
      // With something broken one failure says enough.
      if (broken && failing.length > 0) return
    }
  }
  await Promise.all(Array.from({ length: lanes }, runLane))
  const { user, system } = process.threadCpuUsage(before)
  const failures: Failure[] = []
  for (const [index, { seed, faults }] of failing.entries()) {
    const isTold = index < storiesMax && !broken
    failures.push({ seed, faults, story: isTold ? (await shrinkSchedule(store, seed, options)).story : [] })
  }
  await store.close()
  return { count, failures, cpuMs: (user + system) / 1000 }
}

parentPort?.postMessage(await runShare(workerData as Share), [])
