import type { Command } from 'commander'
import type { Cli } from './cli.ts'

/** Adds commands to a program; `wholeProgram` makes one with all of them. */
type AddCommands = (program: Command, cli: Cli, wholeProgram: () => Promise<Command>) => void

interface CommandFile {
  /** What it adds to the program itself. */
  readonly names: readonly string[]
  load(): Promise<AddCommands>
}

/**
 * Every command, in the order of the help. A file is loaded when one of its commands is called: with all of them a hub
 * would start a good part later, and so would each question to one.
 */
export const commandFiles: readonly CommandFile[] = [
  { names: ['serve'], load: async () => (await import('./serve-command.ts')).serveCommand },
  { names: ['lint', 'schema'], load: async () => (await import('./lint-command.ts')).lintCommands },
  { names: ['try'], load: async () => (await import('./try-command.ts')).tryCommand },
  { names: ['flow'], load: async () => (await import('./flow-commands.ts')).flowCommands },
  { names: ['message'], load: async () => (await import('./message-commands.ts')).messageCommands },
  { names: ['credential'], load: async () => (await import('./credential-commands.ts')).credentialCommands },
  {
    names: ['health', 'metrics', 'alert', 'alerts', 'audit'],
    load: async () => (await import('./watch-commands.ts')).watchCommands,
  },
  { names: ['log'], load: async () => (await import('./log-command.ts')).logCommand },
  { names: ['instance', 'space'], load: async () => (await import('./instance-commands.ts')).instanceCommands },
  { names: ['key'], load: async () => (await import('./key-commands.ts')).keyCommands },
  { names: ['role'], load: async () => (await import('./role-commands.ts')).roleCommands },
  { names: ['user'], load: async () => (await import('./user-commands.ts')).userCommands },
  { names: ['admin'], load: async () => (await import('./admin-commands.ts')).adminCommands },
  { names: ['token-keys', 'token'], load: async () => (await import('./token-commands.ts')).tokenCommands },
  { names: ['mapping'], load: async () => (await import('./mapping-commands.ts')).mappingCommands },
  { names: ['keymap'], load: async () => (await import('./key-map-commands.ts')).keyMapCommands },
  { names: ['connector'], load: async () => (await import('./connector-commands.ts')).connectorCommands },
  {
    names: ['organization', 'profile'],
    load: async () => (await import('./organization-commands.ts')).organizationCommands,
  },
  { names: ['mailbox'], load: async () => (await import('./mailbox-commands.ts')).mailboxCommands },
  { names: ['vault'], load: async () => (await import('./vault-commands.ts')).vaultCommands },
  { names: ['store'], load: async () => (await import('./store-commands.ts')).storeCommands },
  { names: ['reference'], load: async () => (await import('./reference-command.ts')).referenceCommand },
]

/** Options of the program itself that are followed by their value. */
const takeValue = new Set(['--url', '--token-file'])

/** The file of the command that a command line calls; all of them where it calls none (help, a slip of the pen). */
export function filesFor(argv: readonly string[]): readonly CommandFile[] {
  const at = argv.findIndex((word, index) => !word.startsWith('-') && !takeValue.has(argv[index - 1] ?? ''))
  const asksForHelp = argv.slice(0, Math.max(0, at)).some(word => word === '-h' || word === '--help')
  const called = commandFiles.filter(({ names }) => names.includes(argv[at] ?? ''))
  return called.length === 0 || asksForHelp ? commandFiles : called
}
