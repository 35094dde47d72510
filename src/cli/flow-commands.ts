import type { Command } from 'commander'
import { z } from 'zod'
import { reloadView } from '../api/views.ts'
import { checkAnswer, flowList, flowView, linkDetail, probeAnswer, readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { facts, table } from './print.ts'

/** flow list, show, start, stop, reload, retry, check, probe */
export function flowCommands(program: Command, cli: Cli): void {
  const flow = program.command('flow').description('flows of the hub')
  const pathOf = (name: string, action = '') => `/api/flows/${encodeURIComponent(name)}${action}`

  flow
    .command('list')
    .description('all flows with their state and counts')
    .action(async (_options: object, command: Command) => {
      const answer = readAnswer(flowList, await cli.hub(command).get('/api/flows'))
      cli.show(command, answer, () =>
        table(
          ['FLOW', 'STATE', 'LINKS', 'ACCEPTED', 'QUEUED', 'DELIVERED', 'SET ASIDE'],
          answer.flows.map(each => [
            each.name,
            each.problems.some(problem => problem.severity !== 'warning')
              ? `${each.state} (does not lint)`
              : each.state,
            linksOf(each),
            each.counts.accepted,
            each.counts.queued,
            each.counts.delivered,
            each.counts.setAside,
          ]),
        ),
      )
    })

  flow
    .command('show <name>')
    .description('one flow with its links')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(flowView, await cli.hub(command).get(pathOf(name)))
      cli.show(command, answer, () => describe(answer))
    })

  for (const [action, description] of [
    ['start', 'reads the document and starts the flow'],
    ['stop', 'stops the flow; its deliveries stay queued'],
  ] as const) {
    flow
      .command(`${action} <name>`)
      .description(description)
      .action(async (name: string, _options: object, command: Command) => {
        const answer = readAnswer(flowView, await cli.hub(command).send('POST', pathOf(name, `/${action}`)))
        cli.show(command, answer, () => `Flow ${answer.name} is ${answer.state}.\n`)
      })
  }

  flow
    .command('reload')
    .description(
      'reads all documents anew: starts new flows, restarts changed ones, stops those whose document is gone',
    )
    .option('--dry-run', 'only says what it would do')
    .option('--allow-empty', 'stops also the flows of a folder that has no document left')
    .action(async (options: { dryRun?: boolean; allowEmpty?: boolean }, command: Command) => {
      const { dryRun = false, allowEmpty } = options
      const sent = await cli.hub(command).send('POST', '/api/flows/reload', { dryRun, allowEmpty })
      const answer = readAnswer(reloadView, sent)
      if (answer.flows.some(({ outcome }) => outcome === 'failed')) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describeReload(answer, dryRun))
    })

  flow
    .command('retry <name>')
    .description('tries now what waits for its next try, and links that are down')
    .action(async (name: string, _options: object, command: Command) => {
      const sent = await cli.hub(command).send('POST', pathOf(name, '/retry'))
      const answer = readAnswer(z.object({ due: z.number() }), sent)
      cli.show(command, answer, () => `${answer.due} ${answer.due === 1 ? 'message is' : 'messages are'} tried now.\n`)
    })

  flow
    .command('check <name>')
    .description('proves every link now; exit code 1 when one does not work')
    .action(async (name: string, _options: object, command: Command) => {
      const answer = readAnswer(checkAnswer, await cli.hub(command).send('POST', pathOf(name, '/check')))
      if (!answer.ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () =>
        table(
          ['LINK', 'WORKS', 'MS', 'DETAIL', 'NEXT'],
          answer.links.map(each => [each.link, each.ok ? 'yes' : 'no', each.tookMs, each.detail, each.error?.next]),
        ),
      )
    })

  flow
    .command('probe <name>')
    .description('sends a message of the hub through the whole way; exit code 1 when it does not arrive')
    .option('--within <duration>', 'how long to wait', '1m')
    .action(async (name: string, options: { within: string }, command: Command) => {
      const sent = await cli.hub(command).send('POST', pathOf(name, '/probe'), { within: options.within })
      const answer = readAnswer(probeAnswer, sent)
      if (!answer.ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () =>
        facts([
          ['State', answer.state],
          ['Summary', answer.summary],
          ['Delivery', answer.id],
        ]),
      )
    })
}

type FlowAnswer = z.output<typeof flowView>

function linksOf({ links }: FlowAnswer): string {
  const up = links.filter(link => link.state === 'up').length
  return `${up}/${links.length} up`
}

function describeReload({ flows }: z.output<typeof reloadView>, isDryRun: boolean): string {
  const changed = flows.filter(({ outcome }) => outcome !== 'unchanged')
  const rows = changed.map(({ name, outcome, runs, error }) => {
    if (outcome === 'left-stopped') return [name, outcome, 'Somebody stopped it.', `isthmus flow start ${name}`]
    const state = outcome === 'failed' && runs ? 'failed, runs on as it was' : outcome
    return [name, isDryRun ? `would be ${state}` : state, error?.message, error?.next]
  })
  const unchanged = flows.length - changed.length
  const rest = `${unchanged} ${unchanged === 1 ? 'flow' : 'flows'} unchanged.\n`
  return rows.length > 0 ? `${table(['FLOW', 'OUTCOME', 'DETAIL', 'NEXT'], rows)}${rest}` : rest
}

function describe(flow: FlowAnswer): string {
  const { counts } = flow
  const links = table(
    ['LINK', 'STATE', 'SINCE', 'DETAIL', 'NEXT'],
    flow.links.map(link => {
      const error = link.error ?? link.stuck?.error
      return [link.link, link.state, link.since, linkDetail(link), error?.next]
    }),
  )
  const problems = flow.problems.map(each => `${each.file}:${each.line}:${each.column}  ${each.message}`)
  const about = facts([
    ['Flow', flow.name],
    ['About', flow.about],
    ['Owner', flow.owner],
    ['Stage', flow.stage],
    ['State', flow.state],
    ['Document', `${flow.file}${flow.revision === undefined ? '' : ` (revision ${flow.revision})`}`],
    ['Way', flow.from === undefined ? undefined : `${flow.from} to ${flow.to?.join(', ') ?? 'nowhere'}`],
    [
      'Counts',
      `${counts.accepted} accepted, ${counts.queued} queued, ${counts.delivered} delivered, ${counts.setAside} set aside`,
    ],
    ['Last message', counts.lastAcceptedAt],
    ['Problems', problems.length > 0 ? problems.join('; ') : undefined],
  ])
  return flow.links.length > 0 ? `${about}\n${links}` : about
}
