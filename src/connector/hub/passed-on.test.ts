import { expect, test } from 'vitest'
import { type Clock, HOUR, systemClock } from '../../kernel/time.ts'
import { hubLimits } from './limits.ts'
import { askPassedOn } from './passed-on.ts'
import { TunnelRegistry } from './registry.ts'
import type { Tunnel } from './tunnel.ts'

const owner = { connector: 'c-1', location: 'dc-frankfurt', serial: '1' }
const carrier = { owner } as Tunnel
const { signal } = new AbortController()

/** A clock that jumps to whatever is waited for. */
function jumping(): Clock & { waited: number } {
  let now = 10 * HOUR
  return {
    ...systemClock,
    waited: 0,
    now: () => now,
    after(ms, callback) {
      this.waited += ms
      now += ms
      const timer = setImmediate(callback)
      return () => clearImmediate(timer)
    },
  }
}

test('a connector that stays away is waited for no longer than that', async () => {
  const clock = jumping()
  expect(await askPassedOn('one', carrier, { registry: new TunnelRegistry(), clock, signal })).toBeUndefined()
  expect(clock.waited).toBe(hubLimits.passedOnMs)
})

test('one whose tunnels are all silent is asked again until the time is over', async () => {
  const clock = jumping()
  let asked = 0
  const ask = async () => {
    asked++
    throw new Error('no answer')
  }
  const tunnel = { owner, hello: { run: '1' }, isAlive: true, isUsable: false, isEnding: false, ask }
  const registry = new TunnelRegistry()
  registry.add({ ...tunnel, closed: () => new Promise(() => {}) } as unknown as Tunnel)
  expect(await askPassedOn('one', carrier, { registry, clock, signal })).toBeUndefined()
  expect([asked, clock.waited]).toEqual([20, hubLimits.passedOnMs])
})
