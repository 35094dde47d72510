import { afterEach, beforeEach, expect, test } from 'vitest'
import { type S4AleTwin, s4AleUser, startS4Ale } from '../../src/twins/s4-ale/s4-ale.ts'
import { createCreditAccount, createInvoice } from '../../src/twins/s4-ale/seed.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'

let it: FlowHub
let s4: S4AleTwin
let crm: Awaited<ReturnType<typeof webService>>

beforeEach(async () => {
  it = new FlowHub()
  s4 = await startS4Ale()
  crm = await webService()
})
afterEach(async () => {
  await it.close()
  await s4.stop()
  await crm.stop()
})

/** Flows for what reports of the twin send; what becomes of a message goes back as acknowledgement. */
async function start(): Promise<void> {
  for (const [name, interfaceName] of [
    ['credit', 'CreditLimit_Out'],
    ['invoices', 'Invoice_Out'],
  ]) {
    it.flow(
      `${name}`,
      `from: { xi: { path: /xi, interfaces: [{ name: ${interfaceName} }] } }
answer: { to: acknowledgements, after: 500ms }
to: { http: { url: "${crm.url}/${name}" } }
delivery: { retry: { every: 50ms } }
`,
    )
  }
  it.flow(
    'acknowledgements',
    `from: { answers: {} }\nto: { xi: { url: "${s4.urls.xi}", auth: s4, acknowledge: asked } }\ndelivery: { retry: { every: 50ms } }\n`,
  )
  it.flow(
    'check-user',
    `from: { xi: { path: /xi, interfaces: [{ name: CheckUser_Out }], within: 20s } }
steps:
  - call: { to: { http: { url: "${crm.url}/users" } } }
  - map: { set: { body: '<UserStatus>\${message.body}</UserStatus>', type: application/xml } }
to: []
`,
  )
  it.flow(
    'to-s4',
    `from: { https: { path: /to-s4 } }
to:
  xi:
    url: "${s4.urls.xi}"
    auth: s4
    sender: { service: ISTHMUS }
    receiver: { service: S4HCLNT100 }
    interface: CreditAnswer_In
    namespace: urn:x
    ref-to: '\${message.query.of}'
delivery: { retry: { every: 50ms } }
`,
  )
  await it.start({ s4: s4AleUser })
  s4.setDestination('*', { url: `${it.url}/xi` })
}

const states = () => s4.proxies.messages.map(({ state }) => state)

test('the proxies of S/4HANA send in order, and hear what became of their messages', async () => {
  await start()
  createInvoice(s4.data, '90001519', '1001', '4711')
  createCreditAccount(s4.data, '1001', '50000.00')
  s4.runProxyReports()
  await s4.sendProxies()
  expect(states()).toEqual(['sent', 'sent'])
  const [invoice] = await it.ended(2)
  expect((await it.hub.store.get(invoice?.id ?? ''))?.attributes).toMatchObject({ senderService: 'S4HCLNT100' })
  await it.ended(4)
  expect(states()).toEqual(['acknowledged', 'acknowledged'])
  expect(crm.requests.map(({ url }) => url).toSorted()).toEqual(['/credit', '/invoices'])

  // Refused by the other side: the proxy hears of the error.
  crm.replies.push({ status: 422, body: 'below zero' })
  createCreditAccount(s4.data, '1002', '-1.00')
  s4.runProxyReports()
  await s4.sendProxies()
  await it.ended(1, 'set-aside')
  await it.ended(5)
  const text = expect.stringContaining('HTTP_REFUSED')
  expect(s4.proxies.messages.at(-1)).toMatchObject({ state: 'acknowledged-with-error', text })
})

test('messages sent twice, and those whose answer is lost, arrive once', async () => {
  await start()
  createCreditAccount(s4.data, '1001', '50000.00')
  s4.runProxyReports()
  s4.setFaults({ sendTwice: { times: 1 } })
  await s4.sendProxies()
  expect(states()).toEqual(['sent'])
  s4.setFaults({ hangUp: { times: 1 } })
  createCreditAccount(s4.data, '1002', '10.00')
  s4.runProxyReports()
  await s4.sendProxies()
  await s4.sendProxies()
  expect(states()).toEqual(['sent', 'sent'])
  await it.ended(2)
  expect(crm.requests).toHaveLength(2)
  s4.setFaults({ malformed: { times: 1 } })
  createCreditAccount(s4.data, '1003', '10.00')
  s4.runProxyReports()
  await s4.sendProxies()
  expect(s4.proxies.messages.at(-1)).toMatchObject({ text: expect.stringContaining('XML_MALFORMED') })
})

test('a query of a proxy is answered, and one that fails says so', async () => {
  await start()
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' }, { status: 422 })
  expect(await s4.callProxy('CheckUser_Out', '<User/>')).toBe('<UserStatus>enabled</UserStatus>')
  await expect(s4.callProxy('CheckUser_Out', '<User/>')).rejects.toThrow(/XIServer XI_FAILED/)
})

test('a message to S/4HANA arrives once, though its port is busy first and its answer lost then', async () => {
  await start()
  s4.setFaults({ busy: { times: 1, retryAfterS: 0 }, dropAfter: { times: 1 } })
  const id = 'ab'.repeat(16)
  await fetch(`${it.url}/to-s4?of=${id}`, { method: 'POST', headers: { 'content-type': 'text/xml' }, body: '<A>1</A>' })
  await it.ended(1)
  expect(s4.received).toMatchObject([{ interface: 'CreditAnswer_In', refersTo: id, payload: '<A>1</A>' }])
})
