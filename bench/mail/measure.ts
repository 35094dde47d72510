import { readFileSync, writeFileSync } from 'node:fs'

// The kernel counts CPU time for user programs in hundredths of a second (USER_HZ), whatever its own tick is.
const ticksPerSecond = 100

/**
 * CPU seconds (user and system) of all children of this process that have ended and were waited for, their own children
 * included. The difference before and after one child is that child's.
 */
export function endedChildrenCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[13]) + Number(fields[14])) / ticksPerSecond
}

export interface Memory {
  readonly rssBytes: number
  /** The highest that rssBytes was since the start, or since `forgetPeak`. */
  readonly peakBytes: number
}

/** Memory of a living process; undefined when it has ended. */
export function memoryOf(pid: number): Memory | undefined {
  try {
    const status = readFileSync(`/proc/${pid}/status`, 'latin1')
    const field = (name: string) => Number(new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(status)?.[1] ?? 0) * 1024
    const rssBytes = field('VmRSS')
    return rssBytes === 0 ? undefined : { rssBytes, peakBytes: field('VmHWM') }
  } catch {
    return undefined
  }
}

/** Lets the peak start again from what is used now (proc(5), clear_refs). */
export function forgetPeak(pid: number): void {
  writeFileSync(`/proc/${pid}/clear_refs`, '5')
}

export function median(values: readonly number[]): number {
  const sorted = values.toSorted((a, b) => a - b)
  const middle = sorted.length >> 1
  const upper = sorted[middle] ?? Number.NaN
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] ?? Number.NaN) + upper) / 2
}
