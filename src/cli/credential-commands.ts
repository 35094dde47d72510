import type { Command } from 'commander'
import { z } from 'zod'
import { secretFields } from '../auth/credential-input.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { collect, readSecret, readText, splitPair } from './input.ts'
import { facts, table } from './print.ts'
import { readServiceKey, renewalFrom } from './service-key-file.ts'
import { readYaml } from './yaml-input.ts'

const credentialAnswer = z.object({
  name: z.string(),
  kind: z.string(),
  revision: z.number(),
  changedAt: z.string(),
  settings: z.unknown(),
  secrets: z.array(z.string()),
  status: z.object({
    state: z.string(),
    user: z.string().optional(),
    expiresAt: z.string().optional(),
    authorisedAt: z.string().optional(),
    lastRefreshAt: z.string().optional(),
    certificate: z
      .object({ subject: z.string(), issuer: z.string(), endsAt: z.string(), thumbprint: z.string() })
      .optional(),
    hosts: z.array(z.object({ hosts: z.string(), keyType: z.string(), fingerprint: z.string() })).optional(),
    error: z.object({ code: z.string(), message: z.string(), next: z.string() }).optional(),
  }),
})

const secretHelp = 'read this secret from standard input'
const secretFileHelp = 'read this secret from a file'
const serviceKeyHelp = 'read client and token server from a service key of SAP BTP (JSON)'

interface ChangeOptions {
  readonly from?: string
  readonly serviceKey?: string
  readonly set: readonly string[]
  readonly file: readonly string[]
  readonly secret?: string
  readonly secretFile: readonly string[]
}

/** credential list, create, update, renew, delete, status, authorise */
export function credentialCommands(program: Command, cli: Cli): void {
  const credential = program.command('credential').description('credentials; secrets go in and never come out')
  const pathOf = (name: string, action = '') => `/api/credentials/${encodeURIComponent(name)}${action}`

  credential
    .command('list')
    .description('all credentials and whether they can be used')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ credentials: z.array(credentialAnswer) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/credentials'))
      cli.show(command, answer, () =>
        table(
          ['CREDENTIAL', 'KIND', 'STATE', 'USER', 'CHANGED', 'ERROR'],
          answer.credentials.map(each => [
            each.name,
            each.kind,
            each.status.state,
            each.status.user,
            each.changedAt,
            each.status.error?.message,
          ]),
        ),
      )
    })

  credential
    .command('status <name>')
    .description('one credential; exit code 1 when it cannot be used')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(credentialAnswer, await cli.hub(command).get(pathOf(name)))
      if (answer.status.state !== 'ready') cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describe(answer))
    })

  credential
    .command('renew <name>')
    .description('puts new secrets in the place of old ones; the settings stay, and so does a sign-in')
    .option('--secret <field>', secretHelp)
    .option('--secret-file <field=file>', secretFileHelp, collect, [])
    .option('--file <field=file>', 'read the new certificate from a file: certificate=hub.pem', collect, [])
    .option(
      '--service-key <file>',
      'read the new secret, or certificate and key, from a newer service key of SAP BTP (JSON)',
    )
    .action(async (name: string, options: Omit<ChangeOptions, 'set'>, command: Command) => {
      let given = await readSettings({ ...options, set: [] }, cli)
      if (options.serviceKey !== undefined) {
        const kept = readAnswer(credentialAnswer, await cli.hub(command).get(pathOf(name)))
        given = renewalFrom(given, kept.settings)
      }
      const answer = readAnswer(credentialAnswer, await cli.hub(command).send('POST', pathOf(name, '/renew'), given))
      cli.show(command, answer, () => describe(answer))
    })

  for (const [action, method, description] of [
    ['create', 'POST', 'creates a credential'],
    ['update', 'PUT', 'replaces the settings of a credential; secrets that are left out stay'],
  ] as const) {
    credential
      .command(`${action} <name>`)
      .description(description)
      .option('--from <file>', 'settings as YAML or JSON; - reads standard input')
      .option('--service-key <file>', serviceKeyHelp)
      .option(
        '--set <field=value>',
        'one setting, for example kind=basic or provider.microsoft365.tenant=contoso.com',
        collect,
        [],
      )
      .option('--file <field=file>', 'read this setting from a file, for example certificate=hub.pem', collect, [])
      .option('--secret <field>', secretHelp)
      .option('--secret-file <field=file>', secretFileHelp, collect, [])
      .action(async (name: string, options: ChangeOptions, command: Command) => {
        const settings = await readSettings(options, cli)
        const answer = readAnswer(credentialAnswer, await cli.hub(command).send(method, pathOf(name), settings))
        cli.show(command, answer, () => describe(answer))
      })
  }

  credential
    .command('delete <name>')
    .description('deletes a credential; flows that name it can no longer sign in')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `Credential ${name} is deleted.\n`)
    })

  credential
    .command('authorise <name>')
    .description('prints the address at which a person signs in')
    .action(async (name: string, _options: object, command: Command) => {
      const schema = z.object({ url: z.string(), redirectUri: z.string(), expiresAt: z.string() })
      const answer = readAnswer(schema, await cli.hub(command).send('POST', pathOf(name, '/authorise')))
      cli.show(command, answer, () =>
        facts([
          ['Open', answer.url],
          ['Until', answer.expiresAt],
          ['Redirect', `${answer.redirectUri} (must be registered with the application, letter for letter)`],
        ]),
      )
    })
}

