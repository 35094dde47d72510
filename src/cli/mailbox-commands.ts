import type { Command } from 'commander'
import { z } from 'zod'
import {
  explanationView,
  jobView,
  listOutcomeView,
  logLineView,
  mailboxDetailView,
  mailboxView,
  previewView,
} from '../api/groupware-views.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { heldCommands } from './held-commands.ts'
import { readText, wholeNumber } from './input.ts'
import { jobCommands } from './mailbox-job-commands.ts'
import { facts, table } from './print.ts'
import { readYaml } from './yaml-input.ts'

type LogLine = z.output<typeof logLineView>

/** mailbox list, show, add, import, sync, preview, explain, log, held deletions, and what is done to many */
export function mailboxCommands(program: Command, cli: Cli): void {
  const mailbox = program.command('mailbox').description('mailboxes that are synced with a CRM')
  const pathOf = (address: string, action = '') => `/api/mailboxes/${encodeURIComponent(address)}${action}`

  mailbox
    .command('list')
    .description('mailboxes with their states; exit code 1 when one is in error')
    .option('--organization <name>', 'only those of an organization')
    .option('--state <state>', 'only those in this state')
    .option('--contains <text>', 'only addresses with this text')
    .option('--held', 'only those with deletions that wait for a person')
    .option('--after <address>', 'the page behind this address')
    .action(async ({ held, ...rest }: Record<string, string | undefined>, command: Command) => {
      const options = { ...rest, ...(held && { held: 'true' }) }
      const schema = z.object({ mailboxes: z.array(mailboxView), next: z.string().optional() })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/mailboxes', options))
      if (answer.mailboxes.some(each => each.state === 'error')) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => {
        const rows = answer.mailboxes.map(each => [
          each.address,
          each.organization,
          each.state,
          each.lastRoundAt,
          each.itemsIn,
          each.itemsOut,
          Object.values(each.held).reduce((sum, count) => sum + count, 0),
          each.cause?.message,
        ])
        const more = answer.next === undefined ? '' : `More: --after ${answer.next}\n`
        return table(['MAILBOX', 'ORGANIZATION', 'STATE', 'LAST SYNC', 'IN', 'OUT', 'HELD', 'CAUSE'], rows) + more
      })
    })

  mailbox
    .command('show <address>')
    .description('one mailbox: state, cause and next step, counts, rules; exit code 1 when it is in error')
    .action(async (address: string, _options: object, command: Command) => {
      const answer = readAnswer(mailboxDetailView, await cli.hub(command).get(pathOf(address)))
      if (answer.state === 'error') cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describe(answer))
    })

  mailbox
    .command('add <organization> <address>')
    .description('adds a mailbox, or changes what is said of it')
    .option('--crm-user <address>', 'mail address of the employee in the CRM, where it is another one')
    .option('--credential <name>', 'credential of its own (access type ews-direct)')
    .option('--rules <file>', 'rules of this user that win over the profile (YAML or JSON)')
    .action(
      async (
        organization: string,
        address: string,
        options: { crmUser?: string; credential?: string; rules?: string },
        command: Command,
      ) => {
        const { crmUser, credential, rules: file } = options
        const rules = file === undefined ? undefined : readYaml(file, await readText(file, cli.io))
        const body = {
          address,
          ...(crmUser !== undefined && { crmAddress: crmUser }),
          ...(credential !== undefined && { auth: credential }),
          ...(rules !== undefined && { rules }),
        }
        const path = `/api/organizations/${encodeURIComponent(organization)}/mailboxes`
        const answer = readAnswer(mailboxDetailView, await cli.hub(command).send('PUT', path, body))
        cli.show(command, answer, () => describe(answer))
      },
    )

  mailbox
    .command('import <organization> <file>')
    .description('adds a list (an address in each line) or a CSV with the columns mailbox, crm-user, credential')
    .option('--dry-run', 'only says what would happen; exit code 1 when a line is wrong')
    .action(async (organization: string, file: string, options: { dryRun?: boolean }, command: Command) => {
      const body = { text: await readText(file, cli.io), dryRun: options.dryRun === true }
      const path = `/api/organizations/${encodeURIComponent(organization)}/mailboxes/list`
      const answer = readAnswer(listOutcomeView, await cli.hub(command).send('POST', path, body))
      if (answer.mistakes.length > 0) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => {
        const mistakes = answer.mistakes.map(({ line, message }) => `line ${line}: ${message}\n`).join('')
        const verb = body.dryRun ? 'would be' : 'are'
        return `${mistakes}${answer.added.length} mailboxes ${verb} added, ${answer.changed.length} changed.\n`
      })
    })

  mailbox
    .command('sync <address>')
    .description('syncs a mailbox now')
    .action(async (address: string, _options: object, command: Command) => {
      const answer = readAnswer(mailboxView, await cli.hub(command).send('POST', pathOf(address, '/sync'), {}))
      cli.show(
        command,
        answer,
        () => `${answer.address} has its turn now; isthmus mailbox log shows what comes of it.\n`,
      )
    })

  mailbox
    .command('preview <address>')
    .description('says what the first sync would do; nothing is written')
    .action(async (address: string, _options: object, command: Command) => {
      const answer = readAnswer(previewView, await cli.hub(command).send('POST', pathOf(address, '/preview'), {}))
      cli.show(command, answer, () => describePreview(answer))
    })

  mailbox
    .command('explain <address> <item>')
    .description('says why an item did or did not come over; the item by its id or a part of its title')
    .action(async (address: string, item: string, _options: object, command: Command) => {
      const answer = readAnswer(
        explanationView,
        await cli.hub(command).send('POST', pathOf(address, '/explain'), { item }),
      )
      cli.show(command, answer, () => describeExplanation(answer))
    })

  mailbox
    .command('log <address>')
    .description('the log of a mailbox, newest first')
    .option('--item <text>', 'only lines about items with this title or id')
    .option('--before <number>', 'the page before this line', wholeNumber)
    .option('--limit <count>', 'how many lines', wholeNumber, '100')
    .action(async (address: string, options: Record<string, string | undefined>, command: Command) => {
      const schema = z.object({ lines: z.array(logLineView), next: z.number().optional() })
      const answer = readAnswer(schema, await cli.hub(command).get(pathOf(address, '/log'), options))
      cli.show(command, answer, () => {
        const more = answer.next === undefined ? '' : `More: --before ${answer.next}\n`
        return answer.lines.map(describeLine).join('') + more
      })
    })

  heldCommands(mailbox, cli)
  jobCommands(mailbox, cli, jobView)
}

