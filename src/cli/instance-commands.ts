import type { Command } from 'commander'
import { z } from 'zod'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors } from './cli-errors.ts'
import { collect } from './input.ts'
import { facts, table } from './print.ts'
import { findInstance, type InstanceAnswer, instanceList, instanceView, readParameters } from './service-answers.ts'

interface InstanceOptions {
  readonly space?: string
  readonly plan?: string
  readonly parameters?: string
  readonly role: readonly string[]
  readonly grantType: readonly string[]
}

const spaceList = z.object({
  spaces: z.array(
    z.object({
      name: z.string(),
      about: z.string(),
      quotas: z.object({ 'integration-flow': z.number().optional(), api: z.number().optional() }),
      instances: z.number(),
    }),
  ),
})

/** instance list, show, create, update, disable, enable, delete; space list, write, delete */
export function instanceCommands(program: Command, cli: Cli): void {
  const instance = program.command('instance').description('service instances: who may call, with which roles')
  const inSpace = (command: Command) => command.option('--space <space>', 'its space, where the name alone is not one')

  instance
    .command('list')
    .description('all service instances')
    .option('--space <space>', 'only those in this space')
    .action(async (options: { space?: string }, command: Command) => {
      const given = await cli.hub(command).get('/api/service-instances', { space: options.space })
      const answer = readAnswer(instanceList, given)
      cli.show(command, answer, () =>
        table(
          ['INSTANCE', 'SPACE', 'PLAN', 'CLIENT ID', 'ROLES', 'GRANT TYPES', 'KEYS', 'STATE'],
          answer.instances.map(each => [
            each.name,
            each.space,
            each.plan,
            each.clientId,
            each.effectiveRoles.join(' '),
            each.parameters['grant-types'].join(' '),
            each.keys,
            each.disabledAt === undefined ? 'enabled' : 'disabled',
          ]),
        ),
      )
    })

  inSpace(instance.command('show <instance>').description('one service instance')).action(
    async (name: string, options: { space?: string }, command: Command) => {
      const answer = await findInstance(cli, command, name, options.space)
      cli.show(command, answer, () => describe(answer))
    },
  )

  withParameters(instance.command('create <name>').description('creates a service instance'))
    .option('--space <space>', 'space to create it in (default: default)')
    .option('--plan <plan>', 'integration-flow (calls flows; the default) or api (calls the admin API)')
    .action(async (name: string, options: InstanceOptions, command: Command) => {
      const { space, plan } = options
      const parameters = await parametersOf(options, cli)
      const body = { name, ...(space !== undefined && { space }), ...(plan !== undefined && { plan }), parameters }
      const answer = readAnswer(instanceView, await cli.hub(command).send('POST', '/api/service-instances', body))
      cli.show(command, answer, () => describe(answer))
    })

  inSpace(
    withParameters(
      instance.command('update <instance>').description('changes a service instance; counts from the next call on'),
    ),
  )
    .option('--name <name>', 'another name')
    .action(async (given: string, options: InstanceOptions & { name?: string }, command: Command) => {
      const { name } = options
      const parameters = await parametersOf(options, cli)
      await change(command, given, options.space, { parameters, ...(name !== undefined && { name }) })
    })

  for (const [action, disabled, description] of [
    ['disable', true, 'lets nobody in with it, until it is enabled again'],
    ['enable', false, 'lets its callers in again'],
  ] as const) {
    inSpace(instance.command(`${action} <instance>`).description(description)).action(
      (given: string, options: { space?: string }, command: Command) =>
        change(command, given, options.space, { disabled }),
    )
  }

  inSpace(instance.command('delete <instance>').description('deletes a service instance with all its keys')).action(
    async (given: string, options: { space?: string }, command: Command) => {
      const { id, name } = await findInstance(cli, command, given, options.space)
      await cli.hub(command).send('DELETE', `/api/service-instances/${id}`)
      cli.show(command, { deleted: name }, () => `Service instance ${name} is deleted, and its keys count no more.\n`)
    },
  )

  async function change(command: Command, given: string, space: string | undefined, body: object): Promise<void> {
    const { id, revision } = await findInstance(cli, command, given, space)
    const path = `/api/service-instances/${id}`
    const answer = readAnswer(instanceView, await cli.hub(command).send('PATCH', path, { ...body, revision }))
    cli.show(command, answer, () => describe(answer))
  }

  spaceCommands(program, cli)
}