async function readSettings(options: ChangeOptions, cli: Cli): Promise<Record<string, unknown>> {
  const fromInput = [options.from === '-', options.serviceKey === '-', options.secret !== undefined]
  if (fromInput.filter(Boolean).length > 1) {
    throw cliErrors.ARGUMENT_WRONG({
      text: 'Standard input can hold one thing: the settings, a service key or a secret.',
      command: 'credential',
    })
  }
  const document: unknown =
    options.from === undefined ? {} : readYaml(options.from, await readText(options.from, cli.io))
  if (typeof document !== 'object' || document === null || Array.isArray(document)) {
    throw cliErrors.ARGUMENT_WRONG({ text: 'The settings are not a group of keys.', command: 'credential' })
  }
  const { serviceKey } = options
  const settings: Record<string, unknown> = {
    ...document,
    ...(serviceKey !== undefined && readServiceKey(serviceKey, await readText(serviceKey, cli.io))),
  }
  for (const each of options.set) {
    const [field, value] = splitPair(each, '--set', 'credential')
    if (isSecret(field)) throw cliErrors.SECRET_IN_ARGUMENTS({ field })
    setAt(settings, field.split('.'), value)
  }
  for (const each of options.file) {
    const [field, file] = splitPair(each, '--file', 'credential')
    if (isSecret(field)) {
      throw cliErrors.ARGUMENT_WRONG({ text: `${field} is a secret: --secret-file takes it.`, command: 'credential' })
    }
    setAt(settings, field.split('.'), await readText(file, cli.io))
  }
  for (const each of options.secretFile) {
    const [field, file] = splitPair(each, '--secret-file', 'credential')
    settings[knownSecret(field)] = (await readText(file, cli.io)).replace(/\r?\n$/, '')
  }
  if (options.secret !== undefined) settings[knownSecret(options.secret)] = await readSecret(options.secret, cli.io)
  return settings
}

function isSecret(field: string): boolean {
  return (secretFields as readonly string[]).includes(field)
}

function knownSecret(field: string): string {
  if (isSecret(field)) return field
  const text = `${field} is no secret of a credential; there are ${secretFields.join(', ')}.`
  throw cliErrors.ARGUMENT_WRONG({ text, command: 'credential' })
}

/** Sets a value below nested keys; values are texts, as all settings of credentials are. */
function setAt(target: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: string): void {
  // A key like __proto__ would change every object; as an own property it is refused by the schema of the hub.
  const define = (inner: unknown) =>
    Object.defineProperty(target, name, { value: inner, enumerable: true, configurable: true, writable: true })
  if (rest.length === 0) {
    define(value)
    return
  }
  const present = Object.hasOwn(target, name) ? target[name] : undefined
  const inner = typeof present === 'object' && present !== null ? { ...present } : {}
  setAt(inner, rest, value)
  define(inner)
}

function describe({ name, kind, changedAt, secrets, settings, status }: z.output<typeof credentialAnswer>): string {
  return facts([
    ['Credential', name],
    ['Kind', kind],
    ['State', status.state],
    ['User', status.user],
    ['Authorised', status.authorisedAt],
    ['Last renewed', status.lastRefreshAt],
    ['Token until', status.expiresAt],
    ['Certificate', status.certificate && `${status.certificate.subject}, issued by ${status.certificate.issuer}`],
    ['Certificate until', status.certificate?.endsAt],
    ['Thumbprint', status.certificate?.thumbprint],
    ['Hosts', status.hosts?.map(host => `${host.hosts} ${host.keyType} ${host.fingerprint}`).join('\n  ')],
    ['Changed', changedAt],
    ['Secrets kept', secrets.join(', ')],
    ['Settings', settings],
    ['Error', status.error && `${status.error.message} (${status.error.code})`],
    ['Next', status.error?.next],
  ])
}
