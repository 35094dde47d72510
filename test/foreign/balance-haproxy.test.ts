import { afterEach, expect, test } from 'vitest'
import { startBalancingFront } from './servers/balancing-front.ts'
import { startHaproxy } from './servers/haproxy.ts'
import { sendAtRate } from './servers/mail-load.ts'
import { describeForeign } from './servers/needs.ts'
import { startTroubledServers } from './servers/troubled-servers.ts'
import { isListening, waitFor } from './servers/wait.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

// What bench/balance measures, in small and without a clock: the same servers and the same load behind both.
describeForeign(
  'three mail servers, one slow and one up and down, behind the balancer and behind HAProxy',
  ['haproxy'],
  () => {
    test.each(['isthmus', 'haproxy'] as const)('%s: what was answered with 250 is there once', async contestant => {
      const servers = await startTroubledServers({ slowMs: 20, flap: { upMs: 1500, downMs: 1000 } })
      closing.push(() => servers.stop())
      const front =
        contestant === 'haproxy' ? await startHaproxy(servers.ports) : await startBalancingFront(servers.ports)
      closing.push(() => front.stop())
      await waitFor('the front to listen', 10_000, () => isListening(front.port))
      const tries = await sendAtRate({ port: front.port, perSecond: 40, seconds: 6, name: contestant })
      const taken = servers.taken.flat()
      expect(new Set(taken).size).toBe(taken.length)
      const sent = tries.filter(({ error }) => error === undefined).map(({ id }) => id)
      expect(sent.filter(id => !taken.includes(id))).toEqual([])
      // Streams that stand while a server goes break with it; no more than those may fail.
      expect(tries.length - sent.length).toBeLessThan(tries.length / 10)
      expect(servers.taken[0]?.length).toBeGreaterThan(0)
    })

    test('the balancer says of each server how it is', async () => {
      const servers = await startTroubledServers({ slowMs: 100, flap: { upMs: 200, downMs: 60_000 } })
      closing.push(() => servers.stop())
      const front = await startBalancingFront(servers.ports)
      closing.push(() => front.stop())
      const seen = () => front.statuses().flatMap(({ targets }) => targets)
      await waitFor(
        'both servers that stay to be up',
        20_000,
        () => seen().filter(({ state }) => state === 'up').length >= 2,
      )
      await waitFor('the third one to be left out', 60_000, async () => {
        await sendAtRate({ port: front.port, perSecond: 20, seconds: 0.5, name: `look-${Date.now()}` })
        return ['down', 'ejected'].includes(seen()[2]?.state ?? '')
      })
      expect(seen()[2]?.reason).toMatch(/Nothing takes connections|broke|closed/)
    })
  },
)
