import type { Command } from 'commander'
import type { DeclarationLoaders } from '../flow/late-declarations.ts'
import type { HubOptions } from '../main.ts'

/** Everything outside that a command touches, so that a test can own it. */
export interface CliIo {
  readonly stdin: AsyncIterable<Uint8Array | string> & { readonly isTTY?: boolean | undefined }
  readonly stdout: Output
  readonly stderr: Output
  readonly env: Readonly<Record<string, string | undefined>>
  readonly cwd: string
  /** Aborts when the person ends the command; the reason is the name of the signal (SIGINT, SIGTERM). */
  readonly signal: AbortSignal
  /** The program itself; loaded only by commands that need it, since most only talk to a running hub. */
  readonly program: () => Promise<HubProgram>
  /** Further commands (demo), added by whoever puts the parts together. */
  readonly moreCommands?: readonly ((program: Command, io: CliIo, exitWith: (code: number) => void) => void)[]
}

export interface Output {
  write(text: string | Uint8Array): unknown
  readonly isTTY?: boolean | undefined
}

/** What `main.ts` puts together. */
export interface HubProgram {
  readonly builtIn: DeclarationLoaders
  startHub(options: HubOptions): Promise<RunningHub>
}

/** What a command needs of a hub that it started itself. */
export interface RunningHub {
  readonly adminUrl: string
  readonly endpointsUrl: string
  readonly adminToken: string
  /** Where this start made it: nobody was told of it yet. */
  readonly newSetupToken?: string | undefined
  close(): Promise<void>
}
