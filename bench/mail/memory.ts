import { setTimeout as sleep } from 'node:timers/promises'
import { largeMail } from '../../test/corpus/large-mail.ts'
import { randomMails } from '../../test/corpus/random-mails.ts'
import { corpusSeed } from '../../test/corpus/seeded-random.ts'
import type { Dovecot } from '../../test/foreign/servers/dovecot.ts'
import { waitFor } from '../../test/foreign/servers/wait.ts'
import type { Contestant } from './contestant.ts'
import { forgetPeak, memoryOf } from './measure.ts'
import { onCourse } from './round.ts'

const ordinaryMails = 20
const arriveMsMax = 120_000
/** Long enough for a server to load what it needs and to come to rest. */
const restMs = 4_000
const watchMs = 5

export interface MemoryResult {
  readonly contestant: string
  readonly largeBytes: number
  /** Without work: a server at rest; for a client that ends itself, its peak over ordinary mails. */
  readonly idleBytes: number
  /** At rest again after ordinary mails, when all code has run once. */
  readonly warmBytes: number
  /** The highest while the large mail went through. */
  readonly peakBytes: number
}

/** How much more memory one large mail takes. */
export async function measureMemory(
  contestant: Contestant,
  dovecot: Dovecot,
  user: string,
  largeBytes: number,
): Promise<MemoryResult> {
  const large = Buffer.concat([...largeMail(largeBytes, corpusSeed).chunks()])
  const ordinary = [...randomMails(corpusSeed, ordinaryMails)].map(mail => mail.bytes)
  const sizes = contestant.endsItself
    ? await measureClient(contestant, dovecot, user, large, ordinary)
    : await measureServer(contestant, dovecot, user, large, ordinary)
  return { contestant: contestant.name, largeBytes, ...sizes }
}

type Sizes = Pick<MemoryResult, 'idleBytes' | 'warmBytes' | 'peakBytes'>

function measureServer(
  contestant: Contestant,
  dovecot: Dovecot,
  user: string,
  large: Uint8Array,
  ordinary: readonly Uint8Array[],
): Promise<Sizes> {
  return onCourse(contestant, dovecot, user, async ({ sink, start }) => {
    const client = start()
    const arrived = async (count: number) => {
      const isThere = () => {
        if (!client.isRunning()) throw new Error(`${contestant.name} ended: ${client.output()}`)
        return sink.receivedCount() >= count && dovecot.unreadCount(user) === 0
      }
      await waitFor(`mail ${count} from ${contestant.name}`, arriveMsMax, isThere)
      await sleep(restMs)
    }
    await sleep(restMs)
    const idleBytes = memoryOf(client.pid)?.rssBytes ?? Number.NaN
    dovecot.seed(user, ordinary)
    await arrived(ordinary.length)
    const warmBytes = memoryOf(client.pid)?.rssBytes ?? Number.NaN
    forgetPeak(client.pid)
    dovecot.seed(user, [large])
    await arrived(ordinary.length + 1)
    return { idleBytes, warmBytes, peakBytes: memoryOf(client.pid)?.peakBytes ?? Number.NaN }
  })
}

/** Two runs: one with ordinary mails, one with the large mail. */
async function measureClient(
  contestant: Contestant,
  dovecot: Dovecot,
  user: string,
  large: Uint8Array,
  ordinary: readonly Uint8Array[],
): Promise<Sizes> {
  const peaks: number[] = []
  for (const mails of [ordinary, [large]]) {
    dovecot.seed(user, mails)
    const peak = await onCourse(contestant, dovecot, user, async ({ sink, start }) => {
      const client = start()
      let peakBytes = 0
      const deadline = performance.now() + arriveMsMax
      while (client.isRunning() && performance.now() < deadline) {
        peakBytes = Math.max(peakBytes, memoryOf(client.pid)?.peakBytes ?? 0)
        await sleep(watchMs)
      }
      if (sink.receivedCount() < mails.length) throw new Error(`${contestant.name} did not deliver: ${client.output()}`)
      return peakBytes
    })
    peaks.push(peak)
  }
  const [usual = Number.NaN, withLarge = Number.NaN] = peaks
  return { idleBytes: usual, warmBytes: usual, peakBytes: withLarge }
}
