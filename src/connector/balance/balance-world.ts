import { seededRandom } from '../../../test/corpus/seeded-random.ts'
import { MINUTE, SECOND } from '../../kernel/time.ts'
import { chooseTarget, mayEject } from './choose.ts'
import { balanceLimits } from './limits.ts'
import { Target } from './target.ts'

/** A server under simulated time. */
interface SimulatedServer {
  readonly weight?: number
  /** Milliseconds of one mail; 20 where nothing else is said. */
  readonly answerMs?: number | ((now: number) => number)
  readonly isUp?: (now: number) => boolean
}

export interface Simulation {
  readonly servers: readonly SimulatedServer[]
  /** Clients, each of which sends the next mail as soon as the last one is done. */
  readonly concurrency: number
  readonly untilMs: number
  readonly seed: number
}

export interface SimulationResult {
  readonly servers: readonly { readonly served: number; servedSince(ms: number): number }[]
  readonly done: number
  readonly tries: number
  /** Mails that found no server in as many tries as a stream has. */
  readonly lost: number
  readonly p99Ms: number
}

/** Lets clients send mails, each on a connection of its own, and servers answer, all in simulated time. */
export function simulate({ servers, concurrency, untilMs, seed }: Simulation): SimulationResult {
  const random = seededRandom(seed)
  const targets = servers.map(
    ({ weight = 1 }, index) =>
      new Target({
        address: `s${index}:25`,
        weight,
        openMax: 100,
        probe: { downAfter: 3, upAfter: 2 },
        ejection: { after: 3, firstMs: 10 * SECOND, upToMs: 5 * MINUTE },
        slowStartMs: 30 * SECOND,
      }),
  )
  const agenda: { readonly at: number; readonly run: (now: number) => void }[] = []
  const plan = (at: number, run: (now: number) => void) => {
    let index = agenda.length
    while (index > 0 && (agenda[index - 1]?.at ?? 0) > at) index--
    agenda.splice(index, 0, { at, run })
  }
  const servedAt = servers.map((): number[] => [])
  const times: number[] = []
  let tries = 0
  let lost = 0

  function send(since: number, tried: Set<Target>, now: number): void {
    if (now >= untilMs) return
    const { target } = tried.size < balanceLimits.triesPerStream ? chooseTarget(targets, now, random, tried) : {}
    if (!target) {
      lost++
      plan(now + SECOND, at => send(at, new Set(), at))
      return
    }
    tries++
    target.open++
    const index = targets.indexOf(target)
    const server = servers[index]
    if (server?.isUp?.(now) === false) {
      plan(now + 1, at => {
        target.open--
        target.failed('refused', at, mayEject(targets, at, 0.5))
        send(since, new Set([...tried, target]), at)
      })
      return
    }
    const usualMs = typeof server?.answerMs === 'function' ? server.answerMs(now) : (server?.answerMs ?? 20)
    const ms = usualMs * (0.8 + 0.4 * random())
    plan(now + ms, at => {
      target.open--
      target.opened(ms, at)
      target.served(at)
      servedAt[index]?.push(at)
      times.push(at - since)
      send(at, new Set(), at)
    })
  }

  for (let client = 0; client < concurrency; client++) plan(client, at => send(at, new Set(), at))
  for (let next = agenda.shift(); next && next.at < untilMs; next = agenda.shift()) next.run(next.at)
  times.sort((one, other) => one - other)
  return {
    servers: servedAt.map(at => ({
      served: at.length,
      servedSince: ms => at.filter(each => each >= ms).length,
    })),
    done: times.length,
    tries,
    lost,
    p99Ms: times[Math.floor(times.length * 0.99)] ?? 0,
  }
}
