import type { Command } from 'commander'
import { type HubAddress, type HubClient, hubClient } from './hub-client.ts'
import type { CliIo } from './io.ts'

/** What every command works with. */
export interface Cli {
  readonly io: CliIo
  /** The hub that the options of this command name. */
  hub(command: Command): HubClient
  /** Prints a result: as JSON with --json, else as text. */
  show(command: Command, result: unknown, text: () => string): void
  /** The exit code once the command is over. */
  exitWith(code: number): void
}

export interface GlobalOptions extends HubAddress {
  readonly json?: boolean
}

export function makeCli(io: CliIo): Cli & { exitCode(): number | undefined } {
  let exitCode: number | undefined
  return {
    io,
    hub: command => hubClient(command.optsWithGlobals<GlobalOptions>(), io),
    show(command, result, text) {
      const isJson = command.optsWithGlobals<GlobalOptions>().json === true
      io.stdout.write(isJson ? `${JSON.stringify(result, null, 2)}\n` : text())
    },
    exitWith(code) {
      exitCode = code
    },
    exitCode: () => exitCode,
  }
}
