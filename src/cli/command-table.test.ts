import { Command } from 'commander'
import { expect, test } from 'vitest'
import { makeCli } from './cli.ts'
import { commandFiles, filesFor } from './command-table.ts'
import type { CliIo } from './io.ts'

test('every command is found under each of its names, and the table names no other', async () => {
  for (const { names, load } of commandFiles) {
    const program = new Command('isthmus')
    const add = await load()
    // Commands look at what is outside when they run, not when they are added.
    add(program, makeCli({} as CliIo), async () => program)
    const added = program.commands.flatMap(command => [command.name(), ...command.aliases()])
    expect(names.toSorted()).toEqual(added.toSorted())
  }
})

const called: readonly (readonly [line: string, names: readonly string[]])[] = [
  ['serve', ['serve']],
  ['serve --config flow', ['serve']],
  ['--json --url flow message find x', ['message']],
  ['--token-file=serve key list', ['key']],
  ['alerts', ['health', 'metrics', 'alert', 'alerts', 'audit']],
  ['mailbox --help', ['mailbox']],
]

test.each(called)('isthmus %s loads one file of commands', (line, names) => {
  expect(filesFor(line.split(' ')).map(file => file.names)).toEqual([names])
})

test.each(['', 'help', 'help serve', '--help serve', '-h flow', 'srve', 'srve flow', '--json', '--version', 'demo'])(
  'isthmus %s loads all commands, for the help and for what was meant',
  line => {
    expect(filesFor(line.split(' '))).toBe(commandFiles)
  },
)
