import { setTimeout as sleep } from 'node:timers/promises'
import type { Command } from 'commander'
import { z } from 'zod'
import type { jobView as JobView } from '../api/groupware-views.ts'
import { SECOND } from '../kernel/time.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { table } from './print.ts'

type Job = z.output<typeof JobView>

const descriptions = {
  activate: 'tests the access to each mailbox and syncs it from now on',
  deactivate: 'syncs them no longer; links are kept',
  pause: 'syncs them no longer until they are resumed',
  resume: 'syncs them again',
  resync: 'reads everything anew; links are kept, nothing is doubled',
  delete: 'forgets them with their links; nothing is changed on either side',
} as const

const heldDescriptions = {
  'release-brake': 'lets the deletions of all its mailboxes pass that the brake holds back',
  'restore-held': 'has created anew whatever of all its mailboxes the brake keeps from being deleted',
} as const

/** organization release-brake, restore-held: what is decided about the held deletions of all mailboxes at once */
export function heldJobCommands(organization: Command, cli: Cli, jobView: typeof JobView): void {
  for (const [action, description] of Object.entries(heldDescriptions)) {
    organization
      .command(`${action} <name>`)
      .description(`${description}; exit code 1 when one fails`)
      .option('--no-wait', 'does not wait for the end')
      .action(async (name: string, { wait }: { wait: boolean }, command: Command) => {
        await runJob(cli, command, jobView, { organization: name, action, mailboxes: 'all', wait })
      })
  }
}

/** mailbox activate, deactivate, pause, resume, resync, delete; mailbox jobs, job, cancel */
export function jobCommands(mailbox: Command, cli: Cli, jobView: typeof JobView): void {
  for (const action of Object.keys(descriptions) as (keyof typeof descriptions)[]) {
    mailbox
      .command(`${action} <organization> [addresses...]`)
      .description(`${descriptions[action]}; exit code 1 when one fails`)
      .option('--all', 'all mailboxes of the organization')
      .option('--dry-run', 'only says to which it would be done')
      .option('--no-wait', 'does not wait for the end')
      .action(
        async (
          organization: string,
          addresses: readonly string[],
          { all, dryRun, wait }: { all?: boolean; dryRun?: boolean; wait: boolean },
          command: Command,
        ) => {
          if ((all === true) === addresses.length > 0) {
            throw cliErrors.ARGUMENT_WRONG({ text: 'Name addresses, or --all.', command: `mailbox ${action}` })
          }
          const wish = { organization, action, mailboxes: all ? ('all' as const) : addresses, wait }
          await (dryRun ? showTargets(cli, command, wish) : runJob(cli, command, jobView, wish))
        },
      )
  }

  mailbox
    .command('jobs')
    .description('what was done to many mailboxes at once, in the last 30 days')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ jobs: z.array(jobView) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/groupware-jobs'))
      cli.show(command, answer, () =>
        table(
          ['JOB', 'ORGANIZATION', 'ACTION', 'STATE', 'DONE', 'FAILED', 'STARTED'],
          answer.jobs.map(job => [
            job.id,
            job.organization,
            job.action,
            job.state,
            `${job.done}/${job.total}`,
            job.failed,
            job.startedAt,
          ]),
        ),
      )
    })

  mailbox
    .command('job <id>')
    .description('one job and its failures')
    .action(async (id: string, _options: object, command: Command) => {
      const job = readAnswer(jobView, await cli.hub(command).get(pathOf(id)))
      cli.show(command, job, () => describeJob(job))
    })

  mailbox
    .command('cancel <id>')
    .description('ends a job; what it did stays')
    .action(async (id: string, _options: object, command: Command) => {
      const job = readAnswer(jobView, await cli.hub(command).send('POST', pathOf(id, '/cancel'), {}))
      cli.show(command, job, () => describeJob(job))
    })
}

const pathOf = (id: string, action = '') => `/api/groupware-jobs/${encodeURIComponent(id)}${action}`

const jobsOf = (organization: string) => `/api/organizations/${encodeURIComponent(organization)}/jobs`

interface Wish {
  readonly organization: string
  readonly action: string
  readonly mailboxes: 'all' | readonly string[]
  readonly wait: boolean
}

async function showTargets(cli: Cli, command: Command, { organization, action, mailboxes }: Wish): Promise<void> {
  const sent = await cli.hub(command).send('POST', jobsOf(organization), { action, mailboxes, dryRun: true })
  const answer = readAnswer(z.object({ mailboxes: z.array(z.string()) }), sent)
  const count = answer.mailboxes.length
  cli.show(command, answer, () => {
    const lines = answer.mailboxes.map(address => `${address}\n`).join('')
    return `${lines}${action} in ${organization} would be done to ${count} ${count === 1 ? 'mailbox' : 'mailboxes'}.\n`
  })
}

async function runJob(cli: Cli, command: Command, jobView: typeof JobView, wish: Wish): Promise<void> {
  const { organization, action, mailboxes, wait } = wish
  const begun = readAnswer(jobView, await cli.hub(command).send('POST', jobsOf(organization), { action, mailboxes }))
  const job = wait ? await jobEnded(cli, command, jobView, begun) : begun
  if (job.failed > 0) cli.exitWith(exitCodes.notInOrder)
  cli.show(command, job, () => describeJob(job))
}

/** Waits for the end of a job and tells meanwhile how far it is. */
export async function jobEnded(cli: Cli, command: Command, jobView: typeof JobView, begun: Job): Promise<Job> {
  let job = begun
  while (job.state === 'running') {
    const { done } = job
    await sleep(SECOND / 4, undefined, { signal: cli.io.signal })
    job = readAnswer(jobView, await cli.hub(command).get(pathOf(job.id)))
    if (job.done !== done && cli.io.stderr.isTTY) cli.io.stderr.write(`${job.done} of ${job.total}\n`)
  }
  return job
}

export function describeJob({ id, action, organization, state, total, done, failed, failures }: Job): string {
  const lines = failures.map(({ mailbox, error }) => `${mailbox}: ${error.message} ${error.next} (${error.code})\n`)
  const tail = state === 'running' ? `isthmus mailbox job ${id} shows how far it is.\n` : ''
  return `${lines.join('')}${action} in ${organization}: ${state}; ${done} of ${total} mailboxes, ${failed} failed.\n${tail}`
}
