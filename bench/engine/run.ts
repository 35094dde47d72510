import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { openPostgresStore } from '../../src/store/postgres/open.ts'
import { missingNeeds } from '../../test/foreign/servers/needs.ts'
import { startPostgresql } from '../../test/foreign/servers/postgresql.ts'
import { descendants } from '../../test/foreign/servers/server-process.ts'
import { runBareLoop } from './bare-loop.ts'
import { runEngineLoop } from './engine-loop.ts'
import type { LoopResult } from './loop.ts'

/**
 * `npm run bench:engine`: durable accept and delivery in order by key, the whole engine beside the bare store loop,
 * alternating in one run. The figure is CPU per message; the bar is twice the bare loop's. Where PostgreSQL is installed
 * the engine runs on it, too; what the server takes is not in the figure but told beside it.
 */
const { values } = parseArgs({
  options: { messages: { type: 'string', default: '50000' }, rounds: { type: 'string', default: '5' } },
})
const messages = Number(values.messages)
const shape = { messages, keys: 1000, bytes: 2048, producers: 64, workers: 64 }

const contestants: Record<string, (folder: string) => Promise<LoopResult>> = {
  'bare loop, pages of 4 KiB': folder => runBareLoop({ ...shape, folder }),
  'bare loop, pages of 8 KiB': folder => runBareLoop({ ...shape, folder, pageBytes: 8192 }),
  engine: folder => runEngineLoop({ ...shape, folder }),
}
const postgresql = missingNeeds(['postgresql']).length === 0 ? await startPostgresql() : undefined
let schemas = 0
let serverSeconds = 0
if (postgresql) {
  contestants['engine on PostgreSQL'] = async folder => {
    const address = postgresql.address(`bench_${++schemas}`)
    const before = cpuSecondsBelow(process.pid)
    const result = await runEngineLoop({ ...shape, folder }, await openPostgresStore({ address, owner: 'bench' }))
    serverSeconds += cpuSecondsBelow(process.pid) - before
    return result
  }
}

const rounds = new Map<string, LoopResult[]>(Object.keys(contestants).map(name => [name, []]))
for (let round = 0; round < Number(values.rounds); round++) {
  for (const [name, run] of Object.entries(contestants)) {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
    rounds.get(name)?.push(await run(folder))
    rmSync(folder, { recursive: true, force: true })
  }
}

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
const cpuOf = (name: string) => median((rounds.get(name) ?? []).map(({ cpuMicrosPerMessage }) => cpuMicrosPerMessage))
console.log(
  `${messages} messages of ${shape.bytes} bytes, ${shape.keys} keys, ${shape.producers} producers, ${shape.workers} workers`,
)
for (const [name, results] of rounds) {
  const cpu = cpuOf(name)
  const perSecond = median(results.map(result => result.deliveredPerSecond))
  const ratios = ['bare loop, pages of 4 KiB', 'bare loop, pages of 8 KiB'].map(bare => (cpu / cpuOf(bare)).toFixed(2))
  const outOfOrder = results.reduce((sum, result) => sum + result.orderBreaks, 0)
  console.log(
    `${name.padEnd(28)} ${cpu.toFixed(1).padStart(6)} CPU µs/message  ${perSecond.toFixed(0).padStart(7)}/s  ` +
      `${ratios.join(' and ')} × the bare loops  ${outOfOrder} out of order`,
  )
}
if (postgresql) {
  const micros = (serverSeconds * 1e6) / (messages * schemas)
  console.log(`PostgreSQL itself took ${micros.toFixed(0)} CPU µs/message`)
  await postgresql.stop()
}

/** CPU of the processes below one that still run, and of those below them that have ended (/proc/<pid>/stat). */
function cpuSecondsBelow(pid: number): number {
  let ticks = 0
  for (const below of descendants(pid)) {
    const stat = statOf(below)
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    for (const field of fields.slice(11, 15)) ticks += Number(field)
  }
  return ticks / 100
}

/** Empty for a process that has ended since it was listed; its parent has its time by then. */
function statOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/stat`, 'latin1')
  } catch {
    return ''
  }
}
