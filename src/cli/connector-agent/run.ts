import { Command, CommanderError } from 'commander'
import { asHubError } from '../../kernel/error.ts'
import { exitCodes } from '../cli-errors.ts'
import type { CliIo } from '../io.ts'
import { printableLines } from '../print.ts'
import { checkCommand } from './check-command.ts'
import { enrolCommand } from './enrol-command.ts'
import { runCommand } from './run-command.ts'
import { statusCommand } from './status-command.ts'

/** What a command of the connector touches outside itself. */
export type ConnectorIo = Pick<CliIo, 'stdin' | 'stdout' | 'stderr' | 'cwd' | 'signal'>

export interface ConnectorCli {
  readonly io: ConnectorIo
  /** Prints a result: as JSON with --json, else as text. */
  show(command: Command, result: unknown, text: () => string): void
  exitWith(code: number): void
}

/** Runs one command line (without node and script) and resolves with its exit code. Never throws. */
export async function run(argv: readonly string[], io: ConnectorIo): Promise<number> {
  let exitCode: number = exitCodes.done
  const cli: ConnectorCli = {
    io,
    show(command, result, text) {
      const isJson = command.optsWithGlobals<{ json?: boolean }>().json === true
      io.stdout.write(isJson ? `${JSON.stringify(result, null, 2)}\n` : text())
    },
    exitWith(code) {
      exitCode = code
    },
  }
  try {
    await connectorProgram(cli).parseAsync([...argv], { from: 'user' })
    return exitCode
  } catch (thrown) {
    if (thrown instanceof CommanderError) return thrown.exitCode === 0 ? exitCodes.done : exitCodes.usage
    if (io.signal.aborted) return exitCodes.done
    return complain(thrown, argv, io)
  }
}

/** All commands; also the source of docs/reference/connector-cli.md. */
export function connectorProgram(cli: ConnectorCli): Command {
  const program = new Command('isthmus-connector')
    .description('On-premise connector of Isthmus: lets the hub reach what connector.yaml lists, and nothing else.')
    .option('--json', 'print JSON')
    .showHelpAfterError('Run isthmus-connector --help to see the commands.')
    .configureHelp({ showGlobalOptions: true })
    .addHelpText(
      'after',
      '\nExit codes: 0 done; 1 what was looked at is not in order; 2 wrong usage; 3 no answer; 4 the hub refused;\n70 something unforeseen.',
    )
  // Set before commands are added, since they inherit it.
  program.exitOverride().configureOutput({
    writeOut: text => void cli.io.stdout.write(text),
    writeErr: text => void cli.io.stderr.write(text),
  })
  for (const add of [enrolCommand, runCommand, checkCommand, statusCommand]) add(program, cli)
  return program
}

/** An error as a sentence and the next step, never as a stack. */
function complain(thrown: unknown, argv: readonly string[], io: ConnectorIo): number {
  const { code, side, message, next } = asHubError(thrown)
  if (argv.includes('--json')) io.stderr.write(`${JSON.stringify({ error: { code, side, message, next } })}\n`)
  else io.stderr.write(`${printableLines(message)}\nNext: ${printableLines(next)}\n(${code})\n`)
  if (code === 'HUB_UNEXPECTED') return exitCodes.unexpected
  const isNoAnswer = code === 'CONNECTOR_HUB_UNREACHABLE' || code === 'CONNECTOR_NOT_RUNNING'
  if (isNoAnswer || code.startsWith('NET_PROXY_')) return exitCodes.unreachable
  return code === 'CONNECTOR_HUB_REFUSED' ? exitCodes.refused : exitCodes.usage
}
