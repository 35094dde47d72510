import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { crashLimits } from '../../src/engine/crash-watch.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { makeWorkFolder } from '../foreign/servers/work-folder.ts'
import { HubUnderTest, type SeenMessage } from '../hub/hub-under-test.ts'
import { webService } from './web-service.ts'

const diesMs = 120_000
const patienceMs = 30_000
const startsMax = 2 * crashLimits.deaths

const folder = makeWorkFolder('deadly-message')
const mistake = join(folder.path, 'mistake')
let service: Awaited<ReturnType<typeof webService>>
let hub: HubUnderTest

/** What a mistake in a mapping does with one message among many: it never comes to an end, and keeps all it makes. */
const mapping = `
import { existsSync } from 'node:fs'
const kept = []
export function toOrder(order) {
  while (order === 'deadly' && existsSync('MISTAKE')) kept.push(new Array(4e6).fill(kept.length + 0.5))
  return order
}
`

beforeAll(async () => {
  service = await webService()
  writeFileSync(join(folder.path, 'map.mjs'), mapping.replace('MISTAKE', mistake))
  writeFileSync(mistake, '')
  const file = join(folder.path, 'orders.yaml')
  writeFileSync(
    file,
    `
flow: orders
from: { https: { path: /orders } }
steps:
  - map: { module: ./map.mjs, export: toOrder, json: true }
to: { http: { url: "${service.url}" } }
`,
  )
  hub = new HubUnderTest({ dataFolder: join(folder.path, 'data'), flowFiles: [file] })
  process.env['NODE_OPTIONS'] = `${process.env['NODE_OPTIONS'] ?? ''} --max-old-space-size=96`
})
afterAll(async () => {
  await hub.stop()
  await service.stop()
  folder.remove()
})

const send = async (body: string) => {
  const answer = await fetch(`${hub.endpointsUrl}/orders`, { method: 'POST', body: JSON.stringify(body) })
  expect(answer.status).toBe(202)
}

const arrived = () => service.requests.map(({ body }) => JSON.parse(String(body)) as string)

const setAside = async () =>
  (await hub.call<{ messages: SeenMessage[] }>('GET', '/api/messages?state=set-aside')).messages

test('a message that ends the hub by its memory is set aside in the end; all others arrive, and it does once its step is mended', async () => {
  await hub.start()
  await send('one')
  await expect.poll(async () => (await hub.flow('orders')).counts.delivered, { timeout: patienceMs }).toBe(1)
  await send('deadly')
  await waitFor('the hub to die', diesMs, () => !hub.isRunning)

  // As a service manager does it.
  let starts = 0
  let left: SeenMessage[] = []
  for (; left.length === 0 && starts < startsMax; starts++) {
    // It may die before it has told its address.
    await hub.start().catch(() => {})
    await waitFor('the hub to die or the message to be set aside', diesMs, async () => {
      if (!hub.isRunning) return true
      left = await setAside().catch(() => [])
      return left.length > 0
    })
  }
  expect(left).toMatchObject([{ error: { code: 'ENGINE_ENDS_THE_HUB' } }])
  expect(starts).toBe(crashLimits.deaths + 1)
  await send('two')
  await expect.poll(arrived, { timeout: patienceMs }).toEqual(['one', 'two'])

  rmSync(mistake)
  await hub.call('POST', `/api/messages/${left[0]?.id}/replay`, {})
  await expect.poll(arrived, { timeout: patienceMs }).toEqual(['one', 'two', 'deadly'])
}, 600_000)
