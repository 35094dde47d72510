import { resolve } from 'node:path'
import type { Command } from 'commander'
import type { AgentStatus } from '../../connector/agent/agent.ts'
import { readConnectorConfig } from '../../connector/agent/read-config.ts'
import { askStatus } from '../../connector/agent/status-socket.ts'
import { exitCodes } from '../cli-errors.ts'
import { facts, table } from '../print.ts'
import type { ConnectorCli } from './run.ts'

/** status */
export function statusCommand(program: Command, cli: ConnectorCli): void {
  program
    .command('status')
    .description('what the running connector says of its tunnels and targets; exit code 1 when something is down')
    .option('--config <file>', 'connector.yaml; says where the data folder is', 'connector.yaml')
    .option('--data <folder>', 'data folder of the running connector')
    .action(async (options: { config: string; data?: string }, command: Command) => {
      const { cwd } = cli.io
      const folder =
        options.data === undefined
          ? (await readConnectorConfig(resolve(cwd, options.config))).config.dataFolder
          : resolve(cwd, options.data)
      // Of the same version and the same user: the socket is this user's alone.
      const status = (await askStatus(folder)) as AgentStatus
      if (!isInOrder(status)) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, status, () => describe(status))
    })
}

function isInOrder({ tunnels, virtualHosts, isAuditing, configError }: AgentStatus): boolean {
  const hasTunnel = tunnels.some(({ state }) => state === 'up')
  const hasTargets = virtualHosts.every(({ targets }) =>
    targets.some(({ state }) => state === 'up' || state === 'unknown'),
  )
  return hasTunnel && hasTargets && isAuditing && configError === undefined
}

function describe(status: AgentStatus): string {
  const { tunnels, virtualHosts } = status
  const parts = [
    facts([
      ['Connector', `${status.connector} (${status.name}), ${status.mode}`],
      ['Location', status.location],
      ['Version', status.version],
      ['Running since', new Date(status.startedAt).toISOString()],
      ['Certificate until', new Date(status.certificateEndsAt).toISOString()],
      ['Renewed at', new Date(status.renewsAt).toISOString()],
      ['Proxy', status.proxy],
      ['Open streams', status.streams],
      ['Audit log', status.isAuditing ? undefined : 'cannot be written; see the log'],
      ['Configuration', status.configError && `not in force: ${status.configError}`],
    ]),
    table(
      ['NODE', 'TUNNEL', 'SINCE', 'STREAMS', 'ROUND TRIP', 'WHY'],
      tunnels.map(each => [
        each.node,
        each.state,
        new Date(each.since).toISOString(),
        each.streams,
        each.roundTripMs === undefined ? '' : `${each.roundTripMs.toFixed(1)} ms`,
        each.state === 'up' ? '' : (each.error?.message ?? ''),
      ]),
    ),
    table(
      ['VIRTUAL HOST', 'PROTOCOL', 'TARGET', 'STATE', 'OPEN', 'RESPONSE', 'WHY'],
      virtualHosts.flatMap(({ address, protocol, targets }) =>
        targets.map(each => [
          address,
          protocol,
          each.address,
          each.state,
          `${each.open}/${each.openMax}`,
          each.responseMs === undefined ? '' : `${each.responseMs.toFixed(1)} ms`,
          each.reason ?? each.lastProbe ?? '',
        ]),
      ),
    ),
  ]
  return parts.join('\n')
}
