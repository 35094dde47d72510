import { afterEach, beforeEach, expect, test } from 'vitest'
import { HOUR } from '../kernel/time.ts'
import { archive, mail, SenderWorld, soon } from './imap-sender-world.ts'

let world: SenderWorld

beforeEach(() => {
  world = new SenderWorld()
})
afterEach(() => world.close())

test('a machine whose clock is set back by five hours looks into its mailboxes as often as before', async () => {
  const tokenEndsAt = Date.now() + HOUR
  world.credential = {
    kind: 'oauth2',
    user: 'orders@contoso.com',
    token: async () => ({ value: 'T1', expiresAt: tokenEndsAt + world.aheadMs }),
  }
  await world.start({ ...archive, idle: false })
  for (const subject of ['before', 'after', 'later']) {
    world.server.receive(mail(subject))
    await soon(() => world.subjects().at(-1)).toBe(subject)
    world.aheadMs -= 5 * HOUR
  }
  expect(world.ups).toHaveLength(1)
})
