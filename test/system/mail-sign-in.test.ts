import { afterEach, describe, expect, test } from 'vitest'
import { MINUTE } from '../../src/kernel/time.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { Browser, type Page } from './browser.ts'
import { hurriedClock } from './hurried-clock.ts'
import { delegate, invoices, type MailWorld, mail, mailWorld, orders, pause, stopWorlds } from './mail-world.ts'

afterEach(stopWorlds)

interface CredentialView {
  readonly settings: object
  readonly secrets: readonly string[]
  readonly status: {
    readonly state: string
    readonly user?: string
    readonly expiresAt?: string
    readonly error?: { readonly code: string; readonly message: string; readonly next: string }
  }
}

const statusOf = async (world: MailWorld) =>
  (await world.ask<CredentialView>('GET', '/api/credentials/m365-mail')).status

/** A hub whose credential nobody has signed in for, and people who must see the pages. */
async function signInWorld(options: Parameters<typeof mailWorld>[0] & { readonly usersMayConsent?: boolean } = {}) {
  const { usersMayConsent = true, ...rest } = options
  const world = await mailWorld({
    credential: 'none',
    ...rest,
    signIn: { isAutomatic: false, tenants: [{ ...contoso(), usersMayConsent }], ...rest.signIn },
  })
  await world.ask('POST', '/api/credentials/m365-mail', world.credentialInput)
  return world
}

/** The link that the hub gives to whoever asked, opened: the account page of the sign-in server. */
async function begin(world: MailWorld, browser: Browser): Promise<Page> {
  const { url, redirectUri } = await world.ask<{ url: string; redirectUri: string }>(
    'POST',
    '/api/credentials/m365-mail/authorise',
  )
  world.signIn.allowRedirect(redirectUri)
  return browser.open(url)
}

async function signIn(world: MailWorld, account = delegate, browser = new Browser()): Promise<Page> {
  const page = await browser.submit(await begin(world, browser), { account })
  return page.html.includes('name="answer"') ? browser.submit(page, { answer: 'accept' }) : page
}

