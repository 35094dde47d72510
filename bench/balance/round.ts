import { readFileSync } from 'node:fs'
import { loadavg } from 'node:os'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHaproxy } from '../../test/foreign/servers/haproxy.ts'
import { sendAtRate } from '../../test/foreign/servers/mail-load.ts'
import { type ServerProcess, startProcess } from '../../test/foreign/servers/server-process.ts'
import { waitFor } from '../../test/foreign/servers/wait.ts'
import { makeWorkFolder } from '../../test/foreign/servers/work-folder.ts'

export type ContestantName = 'isthmus' | 'haproxy'

export interface RoundResult {
  readonly contestant: ContestantName
  readonly mails: number
  /** Mails by server: good, slow, flapping. */
  readonly spread: readonly number[]
  readonly errors: number
  /** Codes of the errors, each once. */
  readonly errorCodes: readonly string[]
  /** Taken twice; must be none. */
  readonly doubled: number
  /** Answered with 250 and not there; must be none. */
  readonly lost: number
  readonly p50Ms: number
  readonly p99Ms: number
  readonly cpuMsPerMail: number
  readonly load: number
}

interface Front {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

const startMs = 10_000
/** Until both have seen the three servers. */
const settleMs = 2_500

/** Three fresh servers, one balancer, one load. */
export async function runRound(
  contestant: ContestantName,
  load: { readonly perSecond: number; readonly seconds: number; readonly name: string },
): Promise<RoundResult> {
  const folder = makeWorkFolder('bal')
  const takenFile = join(folder.path, 'taken.json')
  const servers = startProcess(process.execPath, [here('servers.ts'), takenFile])
  let front: Front | undefined
  try {
    const { ports } = (await firstLine(servers)) as { ports: number[] }
    front = contestant === 'haproxy' ? await startHaproxy(ports) : await startOwn(ports)
    await new Promise(resolve => setTimeout(resolve, settleMs))
    const cpuBefore = cpuSecondsOf(front.pid)
    const tries = await sendAtRate({ ...load, port: front.port })
    const cpuSeconds = cpuSecondsOf(front.pid) - cpuBefore
    await servers.stop()
    const taken = JSON.parse(readFileSync(takenFile, 'utf8')) as string[][]
    const all = taken.flat()
    const times = tries.map(({ tookMs }) => tookMs).toSorted((one, other) => one - other)
    const known = new Set(all)
    return {
      contestant,
      mails: tries.length,
      spread: taken.map(ids => ids.length),
      errors: tries.filter(({ error }) => error !== undefined).length,
      errorCodes: [...new Set(tries.flatMap(({ error }) => (error === undefined ? [] : [error])))],
      doubled: all.length - known.size,
      lost: tries.filter(({ id, error }) => error === undefined && !known.has(id)).length,
      p50Ms: times[Math.floor(times.length * 0.5)] ?? Number.NaN,
      p99Ms: times[Math.floor(times.length * 0.99)] ?? Number.NaN,
      cpuMsPerMail: (cpuSeconds * 1000) / tries.length,
      load: loadavg()[0] ?? Number.NaN,
    }
  } finally {
    await front?.stop()
    await servers.stop()
    folder.remove()
  }
}

async function startOwn(ports: readonly number[]): Promise<Front> {
  const child = startProcess(process.execPath, [here('front.ts'), ...ports.map(String)])
  const { port } = (await firstLine(child)) as { port: number }
  return { port, pid: child.pid, stop: () => child.stop() }
}

function here(file: string): string {
  return fileURLToPath(new URL(file, import.meta.url))
}

async function firstLine(child: ServerProcess): Promise<unknown> {
  return waitFor('a process of the bench to start', startMs, () => {
    if (!child.isRunning()) throw new Error(`It ended: ${child.output()}`)
    const [line, rest] = child.output().split('\n')
    return rest === undefined ? undefined : JSON.parse(line ?? '')
  })
}

/** CPU seconds (user and system) of a living process; the kernel counts hundredths. */
function cpuSecondsOf(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / 100
}
