import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type S4AleTwin, s4AleUser, startS4Ale } from '../../src/twins/s4-ale/s4-ale.ts'
import { createCreditAccount } from '../../src/twins/s4-ale/seed.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'
import { webService } from './web-service.ts'
import { document, sendXi } from './xi-world.ts'

const guide = readGuide('proxies')
let folder: string
let machine: GuideMachine
let s4: S4AleTwin
let crm: Awaited<ReturnType<typeof webService>>
let adminPort = 0
let xiUrl = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  xiUrl = `http://127.0.0.1:${endpoints}/flows/xi`
  s4 = await startS4Ale()
  crm = await webService()
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
      ['https://s4.contoso.com:44300', s4.origin],
      ['https://crm.contoso.com', crm.url],
    ],
  })
  machine.write('password.txt', s4AleUser.password)
})
afterAll(async () => {
  await machine?.stop()
  await s4?.stop()
  await crm?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const arrived = (path: string) => crm.requests.filter(({ url }) => url === path).map(({ body }) => body.toString())

test('every command of the guide works, from an empty hub to messages that arrive', async () => {
  const outputs: string[] = []
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (kind === 'sh') {
      for (const line of text.trim().split('\n')) outputs.push((await machine.run(line)).trim())
    }
  }
  expect(outputs.find(output => output.includes('SystemAck'))).toMatch(/<SAP:Status>OK<\/SAP:Status>/)
  expect(outputs.find(output => /\bcredit\b.*(delivered|queued)/.test(output))).toBeDefined()
  await waitFor('the invoice', 30_000, () => arrived('/invoices').length === 1)
  expect(arrived('/credit-limits')[0]).toContain('<Limit currency="EUR">50000.00</Limit>')
  expect(arrived('/invoices')[0]).toContain('<Number>90001519</Number>')
}, 120_000)

test('proxies of S/4HANA do what the guide says: order, acknowledgements, queries', async () => {
  const { oauth } = JSON.parse(readFileSync(join(folder, 's4hana.json'), 'utf8')) as {
    oauth: { clientid: string; clientsecret: string }
  }
  const user = { user: oauth.clientid, password: oauth.clientsecret }
  s4.setDestination('*', { url: xiUrl, user })
  createCreditAccount(s4.data, '1001', '50000.00')
  s4.runProxyReports()
  await s4.sendProxies()
  await waitFor('the acknowledgement', 30_000, () => s4.proxies.messages[0]?.state === 'acknowledged')
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' })
  expect(await s4.callProxy('CheckUser_Out', '<User>ANNA</User>')).toBe('<UserStatus>enabled</UserStatus>')

  const stock = s4.callProxy('Stock_Out', '<Material>4711</Material>')
  const query = await waitFor('the query', 30_000, () =>
    s4.received.find(({ interface: name }) => name === 'StockQuery_In'),
  )
  const headers = { authorization: `Basic ${Buffer.from(`${user.user}:${user.password}`).toString('base64')}` }
  const about = { name: 'StockReply_Out', namespace: 'urn:contoso:warehouse' }
  const reply = { interface: about, messageId: crypto.randomUUID(), refToMessageId: query.refersTo }
  expect((await sendXi(xiUrl, reply, [document('<Stock>7</Stock>')], headers)).header?.ack?.status).toBe('OK')
  expect(await stock).toBe('<Stock>7</Stock>')

  // An interface that no flow names.
  await expect(s4.callProxy('Other_Out', '<A/>')).rejects.toThrow(/XI_INTERFACE_REFUSED/)
}, 60_000)
