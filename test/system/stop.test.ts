import { afterEach, beforeEach, expect, test } from 'vitest'
import { type SmtpTwinServer, startSmtpServer } from '../../src/twins/smtp/server.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

let hub: FlowHub
let service: Awaited<ReturnType<typeof webService>>
let mails: SmtpTwinServer | undefined
beforeEach(() => {
  hub = new FlowHub()
})
afterEach(async () => {
  await service.stop()
  await mails?.stop()
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

test('so it is where a mail server hangs in addition when the hub takes leave of it', async () => {
  service = await webService()
  mails = await startSmtpServer({ name: 'mx.example' })
  hub.flow('held', `\nfrom: { https: { path: /held } }\nto: { http: { url: "${service.url}", timeout: 2m } }\n`)
  hub.flow(
    'mails',
    `
from: { https: { path: /mails } }
to: { smtp: { host: 127.0.0.1, port: ${mails.port}, security: none, from: hub@example.com, to: orders@example.com } }
`,
  )
  await hub.start()
  const mail = 'From: a@example.com\r\nSubject: Pumps\r\n\r\nFive.\r\n'
  await fetch(`${hub.url}/mails`, { method: 'POST', headers: { 'content-type': 'message/rfc822' }, body: mail })
  await hub.ended(1)
  service.hold()
  await fetch(`${hub.url}/held`, { method: 'POST', body: 'an order' })
  await expect.poll(() => service.requests.length).toBe(1)
  mails.faults.set({ slowRead: { bytesPerSecond: 1 } })
  const begunAt = performance.now()
  await hub.hub.close()
  expect(performance.now() - begunAt).toBeLessThan(10_000)
}, 60_000)
