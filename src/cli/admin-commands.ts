import type { Command } from 'commander'
import { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { readSecret, readText } from './input.ts'
import { facts, table } from './print.ts'

const adminAnswer = z.object({
  name: z.string(),
  displayName: z.string().optional(),
  email: z.string().optional(),
  roles: z.array(z.string()),
  hasTotp: z.boolean(),
  createdAt: z.string(),
  changedAt: z.string(),
  disabledAt: z.string().optional(),
  sessions: z.array(z.object({ beganAt: z.string(), seenAt: z.string(), address: z.string() })),
})

const listAnswer = z.object({
  administrators: z.array(adminAnswer),
  roles: z.array(z.object({ name: z.string(), about: z.string(), permissions: z.array(z.string()) })),
})

const totpAnswer = z.object({ secret: z.string(), uri: z.string() })

interface AdminOptions {
  readonly roles?: string
  readonly displayName?: string
  readonly email?: string
  readonly passwordFile?: string
}

/** admin list, roles, show, create, update, password, disable, enable, delete, logout, totp */
export function adminCommands(program: Command, cli: Cli): void {
  const admin = program.command('admin').description('people who look after the hub')
  const pathOf = (name: string) => `/api/administrators/${encodeURIComponent(name)}`
  const readAll = async (command: Command) => readAnswer(listAnswer, await cli.hub(command).get('/api/administrators'))

  async function change(command: Command, name: string, body: object): Promise<void> {
    const answer = readAnswer(adminAnswer, await cli.hub(command).send('PUT', pathOf(name), body))
    cli.show(command, answer, () => describe(answer))
  }

  const readPassword = async ({ passwordFile }: AdminOptions): Promise<string> =>
    passwordFile === undefined
      ? readSecret('password', cli.io)
      : (await readText(passwordFile, cli.io)).replace(/\r?\n$/, '')

  admin
    .command('list')
    .description('all administrators')
    .action(async (_options: object, command: Command) => {
      const { administrators } = await readAll(command)
      cli.show(command, { administrators }, () =>
        table(
          ['ADMINISTRATOR', 'NAME', 'ROLES', 'CODE', 'STATE', 'SESSIONS'],
          administrators.map(each => [
            each.name,
            each.displayName,
            each.roles.join(' '),
            each.hasTotp ? 'asked for' : 'none',
            stateOf(each),
            String(each.sessions.length),
          ]),
        ),
      )
    })

  admin
    .command('roles')
    .description('the roles an administrator may have, and what comes with them')
    .action(async (_options: object, command: Command) => {
      const { roles } = await readAll(command)
      cli.show(command, { roles }, () =>
        table(
          ['ROLE', 'ABOUT'],
          roles.map(({ name, about }) => [name, about]),
        ),
      )
    })

  admin
    .command('show <name>')
    .description('one administrator')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(adminAnswer, await cli.hub(command).get(pathOf(name)))
      cli.show(command, answer, () => describe(answer))
    })

  about(admin.command('create <name>').description('creates an administrator; the password comes on standard input'))
    .option('--password-file <file>', 'read the password from a file')
    .action(async (name: string, options: AdminOptions, command: Command) => {
      const body = { name, roles: [], ...settingsOf(options), password: await readPassword(options) }
      const answer = readAnswer(adminAnswer, await cli.hub(command).send('POST', '/api/administrators', body))
      cli.show(command, answer, () => describe(answer))
    })

  about(admin.command('update <name>').description('changes roles, name or address; what is left out stays')).action(
    (name: string, options: AdminOptions, command: Command) => change(command, name, settingsOf(options)),
  )

  admin
    .command('password <name>')
    .description('sets a new password, read from standard input, and ends every session')
    .option('--password-file <file>', 'read the password from a file')
    .action(async (name: string, options: AdminOptions, command: Command) =>
      change(command, name, { password: await readPassword(options) }),
    )

  admin
    .command('disable <name>')
    .description('nobody logs in with it any more; its sessions end at once')
    .action((name: string, _options: object, command: Command) => change(command, name, { disabled: true }))

  admin
    .command('enable <name>')
    .description('takes the disabling back')
    .action((name: string, _options: object, command: Command) => change(command, name, { disabled: false }))

  admin
    .command('delete <name>')
    .description('deletes an administrator')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `Administrator ${name} is deleted.\n`)
    })

  admin
    .command('logout <name>')
    .description('ends every session of an administrator, also of one of the identity provider (oidc:anna@contoso.com)')
    .action(async (name: string, _options: object, command: Command) => {
      const schema = z.object({ ended: z.number() })
      const answer = readAnswer(schema, await cli.hub(command).send('DELETE', `${pathOf(name)}/sessions`))
      cli.show(command, answer, () => `Sessions that ended: ${answer.ended}\n`)
    })

  admin
    .command('totp <name>')
    .description('an authenticator: a secret for it, then with --confirm its first code')
    .option('--confirm <code>', 'the code it shows; from now on a log-in asks for one')
    .option('--remove', 'take it away')
    .action(async (name: string, options: { confirm?: string; remove?: boolean }, command: Command) => {
      const path = `${pathOf(name)}/totp`
      if (options.remove) {
        await cli.hub(command).send('DELETE', path)
        cli.show(command, { removed: name }, () => `A log-in of ${name} asks for no code.\n`)
      } else if (options.confirm !== undefined) {
        const schema = z.object({ recoveryCodes: z.array(z.string()) })
        const { recoveryCodes } = readAnswer(
          schema,
          await cli.hub(command).send('PUT', path, { code: options.confirm }),
        )
        const said = `A log-in of ${name} asks for a code from now on. Without the authenticator each of these counts once:\n`
        cli.show(command, { confirmed: name, recoveryCodes }, () => `${said}${recoveryCodes.join('\n')}\n`)
      } else {
        const answer = readAnswer(totpAnswer, await cli.hub(command).send('POST', path))
        cli.show(command, answer, () =>
          facts([
            ['Secret', answer.secret],
            ['QR code', answer.uri],
            ['Next', `isthmus admin totp ${name} --confirm <code>`],
          ]),
        )
      }
    })
}

function about(command: Command): Command {
  return command
    .option('--roles <roles>', 'roles with commas between them (isthmus admin roles)')
    .option('--display-name <name>', 'how people call the administrator')
    .option('--email <address>', 'mail address')
}

function settingsOf({ roles, displayName, email }: AdminOptions): object {
  const names = roles?.split(',').flatMap(role => role.trim() || [])
  return {
    ...(names && { roles: names }),
    ...(displayName !== undefined && { displayName }),
    ...(email !== undefined && { email }),
  }
}

function stateOf({ disabledAt }: z.output<typeof adminAnswer>): string {
  return disabledAt === undefined ? 'enabled' : 'disabled'
}

function describe(answer: z.output<typeof adminAnswer>): string {
  const { name, displayName, email, roles, hasTotp, createdAt, changedAt, disabledAt, sessions } = answer
  return facts([
    ['Administrator', name],
    ['Name', displayName],
    ['Mail', email],
    ['Roles', roles.join(', ')],
    ['Code', hasTotp ? 'asked for at each log-in' : 'none'],
    ['State', stateOf(answer)],
    ['Disabled', disabledAt],
    ['Sessions', sessions.map(({ address, seenAt }) => `${address} (${seenAt})`).join(', ')],
    ['Created', createdAt],
    ['Changed', changedAt],
  ])
}
