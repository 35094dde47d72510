import { createServer } from 'node:http'
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest'
import type { Connect, ConnectRequest } from '../../kernel/socket.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import type { AutodiscoverForm } from '../../twins/exchange-ews/autodiscover.ts'
import { type ExchangeEwsTwin, startExchangeEws } from '../../twins/exchange-ews/exchange-ews.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import { makeConnect } from '../net/connect.ts'
import { netErrors } from '../net/errors.ts'
import { type DiscoverOptions, discoverEws } from './autodiscover.ts'
import { ewsOptions } from './ews-world.ts'

const direct = makeConnect()
/** Which port of this machine stands for a host of the internet; names that are not here are not known. */
const hosts = new Map<string, number>()
let twin: ExchangeEwsTwin
let ca: string
/** Where `http://autodiscover.contoso.example` sends its callers. */
let redirectTo: string | undefined
let plain: Awaited<ReturnType<typeof listenOnLoopback>>

const connect: Connect = Object.assign(
  (request: ConnectRequest) => {
    const port = hosts.get(`${request.host}:${request.port}`)
    if (port === undefined) return Promise.reject(netErrors.NAME_UNKNOWN({ host: request.host, reason: 'ENOTFOUND' }))
    const tls = request.tls && { servername: request.host, ca }
    return direct({ ...request, host: '127.0.0.1', port, tls })
  },
  { upgrade: direct.upgrade },
)

beforeAll(async () => {
  const names = ['contoso.example', 'autodiscover.contoso.example', 'mail.contoso.example', 'mail.evil.example']
  const certificate = await makeTwinCertificate(names)
  ca = certificate.ca
  twin = await startExchangeEws({
    tls: certificate,
    mailboxes: [{ address: 'anna@contoso.example' }, { address: 'neu@contoso.example' }],
    redirects: { 'alt@contoso.example': 'neu@contoso.example' },
    ewsUrl: () => ewsUrl,
    autodiscoverForms: () => forms,
  })
  const server = createServer((_request, response) => {
    response
      .writeHead(redirectTo === undefined ? 404 : 302, redirectTo === undefined ? {} : { location: redirectTo })
      .end()
  })
  plain = await listenOnLoopback(server)
})
afterAll(async () => {
  await plain.stop()
  await twin.stop()
})
let ewsUrl = ''
let forms: readonly AutodiscoverForm[]
beforeEach(() => {
  hosts.clear()
  redirectTo = undefined
  forms = ['json', 'pox', 'soap']
  ewsUrl = 'https://mail.contoso.example/EWS/Exchange.asmx'
})

function discover(mailbox: string, more: Partial<DiscoverOptions> = {}) {
  const { url: _url, access: _access, ...wire } = ewsOptions('https://unused.example')
  return discoverEws({
    ...wire,
    connect: () => connect,
    mailbox,
    signal: new AbortController().signal,
    resolveSrv: async () => [],
    ...more,
  })
}

test('the anonymous form at the host for Autodiscover', async () => {
  hosts.set('autodiscover.contoso.example:443', twin.port)
  const found = await discover('anna@contoso.example')
  expect(found).toEqual({ url: new URL(ewsUrl), by: 'JSON at autodiscover.contoso.example', grouping: undefined })
  expect(twin.requests.at(-1)?.account).toBeNull()
})

test('an address that stands for another one is asked for by the other one', async () => {
  hosts.set('contoso.example:443', twin.port)
  expect(await discover('alt@contoso.example')).toMatchObject({ by: 'JSON at contoso.example' })
  expect(twin.requests.at(-1)?.operation).toContain('neu%40contoso.example')
})

test.each([
  ['POX', ['pox', 'soap'], undefined],
  ['SOAP', ['soap'], 'EX1'],
] as const)('an older server is asked with log-in, by %s', async (form, known, grouping) => {
  hosts.set('contoso.example:443', twin.port)
  forms = known
  for (const mailbox of ['anna@contoso.example', 'alt@contoso.example']) {
    const found = await discover(mailbox, { auth: 'ntlm' })
    expect(found).toEqual({ url: new URL(ewsUrl), by: `${form} at contoso.example`, grouping })
  }
})

describe('a host that others vouch for on a line that anybody can bend', () => {
  test('plain HTTP that sends to a host of the own domain is followed', async () => {
    hosts.set('autodiscover.contoso.example:80', plain.port).set('mail.contoso.example:443', twin.port)
    redirectTo = 'https://mail.contoso.example/autodiscover/autodiscover.xml'
    expect(await discover('alt@contoso.example')).toMatchObject({ by: 'JSON at mail.contoso.example' })
  })

  test('a foreign host sees no credentials, and its word leads nowhere foreign', async () => {
    hosts.set('autodiscover.contoso.example:80', plain.port).set('mail.evil.example:443', twin.port)
    redirectTo = 'https://mail.evil.example/autodiscover/autodiscover.xml'
    ewsUrl = 'https://mail.evil.example/EWS/Exchange.asmx'
    const before = twin.requestCount
    await expect(discover('anna@contoso.example')).rejects.toMatchObject({
      code: 'EWS_NOT_FOUND_BY_AUTODISCOVER',
      message: expect.stringContaining('where no credentials may be sent') as string,
    })
    expect(twin.requestCount).toBe(before + 1)
  })

  test('to Exchange Online it leads', async () => {
    hosts.set('autodiscover.contoso.example:80', plain.port).set('mail.evil.example:443', twin.port)
    redirectTo = 'https://mail.evil.example/x'
    ewsUrl = 'https://outlook.office365.com/EWS/Exchange.asmx'
    expect(await discover('anna@contoso.example')).toMatchObject({ url: new URL(ewsUrl) })
  })

  test('an SRV record to the own domain is followed, with its port', async () => {
    hosts.set('mail.contoso.example:8443', twin.port)
    const resolveSrv = async () => [{ name: 'mail.contoso.example', port: 8443 }]
    expect(await discover('anna@contoso.example', { resolveSrv })).toMatchObject({
      by: 'JSON at mail.contoso.example:8443',
    })
  })
})

test('a wrong password is what is said when no host knows more', async () => {
  hosts.set('contoso.example:443', twin.port)
  const lookUp = async () => ({ kind: 'basic', user: 'CONTOSO\\svc-sync', password: 'wrong' }) as const
  await expect(discover('alt@contoso.example', { lookUp })).rejects.toMatchObject({ code: 'EWS_LOGIN_REFUSED' })
})

test('when nothing is found, all that was tried is told', async () => {
  await expect(discover('anna@contoso.example')).rejects.toMatchObject({
    code: 'EWS_NOT_FOUND_BY_AUTODISCOVER',
    message: expect.stringMatching(/JSON at contoso\.example: NET_NAME_UNKNOWN.*no SRV record|autodiscover/) as string,
  })
})
