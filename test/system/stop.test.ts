import { afterEach, expect, test } from 'vitest'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

const hub = new FlowHub()
let service: Awaited<ReturnType<typeof webService>>
afterEach(async () => {
  await service.stop()
  await hub.close()
})

test('a hub is stopped before those lose patience who stop it, though a caller waits for a receiver that hangs', async () => {
  service = await webService()
  service.hold()
  hub.flow(
    'orders',
    `
from: { https: { path: /orders, answer: result, within: 1m } }
to: { http: { url: "${service.url}", timeout: 2m } }
`,
  )
  await hub.start()
  const answer = fetch(`${hub.url}/orders`, { method: 'POST', body: 'an order' })
  await expect.poll(() => service.requests.length).toBe(1)
  const begunAt = performance.now()
  await hub.hub.close()
  // Docker and supervisord kill after ten seconds.
  expect(performance.now() - begunAt).toBeLessThan(10_000)
  expect((await answer).status).toBe(202)
}, 60_000)
