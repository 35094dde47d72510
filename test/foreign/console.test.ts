import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { totpCode } from '../../src/auth/administrators/totp.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { stopWorlds } from '../system/mail-world.ts'
import {
  type ConsoleWorld,
  choose,
  consoleWorld,
  mailboxCount,
  openPage,
  openPath,
  password,
  patienceMs,
  question,
  signIn,
  stranger,
  type Tab,
} from './console-world.ts'
import { type Chromium, startChromium } from './servers/chromium.ts'
import { describeForeign } from './servers/needs.ts'
import { waitFor } from './servers/wait.ts'

// Those who are called at night, in a real browser, with a real hub between the twins.

const hostile = '<img src=x onerror=alert(1)>'

describeForeign('the web console in Chromium', ['chromium'], () => {
  let chromium: Chromium
  let world: ConsoleWorld
  let pages: Page[] = []

  beforeAll(async () => {
    chromium = await startChromium()
    world = await consoleWorld()
  })
  afterAll(async () => {
    await chromium?.stop()
    await stopWorlds()
  })
  afterEach(async () => {
    for (const page of pages) await page.context().close()
    pages = []
    // Neither did the policy refuse anything, nor did a script fail, nor was anybody else asked for anything.
    expect(chromium.takeTroubles()).toEqual([])
  })

  async function visit(path = '/', options: Parameters<Chromium['visit']>[1] = {}): Promise<Page> {
    const page = await chromium.visit(`${world.url}${path}`, options)
    pages.push(page)
    return page
  }

  /** An administrator of these roles who has signed in. */
  async function visitAs(name: string, path = '/', options: Parameters<Chromium['visit']>[1] = {}): Promise<Page> {
    const page = await visit(`/console${path}`, { ...options, storageState: await world.signedIn(name) })
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    return page
  }

  const setAside: ConsoleWorld['setAside'] = (...mail) => world.setAside(...mail)

  test('the setup token makes the first administrator, who signs out, mistypes, and signs in again', async () => {
    const page = await visit(`/console/#${world.setupToken}`)
    expect(await page.getByLabel('Setup token').inputValue()).toBe(world.setupToken)
    expect(page.url()).not.toContain('setup_')
    await page.getByLabel('Your name').fill('anna.berg')
    await page.getByLabel('Password').fill('short')
    await page.getByRole('button', { name: 'Make me the first administrator' }).click()
    await page.getByRole('alert').getByText('Next step').waitFor()
    await page.getByLabel('Password').fill(password)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()

    await page.getByRole('button', { name: 'anna.berg: look and sign-out' }).click()
    await page.getByText('Sign Out').click()
    await page.getByLabel('Name', { exact: true }).fill('anna.berg')
    await page.getByLabel('Password', { exact: true }).fill('wrong')
    await page.getByRole('button', { name: 'Sign in', exact: true }).click()
    await page.getByRole('alert').getByText('ADMIN_LOGIN_REFUSED').waitFor()
    await signIn(page, 'anna.berg')
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
  })

  test('who sets up an authenticator gets in with its code only, back to the page that was left', async () => {
    await world.administrator('olga', ['Operator'])
    const page = await visitAs('olga', '/flows')
    await page.getByRole('button', { name: 'olga: look and sign-out' }).click()
    await page.locator('ui5-user-menu-item[text="Your account"]').click()
    await page.getByRole('button', { name: 'Set up an authenticator' }).click()
    const secret = ((await page.locator('.secret').textContent()) ?? '').replaceAll(' ', '')
    await page.getByLabel('The code that it shows now').fill(totpCode(secret, Date.now()))
    await page.getByRole('button', { name: 'Confirm' }).click()
    await page.getByRole('button', { name: 'I have kept them' }).waitFor()
    const codes = await page.getByRole('list', { name: 'Recovery codes' }).getByRole('listitem').allTextContents()
    expect(codes).toHaveLength(10)
    await page.getByRole('button', { name: 'I have kept them' }).click()
    await page.getByRole('region', { name: 'Authenticator' }).getByText('10 codes left').waitFor()
    expect(await page.content()).not.toContain(codes[0])
    await openPage(page, 'Flows')
    await page.getByRole('button', { name: 'olga: look and sign-out' }).click()
    await page.getByText('Sign Out').click()
    await signIn(page, 'olga')
    await page.getByRole('alert').getByText('Next step').waitFor()
    // Each code counts once; the one of the next half minute is let in already.
    await signIn(page, 'olga', totpCode(secret, Date.now() + 30_000))
    await page.getByRole('heading', { level: 1, name: 'Flows' }).waitFor()

    // The phone is lost.
    await page.getByRole('button', { name: 'olga: look and sign-out' }).click()
    await page.getByText('Sign Out').click()
    await signIn(page, 'olga', codes[0])
    await page.getByRole('heading', { level: 1, name: 'Flows' }).waitFor()
    await page.getByRole('button', { name: 'olga: look and sign-out' }).click()
    await page.locator('ui5-user-menu-item[text="Your account"]').click()
    const card = page.getByRole('region', { name: 'Authenticator' })
    await card.getByText('9 codes left').waitFor()
    await card.getByLabel('Code of your authenticator').fill(codes[1] ?? '')
    await card.getByRole('button', { name: 'New recovery codes' }).click()
    await card.getByRole('button', { name: 'I have kept them' }).waitFor()
    const others = await card.getByRole('listitem').allTextContents()
    expect([others.length, others.filter(code => codes.includes(code))]).toEqual([10, []])
    await card.getByRole('button', { name: 'I have kept them' }).click()
    await card.getByText('10 codes left').waitFor()
  })

  test('a message that was set aside is found within three clicks, understood, repaired and delivered', async () => {
    const text = '--b\r\n\r\nThe order\r\n<script>alert(2)</script>\r\n.\r\n'
    const file = `--b\r\nContent-Disposition: attachment; filename="${hostile}.pdf"\r\n\r\n%PDF\r\n--b--\r\n`
    const parts = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b']
    const id = await setAside(hostile, text + file, parts)
    const page = await visitAs('anna.berg')
    // First click: what the overview says. Second: the message.
    await page.getByRole('link', { name: 'See the messages that were set aside' }).click()
    await page.locator(`a[href$="/messages/${id}"]`).click()
    const wrong = page.getByRole('region', { name: 'What is wrong' })
    await wrong.getByText('refused the recipient orders@s4.example').waitFor()
    await wrong.getByText('The receiving side, or whoever keeps its credential.').waitFor()
    await wrong.getByText('SMTP_RECIPIENT_REFUSED').waitFor()
    // What the world sent stays text: in the title, in the answer of the server, in headers and body.
    await page.getByRole('heading', { level: 1, name: hostile }).waitFor()
    await wrong.getByText('<b>relaying</b> denied').waitFor()
    await page.getByRole('button', { name: 'Show content' }).click()
    await page.getByText('<script>alert(2)</script>').waitFor()
    await page.getByText(`filename="${hostile}.pdf"`).waitFor()
    const downloaded = page.waitForEvent('download')
    await page.getByRole('link', { name: 'Download' }).click()
    expect((await downloaded).suggestedFilename()).toMatch(/^mail-\d{4}-[-T\d.]+Z\.eml$/)

    await page.getByRole('button', { name: 'Repair', exact: true }).click()
    const body = question(page).getByLabel('Body', { exact: true })
    await body.fill((await body.inputValue()).replace('The order', 'The corrected order'))
    await question(page).getByRole('button', { name: 'Repair and send on' }).click()
    await page.getByRole('region', { name: 'Journey' }).getByText('Delivered', { exact: true }).waitFor()
    const octets = world.s4.received.at(-1)?.octets?.toString('latin1') ?? ''
    expect(octets).toContain(`\r\n\r\n${text.replace('The order', 'The corrected order')}${file}`)
    await page.getByRole('tab', { name: 'As it came in' }).click()
    expect((await world.detail(id)).original).toBeDefined()
    await openPage(page, 'Log')
    await page.getByText('<b>relaying</b> denied').first().waitFor()
  })

  test('letters that a subject turns around are not read the other way', async () => {
    const id = await setAside('=?utf-8?Q?invoice_=E2=80=AEfdp.exe?=', 'Please open')
    const page = await visitAs('anna.berg', `/messages/${id}`)
    await page.getByRole('heading', { level: 1, name: String.raw`invoice \u202Efdp.exe` }).waitFor()
    expect(await page.content()).not.toContain('\u202E')
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'seen' })
  })

  test('a message is found by its Message-ID and replayed; what that means is said before', async () => {
    const id = await setAside('Order 4711', 'Ten pieces')
    const page = await visitAs('anna.berg', '/messages')
    await page.getByLabel('Id or key').fill('<Order-4711@adatum.example>')
    await page.keyboard.press('Enter')
    await page.locator(`a[href$="/messages/${id}"]`).click()
    await page.getByRole('button', { name: 'Replay', exact: true }).click()
    await question(page).getByText('What has a receipt is not done a second time').waitFor()
    await question(page).getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('region', { name: 'Journey' }).getByText('Delivered', { exact: true }).waitFor()
    expect(world.arrived()).toContain('Order 4711')
    // Its id leads to it, too.
    await openPage(page, 'Messages')
    await page.getByLabel('Id or key').fill(id.toLowerCase())
    await page.getByRole('button', { name: 'Find' }).click()
    await page.getByRole('heading', { level: 1, name: 'Order 4711' }).waitFor()
  })

  test('a message is skipped with a reason, which is kept', async () => {
    const id = await setAside('Order 4712', 'Nobody wants it')
    const page = await visitAs('anna.berg', `/messages/${id}`)
    await page.getByRole('button', { name: 'Skip', exact: true }).click()
    expect(await question(page).getByRole('button', { name: 'Skip' }).isDisabled()).toBe(true)
    await question(page).getByLabel('Reason').fill('ordered again by telephone')
    await question(page).getByRole('button', { name: 'Skip' }).click()
    await page.getByText('Skipped by a person').waitFor()
    const { entries } = await world.ask<{ entries: { who: string; action: string; detail: object }[] }>(
      'GET',
      '/api/audit?limit=5',
    )
    expect(entries.find(({ action }) => action === 'message.skip')).toMatchObject({
      who: 'anna.berg@127.0.0.1',
      detail: { delivery: id, reason: 'ordered again by telephone' },
    })
  })

  test('words of pages push nothing else out of sight', async () => {
    const id = await setAside('Order 4713', 'An endless answer')
    const page = await visitAs('anna.berg', `/messages/${id}`)
    const endless = 'E'.repeat(5_000)
    await page.route('**/api/health', async route => {
      const answer = await route.fetch()
      const { alerts, ...rest } = (await answer.json()) as { alerts: object[] }
      await route.fulfill({ json: { ...rest, alerts: alerts.map(alert => ({ ...alert, what: endless })) } })
    })
    await page.route('**/api/flows/*', async route => {
      const answer = await route.fetch()
      await route.fulfill({ json: { ...((await answer.json()) as object), about: endless } })
    })
    await openPage(page, 'Overview')
    const box = await page.locator('.attention .what', { hasText: endless }).first().boundingBox()
    expect(box?.height).toBeLessThan(120)
    await page.getByRole('link', { name: 'See the messages that were set aside' }).first().waitFor()
    const { flow } = await world.detail(id)
    await openPath(page, `/flows/${flow}`)
    const about = await page.locator('.about', { hasText: endless }).boundingBox()
    const { width = 0 } = page.viewportSize() ?? {}
    expect((about?.x ?? 0) + (about?.width ?? 0)).toBeLessThan(width)
    // A word that does not break stands in one line.
    expect(about?.height).toBeGreaterThan(100)
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'it was only for its words' })
  })

  test('words of an error in the log stand out from what is behind them, where it is dark, too', async () => {
    const id = await setAside('Order 4715', 'In the dark')
    const page = await visitAs('anna.berg', '/log', { colorScheme: 'dark' })
    const link = page.locator('.log-line.error a', { hasText: id }).first()
    const styleOf = (selector: string) =>
      link.evaluate((node, wanted) => {
        const { color, backgroundColor } = (globalThis as unknown as Tab).getComputedStyle(node.closest(wanted) ?? node)
        return { color, backgroundColor }
      }, selector)
    const [{ color }, line, card] = [await styleOf('a'), await styleOf('.log-line'), await styleOf('.card')]
    const behind = blend(channelsOf(line.backgroundColor), channelsOf(card.backgroundColor))
    expect(contrastOf(channelsOf(color), behind)).toBeGreaterThan(4.5)
  })

  test('where the machine chooses the colors, fields have an edge, and marks are those of their lines', async () => {
    const page = await visitAs('anna.berg', '/log', { forcedColors: 'active' })
    const styleOf = (selector: string) =>
      page
        .locator(selector)
        .first()
        .evaluate(node => {
          const { borderTopStyle, borderLeftColor, color } = (globalThis as unknown as Tab).getComputedStyle(node)
          return { borderTopStyle, borderLeftColor, color }
        })
    await page.locator('.log-line.error').first().waitFor()
    // The themes that draw edges come a moment later than the page.
    await expect.poll(async () => (await styleOf('ui5-input')).borderTopStyle).toBe('solid')
    const [marked, plain] = [await styleOf('.log-line.error'), await styleOf('.log-line.info')]
    expect(marked.borderLeftColor).toBe(marked.color)
    expect(plain.borderLeftColor).not.toBe(plain.color)
  })

  test('by keyboard alone, from the overview to a message that was set aside', async () => {
    const id = await setAside('Order 4714', 'Without a mouse')
    const page = await visitAs('anna.berg')
    await page.getByRole('link', { name: 'See the messages that were set aside' }).waitFor()
    const tabTo = async (selector: string) => {
      for (let presses = 0; presses < 40; presses++) {
        await page.keyboard.press('Tab')
        if (await page.locator(`:focus`).evaluate((node, wanted) => node.matches(wanted), selector)) break
      }
      await page.keyboard.press('Enter')
    }
    await tabTo('.skip')
    await tabTo('a[href*="state=set-aside"]')
    await page.getByRole('heading', { level: 1, name: 'Messages' }).waitFor()
    const link = `a[href$="/messages/${id}"]`
    await page.locator(link).focus()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Order 4714' }).waitFor()
  })

  test('a flow is stopped, with a word on what that means, and started; its links are checked', async () => {
    const page = await visitAs('anna.berg', '/flows')
    await page.getByRole('link', { name: 'mail', exact: true }).click()
    await page.getByText('flow":"mail"').first().waitFor()
    await page.getByRole('button', { name: 'Stop' }).click()
    await question(page).getByText('stays stopped when the hub starts anew').waitFor()
    await question(page).getByRole('button', { name: 'Stop' }).click()
    await page.getByRole('button', { name: 'Start' }).waitFor()
    expect(world.hub.engine.flows()).toEqual([])
    await page.getByRole('button', { name: 'Start' }).click()
    await page.getByRole('button', { name: 'Check links' }).click()
    await page.getByText('All were checked just now').waitFor()
  })

  test('mailboxes are activated in bulk, watched to the end, and the one that fails says why', async () => {
    const page = await visitAs('anna.berg', '/groupware')
    await page.getByRole('link', { name: 'contoso' }).first().click()
    await page.getByRole('toolbar').getByText(`all ${mailboxCount} mailboxes:`).waitFor()
    await page.getByRole('button', { name: 'Activate', exact: true }).click()
    await question(page).getByRole('button', { name: 'Activate' }).click()
    await page.locator('[data-job="done"]').waitFor({ timeout: patienceMs })
    await page.getByText(`${mailboxCount} of ${mailboxCount}`).waitFor()
    await page.getByText('1 mailbox failed').waitFor()
    await page.getByRole('link', { name: stranger }).first().click()
    const wrong = page.getByRole('region', { name: 'What is wrong' })
    await wrong.getByText('Next step').waitFor()
    await page.getByRole('heading', { level: 1, name: stranger }).waitFor()
    // The list of those in error has it alone.
    await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').click()
    await page.locator('a.figure', { hasText: 'error' }).click()
    await page.getByRole('toolbar').getByText('all 1 that fit:').waitFor()
    await page.getByRole('toolbar').getByRole('button', { name: 'Delete', exact: true }).click()
    await question(page).getByText('cannot be brought back').waitFor()
    await question(page).getByRole('button', { name: 'Delete', exact: true }).click()
    await page.getByText('No mailbox fits.').waitFor()
    const groupware = await world.hub.groupware.load()
    // The one that is being deleted is in error no more, before it is gone.
    await waitFor('it to be gone', patienceMs, () => groupware.mailboxes('contoso').length === mailboxCount - 1)
    await groupware.addList('contoso', stranger, false)
  })

  test.each([
    ['reduce', 'none'],
    ['no-preference', 'width'],
  ] as const)('where movement is asked for as %s, the bar of a job moves by %s', async (reducedMotion, moved) => {
    const { id } = await (await world.hub.groupware.load()).startJob('contoso', 'resume', [stranger])
    await (await world.hub.groupware.load()).jobEnded(id)
    const page = await visitAs('anna.berg', '/groupware/contoso', { reducedMotion })
    const bar = page.locator('ui5-progress-indicator [part="bar"]').first()
    expect(await bar.evaluate(node => (globalThis as unknown as Tab).getComputedStyle(node).transitionProperty)).toBe(
      moved,
    )
  })

  test('a credential is authorised by a sign-in in another tab, and the page shows by whom', async () => {
    const page = await visitAs('anna.berg', '/credentials')
    const card = page.getByRole('region', { name: 'm365-mail' })
    const before = await card.getByText('Authorised').locator('..').textContent()
    await card.getByRole('button', { name: 'Sign in' }).click()
    await question(page).getByText('not as yourself').waitFor()
    const opened = page.context().waitForEvent('page')
    // A browser that blocks tabs lets one be opened by a click, not by an answer that comes later.
    await page.route('**/authorise', async route => {
      await opened
      await route.continue()
    })
    await question(page).getByRole('button', { name: 'Sign in' }).click()
    const tab = await opened
    await tab.getByRole('heading', { name: 'Signed in' }).waitFor()
    await tab.getByText('The credential m365-mail is authorised by svc@contoso.com.').waitFor()
    await page.bringToFront()
    await waitFor('the page to show it', patienceMs, async () => {
      const now = await card.getByText('Authorised').locator('..').textContent()
      return now !== before
    })
  })

  test('a password that ran out is replaced, and a certificate with its key; what was typed and not sent is forgotten', async () => {
    const { credentials } = world.hub
    const [old, next] = [await makeTwinCertificate(['hub']), await makeTwinCertificate(['hub'])]
    await credentials.create('s4-user', { kind: 'basic', user: 'HUB', password: 'Initial1!', about: 'posts orders' })
    await credentials.create('s4-client', { kind: 'certificate', certificate: old.cert, privateKey: old.key })
    const page = await visitAs('anna.berg', '/credentials')

    const user = page.getByRole('region', { name: 's4-user' })
    await user.getByRole('button', { name: 'New secret' }).click()
    await question(page).getByLabel('New password').fill('never sent')
    await question(page).getByRole('button', { name: 'Cancel' }).click()
    await user.getByRole('button', { name: 'New secret' }).click()
    expect(await question(page).getByLabel('New password').inputValue()).toBe('')
    expect(await question(page).getByRole('button', { name: 'New secret' }).isDisabled()).toBe(true)
    await question(page).getByLabel('New password').fill('Renewed2!')
    await question(page).getByRole('button', { name: 'New secret' }).click()
    await page.getByText('New secret in use.').waitFor()
    expect(await credentials.lookup('s4-user')).toEqual({ kind: 'basic', user: 'HUB', password: 'Renewed2!' })

    const client = page.getByRole('region', { name: 's4-client' })
    await client.getByRole('button', { name: 'New certificate' }).click()
    await question(page).getByLabel('New certificate (PEM)').fill(next.cert)
    await question(page).getByLabel('Its private key (PEM)').fill(old.key)
    await question(page).getByRole('button', { name: 'New certificate' }).click()
    await page.getByRole('alert').getByText('the private key is of another certificate').waitFor()
    await question(page).getByLabel('Its private key (PEM)').fill(next.key)
    await question(page).getByRole('button', { name: 'Try again' }).click()
    await question(page).waitFor({ state: 'detached' })
    expect(await credentials.lookup('s4-client')).toMatchObject({ certificate: next.cert, privateKey: next.key })
    expect(await page.content()).not.toMatch(/Renewed2!|PRIVATE KEY/)
  })

  test('a credential is created, changed and deleted; what others changed meanwhile is not overwritten', async () => {
    const { credentials } = world.hub
    const page = await visitAs('anna.berg', '/credentials')
    const create = page.getByRole('button', { name: 'Create credential' })
    const dialog = question(page)
    await create.first().click()
    expect(await dialog.getByRole('button', { name: 'Create credential' }).isDisabled()).toBe(true)
    await dialog.getByLabel('Name').fill('dataverse')
    await choose(dialog, 'Kind', 'OAuth 2.0, client credentials')
    await choose(dialog, 'Where tokens come from', 'Another token server')
    await dialog.getByLabel('Token URL').fill('http://idp.example.com/token')
    await dialog.getByLabel('Client id').fill('hub-1')
    await dialog.getByLabel('Scopes').fill('orders.read orders.write')
    await dialog.getByLabel('Client secret', { exact: true }).fill('Initial1!')
    await dialog.getByText('More settings').click()
    await dialog.getByLabel('Further fields of token requests').fill('audience=orders')
    await dialog.getByRole('button', { name: 'Create credential' }).click()
    await page.getByRole('alert').getByText('only https is allowed').waitFor()
    await dialog.getByLabel('Token URL').fill('https://idp.example.com/token')
    await dialog.getByRole('button', { name: 'Try again' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(await credentials.get('dataverse')).toMatchObject({
      settings: {
        provider: { generic: { tokenUrl: 'https://idp.example.com/token' } },
        scopes: ['orders.read', 'orders.write'],
        parameters: { audience: 'orders' },
      },
      secrets: ['clientSecret'],
    })

    const card = page.getByRole('region', { name: 'dataverse' })
    await card.getByRole('button', { name: 'Change', exact: true }).click()
    expect(await dialog.getByLabel('Token URL').inputValue()).toBe('https://idp.example.com/token')
    expect(await dialog.getByRole('button', { name: 'Change' }).isDisabled()).toBe(true)
    await dialog.getByLabel('Scopes').fill('orders.all')
    await credentials.update('dataverse', {
      kind: 'oauth2-client-credentials',
      provider: { generic: { tokenUrl: 'https://idp.example.com/token' } },
      clientId: 'hub-2',
    })
    await dialog.getByRole('button', { name: 'Change' }).click()
    await page.getByRole('alert').getByText('CREDENTIAL_CHANGED_MEANWHILE').waitFor()
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await card.getByText('hub-2').waitFor({ state: 'attached' })
    await card.getByRole('button', { name: 'Change', exact: true }).click()
    await dialog.getByLabel('Scopes').fill('orders.all')
    await dialog.getByRole('button', { name: 'Change' }).click()
    await dialog.waitFor({ state: 'detached' })
    expect(await credentials.get('dataverse')).toMatchObject({
      settings: { clientId: 'hub-2', scopes: ['orders.all'] },
      secrets: ['clientSecret'],
    })

    await card.getByRole('button', { name: 'Delete' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await card.waitFor({ state: 'detached' })
    await expect(credentials.lookup('dataverse')).rejects.toThrow('dataverse')
    expect(await page.content()).not.toContain('Initial1!')
  })

  test('an organization is created with a profile of its own, tested, changed and deleted', async () => {
    const page = await visitAs('anna.berg', '/groupware')
    const dialog = question(page)
    await page.getByRole('button', { name: 'Create profile' }).click()
    await dialog.getByLabel('Name').fill('night')
    await dialog.getByText('Tasks', { exact: true }).click()
    await choose(dialog, 'Tasks: direction', 'off')
    await dialog.getByLabel('Tasks: not older than').fill('all')
    await dialog.getByText('Further rules').click()
    await dialog.getByLabel('Blocked domains and addresses').fill('gmail.com x@y.example')
    await dialog.getByRole('button', { name: 'Create profile' }).click()
    await dialog.waitFor({ state: 'detached' })

    await page.getByRole('button', { name: 'Create organization' }).click()
    await dialog.getByLabel('Name').fill('fabrikam')
    expect(await dialog.getByRole('button', { name: 'Create organization' }).isDisabled()).toBe(true)
    await dialog.getByLabel('Exchange: URL of EWS, or the root of Graph').fill('https://127.0.0.1:9/EWS/Exchange.asmx')
    await choose(dialog, 'Exchange: credential', 'exchange-impersonation')
    await dialog.getByLabel('Cloud for Customer: URL of its OData service').fill('https://127.0.0.1:9/c4codataapi/')
    await choose(dialog, 'Cloud for Customer: credential', 'c4c-technical-user')
    await choose(dialog, 'Profile', 'night')
    await dialog.getByLabel('Mailbox to test the access with').fill('anna@fabrikam.example')
    await dialog.getByRole('button', { name: 'Create organization' }).click()
    await page.getByText('fabrikam is there, but its access does not work.').waitFor()

    const { groupware } = world.hub
    const directory = await groupware.load()
    expect(directory.profile('night').rules).toEqual({
      task: { direction: 'off', past: false },
      blocked: ['gmail.com', 'x@y.example'],
    })
    expect(directory.organization('fabrikam')).toMatchObject({ access: 'ews-impersonation', profile: 'night' })

    await page.getByRole('link', { name: 'fabrikam' }).click()
    await page.getByRole('button', { name: 'Change', exact: true }).click()
    await dialog.getByLabel('What it is for').fill('Sales of Fabrikam')
    await dialog.getByRole('button', { name: 'Change' }).click()
    await page.getByText('The access does not work').waitFor()
    await page.getByText('Sales of Fabrikam').first().waitFor()
    expect(directory.organization('fabrikam')).toMatchObject({ about: 'Sales of Fabrikam', profile: 'night' })

    await page.getByRole('navigation', { name: 'Breadcrumb' }).getByRole('link').click()
    const night = page.getByRole('listitem', { name: 'night' })
    await night.getByRole('button', { name: 'Delete' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await page.getByRole('alert').getByText('fabrikam').waitFor()
    await dialog.getByRole('button', { name: 'Cancel' }).click()
    await page.getByRole('link', { name: 'fabrikam' }).click()
    await page.getByRole('button', { name: 'Delete organization' }).click()
    await dialog.getByRole('button', { name: 'Delete organization' }).click()
    await page.getByRole('heading', { level: 1, name: 'Groupware' }).waitFor()
    await night.getByRole('button', { name: 'Delete' }).click()
    await dialog.getByRole('button', { name: 'Delete' }).click()
    await night.waitFor({ state: 'detached' })
    expect(directory.organizations().map(({ name }) => name)).not.toContain('fabrikam')
  })

  test('the audit log names who changed what, as far back as anybody looks, and is verified', async () => {
    const secret = { kind: 'secret', secret: 'Very secret 1' }
    for (let count = 0; count < 60; count++) {
      await world.ask('POST', `/api/credentials/noted-${count}`, secret)
      await world.ask('DELETE', `/api/credentials/noted-${count}`)
    }
    const page = await visitAs('anna.berg', '/audit')
    const detail = (text: string) => page.getByRole('gridcell', { name: text, exact: true })
    await detail('credential=noted-59').waitFor()
    expect(await detail('credential=noted-1').count()).toBe(0)
    await page.getByRole('button', { name: 'Show older ones' }).click()
    await detail('credential=noted-1').waitFor()
    expect(await page.getByRole('button', { name: 'Show older ones' }).count()).toBe(0)
    await page.getByRole('button', { name: 'Verify' }).click()
    await page.getByText('The chain is whole').waitFor()
    expect(await page.content()).not.toContain('Very secret')
  })

  test('who may only look sees all of it, cannot act, and is told why', async () => {
    await world.administrator('rita', ['AuthGroup.ReadOnly'])
    const id = await setAside('Order 4713', 'Secret prices')
    const page = await visitAs('rita', `/messages/${id}`)
    await page.getByRole('note').getByText('DataStoresAndQueuesDelete').waitFor()
    for (const name of ['Replay', 'Repair', 'Skip']) {
      expect(await page.getByRole('button', { name, exact: true }).isDisabled()).toBe(true)
    }
    await page.getByText('The content is not shown').waitFor()
    await openPage(page, 'Flows')
    await page.getByRole('link', { name: 'mail', exact: true }).click()
    expect(await page.getByRole('button', { name: 'Stop' }).isDisabled()).toBe(true)
    await openPage(page, 'Credentials')
    await page.getByText('Your roles do not include CredentialsRead').waitFor()
    await openPage(page, 'Audit log')
    await page.getByText('Your roles do not include AuditLogRead').waitFor()
    // The hub itself holds it, whatever a page lets through.
    const status = await page.evaluate(async () => {
      const { csrfToken } = (await (await fetch('/api/session')).json()) as { csrfToken: string }
      return (await fetch('/api/flows/mail/stop', { method: 'POST', headers: { 'x-csrf-token': csrfToken } })).status
    })
    expect(status).toBe(403)
  })

  test('a session that ends under an open page comes back to it, with what was typed', async () => {
    const page = await visitAs('anna.berg', '/messages?state=delivered')
    await page.getByLabel('Id or key').fill('4711*')
    await world.ask('DELETE', '/api/administrators/anna.berg/sessions')
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor()
    await page.getByLabel('Password', { exact: true }).fill(password)
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'Your session has ended' }).waitFor({ state: 'detached' })
    expect(page.url()).toContain('/console/messages?state=delivered')
    expect(await page.getByLabel('Id or key').inputValue()).toBe('4711*')
  })

  test.each([
    ['light', ['/', '/flows', '/flows/mail', '/messages', '/groupware', '/service-users', '/log', '/audit']],
    [
      'dark',
      ['/', '/groupware/contoso', `/mailboxes/${stranger}`, '/credentials', '/connectors', '/messages?within=own'],
    ],
  ] as const)('every page fits a narrow screen, %s', async (colorScheme, paths) => {
    const page = await visitAs('anna.berg', '/', { viewport: { width: 400, height: 800 }, colorScheme })
    const id = (await world.find('limit=1'))[0]?.id ?? ''
    for (const path of [...paths, `/messages/${id}`]) {
      await openPath(page, path)
      await page.locator('.card').first().waitFor()
      const overflow = await page.locator('.content').evaluate(node => node.scrollWidth - node.clientWidth)
      expect(`${path} ${overflow}`).toBe(`${path} 0`)
    }
    const background = await page.evaluate(() => {
      const tab = globalThis as unknown as Tab
      return tab.getComputedStyle(tab.document.body).backgroundColor
    })
    const [red = 0] = (/\d+/.exec(background) ?? []).map(Number)
    expect(red < 100 ? 'dark' : 'light').toBe(colorScheme)
  })
})

/** Red, green, blue from 0 to 1, and how much of it covers what is behind it. */
function channelsOf(color: string): readonly number[] {
  const numbers = (color.replace(/^color\(srgb/, '').match(/[\d.]+/g) ?? []).map(Number)
  const [red = 0, green = 0, blue = 0, alpha = 1] = numbers
  const most = color.startsWith('rgb') ? 255 : 1
  return [red / most, green / most, blue / most, alpha]
}

function blend(over: readonly number[], behind: readonly number[]): readonly number[] {
  const alpha = over[3] ?? 1
  return behind.map((channel, index) => (over[index] ?? 0) * alpha + channel * (1 - alpha))
}

/** As WCAG 2.2 reckons it. */
function contrastOf(one: readonly number[], other: readonly number[]): number {
  const [light = 0, dark = 0] = [luminanceOf(one), luminanceOf(other)].toSorted((a, b) => b - a)
  return (light + 0.05) / (dark + 0.05)
}

function luminanceOf(channels: readonly number[]): number {
  const [red = 0, green = 0, blue = 0] = channels.map(value =>
    value <= 0.040_45 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4,
  )
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue
}
