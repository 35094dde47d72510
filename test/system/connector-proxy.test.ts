import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ProxyWorld, startProxy } from '../../src/protocols/net/proxy-world.ts'
import { startConnectorMail } from './connector-mail-world.ts'
import { pause } from './mail-world.ts'

const mailCount = 200
const killCount = 5
/** How long the proxy is away, and the rest before it is killed again. */
const [awayMs, restMs] = [300, 700]

let world: Awaited<ReturnType<typeof startConnectorMail>>
let proxy: ProxyWorld
beforeAll(async () => {
  proxy = await startProxy()
  world = await startConnectorMail({ proxy: proxy.address })
}, 120_000)
afterAll(async () => {
  await world?.close()
  await proxy?.close()
})

test('a proxy that is killed in the midst of mails, again and again, costs none and doubles none', async () => {
  const sending = world.send(mailCount)
  for (let kill = 0; kill < killCount; kill++) {
    await pause(restMs)
    await proxy.close()
    await pause(awayMs)
    proxy = await startProxy({}, proxy.port)
  }
  await sending
  const inDoubt = await world.allEnded()
  const { missing } = world.compare([...world.sentAt.keys()], inDoubt)
  console.info(`the proxy killed ${killCount} times; ${missing.length} of ${inDoubt.length} in doubt not there`)
  expect(proxy.asked.every(({ status }) => status === 200)).toBe(true)
}, 240_000)
