import type { Command } from 'commander'
import { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { readSecret, readText } from './input.ts'
import { facts, table } from './print.ts'

const userAnswer = z.object({
  name: z.string(),
  displayName: z.string().optional(),
  email: z.string().optional(),
  roles: z.array(z.string()),
  createdAt: z.string(),
  changedAt: z.string(),
  disabledAt: z.string().optional(),
})

interface UserOptions {
  readonly roles?: string
  readonly displayName?: string
  readonly email?: string
  readonly passwordFile?: string
}

/** user list, show, create, update, password, disable, enable, delete */
export function userCommands(program: Command, cli: Cli): void {
  const user = program.command('user').description('people who sign in at the token server')
  const pathOf = (name: string) => `/api/users/${encodeURIComponent(name)}`

  async function change(command: Command, name: string, body: object): Promise<void> {
    const answer = readAnswer(userAnswer, await cli.hub(command).send('PUT', pathOf(name), body))
    cli.show(command, answer, () => describe(answer))
  }

  const readPassword = async ({ passwordFile }: UserOptions): Promise<string> =>
    passwordFile === undefined
      ? readSecret('password', cli.io)
      : (await readText(passwordFile, cli.io)).replace(/\r?\n$/, '')

  user
    .command('list')
    .description('all users')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ users: z.array(userAnswer) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/users'))
      cli.show(command, answer, () =>
        table(
          ['USER', 'NAME', 'ROLES', 'STATE', 'CHANGED'],
          answer.users.map(each => [each.name, each.displayName, each.roles.join(' '), stateOf(each), each.changedAt]),
        ),
      )
    })

  user
    .command('show <name>')
    .description('one user')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(userAnswer, await cli.hub(command).get(pathOf(name)))
      cli.show(command, answer, () => describe(answer))
    })

  about(user.command('create <name>').description('creates a user; the password is read from standard input'))
    .option('--password-file <file>', 'read the password from a file')
    .action(async (name: string, options: UserOptions, command: Command) => {
      const body = { name, ...settingsOf(options), password: await readPassword(options) }
      const answer = readAnswer(userAnswer, await cli.hub(command).send('POST', '/api/users', body))
      cli.show(command, answer, () => describe(answer))
    })

  about(user.command('update <name>').description('changes roles, name or address; what is left out stays')).action(
    (name: string, options: UserOptions, command: Command) => change(command, name, settingsOf(options)),
  )

  user
    .command('password <name>')
    .description('sets a new password, read from standard input')
    .option('--password-file <file>', 'read the password from a file')
    .action(async (name: string, options: UserOptions, command: Command) =>
      change(command, name, { password: await readPassword(options) }),
    )

  user
    .command('disable <name>')
    .description('nobody signs in with it any more, and tokens for it end at once')
    .action((name: string, _options: object, command: Command) => change(command, name, { disabled: true }))

  user
    .command('enable <name>')
    .description('takes the disabling back')
    .action((name: string, _options: object, command: Command) => change(command, name, { disabled: false }))

  user
    .command('delete <name>')
    .description('deletes a user')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `User ${name} is deleted.\n`)
    })
}

function about(command: Command): Command {
  return command
    .option('--roles <roles>', 'roles with commas between them')
    .option('--display-name <name>', 'how people call the user')
    .option('--email <address>', 'mail address')
}

function settingsOf({ roles, displayName, email }: UserOptions): object {
  const names = roles?.split(',').flatMap(role => role.trim() || [])
  return {
    ...(names && { roles: names }),
    ...(displayName !== undefined && { displayName }),
    ...(email !== undefined && { email }),
  }
}

function stateOf({ disabledAt }: z.output<typeof userAnswer>): string {
  return disabledAt === undefined ? 'enabled' : 'disabled'
}

function describe(answer: z.output<typeof userAnswer>): string {
  const { name, displayName, email, roles, createdAt, changedAt, disabledAt } = answer
  return facts([
    ['User', name],
    ['Name', displayName],
    ['Mail', email],
    ['Roles', roles.join(', ')],
    ['State', stateOf(answer)],
    ['Disabled', disabledAt],
    ['Created', createdAt],
    ['Changed', changedAt],
  ])
}
