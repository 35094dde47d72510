import { readFileSync } from 'node:fs'
import { cpus, loadavg } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { missingNeeds } from '../../test/foreign/servers/needs.ts'
import { type ServerProcess, startProcess } from '../../test/foreign/servers/server-process.ts'
import { waitFor } from '../../test/foreign/servers/wait.ts'
import { makeWorkFolder } from '../../test/foreign/servers/work-folder.ts'
import { median } from '../mail/measure.ts'
import { type Contestant, type ContestantName, startIsthmus, startSsh, startStunnel, type Way } from './contestants.ts'
import { connectionsPerSecond, download, openIdle, questionsPerSecond, upload } from './work.ts'

/** `npm run bench:tunnel`; what is measured, and the bars, stand in bench/README.md. Exit code 1 where one is not held. */
const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '5' },
    'round-trip': { type: 'string', default: '50' },
    only: { type: 'string', default: 'isthmus,ssh,stunnel' },
    idle: { type: 'string', default: '2000' },
  },
})
const rounds = Number(values.rounds)
const roundTripMs = Number(values['round-trip'])
const idleCount = Number(values.idle)
const bars = { distantMBs: 40, bulkShare: 0.5, idleMB: 100 }
const startMs = 20_000

const missing = missingNeeds(['sshd', 'stunnel'])
if (missing.length > 0) {
  console.error(`bench:tunnel needs ${missing.join(', ')}; run npm run setup:foreign.`)
  process.exit(1)
}
const starts = { isthmus: startIsthmus, ssh: startSsh, stunnel: startStunnel }
const names = (['isthmus', 'ssh', 'stunnel'] as const).filter(name => values.only.split(',').includes(name))
const folder = makeWorkFolder('tunnel')
const lines: ServerProcess[] = []
const target = startProcess(process.execPath, [join(import.meta.dirname, 'target.ts')])
const failures: string[] = []
try {
  const targetPort = await portOf(target)
  console.log(`${cpus().length} cores, load average ${loadavg()[0]?.toFixed(1)}; medians of ${rounds} rounds`)
  const near = await startAll('near', targetPort, async port => port)
  await measureIdle(near.find(({ name }) => name === 'isthmus'))
  const figures = {
    'new connections/s': measure(contestant => connectionsPerSecond(contestant.open, { count: 200, lanes: 8 })),
    'small requests/s': measure(contestant => questionsPerSecond(contestant.open, { count: 4000, lanes: 16 })),
    'up, 1 stream, MB/s': measure(contestant => upload(contestant.open, { bytes: 300e6, lanes: 1 })),
    'up, 16 streams, MB/s': measure(contestant => upload(contestant.open, { bytes: 300e6, lanes: 16 })),
    'down, 1 stream, MB/s': measure(contestant => download(contestant.open, { bytes: 300e6, lanes: 1 })),
    'down, 16 streams, MB/s': measure(contestant => download(contestant.open, { bytes: 300e6, lanes: 16 })),
  }
  const results = new Map<string, ReadonlyMap<ContestantName, number>>()
  for (const [what, run] of Object.entries(figures)) results.set(what, await run(near, what))
  for (const what of ['new connections/s', 'small requests/s']) beAhead(what, results.get(what))
  for (const what of Object.keys(figures).filter(each => each.includes('MB/s'))) {
    atLeast(what, results.get(what), 'ssh', bars.bulkShare)
  }
  for (const contestant of near) await contestant.stop()

  const far = await startAll('far', targetPort, startLine)
  console.log(`\nover a line with a round trip of ${roundTripMs} ms`)
  const distant = {
    'up, 1 stream, MB/s': measure(contestant => upload(contestant.open, { bytes: 150e6, lanes: 1 })),
    'down, 1 stream, MB/s': measure(contestant => download(contestant.open, { bytes: 150e6, lanes: 1 })),
    'new connections/s, one lane': measure(contestant =>
      connectionsPerSecond(contestant.open, { count: 10, lanes: 1 }),
    ),
  }
  for (const [what, run] of Object.entries(distant)) {
    const own = (await run(far, what)).get('isthmus') ?? Number.POSITIVE_INFINITY
    if (what.endsWith('MB/s') && own < bars.distantMBs) {
      failures.push(`${what} over ${roundTripMs} ms: ${own.toFixed(0)}, and the bar is ${bars.distantMBs}`)
    }
  }
  for (const contestant of far) await contestant.stop()
} finally {
  for (const line of lines) await line.stop()
  await target.stop()
  folder.remove()
}
for (const failure of failures) console.log(`below the bar: ${failure}`)
if (failures.length > 0) process.exitCode = 1