describe('a person signs in by the browser', () => {
  test('page by page; own and shared mailboxes are read with the token of the delegate from then on', async () => {
    const world = await signInWorld({ flows: [{ imap: { user: [delegate, invoices], every: '1h' } }] })
    await world.until('the mailbox to wait for a sign-in', async () => {
      const { error } = await world.link(delegate, 'down')
      return error?.code === 'CREDENTIAL_NOT_AUTHORISED'
    })
    expect((await statusOf(world)).state).toBe('needs-authorisation')
    world.exchange.deliver(delegate, mail('to myself'))
    world.exchange.deliver(invoices, mail('invoice 1'))

    const browser = new Browser()
    const account = await begin(world, browser)
    expect(account.html).not.toContain('<script')
    const consent = await browser.submit(account, { account: delegate })
    expect(consent.text).toContain('Isthmus mail would like to')
    const end = await browser.submit(consent, { answer: 'accept' })
    expect(end.status).toBe(200)
    expect(end.text).toContain(`The credential m365-mail is authorised by ${delegate}.`)

    const asked = browser.visited.find(({ pathname }) => pathname.endsWith('/authorize'))?.searchParams
    expect(asked?.get('code_challenge_method')).toBe('S256')
    expect(asked?.get('code_challenge')).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(asked?.get('state')).toMatch(/^[A-Za-z0-9_-]{43}$/)
    expect(asked?.get('scope')?.split(' ')).toEqual(
      expect.arrayContaining([
        'offline_access',
        'https://outlook.office.com/IMAP.AccessAsUser.All',
        'https://outlook.office.com/SMTP.Send',
      ]),
    )
    // What waited for the sign-in goes at once.
    await world.reached(2)
    expect(world.arrived().toSorted()).toEqual(['invoice 1', 'to myself'])
    const status = await statusOf(world)
    expect(status).toMatchObject({ state: 'ready', user: delegate })
    expect(Date.parse(status.expiresAt ?? '')).toBeGreaterThan(Date.now() + 50 * MINUTE)
  })

  test('nobody may consent but an administrator: the page, the status and the link say so; then it works', async () => {
    const world = await signInWorld({ usersMayConsent: false })
    const refused = await signIn(world)
    expect(refused.status).not.toBe(200)
    expect(refused.text).toContain('only an administrator may grant these permissions')
    const status = await statusOf(world)
    expect(status.state).toBe('consent-missing')
    expect(status.error?.next).toContain(`${world.signIn.origin}/contoso.com/adminconsent?client_id=${contosoClientId}`)
    world.signIn.grantAdminConsent()
    expect((await signIn(world)).text).toContain('is authorised by')
    await world.link(orders, 'up')
    expect((await statusOf(world)).state).toBe('ready')
  })

  test('who declines reads that nothing was granted', async () => {
    const world = await signInWorld()
    const browser = new Browser()
    const consent = await browser.submit(await begin(world, browser), { account: delegate })
    const end = await browser.submit(consent, { answer: 'cancel' })
    expect(end.text).toContain('the person declined to consent')
    expect((await statusOf(world)).state).toBe('consent-missing')
  })

  test('somebody without rights signs in: the mailbox says whose turn it is', async () => {
    const world = await signInWorld()
    await signIn(world, 'stranger@contoso.com')
    const { error } = await world.until('the answer of Exchange', async () => {
      const link = await world.link(orders, 'down')
      return link.error?.code === 'IMAP_CONNECTED_NOT_AUTHORISED' ? link : undefined
    })
    expect(error?.next).toContain(`FullAccess on ${orders}`)
  })

  test('a redirect with another state, in another browser, or a second time is refused', async () => {
    const world = await signInWorld()
    const browser = new Browser()
    const consent = await browser.submit(await begin(world, browser), { account: delegate })
    // The person accepts, and the redirect is caught before it reaches the hub.
    const ticket = /name="ticket" value="([^"]*)"/.exec(consent.html)?.[1] ?? ''
    const action = /action="([^"]*)"/.exec(consent.html)?.[1] ?? ''
    const accepted = await fetch(new URL(action, consent.url), {
      method: 'POST',
      redirect: 'manual',
      body: new URLSearchParams({ ticket, answer: 'accept' }),
    })
    const callback = new URL(accepted.headers.get('location') ?? '')

    const forged = new URL(callback)
    forged.searchParams.set('state', 'x'.repeat(43))
    expect((await browser.open(forged)).text).toContain('This sign-in is not expected')
    expect((await new Browser().open(callback)).text).toContain('begun in another browser')
    expect((await statusOf(world)).state).toBe('needs-authorisation')
    expect((await browser.open(callback)).text).toContain('is authorised by')
    expect((await browser.open(callback)).text).toContain('This sign-in is not expected')
    expect((await statusOf(world)).state).toBe('ready')
  })

  test('the link to sign in works once', async () => {
    const world = await signInWorld()
    const { url } = await world.ask<{ url: string }>('POST', '/api/credentials/m365-mail/authorise')
    await new Browser().open(url)
    const again = await new Browser().open(url)
    expect(again.text).toContain('was used already or is older than ten minutes')
    expect(again.text).toContain('API_TICKET_UNKNOWN')
  })
})

