import type { Command } from 'commander'
import { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { facts, table } from './print.ts'

const keyAnswer = z.object({
  kid: z.string(),
  algorithm: z.string(),
  state: z.string(),
  createdAt: z.string(),
  activeFrom: z.string(),
})

/** token-keys list, rotate; token revoke */
export function tokenCommands(program: Command, cli: Cli): void {
  const keys = program.command('token-keys').description('keys that sign tokens')

  keys
    .command('list')
    .description('published keys')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ keys: z.array(keyAnswer) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/token-keys'))
      cli.show(command, answer, () =>
        table(
          ['KEY', 'ALGORITHM', 'STATE', 'SIGNS FROM', 'CREATED'],
          answer.keys.map(each => [each.kid, each.algorithm, each.state, each.activeFrom, each.createdAt]),
        ),
      )
    })

  keys
    .command('rotate')
    .description('makes a new key: published now, used an hour later, so that nobody meets a key it does not know')
    .option('--now', 'use it at once, for a key that others may know')
    .action(async (options: { now?: boolean }, command: Command) => {
      const body = { now: options.now === true }
      const answer = readAnswer(keyAnswer, await cli.hub(command).send('POST', '/api/token-keys/rotate', body))
      cli.show(command, answer, () =>
        facts([
          ['Key', answer.kid],
          ['Algorithm', answer.algorithm],
          ['State', answer.state],
          ['Signs from', answer.activeFrom],
        ]),
      )
    })

  program
    .command('token')
    .description('access tokens')
    .command('revoke <jti>')
    .description('ends one access token; isthmus key revoke ends all of a key')
    .action(async (jti: string, _options: object, command: Command) => {
      await cli.hub(command).send('POST', '/api/tokens/revoke', { jti })
      cli.show(command, { revoked: jti }, () => `Token ${jti} counts no more.\n`)
    })
}
