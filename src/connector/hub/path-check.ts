import { asHubError } from '../../kernel/error.ts'
import { checkAnswer, wirePaths } from '../wire.ts'
import { hubLimits } from './limits.ts'
import type { Tunnel } from './tunnel.ts'
import type { ConnectorView } from './views.ts'

/** One step on the way to a server, in words. */
export interface PathStep {
  readonly ok: boolean
  readonly what: string
  /** What to do where it is not in order. */
  readonly next?: string
}

export interface PathCheck {
  readonly ok: boolean
  readonly steps: readonly PathStep[]
}

export interface PathParts {
  readonly location: string
  readonly connectors: readonly ConnectorView[]
  /** Usable tunnels of the location, the best first. */
  readonly tunnels: readonly Tunnel[]
}

/** Virtual hosts of one check that names none. */
const hostsMax = 50

/** Walks the way to a virtual host:port (or to all of a location) and says at which step it ends. */
export async function checkPath(
  { location, connectors, tunnels }: PathParts,
  virtualHost?: string,
): Promise<PathCheck> {
  const steps: PathStep[] = []
  const end = (step: PathStep): PathCheck => ({ ok: false, steps: [...steps, step] })
  const enrolled = connectors.filter(({ state }) => state !== 'revoked')
  if (enrolled.length === 0) {
    const revoked = connectors.length > 0 ? ` (${connectors.length} revoked)` : ''
    return end({
      ok: false,
      what: `No connector is enrolled for location ${location}${revoked}.`,
      next: `Make a token with isthmus connector enrol ${location}, and run isthmus-connector enrol over there.`,
    })
  }
  steps.push({ ok: true, what: `${enrolled.length} enrolled for ${location}: ${enrolled.map(nameOf).join(', ')}.` })
  const connected = enrolled.filter(({ state }) => state === 'connected')
  if (connected.length === 0) {
    return end({
      ok: false,
      what: `None is connected. ${enrolled.map(each => `${nameOf(each)}: ${lastSeen(each)}`).join('; ')}.`,
      next: 'Look whether isthmus-connector runs there, and at its log: it dials out to the hub by itself.',
    })
  }
  steps.push({ ok: true, what: `Connected: ${connected.map(describeConnected).join('; ')}.` })
  for (const each of enrolled.filter(({ state }) => state === 'away')) {
    steps.push({ ok: true, what: `${nameOf(each)} is not connected, ${lastSeen(each)}; the others carry its share.` })
  }
  const asked = askedOnce(tunnels)
  const listed = [...new Set(asked.flatMap(tunnel => tunnel.hello.virtualHosts))].toSorted()
  const wanted = virtualHost === undefined ? listed.slice(0, hostsMax) : [virtualHost.toLowerCase()]
  if (wanted.length === 0) {
    return end({
      ok: false,
      what: `The connectors of ${location} list no virtual host at all.`,
      next: 'Add virtual hosts to connector.yaml over there; they act without a restart.',
    })
  }
  for (const host of wanted) steps.push(...(await checkHost(host, location, asked, listed)))
  return { ok: steps.every(({ ok }) => ok), steps }
}

async function checkHost(
  host: string,
  location: string,
  tunnels: readonly Tunnel[],
  listed: readonly string[],
): Promise<PathStep[]> {
  const ways = tunnels.filter(tunnel => tunnel.lists(host))
  if (ways.length === 0) {
    const others = listed.length > 0 ? `They list ${listed.slice(0, 10).join(', ')}.` : 'They list nothing.'
    return [
      {
        ok: false,
        what: `${host} is not on the allow-list of any connector of ${location}. ${others}`,
        next: `Add ${host} under virtual-hosts in connector.yaml over there, or correct host and port in the flow.`,
      },
    ]
  }
  return (await Promise.all(ways.map(tunnel => checkThrough(tunnel, host)))).flat()
}

async function checkThrough(tunnel: Tunnel, host: string): Promise<PathStep[]> {
  const { connector } = tunnel.owner
  try {
    const body = { virtualHost: host }
    const answer = await tunnel.ask(wirePaths.check, checkAnswer, { body, timeoutMs: hubLimits.checkMs })
    return answer.targets.map(target => ({
      ok: target.ok,
      what: `${host} through ${connector}: ${target.address} ${target.detail} (${Math.round(target.ms)} ms)`,
      ...(!target.ok && { next: `Look at ${target.address} and at firewalls between it and the connector.` }),
    }))
  } catch (thrown) {
    const error = asHubError(thrown)
    return [{ ok: false, what: `${host} through ${connector}: ${error.message}`, next: error.next }]
  }
}

/** One tunnel of each connector. */
function askedOnce(tunnels: readonly Tunnel[]): readonly Tunnel[] {
  const byConnector = new Map<string, Tunnel>()
  for (const tunnel of tunnels) {
    if (!byConnector.has(tunnel.owner.connector)) byConnector.set(tunnel.owner.connector, tunnel)
  }
  return [...byConnector.values()]
}

function nameOf({ name, id }: ConnectorView): string {
  return `${name} (${id})`
}

function lastSeen({ lastSeenAt }: ConnectorView): string {
  return lastSeenAt === undefined ? 'never connected' : `last seen ${new Date(lastSeenAt).toISOString()}`
}

function describeConnected(connector: ConnectorView): string {
  const { version, mode, tunnels, roundTripMs } = connector
  const trip = roundTripMs === undefined ? '' : `, ${roundTripMs.toFixed(1)} ms away`
  return `${nameOf(connector)} version ${version}, ${mode}, ${tunnels.length} tunnels${trip}`
}
