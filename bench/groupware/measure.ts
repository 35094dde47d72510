import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type Counts, less, type Tally } from './tally.ts'

export interface Cost {
  readonly exchange: Tally
  readonly crm: Tally
  readonly cpuMs: number
  readonly wallMs: number
  /** MiB that the process has at its most. */
  readonly peakMiB: number
  /** MiB after it came to rest, garbage collected: what the system has given it, and what it holds in its heap. */
  readonly restMiB: number
  readonly heapMiB: number
}

/** What some work costs this process, and the twins in requests. */
export async function measure(counts: () => Promise<Counts>, work: () => Promise<void>): Promise<Cost> {
  const before = await counts()
  forgetPeak()
  const cpu = process.cpuUsage()
  const began = performance.now()
  await work()
  const wallMs = performance.now() - began
  const { user, system } = process.cpuUsage(cpu)
  const peakMiB = statusMiB('VmHWM')
  const after = await counts()
  const [exchange, crm] = [less(after.exchange, before.exchange), less(after.crm, before.crm)]
  return { exchange, crm, cpuMs: (user + system) / 1000, wallMs, peakMiB, restMiB: restMiB(), heapMiB: heapMiB() }
}

export function restMiB(): number {
  for (let round = 0; round < 3; round += 1) globalThis.gc?.()
  return statusMiB('VmRSS')
}

/** What is in use, with buffers outside of the heap. */
function heapMiB(): number {
  const { heapUsed, external } = process.memoryUsage()
  return (heapUsed + external) / 2 ** 20
}

export function bytesOf(folder: string, names: readonly string[]): number {
  let bytes = 0
  for (const name of names) bytes += statSync(join(folder, name), { throwIfNoEntry: false })?.size ?? 0
  return bytes
}

function statusMiB(name: string): number {
  const line = new RegExp(`^${name}:\\s+(\\d+) kB`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))
  return Number(line?.[1] ?? 0) / 1024
}

/** Linux forgets the highest memory of a process when it is told so. */
function forgetPeak(): void {
  writeFileSync('/proc/self/clear_refs', '5')
}
