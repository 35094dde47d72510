import type { Command } from 'commander'
import { z } from 'zod'
import { connectorView, enrolmentView, pathCheckView } from '../api/connector-views.ts'
import { type VirtualHostStatus, virtualHostStatus } from '../connector/wire.ts'
import { formatSize } from '../kernel/size.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { facts, printableLines, table } from './print.ts'

const hostsAnswer = z.object({ virtualHosts: z.array(virtualHostStatus) })

/** connector enrol, list, show, revoke, hosts, drain, undrain, check */
export function connectorCommands(program: Command, cli: Cli): void {
  const connector = program.command('connector').description('on-premise connectors and what they reach')
  const pathOf = (id: string, action = '') => `/api/connectors/${encodeURIComponent(id)}${action}`

  connector
    .command('enrol <location>')
    .description('prints a one-time token with which a connector of this location enrols')
    .option('--name <name>', 'name of the connector instead of the one it gives itself')
    .action(async (location: string, options: { name?: string }, command: Command) => {
      const body = { location, ...(options.name !== undefined && { name: options.name }) }
      const answer = readAnswer(enrolmentView, await cli.hub(command).send('POST', '/api/connectors/enrol', body))
      cli.show(command, answer, () => describeEnrolment(answer))
    })

  connector
    .command('list')
    .description('all connectors')
    .action(async (_options: object, command: Command) => {
      const schema = z.object({ connectors: z.array(connectorView) })
      const answer = readAnswer(schema, await cli.hub(command).get('/api/connectors'))
      cli.show(command, answer, () =>
        table(
          [
            'LOCATION',
            'NAME',
            'CONNECTOR',
            'STATE',
            'MODE',
            'VERSION',
            'SINCE',
            'LAST SEEN',
            'CERTIFICATE UNTIL',
            'TUNNELS',
            'STREAMS',
            'ROUND TRIP',
          ],
          answer.connectors.map(each => [
            each.location,
            each.name,
            each.id,
            each.state,
            each.mode,
            each.version,
            each.connectedAt,
            each.lastSeenAt,
            each.certificateEndsAt,
            String(each.tunnels.length),
            String(each.openStreams),
            milliseconds(each.roundTripMs),
          ]),
        ),
      )
    })

  connector
    .command('show <id>')
    .description('one connector; exit code 1 when it is not connected')
    .action(async (id: string, _options: object, command: Command) => {
      const answer = readAnswer(connectorView, await cli.hub(command).get(pathOf(id)))
      if (answer.state !== 'connected') cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => describe(answer))
    })

  connector
    .command('revoke <id>')
    .description('cuts a connector off at once and refuses its certificates from now on')
    .option('--reason <text>', 'why, for the audit log')
    .action(async (id: string, options: { reason?: string }, command: Command) => {
      const body = { ...(options.reason !== undefined && { reason: options.reason }) }
      const answer = readAnswer(connectorView, await cli.hub(command).send('POST', pathOf(id, '/revoke'), body))
      cli.show(command, answer, () => `Connector ${answer.name} (${answer.id}) of ${answer.location} is cut off.\n`)
    })

  connector
    .command('hosts <id>')
    .description('virtual hosts of a connector and their targets, with health and load')
    .action(async (id: string, _options: object, command: Command) => {
      const answer = readAnswer(hostsAnswer, await cli.hub(command).get(pathOf(id, '/virtual-hosts')))
      cli.show(command, answer, () => tableOfTargets(answer.virtualHosts))
    })

  for (const [name, drained, description] of [
    ['drain', true, 'takes a target out of the choice; what is open goes on'],
    ['undrain', false, 'takes a target back into the choice'],
  ] as const) {
    connector
      .command(`${name} <id> <virtual-host> <target>`)
      .description(description)
      .action(async (id: string, virtualHost: string, target: string, _options: object, command: Command) => {
        const body = { virtualHost, target, drained }
        const answer = readAnswer(hostsAnswer, await cli.hub(command).send('POST', pathOf(id, '/drain'), body))
        cli.show(command, answer, () => tableOfTargets(answer.virtualHosts))
      })
  }

  connector
    .command('check <location> [virtual-host]')
    .description('proves the way to a virtual host:port now, or to all of a location; exit code 1 where it ends early')
    .action(async (location: string, virtualHost: string | undefined, _options: object, command: Command) => {
      const path = `/api/locations/${encodeURIComponent(location)}/check`
      const body = { ...(virtualHost !== undefined && { virtualHost }) }
      const answer = readAnswer(pathCheckView, await cli.hub(command).send('POST', path, body))
      if (!answer.ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, answer, () => answer.steps.map(describeStep).join(''))
    })
}

function describeEnrolment({ location, token, endsAt, nodes }: z.output<typeof enrolmentView>): string {
  const node = nodes[0] ?? 'HUB:PORT'
  return [
    `On the machine of the connector, until ${endsAt}:`,
    '',
    `  isthmus-connector enrol --hub ${node} --token-file -`,
    '',
    `and paste this token for location ${location}, with Enter and Ctrl-D after it; it works once:`,
    '',
    token,
    '',
  ]
    .map(line => `${line}\n`)
    .join('')
}

function describe(connector: z.output<typeof connectorView>): string {
  const { revoked, tunnels } = connector
  return facts([
    ['Connector', connector.id],
    ['Name', connector.name],
    ['Location', connector.location],
    ['State', connector.state],
    ['Mode', connector.mode],
    ['Version', connector.version],
    ['Enrolled', connector.enrolledAt],
    ['Connected', connector.connectedAt],
    ['Last seen', connector.lastSeenAt],
    ['Certificate until', connector.certificateEndsAt],
    ['Open streams', connector.openStreams],
    ['Round trip', milliseconds(connector.roundTripMs)],
    ...tunnels.map(
      tunnel =>
        [
          'Tunnel',
          `from ${tunnel.address} since ${tunnel.connectedAt}, ${tunnel.opened} opened, ${formatSize(tunnel.sentBytes)} out, ${formatSize(tunnel.receivedBytes)} in`,
        ] as const,
    ),
    ['Virtual hosts', connector.virtualHosts.join(', ')],
    ['Revoked', revoked && `${revoked.at} by ${revoked.by}: ${revoked.reason}`],
  ])
}

function tableOfTargets(virtualHosts: readonly VirtualHostStatus[]): string {
  return table(
    ['VIRTUAL HOST', 'PROTOCOL', 'TARGET', 'STATE', 'SHARE', 'OPEN', 'RESPONSE', 'OPENED', 'FAILED', 'LAST PROBE'],
    virtualHosts.flatMap(host =>
      host.targets.map(target => [
        host.address,
        host.protocol,
        target.address,
        target.reason === undefined ? target.state : `${target.state}: ${target.reason}`,
        `${Math.round(target.effectiveWeight * 100) / 100} of ${target.weight}`,
        `${target.open} of ${target.openMax}`,
        milliseconds(target.responseMs),
        String(target.opened),
        String(target.failed),
        target.lastProbe,
      ]),
    ),
  )
}

function describeStep({ ok, what, next }: z.output<typeof pathCheckView>['steps'][number]): string {
  const line = `${ok ? 'ok  ' : 'FAIL'}  ${printableLines(what)}\n`
  return next === undefined ? line : `${line}      Next: ${printableLines(next)}\n`
}

function milliseconds(ms: number | undefined): string {
  return ms === undefined ? '' : `${ms.toFixed(1)} ms`
}
