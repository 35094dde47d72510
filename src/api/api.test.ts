import { afterEach, expect, test } from 'vitest'
import { defineErrors } from '../kernel/error.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { contoso, contosoClientId, contosoSecret } from '../twins/sign-in/contoso.ts'
import { startSignIn } from '../twins/sign-in/sign-in.ts'
import { type ApiWorld, type ApiWorldOptions, apiWorld } from './api-world.ts'

const testErrors = defineErrors('APITEST', {
  REFUSED: { side: 'receiver', retry: 'never', means: 'The server refused: {text}', next: 'Correct the recipient.' },
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function open(options?: ApiWorldOptions): Promise<ApiWorld> {
  const world = await apiWorld(options)
  closing.push(() => world.close())
  return world
}

const refusing = { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550 no such user' }))] }

test('a message is found from either end and shown with its receipts', async () => {
  const world = await open({ engine: { receivers: [() => ({ summary: '250 queued as 4F2A1', terms: ['4F2A1'] })] } })
  const { id } = await world.accept('hello', {
    terms: ['<a@b>'],
    headers: { subject: 'Hi' },
    attributes: { to: ['x@y'] },
  })
  await world.engine().idle()
  for (const term of ['<a@b>', '4F2A1', '4F2*']) {
    const found = await world.ask(200, 'GET', `/api/messages?term=${encodeURIComponent(term)}`)
    expect(found).toMatchObject({ messages: [{ id, state: 'delivered', flow: 'orders', bytes: 5 }] })
  }
  expect(await world.ask(200, 'GET', `/api/messages/${id.toLowerCase()}`)).toMatchObject({
    id,
    headers: { subject: 'Hi' },
    attributes: { to: ['x@y'] },
    body: { bytes: 5, type: 'text/plain' },
    receipts: [{ effect: 'to[0]', state: 'done', summary: '250 queued as 4F2A1' }],
  })
})

test('pages of messages follow each other without gap or repeat, newest first', async () => {
  const world = await open()
  const ids: string[] = []
  for (let count = 0; count < 7; count++) ids.push((await world.accept(`m${count}`)).id)
  await world.engine().idle()
  const seen: string[] = []
  let next: unknown
  for (let page = 0; page < 5; page++) {
    const before = typeof next === 'string' ? `&before=${next}` : ''
    const found = await world.ask(200, 'GET', `/api/messages?flow=orders&state=delivered&limit=3${before}`)
    seen.push(...(found.messages as { id: string }[]).map(message => message.id))
    next = found.next
    if (next === undefined) break
  }
  expect(seen).toEqual(ids.toReversed())
})

test('the body comes as the very bytes, as an attachment of no type that a browser would show', async () => {
  const world = await open()
  const bytes = Buffer.concat([
    Buffer.from('<script>alert(1)</script>\r\n'),
    Buffer.alloc(600_000, 'x'),
    Buffer.from([0, 255]),
  ])
  const { id } = await world.accept('', { body: bytes, type: 'text/html\u00e9' })
  const response = await world.call('GET', `/api/messages/${id}/body`)
  expect(Buffer.from(await response.arrayBuffer()).equals(bytes)).toBe(true)
  expect(Object.fromEntries(response.headers)).toMatchObject({
    'content-type': 'application/octet-stream',
    'content-disposition': expect.stringMatching(/^attachment; filename="orders-\d{4}-[-T\d.]+Z\.bin"$/),
    'x-content-type-options': 'nosniff',
    'isthmus-body-type': 'text/html?',
  })
  const first = await world.call('GET', `/api/messages/${id}/body?first=8`)
  expect(await first.text()).toBe('<script>')
})

test('a set-aside message is repaired, travels again, and the original is kept; who did it stands in the audit log', async () => {
  const world = await open({ engine: refusing })
  const { id } = await world.accept('to: nobody', { headers: { to: 'nobody' } })
  await world.engine().idle()
  const shown = await world.ask(200, 'GET', `/api/messages/${id}`)
  expect(shown).toMatchObject({
    state: 'set-aside',
    error: { code: 'APITEST_REFUSED', side: 'receiver', next: 'Correct the recipient.' },
  })
  world.setActs(() => ({ summary: '250 ok' }))
  await world.ask(200, 'POST', `/api/messages/${id}/repair`, {
    body: { base64: Buffer.from('to: anna').toString('base64') },
  })
  await world.engine().idle()
  const after = await world.ask(200, 'GET', `/api/messages/${id}`)
  expect(after).toMatchObject({ state: 'delivered', body: { bytes: 8 }, original: { body: { bytes: 10 } } })
  expect(await (await world.call('GET', `/api/messages/${id}/body`)).text()).toBe('to: anna')
  expect(await (await world.call('GET', `/api/messages/${id}/body?which=original`)).text()).toBe('to: nobody')
  const { entries } = await world.ask(200, 'GET', '/api/audit')
  expect(entries).toMatchObject([{ action: 'message.repair', who: 'admin@127.0.0.1', detail: { delivery: id } }])
  expect(await world.ask(200, 'POST', '/api/audit/verify')).toEqual({ ok: true })
})

test('replay and skip do what they say, and say why not', async () => {
  const world = await open({ engine: refusing })
  const { id } = await world.accept('a')
  const other = await world.accept('b')
  await world.engine().idle()
  const skipped = await world.ask(200, 'POST', `/api/messages/${id}/skip`, { reason: 'sent by telephone' })
  expect(skipped).toMatchObject({ state: 'skipped' })
  expect(await world.ask(409, 'POST', `/api/messages/${id}/skip`, { reason: 'again' })).toMatchObject({
    code: 'STORE_FINISHED',
  })
  expect(await world.ask(409, 'POST', `/api/messages/${id}/repair`, { headers: {} })).toMatchObject({
    code: 'STORE_NOT_SET_ASIDE',
  })
  world.setActs(() => ({ summary: '250 ok' }))
  const replayed = await world.ask(200, 'POST', `/api/messages/${other.id}/replay`)
  await world.engine().idle()
  expect(await world.ask(200, 'GET', `/api/messages/${String(replayed.id)}`)).toMatchObject({ state: 'delivered' })
})

test('after a replay nothing is set aside any more, and what ended otherwise names the message that repeats it', async () => {
  const world = await open({ engine: refusing })
  const { id } = await world.accept('a')
  await world.engine().idle()
  expect(await world.ask(200, 'GET', '/api/flows/orders')).toMatchObject({ counts: { setAside: 1, delivered: 0 } })
  world.setActs(() => ({ summary: '250 ok' }))
  expect(await world.ask(200, 'POST', `/api/messages/${id}/replay`)).toEqual({ id })
  await world.engine().idle()
  expect(await world.ask(200, 'GET', '/api/flows/orders')).toMatchObject({ counts: { setAside: 0, delivered: 1 } })
  expect(await world.ask(200, 'GET', `/api/messages/${id}`)).toMatchObject({ state: 'delivered', replays: [] })
  // It has arrived; to send it once more is a message of its own.
  // Whoever saw it set aside does not mean to send it a second time.
  expect(await world.ask(409, 'POST', `/api/messages/${id}/replay?state=set-aside`)).toMatchObject({
    code: 'API_MESSAGE_MOVED_ON',
    title: `The message ${id} is no longer set-aside; it is delivered by now.`,
  })
  const { id: again } = await world.ask(200, 'POST', `/api/messages/${id}/replay`)
  await world.engine().idle()
  expect(await world.ask(200, 'GET', `/api/messages/${id}`)).toMatchObject({
    state: 'delivered',
    replays: [{ id: again, state: 'delivered' }],
  })
  const found = await world.ask(200, 'GET', `/api/messages?term=${id}`)
  expect(found).toMatchObject({ messages: [{ id: again, replayOf: id }, { id }] })
})

test('a flow is shown, stopped, started and checked; the wish outlives the flow', async () => {
  const world = await open()
  expect(await world.ask(200, 'GET', '/api/flows')).toMatchObject({
    flows: [
      { name: 'broken', state: 'stopped', shouldRun: false, problems: [{ line: 3, column: 5 }] },
      { name: 'orders', state: 'running', from: 'script', to: ['script-0'], counts: { queued: 0 } },
    ],
  })
  expect(await world.ask(200, 'POST', '/api/flows/orders/check')).toMatchObject({
    ok: true,
    links: [{ link: 'from', ok: true }, { link: 'to[0]' }],
  })
  expect(await world.ask(200, 'POST', '/api/flows/orders/stop')).toMatchObject({ state: 'stopped', shouldRun: false })
  expect(await world.ask(404, 'POST', '/api/flows/orders/check')).toMatchObject({ code: 'ENGINE_FLOW_UNKNOWN' })
  expect(await world.ask(200, 'POST', '/api/flows/orders/start')).toMatchObject({ state: 'running', shouldRun: true })
  expect(await world.ask(404, 'GET', '/api/flows/nothing')).toMatchObject({ code: 'API_FLOW_UNKNOWN' })
  const { entries } = await world.ask(200, 'GET', '/api/audit')
  expect((entries as { action: string }[]).map(entry => entry.action)).toEqual(['flow.start', 'flow.stop'])
})

test('a probe travels and its end is told; a flow that cannot says so', async () => {
  const world = await open({
    engine: {
      probe: async (token, intake) =>
        void (await intake.accept({
          headers: {},
          attributes: {},
          type: 'text/plain',
          body: Buffer.from('p'),
          probe: token,
        })),
    },
  })
  expect(await world.ask(200, 'POST', '/api/flows/orders/probe', { within: '5s' })).toMatchObject({
    ok: true,
    state: 'delivered',
  })
  const other = await open()
  expect(await other.ask(409, 'POST', '/api/flows/orders/probe')).toMatchObject({ code: 'ENGINE_NO_PROBE' })
})

test('a document is linted without being started', async () => {
  const world = await open()
  expect(await world.ask(200, 'POST', '/api/lint', { document: 'flow: x' })).toEqual({ ok: true, problems: [] })
  expect(await world.ask(200, 'POST', '/api/lint', { document: 'from: { imapp: {} }' })).toMatchObject({
    ok: false,
    problems: [{ line: 3 }],
  })
})

test('settings of a credential can be sent back as they were answered, a long chain of certificates included', async () => {
  const world = await open()
  const { cert, key } = await makeTwinCertificate(['hub'])
  // openssl writes words before the certificates.
  const chain = `${'subject=CN = hub\n'.repeat(500)}${cert}`
  expect(chain.length).toBeGreaterThan(8192)
  const given = { kind: 'certificate', certificate: chain, about: 'to SAP' }
  const created = await world.ask(201, 'POST', '/api/credentials/hub-tls', { ...given, privateKey: key })
  expect(created['settings']).toEqual(given)
  await world.ask(200, 'PUT', '/api/credentials/hub-tls', created['settings'])
  expect(await world.credentials.lookup('hub-tls')).toMatchObject({ certificate: chain, privateKey: key })
})

test('credentials are created, changed and deleted; no answer, log or audit entry holds the secret', async () => {
  const world = await open()
  const secret = 'correct horse battery staple'
  await world.ask(201, 'POST', '/api/credentials/relay', { kind: 'basic', user: 'mail', password: secret })
  expect(
    await world.ask(409, 'POST', '/api/credentials/relay', { kind: 'basic', user: 'mail', password: secret }),
  ).toMatchObject({ code: 'CREDENTIAL_EXISTS' })
  expect(await world.ask(422, 'POST', '/api/credentials/new', { kind: 'basic', user: 'mail' })).toMatchObject({
    code: 'CREDENTIAL_INVALID',
  })
  const changed = await world.ask(200, 'PUT', '/api/credentials/relay', { kind: 'basic', user: secret, about: 'relay' })
  expect(changed).toMatchObject({
    kind: 'basic',
    secrets: ['password'],
    status: { state: 'ready' },
    settings: { about: 'relay' },
  })
  expect(
    await world.ask(400, 'PUT', '/api/credentials/relay', { kind: 'basic', user: 'x', roles: ['admin'] }),
  ).toMatchObject({ code: 'API_REQUEST_INVALID' })
  const renewed = await world.ask(200, 'POST', '/api/credentials/relay/renew', { password: 'another battery' })
  expect(renewed).toMatchObject({ kind: 'basic', secrets: ['password'], settings: { about: 'relay' } })
  expect(await world.credentials.lookup('relay')).toMatchObject({ user: secret, password: 'another battery' })
  for (const wrong of [{}, { certificate: renewedPem }, { user: 'x' }]) {
    const refused = await world.ask(400, 'POST', '/api/credentials/relay/renew', wrong)
    expect(refused).toMatchObject({ code: 'API_REQUEST_INVALID' })
  }
  expect(await world.ask(422, 'POST', '/api/credentials/relay/renew', { secret: 'battery' })).toMatchObject({
    code: 'CREDENTIAL_INVALID',
  })
  expect(JSON.stringify(await world.ask(200, 'GET', '/api/audit'))).toMatch(
    /credential\.renew[^}]*"credential":"relay","changed":\["password"\]/,
  )
  const all = [
    await world.ask(200, 'GET', '/api/credentials'),
    await world.ask(200, 'GET', '/api/credentials/relay'),
    await world.ask(200, 'GET', '/api/audit'),
    await world.ask(200, 'GET', '/api/log?level=debug'),
    world.written,
  ]
  expect(JSON.stringify(all)).not.toContain('battery')
  expect((await world.call('DELETE', '/api/credentials/relay')).status).toBe(204)
  expect(await world.ask(404, 'GET', '/api/credentials/relay')).toMatchObject({ code: 'CREDENTIAL_UNKNOWN' })
})

const renewedPem = '-----BEGIN CERTIFICATE-----\nMA==\n-----END CERTIFICATE-----\n'

async function signInWorld() {
  const world = await open()
  const redirectUri = `http://localhost:${world.port}/oauth/callback`
  const twin = await startSignIn({ clock: world.clock, isAutomatic: true, tenants: [contoso([redirectUri])] })
  closing.push(() => twin.stop())
  await world.ask(201, 'POST', '/api/credentials/m365', {
    kind: 'oauth2-authorization-code',
    provider: { microsoft365: { tenant: 'contoso.com', authority: twin.origin } },
    clientId: contosoClientId,
    clientSecret: contosoSecret,
    loginHint: 'svc@contoso.com',
  })
  /** A browser: follows redirects and keeps the hub's cookies. */
  async function browse(url: string, cookies: Map<string, string> = new Map()): Promise<Response> {
    let target = url.replace('//localhost:', '//127.0.0.1:')
    for (let hop = 0; hop < 8; hop++) {
      const cookie = [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
      const response = await fetch(target, { redirect: 'manual', headers: cookie ? { cookie } : {} })
      for (const set of response.headers.getSetCookie()) {
        const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(set) ?? []
        cookies.set(name, value)
      }
      const location = response.headers.get('location')
      if (location === null) return response
      await response.body?.cancel()
      target = new URL(location, target).href.replace('//localhost:', '//127.0.0.1:')
    }
    throw new Error('too many redirects')
  }
  return { ...world, browse, twin }
}

test('nobody is sent to a sign-in for a credential that needs none', async () => {
  const world = await open()
  await world.ask(201, 'POST', '/api/credentials/sap', { kind: 'basic', user: 'hub', password: 'geheim' })
  const refused = await world.ask(409, 'POST', '/api/credentials/sap/authorise')
  expect(refused).toMatchObject({ code: 'CREDENTIAL_NOT_BY_SIGN_IN', title: expect.stringContaining('of kind basic') })
})

test('a person signs in through the browser, and the credential is authorised', async () => {
  const world = await signInWorld()
  const before = await world.ask(200, 'GET', '/api/credentials/m365')
  expect(before).toMatchObject({ status: { state: 'needs-authorisation' } })
  const { url } = await world.ask(200, 'POST', '/api/credentials/m365/authorise')
  const page = await world.browse(String(url))
  const html = await page.text()
  expect(page.status).toBe(200)
  expect(html).toContain('The credential m365 is authorised by svc@contoso.com.')
  expect(page.headers.get('content-security-policy')).toMatch(/^default-src 'none'; style-src 'sha256-/)
  expect(await world.ask(200, 'GET', '/api/credentials/m365')).toMatchObject({
    status: { state: 'ready', user: 'svc@contoso.com' },
  })
  const again = await world.browse(String(url))
  expect([again.status, await again.text()]).toEqual([410, expect.stringContaining('used already')])
})

test('a sign-in that ends in another browser, or was never begun, is refused and says what to do', async () => {
  const world = await signInWorld()
  const { url } = await world.ask(200, 'POST', '/api/credentials/m365/authorise')
  const start = await fetch(String(url).replace('localhost', '127.0.0.1'), { redirect: 'manual' })
  const stolen = await world.browse(start.headers.get('location') ?? '')
  expect([stolen.status, await stolen.text()]).toEqual([409, expect.stringContaining('another browser')])
  const forged = await world.browse(`${world.url}/oauth/callback?code=x&state=<script>`)
  const html = await forged.text()
  expect(html).toContain('CREDENTIAL_SIGN_IN_UNKNOWN')
  expect(html).not.toContain('<script>')
})

test('health says which link is down, and readiness follows the hub', async () => {
  const world = await open()
  expect(await (await fetch(`${world.url}/healthz`)).json()).toEqual({ status: 'ok' })
  expect((await fetch(`${world.url}/readyz`)).status).toBe(200)
  world.setReady(false)
  expect((await fetch(`${world.url}/readyz`)).status).toBe(503)
  expect(await world.ask(200, 'GET', '/api/health')).toMatchObject({
    status: 'ok',
    flows: [{ name: 'orders', state: 'running' }],
  })
  await world.ask(200, 'POST', '/api/flows/orders/stop')
  await world.ask(200, 'POST', '/api/flows/orders/start')
  expect(await world.ask(200, 'GET', '/api/hub')).toMatchObject({ stage: 'test', flows: 1 })
})

test('a flow of which only messages are left is listed with them, and health says that its document is gone', async () => {
  const world = await open({ engine: { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] } })
  await world.engine().start({ ...world.flow, name: 'vanished' })
  const { id } = await world.accept('left over')
  await world.engine().idle()
  await world.engine().stop('vanished')
  const counts = { setAside: 1, queued: 0 }
  const { flows } = await world.ask(200, 'GET', '/api/flows')
  expect(flows).toContainEqual(expect.objectContaining({ name: 'vanished', state: 'gone', shouldRun: false }))
  expect(await world.ask(200, 'GET', '/api/flows/vanished')).toMatchObject({ state: 'gone', counts })
  expect(await world.ask(200, 'GET', '/api/health')).toMatchObject({
    status: 'degraded',
    flows: [{ name: 'orders' }, { name: 'vanished', state: 'gone', counts }],
  })
  await world.ask(200, 'POST', `/api/messages/${id}/skip`, { reason: 'nobody wants it' })
  expect(await world.ask(200, 'GET', '/api/health')).toMatchObject({ status: 'ok', flows: [{ name: 'orders' }] })
  expect(await world.ask(404, 'GET', '/api/flows/never-was')).toMatchObject({ code: 'API_FLOW_UNKNOWN' })
})

test('alerts are listed and acknowledged, and health shows them', async () => {
  const world = await open()
  world.failed.push({
    name: 'broken',
    since: 0,
    error: { code: 'X', side: 'flow', message: 'It does not lint.', next: 'Correct it.' },
  })
  await world.monitor.look()
  const { alerts } = await world.ask(200, 'GET', '/api/alerts?state=open')
  expect(alerts).toMatchObject([
    { kind: 'flow-failed', what: 'Flow broken does not run: It does not lint.', next: 'Correct it.' },
  ])
  await world.ask(200, 'POST', '/api/alerts/acknowledge', { id: 'flow-failed:broken' })
  expect(await world.ask(200, 'GET', '/api/health')).toMatchObject({
    status: 'degraded',
    alerts: [{ acknowledged: { by: 'admin@127.0.0.1' } }],
  })
  expect(await world.ask(404, 'POST', '/api/alerts/acknowledge', { id: 'none' })).toMatchObject({
    code: 'ALERT_UNKNOWN',
  })
})

test('the metrics are Prometheus text', async () => {
  const world = await open()
  await world.accept('x')
  await world.engine().idle()
  const response = await world.call('GET', '/metrics')
  expect(response.headers.get('content-type')).toMatch(/^text\/plain/)
  expect(await response.text()).toContain('isthmus_delivery_delivered_total{flow="orders"} 1')
})

test('the log is followed as it grows, filtered by flow and level', async () => {
  const world = await open()
  world.logBook.log.info('before', { flow: 'orders' })
  const response = await world.call('GET', '/api/log?follow=true&flow=orders&level=debug')
  const reader = response.body?.pipeThrough(new TextDecoderStream()).getReader()
  world.logBook.log.debug('delivery.accepted', { flow: 'orders', delivery: 'D1' })
  world.logBook.log.info('other', { flow: 'invoices' })
  world.logBook.log.warn('delivery.failed', { flow: 'orders', text: `token ${world.token}` })
  let text = ''
  for (let reads = 0; reads < 10 && !text.includes('delivery.failed'); reads++)
    text += (await reader?.read())?.value ?? ''
  const events = [...text.matchAll(/^data: (.*)$/gm)].map(
    match => (JSON.parse(match[1] ?? '') as { event: string }).event,
  )
  expect(events).toEqual(['before', 'delivery.accepted', 'delivery.failed'])
  expect(text).not.toContain(world.token)
  await reader?.cancel()
})

test('the OpenAPI document describes every route', async () => {
  const world = await open()
  const document = (await world.openapi()) as {
    paths: Record<string, Record<string, { operationId?: string }>>
    openapi: string
  }
  expect(document.openapi).toBe('3.1.0')
  const ids = Object.values(document.paths).flatMap(path => Object.values(path).map(({ operationId }) => operationId))
  expect([new Set(ids).size, ids.includes(undefined)]).toEqual([ids.length, false])
  expect(Object.keys(document.paths)).toEqual(
    expect.arrayContaining([
      '/api/flows',
      '/api/messages/{id}/repair',
      '/api/credentials/{name}',
      '/api/alerts',
      '/metrics',
      '/healthz',
    ]),
  )
  expect(await world.ask(200, 'GET', '/api/openapi.json')).toEqual(JSON.parse(JSON.stringify(document)))
})

test('a program that is generated from the OpenAPI document reads every answer', async () => {
  const world = await open()
  const document = await world.openapi()
  const references = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map(([, path = '']) => path)
  const there = (path: string) => path.split('/').reduce<unknown>((at, key) => at?.[key as keyof typeof at], document)
  expect(references.filter(path => there(path) === undefined)).toEqual([])

  interface Operation {
    readonly responses: Record<string, { readonly content?: Record<string, unknown> }>
  }
  const { paths } = document as { paths: Record<string, Record<string, Operation>> }
  const typesOf = (path: string, method: string, status: string) =>
    Object.keys(paths[path]?.[method]?.responses[status]?.content ?? {})
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { responses }] of Object.entries(operations)) {
      expect([path, method, ...typesOf(path, method, '4XX')]).toEqual([path, method, 'application/problem+json'])
      if (responses['204']) expect([path, method, ...typesOf(path, method, '204')]).toEqual([path, method])
    }
  }
  expect(typesOf('/metrics', 'get', '200')).toEqual(['text/plain'])
  expect(typesOf('/api/messages/{id}/body', 'get', '200')).toEqual(['application/octet-stream'])
  expect(typesOf('/api/log', 'get', '200')).toEqual(['application/json', 'text/event-stream'])
})
