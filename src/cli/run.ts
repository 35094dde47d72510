import { Command, CommanderError } from 'commander'
import { asHubError } from '../kernel/error.ts'
import { version } from '../kernel/version.ts'
import { type Cli, makeCli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { commandFiles, filesFor } from './command-table.ts'
import type { CliIo } from './io.ts'
import { defaultUrl } from './own-hub.ts'
import { printableLines } from './print.ts'

/** Runs one command line (without node and script) and resolves with its exit code. Never throws. */
export async function run(argv: readonly string[], io: CliIo): Promise<number> {
  const cli = makeCli(io)
  try {
    const program = await buildProgram(cli, filesFor(argv))
    await program.parseAsync([...argv], { from: 'user' })
    // What runs until it is told to stop (serve, demo) says itself that all is well.
    return cli.exitCode() ?? (io.signal.aborted ? signalCode(io.signal) : exitCodes.done)
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage
    if (io.signal.aborted && thrown === io.signal.reason) return signalCode(io.signal)
    return complain(thrown, argv, io)
  }
}

/** The exit code of a command that was ended before its work was done. */
function signalCode({ reason }: AbortSignal): number {
  return reason === 'SIGTERM' ? exitCodes.terminated : exitCodes.interrupted
}

/** The program with the commands of these files; with all of them the source of docs/reference/cli.md. */
async function buildProgram(cli: Cli, files: typeof commandFiles): Promise<Command> {
  const program = new Command('isthmus')
    .description('Integration hub between Microsoft 365 and SAP.')
    .option('--url <url>', `address of the hub (ISTHMUS_URL; default: what isthmus.yaml says, or ${defaultUrl})`)
    .option(
      '--token-file <file>',
      'file with the admin token (ISTHMUS_TOKEN_FILE; default: in the data folder of isthmus.yaml)',
    )
    .option('--json', 'print JSON')
    .version(version, '--version', 'print the version of the command line')
    .showHelpAfterError('Run isthmus --help to see the commands.')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText('after', exitHelp)
  // Set before commands are added, since they inherit it.
  program.exitOverride().configureOutput({
    writeOut: text => void cli.io.stdout.write(text),
    writeErr: text => void cli.io.stderr.write(text),
  })
  for (const { load } of files) {
    const add = await load()
    add(program, cli, () => buildProgram(cli, commandFiles))
  }
  for (const add of cli.io.moreCommands ?? []) add(program, cli.io, cli.exitWith)
  return program
}

const exitHelp = `
Exit codes: 0 done; 1 what was looked at is not in order; 2 wrong usage; 3 the hub does not answer;
4 the hub refused; 70 something unforeseen; 130 ended by Ctrl-C; 143 ended by SIGTERM.`

/** An error as a sentence and the next step, never as a stack. */
function complain(thrown: unknown, argv: readonly string[], io: CliIo): number {
  const error = asHubError(thrown)
  if (argv.includes('--json')) {
    const { code, side, message, next } = error
    io.stderr.write(`${JSON.stringify({ error: { code, side, message, next } })}\n`)
  } else {
    io.stderr.write(`${printableLines(error.message)}\nNext: ${printableLines(error.next)}\n(${error.code})\n`)
  }
  if (error.code === 'CLI_HUB_UNREACHABLE') return exitCodes.unreachable
  if (error.code === 'HUB_UNEXPECTED') return exitCodes.unexpected
  if (error.code.startsWith('CLI_')) return error.code === 'CLI_NOT_A_HUB' ? exitCodes.refused : exitCodes.usage
  // With a status it is the answer of a hub; without one it comes from this side (a duration, a document).
  return error.fields.status === undefined ? exitCodes.usage : exitCodes.refused
}