async function startAll(name: string, targetPort: number, line: Way['line']): Promise<readonly Contestant[]> {
  const started: Contestant[] = []
  for (const each of names) started.push(await starts[each]({ folder: join(folder.path, name), targetPort, line }))
  return started
}

/** Contestants alternate, each round beginning with another one; the first round only warms up. */
function measure(once: (contestant: Contestant) => Promise<number>) {
  return async (contestants: readonly Contestant[], what: string): Promise<ReadonlyMap<ContestantName, number>> => {
    const seen = new Map<ContestantName, number[]>(contestants.map(({ name }) => [name, []]))
    for (let round = 0; round <= rounds; round++) {
      for (let turn = 0; turn < contestants.length; turn++) {
        const contestant = contestants[(round + turn) % contestants.length]
        if (!contestant) continue
        const figure = await once(contestant)
        if (round > 0) seen.get(contestant.name)?.push(figure)
      }
    }
    const medians = new Map([...seen].map(([name, figures]) => [name, median(figures)]))
    const columns = [...seen].map(([name, figures]) => {
      const [least, most] = [Math.min(...figures), Math.max(...figures)]
      return `${name} ${shown(medians.get(name) ?? 0)} (${shown(least)} to ${shown(most)})`
    })
    console.log(`${what.padEnd(28)} ${columns.join('   ')}`)
    return medians
  }
}

function beAhead(what: string, medians: ReadonlyMap<ContestantName, number> | undefined): void {
  const own = medians?.get('isthmus') ?? 0
  for (const [name, figure] of medians ?? []) {
    if (figure > own) failures.push(`${what}: ${shown(own)}, and ${name} has ${shown(figure)}`)
  }
}

function atLeast(
  what: string,
  medians: ReadonlyMap<ContestantName, number> | undefined,
  peer: ContestantName,
  share: number,
): void {
  const own = medians?.get('isthmus') ?? 0
  const other = medians?.get(peer) ?? 0
  if (own < other * share) failures.push(`${what}: ${shown(own)}, less than ${share} of ${peer}'s ${shown(other)}`)
}

/** Memory that idle connections cost the connector and the hub (this process). */
async function measureIdle(contestant: Contestant | undefined): Promise<void> {
  if (!contestant) return
  const before = [residentMB(contestant.pid), residentMB(process.pid)] as const
  const streams = await openIdle(contestant.open, idleCount)
  const after = [residentMB(contestant.pid), residentMB(process.pid)] as const
  const [connector, hub] = [after[0] - before[0], after[1] - before[1]]
  console.log(
    `${idleCount} idle streams: connector ${connector.toFixed(0)} MB more (${after[0].toFixed(0)} in all), hub ${hub.toFixed(0)} MB more`,
  )
  if (connector > bars.idleMB || hub > bars.idleMB) failures.push(`${idleCount} idle streams take more than 100 MB`)
  for (const stream of streams) stream.destroy()
}

async function startLine(port: number): Promise<number> {
  const line = startProcess(process.execPath, [
    join(import.meta.dirname, 'relay.ts'),
    String(port),
    String(roundTripMs / 2),
  ])
  lines.push(line)
  return portOf(line)
}

async function portOf(child: ServerProcess): Promise<number> {
  return waitFor('a process of the bench to start', startMs, () => {
    if (!child.isRunning()) throw new Error(`It ended: ${child.output()}`)
    const found = /\{"port":(\d+)\}/.exec(child.output())?.[1]
    return found === undefined ? undefined : Number(found)
  })
}

function residentMB(pid: number): number {
  const pages = Number(readFileSync(`/proc/${pid}/statm`, 'latin1').split(' ')[1])
  return (pages * 4096) / 1e6
}

function shown(figure: number): string {
  return figure >= 100 ? figure.toFixed(0) : figure.toPrecision(3)
}
