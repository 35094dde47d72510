import type { Command } from 'commander'
import { z } from 'zod'
import { accessTestView, jobView, organizationView, profileView } from '../api/groupware-views.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { readText } from './input.ts'
import { describeJob, heldJobCommands, jobEnded } from './mailbox-job-commands.ts'
import { facts, table } from './print.ts'
import { readYaml } from './yaml-input.ts'

const saved = z.object({ organization: organizationView, test: accessTestView.optional(), job: jobView.optional() })
type OrganizationAnswer = z.output<typeof organizationView>
type TestAnswer = z.output<typeof accessTestView>

/** organization list, show, create, update, pause, resume, test, delete, release-brake, restore-held; profile list, show, write, delete */
export function organizationCommands(program: Command, cli: Cli): void {
  const organization = program
    .command('organization')
    .description('organizations whose mailboxes are synced with a CRM')
  const pathOf = (name: string, action = '') => `/api/organizations/${encodeURIComponent(name)}${action}`

  organization
    .command('list')
    .description('all organizations, and how their mailboxes are')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ organizations: z.array(organizationView) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/organizations'))
      cli.show(command, answer, () =>
        table(
          ['ORGANIZATION', 'ACCESS', 'PROFILE', 'MAILBOXES', 'ACTIVE', 'ERROR', 'STATE'],
          answer.organizations.map(each => [
            each.name,
            each.access,
            each.profile,
            Object.values(each.mailboxes).reduce((sum, count) => sum + count, 0),
            each.mailboxes.active,
            each.mailboxes.error,
            stateOf(each),
          ]),
        ),
      )
    })

  organization
    .command('show <name>')
    .description('one organization')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(organizationView, await cli.hub(command).get(pathOf(name)))
      cli.show(command, answer, () => describe(answer))
    })

  for (const [action, method, description] of [
    ['create', 'POST', 'creates an organization from a YAML or JSON file, and tests its access'],
    ['update', 'PUT', 'saves all settings of an organization from a file, and tests its access'],
  ] as const) {
    const saving = organization
      .command(`${action} <name> <file>`)
      .description(`${description}; exit code 1 when the test fails (- reads standard input)`)
      .option('--no-test', 'saves without a test')
    if (action === 'update')
      saving.option('--no-wait', 'does not wait until all links have gone over to another access type')
    saving.action(
      async (name: string, file: string, { test, wait }: { test: boolean; wait: boolean }, command: Command) => {
        const body = readYaml(file, await readText(file, cli.io))
        const answer = readAnswer(saved, await cli.hub(command).send(method, `${pathOf(name)}?test=${test}`, body))
        const job = answer.job && wait ? await jobEnded(cli, command, jobView, answer.job) : answer.job
        if (answer.test?.ok === false || (job?.failed ?? 0) > 0) cli.exitWith(exitCodes.notInOrder)
        cli.show(command, { ...answer, ...(job && { job }) }, () => {
          const tested = answer.test
            ? describeTest(answer.test)
            : 'Its access was not tested: it names no mailbox yet.\n'
          return `${describe(answer.organization)}\n${tested}${job ? describeJob(job) : ''}`
        })
      },
    )
  }

  organization
    .command('test <name> [mailbox]')
    .description('tests the access with one mailbox and says what is wrong; exit code 1 when something is')
    .action(async (name: string, mailbox: string | undefined, _options: object, command: Command) => {
      const body = { ...(mailbox !== undefined && { mailbox }) }
      const answer = readAnswer(accessTestView, await cli.hub(command).send('POST', pathOf(name, '/test'), body))
      if (!answer.ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describeTest(answer))
    })

  for (const [action, description] of [
    ['pause', 'syncs no mailbox of an organization until it is resumed'],
    ['resume', 'syncs the mailboxes of an organization again'],
  ] as const) {
    organization
      .command(`${action} <name>`)
      .description(description)
      .action(async (name: string, _options: object, command: Command) => {
        const answer = readAnswer(organizationView, await cli.hub(command).send('POST', pathOf(name, `/${action}`), {}))
        cli.show(command, answer, () => describe(answer))
      })
  }

  organization
    .command('delete <name>')
    .description('deletes an organization without mailboxes')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `Organization ${name} is deleted.\n`)
    })

  heldJobCommands(organization, cli, jobView)
  profileCommands(program, cli)
}

