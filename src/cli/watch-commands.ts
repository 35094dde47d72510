import type { Command } from 'commander'
import { z } from 'zod'
import { alertView, linkView } from '../api/views.ts'
import { alertList, linkDetail, readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { wholeNumber } from './input.ts'
import { facts, printableLines, table } from './print.ts'

const healthAnswer = z.object({
  status: z.string(),
  ready: z.boolean(),
  flows: z.array(
    z.object({
      name: z.string(),
      state: z.string(),
      links: z.array(linkView),
      counts: z.object({ queued: z.number(), setAside: z.number() }),
    }),
  ),
  alerts: z.array(alertView),
})
const auditAnswer = z.object({
  entries: z.array(
    z.object({ number: z.number(), at: z.string(), who: z.string(), action: z.string(), detail: z.unknown() }),
  ),
})

/** health, metrics, alert, audit */
export function watchCommands(program: Command, cli: Cli): void {
  program
    .command('health')
    .description('every link of every flow and what is wrong; exit code 1 when something is')
    .action(async (_options: object, command: Command) => {
      const answer = readAnswer(healthAnswer, await cli.hub(command).get('/api/health'))
      if (answer.status !== 'ok') cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => {
        const links = answer.flows.flatMap(flow => {
          const counts = [flow.counts.queued, flow.counts.setAside]
          if (flow.links.length === 0) return [[flow.name, flow.state, '', '', ...counts, '']]
          return flow.links.map(link => [flow.name, flow.state, link.link, link.state, ...counts, linkDetail(link)])
        })
        const head = facts([
          ['Status', answer.status],
          ['Ready', answer.ready ? 'yes' : 'no'],
        ])
        const flows = table(['FLOW', 'STATE', 'LINK', 'LINK STATE', 'QUEUED', 'SET ASIDE', 'DETAIL'], links)
        return `${head}\n${flows}${answer.alerts.length > 0 ? `\n${describeAlerts(answer.alerts)}` : ''}`
      })
    })

  program
    .command('metrics')
    .description('metrics as Prometheus reads them')
    .action(async (_options: object, command: Command) => {
      cli.io.stdout.write(printableLines(await (await cli.hub(command).open('/metrics')).text()))
    })

  const alert = program.command('alert').alias('alerts').description('alerts of the hub')
  alert
    .command('list', { isDefault: true })
    .description('alerts, open ones first')
    .option('--open', 'only open ones')
    .action(async (options: { open?: boolean }, command: Command) => {
      const state = options.open ? 'open' : undefined
      const answer = readAnswer(alertList, await cli.hub(command).get('/api/alerts', { state }))
      cli.show(command, answer, () => describeAlerts(answer.alerts))
    })
  alert
    .command('acknowledge <id>')
    .description('says that somebody looks after it')
    .action(async (id: string, _options: object, command: Command) => {
      const answer = readAnswer(alertView, await cli.hub(command).send('POST', '/api/alerts/acknowledge', { id }))
      cli.show(command, answer, () => `Alert ${answer.id} is acknowledged.\n`)
    })

  const audit = program.command('audit').description('who changed what')
  audit
    .command('list', { isDefault: true })
    .description('entries of the audit log, newest first')
    .option('--before <number>', 'older than this entry (next page)', wholeNumber)
    .option('--limit <count>', 'at most so many', wholeNumber, '50')
    .action(async (options: { before?: string; limit: string }, command: Command) => {
      const answer = readAnswer(auditAnswer, await cli.hub(command).get('/api/audit', { ...options }))
      cli.show(command, answer, () =>
        table(
          ['ENTRY', 'AT', 'WHO', 'ACTION', 'DETAIL'],
          answer.entries.map(each => [each.number, each.at, each.who, each.action, each.detail]),
        ),
      )
    })
  audit
    .command('verify')
    .description('walks the chain of hashes; exit code 1 when somebody changed an entry')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ ok: z.boolean(), firstBroken: z.number().optional() })
      const answer = readAnswer(schema, await cli.hub(command).send('POST', '/api/audit/verify'))
      if (!answer.ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () =>
        answer.ok
          ? 'Every entry fits to its predecessor.\n'
          : `Entry ${answer.firstBroken} does not fit to its predecessor.\n`,
      )
    })
}

/** Alerts below each other: their sentences are too long for columns. */
function describeAlerts(alerts: readonly z.output<typeof alertView>[]): string {
  if (alerts.length === 0) return 'No alerts.\n'
  const blocks = alerts.map(each =>
    facts([
      ['Alert', `${each.id} (${each.state}${each.isFlapping ? ', comes and goes' : ''})`],
      ['What', each.what],
      ['Since', each.since],
      ['Resolved', each.resolvedAt],
      ['Turn', each.turn],
      ['Next', each.next],
      ['Look', each.command],
      ['Acknowledged', each.acknowledged && `by ${each.acknowledged.by} at ${each.acknowledged.at}`],
      ['Not told yet', each.untold.join(', ')],
    ]),
  )
  return blocks.join('\n')
}
