import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { expect, onTestFinished, test } from 'vitest'
import { FormBrowser } from '../../src/auth/token-server/log-in/browser-world.ts'
import { type Hub, type HubOptions, startHub } from '../../src/main.ts'
import { freePorts } from '../foreign/servers/wait.ts'

const password = 'correct horse battery'

test('a real provider vouches for an administrator: here the token server of a hub itself', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-sign-in-'))
  const [adminPort = 0, issuerPort = 0] = await freePorts(2)
  const adminUrl = `http://127.0.0.1:${adminPort}`
  const issuer = `http://127.0.0.1:${issuerPort}`
  const options = {
    dataFolder: folder,
    stage: 'test',
    flowFiles: [],
    admin: { host: '127.0.0.1', port: adminPort },
    endpoints: { host: '127.0.0.1', port: issuerPort, url: issuer },
    publicUrl: adminUrl,
    log: { level: 'error', format: 'json', output: new Writable({ write: (_chunk, _encoding, done) => done() }) },
  } satisfies HubOptions
  let hub: Hub = await startHub(options)
  onTestFinished(async () => {
    await hub.close()
    rmSync(folder, { recursive: true, force: true })
  })
  for (const name of ['anna', 'uwe']) await hub.people.create({ name, password, roles: [] })
  const client = await hub.serviceUsers.createInstance({
    name: 'console',
    parameters: { 'grant-types': ['authorization_code'], 'redirect-uris': [`${adminUrl}/oauth/administrator`] },
  })
  const { document } = await hub.serviceUsers.createKey(client.id, { name: 'first' })
  await hub.credentials.create('sign-in', { kind: 'secret', secret: document.oauth.clientsecret ?? '' })
  await hub.close()
  const signIn = {
    issuer,
    clientId: client.clientId,
    credential: 'sign-in',
    scopes: [],
    nameClaim: 'sub',
    // A provider without groups: people by their names.
    groupsClaim: 'sub',
    roles: { anna: ['AuthGroup.ReadOnly'] },
  }
  hub = await startHub({ ...options, signIn })

  async function logIn(browser: FormBrowser, user: string) {
    let page = await browser.open(`${adminUrl}/api/session/sign-in`)
    if (page.text.includes('name="password"')) page = await browser.send(page, { user, password })
    if (page.text.includes('Allow access?')) page = await browser.send(page, {})
    return page
  }

  const browser = new FormBrowser(adminUrl, [issuer])
  expect((await logIn(browser, 'anna')).text).toContain('You are logged in as anna.')
  expect((await browser.open(`${adminUrl}/api/flows`)).text).toBe('{"flows":[]}')
  expect((await browser.open(`${adminUrl}/api/audit`)).status).toBe(403)
  const [entry] = await hub.store.auditLog({ limit: 1 })
  expect(entry).toMatchObject({ who: 'oidc:anna@127.0.0.1', action: 'session.begin' })

  const stranger = new FormBrowser(adminUrl, [issuer])
  expect((await logIn(stranger, 'uwe')).text).toContain('ADMIN_SIGN_IN_WITHOUT_ROLE')
  expect((await stranger.open(`${adminUrl}/api/flows`)).status).toBe(401)

  // A hub that trusts the provider no more ends what it vouched for.
  await hub.close()
  hub = await startHub(options)
  expect((await browser.open(`${adminUrl}/api/flows`)).status).toBe(401)
}, 120_000)
