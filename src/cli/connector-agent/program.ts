import { stopSignal } from '../stop-signals.ts'
import { run } from './run.ts'

/** Runs the command line of this process: its arguments, its terminal, its signals. */
export async function runProgram(): Promise<void> {
  const isRunning = process.argv.includes('run')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A connector whose log nobody takes any more goes on: the way of the mails is more than its log.
    if (isRunning) return
    if (error.code === 'EPIPE') process.exit(0)
    throw error
  })
  process.exitCode = await run(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    cwd: process.cwd(),
    signal: stopSignal(),
  })
}