describe('an application signs in by itself', () => {
  async function appWorld() {
    const app = { fullAccess: [contosoClientId] }
    const world = await mailWorld({ credential: 'none', exchange: { mailboxes: { [orders]: app, [invoices]: {} } } })
    const input = {
      kind: 'oauth2-client-credentials',
      provider: { microsoft365: { tenant: 'contoso.com', authority: world.signIn.origin } },
      clientId: contosoClientId,
    }
    return { world, input }
  }

  test('app-only, after an administrator consented and Exchange knows the service principal', async () => {
    const { world, input } = await appWorld()
    world.signIn.grantAdminConsent()
    await world.ask('POST', '/api/credentials/m365-mail', { ...input, clientSecret: contosoSecret })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    expect(await statusOf(world)).toMatchObject({ state: 'ready' })
  })

  test('without that consent Exchange opens nothing, and the reason names the permission', async () => {
    const { world, input } = await appWorld()
    await world.ask('POST', '/api/credentials/m365-mail', { ...input, clientSecret: contosoSecret })
    world.exchange.deliver(orders, mail('order 1'))
    const { error } = await world.until('the refusal', async () => {
      const link = await world.link(orders, 'down')
      return link.error?.code === 'IMAP_CONNECTED_NOT_AUTHORISED' ? link : undefined
    })
    expect(error?.next).toContain('IMAP.AccessAsApp')
    world.signIn.grantAdminConsent()
    await world.ask('PUT', '/api/credentials/m365-mail', input)
    await world.reached(1)
  })

  test('with a wrong secret: the status says which value is wanted; with the right one the mailbox is read at once', async () => {
    const { world, input } = await appWorld()
    world.signIn.grantAdminConsent()
    await world.ask('POST', '/api/credentials/m365-mail', { ...input, clientSecret: 'the-id-not-the-value' })
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the refusal', async () => (await statusOf(world)).state === 'refused')
    expect((await statusOf(world)).error?.next).toContain('Enter the value of the secret (not its id)')
    await world.ask('PUT', '/api/credentials/m365-mail', { ...input, clientSecret: contosoSecret })
    await world.reached(1)
    expect((await statusOf(world)).state).toBe('ready')
  })
})

describe('tokens come of age', () => {
  test('each refresh token is used once, also over restarts of the hub', async () => {
    const world = await mailWorld({ signIn: { accessTokenMs: 1_500 } })
    for (const round of [1, 2, 3]) {
      world.exchange.deliver(orders, mail(`order ${round}`))
      await world.reached(round)
      // Long enough that the token held now is renewed in the background.
      await pause(1_100)
      await world.restart()
    }
    world.exchange.deliver(orders, mail('order 4'))
    await world.reached(4)
    const refreshes = world.signIn.requests.filter(({ grant }) => grant === 'refresh_token')
    expect(refreshes.length).toBeGreaterThanOrEqual(4)
    expect(refreshes.filter(({ status }) => status !== 200)).toEqual([])
    expect(new Set(refreshes.map(({ refreshToken }) => refreshToken)).size).toBe(refreshes.length)
    expect(world.arrived()).toEqual(['order 1', 'order 2', 'order 3', 'order 4'])
  })

  test('a session is renewed before its token ends, so that nobody notices', async () => {
    const clock = hurriedClock(60)
    const world = await mailWorld({ clock, signIn: { accessTokenMs: 90_000 }, flows: [slowly] })
    await world.link(orders, 'up')
    await pause(3_000)
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    expect(world.exchange.commands.filter(({ line }) => line.startsWith('AUTHENTICATE')).length).toBeGreaterThan(2)
    expect(world.log.filter(line => line.includes('link.down'))).toEqual([])
  })

  test('ended by the server in mid session: a fresh token, a new session, and no mail lost or doubled', async () => {
    const clock = hurriedClock(60)
    const world = await mailWorld({ clock, flows: [slowly] })
    await world.link(orders, 'up')
    await pause(1_200)
    world.signIn.setFaults({ expireTokens: true })
    world.exchange.setFaults({ tokenExpired: true })
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    await world.emptied()
    expect(world.log.join('')).toContain('imap.token-expired')
    expect(world.log.filter(line => line.includes('link.down'))).toEqual([])
    expect(world.s4.received).toHaveLength(1)
  })

  test('ended as soon as it has begun: that is shown, and the next session goes on', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    world.exchange.setFaults({ tokenExpired: true })
    const { error } = await world.link(orders, 'down')
    expect(error?.code).toBe('IMAP_TOKEN_EXPIRED')
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
  })

  test('authenticated but not connected: no refresh in a circle, and no haste', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    world.exchange.setFaults({ notConnected: { times: 1_000 } })
    world.exchange.dropConnections()
    await world.until('the refusal', async () => {
      const { error } = await world.link(orders, 'down')
      return error?.code === 'IMAP_CONNECTED_NOT_AUTHORISED'
    })
    const logIns = () => world.exchange.commands.filter(({ line }) => line.startsWith('AUTHENTICATE')).length
    const [before, refreshes] = [logIns(), world.signIn.requests.length]
    await pause(1_500)
    expect([logIns(), world.signIn.requests.length]).toEqual([before, refreshes])
    // Somebody gave the right, and says so by starting the flow again.
    world.exchange.clearFaults()
    world.exchange.deliver(orders, mail('order 1'))
    await world.ask('POST', '/api/flows/mail/start')
    await world.reached(1)
  })

  test('a refresh token that was revoked: mailbox and alert wait for a person, who signs in again', async () => {
    const world = await signInWorld({ hub: { alertPolicy: { lookEveryMs: 200 } } })
    await signIn(world)
    await world.link(orders, 'up')
    world.signIn.setFaults({ revokeRefreshTokens: true, expireTokens: true })
    world.exchange.dropConnections()
    world.exchange.deliver(orders, mail('order 1'))
    await world.until('the refusal', async () => (await statusOf(world)).state === 'needs-authorisation')
    // An alert of the time before the first sign-in may still be open.
    const alert = await world.alert('credential')
    expect(alert.what).toContain('Credential m365-mail cannot be used')
    expect(world.s4.received).toEqual([])
    await signIn(world)
    await world.reached(1)
    expect(await statusOf(world)).toMatchObject({ state: 'ready', user: delegate })
  })

  test('a sign-in server that is busy or away for a moment is asked again', async () => {
    const world = await mailWorld()
    await world.link(orders, 'up')
    world.signIn.setFaults({ expireTokens: true, throttle: { times: 1, retryAfterS: 1 }, unavailable: { times: 1 } })
    world.exchange.dropConnections()
    world.exchange.deliver(orders, mail('order 1'))
    await world.reached(1)
    expect((await statusOf(world)).state).toBe('ready')
  })
})