function profileCommands(program: Command, cli: Cli): void {
  const profile = program.command('profile').description('rules of the groupware sync, for several organizations')
  const pathOf = (name: string) => `/api/profiles/${encodeURIComponent(name)}`

  profile
    .command('list')
    .description('all profiles')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ profiles: z.array(profileView) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/profiles'))
      cli.show(command, answer, () =>
        table(
          ['PROFILE', 'ABOUT', 'CHANGED'],
          answer.profiles.map(each => [each.name, each.about, each.changedAt]),
        ),
      )
    })

  profile
    .command('show <name>')
    .description('one profile, with what is usual where it says nothing')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(profileView, await cli.hub(command).get(pathOf(name)))
      cli.show(command, answer, () => describeProfile(answer))
    })

  profile
    .command('write <name> <file>')
    .description('creates or changes a profile from a YAML or JSON file (- reads standard input)')
    .action(async (name: string, file: string, _options: object, command: Command) => {
      const body = readYaml(file, await readText(file, cli.io))
      const answer = readAnswer(profileView, await cli.hub(command).send('PUT', pathOf(name), body))
      cli.show(command, answer, () => describeProfile(answer))
    })

  profile
    .command('delete <name>')
    .description('deletes a profile that no organization uses')
    .action(async (name: string, _options: object, command: Command) => {
      await cli.hub(command).send('DELETE', pathOf(name))
      cli.show(command, { deleted: name }, () => `Profile ${name} is deleted.\n`)
    })
}

function stateOf({ isPaused, account }: OrganizationAnswer): string {
  if (isPaused) return 'paused'
  if (account.isRefused) return 'account refused'
  return account.pausedUntil === undefined ? 'running' : `rests until ${account.pausedUntil}`
}

function describe(organization: OrganizationAnswer): string {
  const { exchange, crm, mailboxes } = organization
  return facts([
    ['Organization', organization.name],
    ['About', organization.about],
    ['State', stateOf(organization)],
    ['Trouble', organization.account.trouble?.message],
    ['Next', organization.account.trouble?.next],
    ['Access', organization.access],
    ['Exchange', exchange.url ?? (organization.access === 'graph' ? 'Microsoft Graph' : 'Autodiscover')],
    ['Credential', exchange.auth],
    ['Via', exchange.via],
    ['CRM', crm.url],
    ['CRM credential', crm.auth],
    ['CRM via', crm.via],
    ['Language of notes', crm.language],
    ['Role of accounts', crm.accountRole],
    ['Role of customers', crm.customerRole],
    ['Overlap', crm.overlap],
    ['Profile', organization.profile],
    ['Every', organization.every],
    ['Test mailbox', organization.testMailbox],
    [
      'Mailboxes',
      Object.entries(mailboxes)
        .filter(([, count]) => count > 0)
        .map(([state, count]) => `${count} ${state}`)
        .join(', ') || 'none',
    ],
  ])
}

/** Rules as they would be written. */
function describeProfile({ name, about, effective }: z.output<typeof profileView>): string {
  const rules = Object.entries(effective).map(([part, value]): [string, unknown] => [part, value])
  return facts([['Profile', name], ['About', about], ...rules])
}

export function describeTest({ mailbox, ok, steps }: TestAnswer): string {
  const lines = steps.map(step => {
    const next = step.cause ? `\n     ${step.cause.code}: ${step.cause.next}` : ''
    return `${step.ok ? 'ok ' : 'NO '}  ${step.step}: ${step.detail}${next}\n`
  })
  return `${lines.join('')}Access to ${mailbox} ${ok ? 'works' : 'does not work'}.\n`
}
