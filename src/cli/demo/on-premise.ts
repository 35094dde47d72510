import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { stringify } from 'yaml'
import { type Agent, startAgent } from '../../connector/agent/agent.ts'
import { enrol } from '../../connector/agent/enrolment.ts'
import { createTargetPool } from '../../connector/balance/pool.ts'
import type { Connectors } from '../../connector/hub/connectors.ts'
import type { Log } from '../../kernel/log.ts'
import { SECOND, systemClock } from '../../kernel/time.ts'
import { version } from '../../kernel/version.ts'
import { makeConnect } from '../../protocols/net/connect.ts'

/** A network of its own with an on-premise connector, which the hub reaches in no other way. */
export interface OnPremise {
  /** What the connector did and whom it lets the hub reach, for people. */
  tell(): readonly string[]
  close(): Promise<void>
}

export interface OnPremiseOptions {
  readonly connectors: Connectors
  readonly location: string
  readonly name: string
  /** Holds connector.yaml and what the connector keeps. */
  readonly folder: string
  /** What stands in connector.yaml. */
  readonly config: object
  readonly log: Log
}

const readyMs = 10 * SECOND
const lookEveryMs = 25

/** Enrols with a one-time token, dials the hub, and returns once each target behind the virtual hosts has been looked at. */
export async function startOnPremise(options: OnPremiseOptions): Promise<OnPremise> {
  const { connectors, location, name, folder } = options
  const configFile = join(folder, 'connector.yaml')
  const dataFolder = join(folder, 'data')
  mkdirSync(folder, { recursive: true })
  writeFileSync(configFile, stringify({ ...options.config, data: 'data' }))
  const token = await connectors.makeToken(location, name)
  const { connector, nodes } = await enrol({ node: token.nodes[0] ?? '', token: token.text, name, dataFolder })
  const agent = await startAgent({
    configFile,
    version,
    clock: systemClock,
    log: options.log,
    connect: makeConnect(),
    createTargetPool,
  })
  const endsAt = performance.now() + readyMs
  while (!isReady(agent) && performance.now() < endsAt) await systemClock.sleep(lookEveryMs)
  return {
    tell() {
      const { tunnels, virtualHosts } = agent.status()
      const open = tunnels.filter(({ state }) => state === 'up').length
      return [
        `${name} (${connector}) of location ${location}: enrolled, ${open} tunnels to ${nodes.join(', ')}`,
        ...virtualHosts.map(({ address, targets }) => {
          const servers = targets.map(target => `${target.address} ${target.state}`)
          return `${address} leads to ${servers.join(', ')}`
        }),
      ]
    },
    close: () => agent.close(0),
  }
}

function isReady(agent: Agent): boolean {
  const { tunnels, virtualHosts } = agent.status()
  const hasTunnels = tunnels.length > 0 && tunnels.every(({ state }) => state === 'up')
  return hasTunnels && virtualHosts.every(({ targets }) => targets.every(({ state }) => state !== 'unknown'))
}
