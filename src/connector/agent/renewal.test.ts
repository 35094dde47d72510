import { expect, test } from 'vitest'
import { type Clock, DAY, HOUR } from '../../kernel/time.ts'
import type { Identity } from './identity.ts'
import { keepRenewed } from './renewal.ts'

test('a clock far ahead of the one of the hub does not renew the certificate all the time', async () => {
  let now = 70 * DAY
  const stop = new AbortController()
  const clock: Clock = {
    now: () => now,
    after: () => () => {},
    async sleep(ms) {
      now += ms
      if (now > 71 * DAY) stop.abort()
      await new Promise(resolve => setImmediate(resolve))
    },
  }
  let renewals = 0
  // As the hub makes it, for which it is day 0.
  const identity = () => ({ beginsAt: 0, endsAt: 90 * DAY }) as Identity
  const renewal = keepRenewed({
    clock,
    identity,
    renew: async () => void renewals++,
    onFailure: error => expect.unreachable(error.message),
  })
  await new Promise(resolve => stop.signal.addEventListener('abort', resolve))
  await renewal.close()
  expect(renewals).toBeLessThanOrEqual(1 + DAY / HOUR)
})