function spaceCommands(program: Command, cli: Cli): void {
  const space = program.command('space').description('spaces of service instances, and how many each may hold')
  const pathOf = (name: string) => `/api/spaces/${encodeURIComponent(name)}`

  space
    .command('list')
    .description('all spaces')
    .action(async (_options: object, command: Command) => {
      const answer = readAnswer(spaceList, await cli.hub(command).get('/api/spaces'))
      cli.show(command, answer, () =>
        table(
          ['SPACE', 'INSTANCES', 'QUOTA INTEGRATION-FLOW', 'QUOTA API', 'ABOUT'],
          answer.spaces.map(({ name, instances, quotas, about }) => [
            name,
            instances,
            quotas['integration-flow'] ?? 'of the hub',
            quotas.api ?? 'of the hub',
            about,
          ]),
        ),
      )
    })
  space
    .command('write <name>')
    .description('creates a space, or changes it; what is left out falls back to the default')
    .option('--about <text>', 'what it is for')
    .option('--quota <plan=count>', 'how many instances of a plan it may hold', collect, [])
    .action(async (name: string, options: { about?: string; quota: readonly string[] }, command: Command) => {
      const quotas = Object.fromEntries(options.quota.map(readQuota))
      const about = options.about === undefined ? {} : { about: options.about }
      await cli.hub(command).send('PUT', pathOf(name), { ...about, quotas })
      cli.show(command, { space: name, quotas }, () => `Space ${name} is written.\n`)
    })
  space
    .command('delete <name>')
    .description('deletes an empty space')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `Space ${name} is deleted.\n`)
    })
}

function withParameters(command: Command): Command {
  return command
    .option('-c, --parameters <json>', 'parameters as JSON, or a file that holds it: {"roles": ["ESBMessaging.send"]}')
    .option('--role <role>', 'a role; may be repeated', collect, [])
    .option('--grant-type <type>', 'a grant type; may be repeated', collect, [])
}

async function parametersOf(options: InstanceOptions, cli: Cli): Promise<Record<string, unknown>> {
  const parameters = await readParameters(options.parameters, cli, 'instance')
  return {
    ...parameters,
    ...(options.role.length > 0 && { roles: options.role }),
    ...(options.grantType.length > 0 && { 'grant-types': options.grantType }),
  }
}

function readQuota(text: string): [string, number] {
  const [, plan = '', count = ''] = /^([a-z-]+)=(\d{1,6})$/.exec(text) ?? []
  if (plan !== '') return [plan, Number(count)]
  const wrong = `--quota takes plan=count (integration-flow=5), not "${text}".`
  throw cliErrors.ARGUMENT_WRONG({ text: wrong, command: 'space' })
}

function describe(instance: InstanceAnswer): string {
  const { parameters, effectiveRoles } = instance
  const lost = parameters.roles.filter(role => !effectiveRoles.includes(role))
  return facts([
    ['Instance', instance.name],
    ['Space', instance.space],
    ['Plan', instance.plan],
    ['Client id', instance.clientId],
    ['Roles', effectiveRoles.join(', ') || 'none'],
    ['Roles that are gone', lost.join(', ')],
    ['Grant types', parameters['grant-types'].join(', ')],
    ['Redirect URIs', parameters['redirect-uris'].join(', ')],
    ['Token validity', `${parameters['token-validity']} s`],
    ['Keys', instance.keys],
    ['Disabled', instance.disabledAt],
    ['Id', instance.id],
    ['Next', instance.keys === 0 ? `isthmus key create ${instance.name} <name of the key>` : undefined],
  ])
}
