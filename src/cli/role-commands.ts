import type { Command } from 'commander'
import { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { table } from './print.ts'

const roleAnswer = z.object({
  name: z.string(),
  about: z.string(),
  plan: z.string(),
  isPredefined: z.boolean(),
  instances: z.array(z.string()),
  users: z.array(z.string()),
})

/** role list, create, update, delete */
export function roleCommands(program: Command, cli: Cli): void {
  const role = program.command('role').description('roles: what flows ask their callers for')
  const pathOf = (name: string) => `/api/roles/${encodeURIComponent(name)}`

  role
    .command('list')
    .description('all roles and who has them')
    .option('--plan <plan>', 'only those for integration-flow, or for api')
    .action(async (options: { plan?: string }, command: Command) => {
      const schema = z.object({ roles: z.array(roleAnswer) })
      const { roles } = readAnswer(schema, await cli.hub(command).get('/api/roles'))
      const shown = roles.filter(({ plan }) => options.plan === undefined || plan === options.plan)
      cli.show(command, { roles: shown }, () =>
        table(
          ['ROLE', 'PLAN', 'MADE BY', 'INSTANCES', 'USERS', 'ABOUT'],
          shown.map(each => [
            each.name,
            each.plan,
            each.isPredefined ? 'the hub' : 'people',
            each.instances.join(' '),
            each.users.join(' '),
            each.about,
          ]),
        ),
      )
    })

  role
    .command('create <name>')
    .description('creates a role for flows')
    .option('--about <text>', 'what whoever has it may do')
    .action(async (name: string, options: { about?: string }, command: Command) => {
      const body = { name, ...(options.about !== undefined && { about: options.about }) }
      const answer = readAnswer(roleAnswer, await cli.hub(command).send('POST', '/api/roles', body))
      cli.show(command, answer, () => `Role ${answer.name} is created.\n`)
    })

  role
    .command('update <name>')
    .description('changes the description of a role')
    .requiredOption('--about <text>', 'what whoever has it may do')
    .action(async (name: string, options: { about: string }, command: Command) => {
      const answer = readAnswer(roleAnswer, await cli.hub(command).send('PUT', pathOf(name), options))
      cli.show(command, answer, () => `Role ${answer.name} is changed.\n`)
    })

  role
    .command('delete <name>')
    .description('deletes a role that nobody has and no flow asks for')
    .option('--force', 'also one in use: whoever has it loses it at once')
    .action(async (name: string, options: { force?: boolean }, command: Command) => {
      await cli.hub(command).send('DELETE', `${pathOf(name)}?force=${options.force === true}`)
      cli.show(command, { deleted: name }, () => `Role ${name} is deleted.\n`)
    })
}