function describe(mailbox: z.output<typeof mailboxDetailView>): string {
  const { cause, held, effective } = mailbox
  return facts([
    ['Mailbox', mailbox.address],
    ['Organization', mailbox.organization],
    ['CRM user', mailbox.crmAddress],
    ['Credential', mailbox.auth],
    ['State', mailbox.state],
    ['Since', mailbox.since],
    ['Cause', cause && `${cause.message} (${cause.code})`],
    ['Next', cause?.next],
    ['Last sync', mailbox.lastRoundAt],
    ['Last item', mailbox.lastItemAt],
    ['Items in', mailbox.itemsIn],
    ['Items out', mailbox.itemsOut],
    ['Conflicts', mailbox.conflicts],
    ['Refused', mailbox.refused],
    ['Held back', Object.keys(held).length > 0 ? held : undefined],
    ['Failed rounds', mailbox.failedRounds],
    ['Rules', effective],
  ])
}

function describePreview({ mailbox, counts, items, hasMore }: z.output<typeof previewView>): string {
  const rows = Object.entries(counts).flatMap(([kind, byWhat]) =>
    Object.entries(byWhat).map(([what, count]) => [kind, what, count]),
  )
  const lines = items.map(item => describeLine({ ...item, about: 'item' })).join('')
  const summary = rows.length === 0 ? 'Nothing would be done.\n' : table(['KIND', 'WHAT', 'ITEMS'], rows)
  return `First sync of ${mailbox}; nothing was written.\n\n${summary}\n${lines}${hasMore ? '…\n' : ''}`
}

function describeExplanation({ findings, history }: z.output<typeof explanationView>): string {
  const now = findings.map(({ kind, side, title, state, text }) => `${kind} on ${side} ${title}: ${state}. ${text}\n`)
  const before = history.map(describeLine).join('')
  if (now.length === 0 && before === '') return 'Neither side nor the log knows such an item.\n'
  return `${now.join('') || 'Nothing is known of it now.\n'}${before === '' ? '' : `\nBefore:\n${before}`}`
}

function describeLine(line: LogLine): string {
  if (line.about === 'mailbox') return `${line.at}  ${line.text}${line.next === undefined ? '' : ` ${line.next}`}\n`
  const { at, kind, what, side, title, reason, fields, winner, error } = line
  const detail = [
    reason,
    fields && fields.length > 0 ? fields.join(', ') : undefined,
    winner && `${winner} wins`,
    error && `${error.message} ${error.next}`,
  ]
  const said = detail.filter(part => part !== undefined).join('; ')
  return `${at}  ${kind} ${what} on ${side}: ${title}${said === '' ? '' : ` (${said})`}\n`
}