describe('secrets', () => {
  test('stand in no answer and in no line of the log', async () => {
    const world = await mailWorld()
    world.exchange.setFaults({ refuseLogin: { times: 100 }, challengeRefusals: true })
    world.exchange.dropConnections()
    world.exchange.deliver(orders, mail('order 1'))
    await world.link(orders, 'down')
    const credential = await world.ask<CredentialView>('GET', '/api/credentials/m365-mail')
    expect(credential.secrets).toEqual(['clientSecret'])
    const value = await world.hub.credentials.lookup('m365-mail')
    const token = value.kind === 'oauth2' ? (await value.token()).value : ''
    expect(token.length).toBeGreaterThan(100)
    const shown = `${JSON.stringify(credential)}${world.log.join('')}`
    for (const secret of [contosoSecret, token, world.hub.adminToken]) expect(shown).not.toContain(secret)
  })

  test('a delivery that waits for a right password goes at once when it is there', async () => {
    const world = await mailWorld({
      s4: { users: { hub: 'right' } },
      flows: [{ smtp: { auth: 's4-user' }, delivery: { retry: { every: '1m', 'up-to': '1h', for: '2d' } } }],
    })
    const basic = { kind: 'basic', user: 'hub' }
    await world.ask('POST', '/api/credentials/s4-user', { ...basic, password: 'wrong' })
    for (const number of [1, 2]) world.exchange.deliver(orders, mail(`order ${number}`))
    const waiting = await world.until('both to wait', async () => {
      const found = await world.find('state=queued')
      return found.length === 2 && found.every(({ error }) => error) ? found : undefined
    })
    expect(waiting.map(({ error }) => error?.code)).toEqual(['SMTP_AUTH_REFUSED', 'SMTP_AUTH_REFUSED'])
    await world.ask('PUT', '/api/credentials/s4-user', { ...basic, password: 'right' })
    await world.reached(2)
    await world.emptied()
  })
})

/** In a clock that runs 60 times as fast a timeout of five minutes is five seconds. */
const slowly = { imap: { every: '10m', timeout: '5m' } }
