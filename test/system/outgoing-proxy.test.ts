import { afterEach, expect, test } from 'vitest'
import { type ProxyWorld, startProxy } from '../../src/protocols/net/proxy-world.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { mail, mailWorld, orders, stopWorlds, whenTestEnds } from './mail-world.ts'
import { webhookServer } from './webhook-server.ts'

afterEach(stopWorlds)

const logIn = { user: 'svc-isthmus', password: 'a secret for the proxy' }
const here = '127.0.0.1'
/** Only the proxy knows them, as in a network whose name servers know nothing of the internet. */
const names = { 'login.example': here, 'outlook.example': here, 'smtp.example': here, 'hook.example': here }

test('a hub that gets out through a proxy only: sign-in, mailbox, mail server, alerts; none is lost while the proxy is away', async () => {
  let proxy: ProxyWorld = await startProxy({ logIn, names })
  whenTestEnds(() => proxy.close())
  const hook = await webhookServer()
  whenTestEnds(() => hook.stop())
  const { cert, key, ca } = await makeTwinCertificate(['login.example', 'outlook.example'])
  const world = await mailWorld({
    signIn: { tls: { cert, key }, tenants: [contoso()] },
    exchange: { tls: { cert, key }, mailboxes: { [orders]: { fullAccess: [contosoClientId] } } },
    flows: [
      ({ exchange, s4 }) => ({
        imap: { host: 'outlook.example', port: exchange, security: 'tls' },
        smtp: { host: 'smtp.example', port: s4 },
        alert: ['duty', 'operations'],
        expect: { quiet: '1s' },
      }),
    ],
    hub: ({ s4 }) => ({
      trustedCertificates: [ca],
      outgoingProxy: { host: here, port: proxy.port, auth: 'proxy', except: [] },
      alertPolicy: { lookEveryMs: 200 },
      alertChannels: {
        duty: { webhook: { url: hook.url.replace(here, 'hook.example') } },
        operations: { mail: { from: 'hub@contoso.com', to: ['ops@s4.example'] } },
      },
      alertMailServers: { operations: { host: 'smtp.example', port: s4, security: 'none' } },
      async beforeFlows({ credentials }) {
        await credentials.create('proxy', { kind: 'basic', ...logIn })
      },
    }),
  })
  world.signIn.grantAdminConsent()
  await world.ask('POST', '/api/credentials/m365-mail', {
    kind: 'oauth2-client-credentials',
    provider: { microsoft365: { tenant: 'contoso.com', authority: `https://login.example:${world.signIn.port}` } },
    clientId: contosoClientId,
    clientSecret: contosoSecret,
  })
  for (let number = 1; number <= 5; number++) world.exchange.deliver(orders, mail(`order ${number}`))
  await world.reached(5)
  await world.until('both channels to be told', () => {
    const mails = world.s4.received.filter(({ to }) => to[0] === 'ops@s4.example')
    return hook.calls.length > 0 && mails.length > 0
  })
  expect(new Set(proxy.asked.map(({ target }) => target.split(':')[0]))).toEqual(new Set(Object.keys(names)))
  expect(proxy.asked.filter(({ status }) => status !== 200)).toEqual([])

  await proxy.close()
  world.exchange.deliver(orders, mail('order 6'))
  const health = await world.until('the health to name the proxy', async () => {
    const told = JSON.stringify(await world.ask<object>('GET', '/api/health'))
    return told.includes('NET_PROXY_UNREACHABLE') && told
  })
  proxy = await startProxy({ logIn, names }, proxy.port)
  await world.until('all orders in S/4HANA', () => world.arrived().includes('order 6'))
  await world.emptied()
  expect(
    world
      .arrived()
      .filter(subject => subject.startsWith('order'))
      .toSorted(),
  ).toEqual(['order 1', 'order 2', 'order 3', 'order 4', 'order 5', 'order 6'])
  const told = world.log.join('') + health
  expect(told).not.toContain(logIn.password)
  expect(told).not.toContain(Buffer.from(`${logIn.user}:${logIn.password}`).toString('base64'))
})
