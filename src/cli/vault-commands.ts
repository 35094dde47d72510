import { resolve } from 'node:path'
import type { Command } from 'commander'
import { z } from 'zod'
import { addMasterKey } from '../auth/master-key.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'

/** vault new-key, rotate */
export function vaultCommands(program: Command, cli: Cli): void {
  const vault = program.command('vault').description('the master key under which all secrets of the hub lie')

  vault
    .command('new-key')
    .description('puts a new master key in front of those in the key file; the hub knows it after its next start')
    .option('--file <file>', 'the key file', 'data/master.key')
    .action(async (options: { file: string }, command: Command) => {
      const file = resolve(cli.io.cwd, options.file)
      const { id, count } = await addMasterKey(file)
      cli.show(
        command,
        { key: id, keys: count, file },
        () =>
          `Master key ${id} stands in front of ${count - 1} older in ${file}.\nNext: start the hub anew, then isthmus vault rotate.\n`,
      )
    })

  vault
    .command('rotate')
    .description('seals every secret anew with the first master key; the others are needed for old backups only')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ records: z.number() })
      const answer = readAnswer(schema, await cli.hub(command).send('POST', '/api/vault/rotate'))
      cli.show(
        command,
        answer,
        () =>
          `${answer.records} records are sealed with the first master key.\n` +
          'Next: keep the others with the backups that need them, and remove them from the key file.\n',
      )
    })
}
