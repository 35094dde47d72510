import { exitCodes } from './cli-errors.ts'
import { demoCommand } from './demo/demo-command.ts'
import type { HubProgram } from './io.ts'
import { run } from './run.ts'
import { stopSignal } from './stop-signals.ts'

/** Runs the command line of this process: its arguments, its terminal, its signals. */
export async function runProgram(): Promise<void> {
  const signal = stopSignal()
  // Whoever reads may stop reading (head, a closed terminal); that is no failure of the command.
  const isHub = process.argv.includes('serve')
  process.stdout.on('error', (error: NodeJS.ErrnoException) => {
    // A hub whose log nobody takes any more (a full disk, a reader that went away) goes on: mail is more than its log.
    if (isHub) return
    if (error.code === 'EPIPE') process.exit(0)
    process.stderr.write(
      `The output cannot be written: ${error.message}\nNext: Free space there, or write it elsewhere.\n`,
    )
    process.exit(exitCodes.unexpected)
  })

  process.exitCode = await run(process.argv.slice(2), {
    stdin: process.stdin,
    stdout: process.stdout,
    stderr: process.stderr,
    env: process.env,
    cwd: process.cwd(),
    signal,
    program: (): Promise<HubProgram> => import('../main.ts'),
    moreCommands: [demoCommand],
  })
  // A read of standard input that nobody waits for any more would keep the process alive.
  if (signal.aborted) process.stdin.destroy()
}
