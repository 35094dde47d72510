import { type ChildProcess, spawn } from 'node:child_process'
import { readdirSync, readFileSync } from 'node:fs'
import { waitFor } from './wait.ts'

const stopMs = 5_000
const outputCharsMax = 64_000

export interface ServerProcess {
  readonly pid: number
  /** What it wrote to stdout and stderr; the last 64,000 characters. */
  output(): string
  isRunning(): boolean
  /** The server and every process below it die at once, as in a power cut. */
  kill9(): Promise<void>
  /** SIGTERM, and SIGKILL for whoever is still there after five seconds. */
  stop(): Promise<void>
}

export interface ProcessOptions {
  readonly cwd?: string
  readonly env?: NodeJS.ProcessEnv
  readonly onOutput?: (chunk: string) => void
}

/** Starts a server that stays in the foreground. It also ends when this process dies, however that happens. */
export function startProcess(command: string, args: readonly string[], options: ProcessOptions = {}): ServerProcess {
  const child = spawn('setpriv', ['--pdeathsig', 'TERM', '--', command, ...args], {
    cwd: options.cwd ?? '/',
    env: options.env ?? process.env,
    stdio: ['ignore', 'pipe', 'pipe'],
  })
  let output = ''
  const keep = (chunk: Buffer) => {
    const text = chunk.toString('utf8')
    options.onOutput?.(text)
    output = (output + text).slice(-outputCharsMax)
  }
  child.stdout.on('data', keep)
  child.stderr.on('data', keep)
  child.once('error', error => keep(Buffer.from(`${command} could not be started: ${error.message}\n`)))
  const pid = child.pid
  if (pid === undefined) throw new Error(`${command} could not be started; setpriv (util-linux) is needed.`)
  const killAtExit = () => killTree(pid)
  process.on('exit', killAtExit)

  return {
    pid,
    output: () => output,
    isRunning: () => isRunning(child),
    async kill9() {
      process.off('exit', killAtExit)
      if (isRunning(child)) killTree(pid)
      await hasEnded(child, command)
    },
    async stop() {
      process.off('exit', killAtExit)
      if (!isRunning(child)) return
      const family = descendants(pid).map(member => ({ pid: member, startedAt: startTicks(member) }))
      child.kill('SIGTERM')
      await waitFor(`${command} to stop`, stopMs, () => !isRunning(child)).catch(() => killTree(pid))
      await hasEnded(child, command)
      // A child that outlives its server would keep the port and the folder of the next test.
      for (const member of family) {
        // The kernel gives pids out again: only the very process we saw is ours to end.
        if (member.startedAt !== undefined && startTicks(member.pid) === member.startedAt) signal(member.pid, 'SIGKILL')
      }
    },
  }
}

/** The pids of all processes below this one, nearest first. */
export function descendants(pid: number): number[] {
  const childrenOf = new Map<number, number[]>()
  for (const entry of readdirSync('/proc')) {
    const parent = /^\d+$/.test(entry) ? statOf(Number(entry))?.parent : undefined
    if (parent === undefined) continue
    childrenOf.set(parent, [...(childrenOf.get(parent) ?? []), Number(entry)])
  }
  const found: number[] = []
  const queue = [pid]
  for (let next = queue.shift(); next !== undefined; next = queue.shift()) {
    const children = childrenOf.get(next) ?? []
    found.push(...children)
    queue.push(...children)
  }
  return found
}

/** The parent and the start time (clock ticks since boot) of a process, from /proc/<pid>/stat. */
function statOf(pid: number): { parent: number; startTicks: number } | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'latin1')
    // The second field is the name in parentheses and may itself contain spaces, so counting starts behind it.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    return { parent: Number(fields[1]), startTicks: Number(fields[19]) }
  } catch {
    // The process ended while we were looking.
    return undefined
  }
}

function startTicks(pid: number): number | undefined {
  return statOf(pid)?.startTicks
}

function killTree(pid: number): void {
  // Frozen first, so that it cannot start another child between the look and the kill.
  signal(pid, 'SIGSTOP')
  const family = descendants(pid)
  signal(pid, 'SIGKILL')
  for (const member of family) signal(member, 'SIGKILL')
}

function signal(pid: number, name: NodeJS.Signals): void {
  try {
    process.kill(pid, name)
  } catch {
    // Already gone, which is what was wanted.
  }
}

function isRunning(child: ChildProcess): boolean {
  return child.exitCode === null && child.signalCode === null
}

async function hasEnded(child: ChildProcess, command: string): Promise<void> {
  await waitFor(`${command} to end`, stopMs, () => !isRunning(child))
}
