import { readFileSync, writeFileSync } from 'node:fs'
import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { stopWorlds } from '../system/mail-world.ts'
import {
  type ConsoleWorld,
  choose,
  consoleWorld,
  firstAdministrator,
  focused,
  openPage,
  openPath,
  password,
  patienceMs,
  question,
} from './console-world.ts'
import { type Chromium, startChromium } from './servers/chromium.ts'
import { describeForeign } from './servers/needs.ts'

// What goes wrong while somebody works with the console: sessions that end, hubs that are silent, others who are quicker.

describeForeign('the console at night, in Chromium', ['chromium'], () => {
  let chromium: Chromium
  let world: ConsoleWorld
  let pages: Page[] = []

  beforeAll(async () => {
    chromium = await startChromium()
    world = await consoleWorld()
    await firstAdministrator(world, 'anna.berg')
  })
  afterAll(async () => {
    await chromium?.stop()
    await stopWorlds()
  })
  afterEach(async () => {
    for (const page of pages) await page.context().close()
    pages = []
    expect(chromium.takeTroubles()).toEqual([])
  })

  /** Somebody who has signed in. */
  async function visit(path: string, name = 'anna.berg'): Promise<Page> {
    const page = await chromium.visit(`${world.url}/console${path}`, { storageState: await world.signedIn(name) })
    pages.push(page)
    await page.getByRole('navigation', { name: 'Pages' }).waitFor()
    return page
  }

  const endSessions = (name = 'anna.berg') => world.ask('DELETE', `/api/administrators/${name}/sessions`)

  test('a session that ends under an open dialog asks for a sign-in that is seen, and gives back dialog and words', async () => {
    const id = await world.setAside('Order 4801', 'Ten pieces')
    const page = await visit(`/messages/${id}`)
    await page.getByRole('button', { name: 'Repair', exact: true }).click()
    const body = question(page).getByLabel('Body', { exact: true })
    await body.fill('It took an hour to write this.')
    await endSessions()
    await question(page).getByRole('button', { name: 'Repair and send on' }).click()
    const signIn = page.getByRole('dialog', { name: 'Your session has ended' })
    await signIn.waitFor()
    expect(await question(page).isVisible()).toBe(false)
    await signIn.getByLabel('Password', { exact: true }).fill(password)
    await page.keyboard.press('Enter')
    await signIn.waitFor({ state: 'detached' })
    expect(await body.inputValue()).toBe('It took an hour to write this.')
    await expect.poll(() => focused(page)).toBe('Repair and send on')
    await page.keyboard.press('Enter')
    await page.getByRole('region', { name: 'Journey' }).getByText('Delivered', { exact: true }).waitFor()
  })

  test('the keyboard is never lost: after a link, a question, and an action that ends what it was for', async () => {
    const id = await world.setAside('Order 4802', 'Ten pieces')
    const page = await visit('/flows')
    await page.getByRole('link', { name: 'mail', exact: true }).press('Enter')
    await page.getByRole('heading', { level: 1, name: 'mail' }).waitFor()
    await expect.poll(() => focused(page)).toBe('content')
    await page.getByRole('button', { name: 'Stop' }).press('Enter')
    await question(page).getByRole('button', { name: 'Cancel' }).press('Enter')
    await expect.poll(() => focused(page)).toBe('Stop')
    await page.getByRole('button', { name: 'Stop' }).press('Enter')
    await question(page).getByRole('button', { name: 'Stop' }).press('Enter')
    await expect.poll(() => focused(page)).toBe('Start')
    await page.keyboard.press('Enter')
    await page.getByRole('button', { name: 'Stop' }).waitFor()

    await openPath(page, `/messages/${id}`)
    await page.getByRole('button', { name: 'Skip', exact: true }).press('Enter')
    await question(page).getByLabel('Reason').fill('ordered again')
    // It can be pressed only when it was drawn anew with the reason.
    await question(page).getByRole('button', { name: 'Skip', disabled: false }).press('Enter')
    await page.getByText('Skipped by a person').waitFor()
    // Its button is disabled now.
    await expect.poll(() => focused(page)).toBe('content')
  })

  test('Escape closes a question, but drops nothing that somebody typed', async () => {
    const page = await visit('/credentials')
    const create = page.getByRole('button', { name: 'Create credential' })
    await create.press('Enter')
    await question(page).waitFor()
    await page.keyboard.press('Escape')
    await question(page).waitFor({ state: 'detached' })
    await expect.poll(() => focused(page)).toBe('Create credential')
    await create.press('Enter')
    await question(page).getByLabel('Name').pressSequentially('dataverse')
    await page.keyboard.press('Tab')
    await page.keyboard.press('Escape')
    await page.keyboard.press('Escape')
    await page.getByRole('alert').getByText('What you typed is not sent').waitFor()
    expect(await question(page).getByLabel('Name').inputValue()).toBe('dataverse')
    await question(page).getByRole('button', { name: 'Cancel' }).click()
    await question(page).waitFor({ state: 'detached' })
  })

  test('who signed in anew in another tab works on in this one; another person takes it over, and it says so', async () => {
    await world.administrator('otto', ['Operator'])
    const page = await visit('/flows/mail')
    const other = await page.context().newPage()
    await other.goto(`${world.url}/console/flows`)
    const enter = async (name: string) => {
      await endSessions(name)
      const status = await other.evaluate(
        async body =>
          (await fetch('/api/session', { method: 'POST', headers: { 'content-type': 'application/json' }, body }))
            .status,
        JSON.stringify({ name, password }),
      )
      expect(status).toBe(201)
    }
    await enter('anna.berg')
    await page.getByRole('button', { name: 'Check links' }).click()
    await page.getByText('All were checked just now').waitFor()
    expect(await question(page).count()).toBe(0)

    await enter('otto')
    await page.getByRole('button', { name: 'Check links' }).click()
    await page.getByText('otto signed in in another tab').waitFor()
    await page.getByRole('button', { name: 'otto: look and sign-out' }).waitFor()
  })

  test('a hub that cannot say who is signed in is waited for; nobody is asked to sign in meanwhile', async () => {
    const page = await visit('/flows')
    const broken = { code: 'STORE_DOWN', side: 'hub', status: 503, title: 'The store does not answer.', next: 'Wait.' }
    await page.route('**/api/session', route => route.fulfill({ status: 503, json: broken }))
    await page.reload()
    await page.getByRole('alert').getByText('The store does not answer.').waitFor()
    expect(await page.getByLabel('Password').count()).toBe(0)
    await page.unroute('**/api/session')
    await page.getByRole('heading', { level: 1, name: 'Flows' }).waitFor()
  })

  test('of an action that the hub did not answer nobody reads that it is tried again by itself', async () => {
    const page = await visit('/flows/mail')
    await page.route('**/check', route => route.abort())
    await page.getByRole('button', { name: 'Check links' }).click()
    await question(page).getByText('It may have done what you asked').waitFor()
    expect(await question(page).getByText('by itself').count()).toBe(0)
  })

  test('a replay does what was read, or nothing when somebody else was quicker', async () => {
    const id = await world.setAside('Order 4803', 'Ten pieces')
    const page = await visit(`/messages/${id}`)
    await page.getByRole('button', { name: 'Replay', exact: true }).click()
    await question(page).getByText('not done a second time').waitFor()
    await world.ask('POST', `/api/messages/${id}/replay`)
    await page.getByRole('region', { name: 'Journey' }).getByText('Delivered', { exact: true }).waitFor()
    // What stands in the question does not change under the hand.
    await question(page).getByText('not done a second time').waitFor()
    await question(page).getByRole('button', { name: 'Replay' }).click()
    await page.getByRole('alert').getByText('API_MESSAGE_MOVED_ON').waitFor()
    await question(page).getByRole('button', { name: 'Cancel' }).click()
    expect(world.arrived().filter(subject => subject === 'Order 4803')).toHaveLength(1)
  })

  test('whoever skips a message reads before what is lost with it', async () => {
    const id = await world.setAside('Order 4804', 'Ten pieces')
    const page = await visit(`/messages/${id}`)
    const lost = {
      object: 'MATMAS 4711',
      words: 'Send it as a whole (BD10).',
      segments: [{ segment: 'E1MARAM/E1MARCM', fields: ['WERKS'] }],
    }
    await page.route('**/loss', route => route.fulfill({ json: { lost } }))
    await page.getByRole('button', { name: 'Skip', exact: true }).click()
    await question(page).getByText('Send it as a whole (BD10).').waitFor()
    await question(page).getByText('E1MARAM/E1MARCM').waitFor()
  })

  test('what was typed is looked for together with a filter that is chosen, and cleared with all of them', async () => {
    const page = await visit('/messages')
    await page.getByLabel('Id or key').fill('nowhere')
    await choose(page.locator('search'), 'State', 'Set aside')
    await page.getByText('No message fits.').waitFor()
    expect(page.url()).toContain('term=nowhere&state=set-aside')
    await page.getByRole('button', { name: 'Clear' }).click()
    await page.getByLabel('Id or key').fill('4711')
    await page.getByRole('button', { name: 'Clear' }).click()
    await expect.poll(() => page.getByLabel('Id or key').inputValue()).toBe('')
  })

  test('each figure of a flow leads to the messages that it counts', async () => {
    const page = await visit('/flows/mail')
    await page.locator('a.figure').first().waitFor()
    const links = await page
      .locator('a.figure')
      .evaluateAll(all =>
        (all as unknown as { textContent: string; search: string }[]).map(({ textContent, search }) => [
          textContent.replace(/\d+/, ''),
          new URLSearchParams(search).get('state'),
        ]),
      )
    expect(links).toEqual([
      ['accepted', null],
      ['delivered', 'delivered'],
      ['waiting', 'queued'],
      ['set aside', 'set-aside'],
      ['rejected', 'rejected'],
      ['skipped', 'skipped'],
      ['dropped', 'dropped'],
    ])
  })

  test('that the audit log was changed is not gone after a moment', async () => {
    const page = await visit('/audit')
    await page.route('**/api/audit/verify', route => route.fulfill({ json: { ok: false, firstBroken: 7 } }))
    await page.getByRole('button', { name: 'Verify' }).click()
    const verdict = page.getByText('The chain breaks at entry 7')
    await verdict.waitFor()
    await page.waitForTimeout(5_000)
    expect(await verdict.isVisible()).toBe(true)
  })

  test('a log that is held still stays, whatever the hub does, and goes on with the newest lines; missed ones are told', async () => {
    const page = await visit('/log')
    await page.locator('.log-line').first().waitFor()
    await page.getByRole('button', { name: 'Hold still' }).click()
    await world.restart()
    await world.ask('POST', '/api/credentials/while-held', { kind: 'secret', secret: 'x' })
    await page.waitForTimeout(6_000)
    expect(await page.locator('.log-line').count()).toBeGreaterThan(5)
    expect(await page.getByText('while-held').count()).toBe(0)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('while-held').first().waitFor()
    await page.route('**/api/log?*', route =>
      route.fulfill({ contentType: 'text/event-stream', body: 'event: lost\ndata: {"lines":41}\n\n' }),
    )
    await choose(page.locator('search'), 'Level', 'Errors only')
    await page.getByText('console.lines-missed').waitFor()
    await page.getByText('41').first().waitFor()
  })

  test('from page to page nothing is loaded anew, so that what was found stays found', async () => {
    const page = await visit('/account')
    let documents = 0
    page.on('request', request => {
      if (request.isNavigationRequest()) documents++
    })
    await openPage(page, 'Flows')
    await page.locator('ui5-side-navigation-item[text="Log"] a').press('Enter')
    await page.getByRole('heading', { level: 1, name: 'Log' }).waitFor()
    await page.locator('ui5-shellbar-branding').click()
    await page.getByRole('heading', { level: 1, name: 'Overview' }).waitFor()
    await page.goBack()
    await page.getByRole('heading', { level: 1, name: 'Log' }).waitFor()
    expect(await page.locator('ui5-side-navigation-item[selected]').getAttribute('text')).toBe('Log')
    expect(documents).toBe(0)
  })

  test('a log that is followed ends with the session, asks for a sign-in, and goes on after it', async () => {
    const page = await visit('/log')
    await page.locator('.log-line').first().waitFor()
    let refusals = 0
    page.on('response', answer => {
      if (answer.url().includes('/api/log') && answer.status() === 401) refusals++
    })
    await endSessions()
    const signIn = page.getByRole('dialog', { name: 'Your session has ended' })
    await signIn.waitFor()
    await page.waitForTimeout(6_000)
    expect(refusals).toBeLessThan(3)
    await signIn.getByLabel('Password', { exact: true }).fill(password)
    await page.keyboard.press('Enter')
    await signIn.waitFor({ state: 'detached' })
    await world.ask('POST', '/api/credentials/after-sign-in', { kind: 'secret', secret: 'x' })
    await page.getByText('after-sign-in').first().waitFor()
  })

  test('a list says of each message which one it is, what became of it, and nothing twice', async () => {
    const [first, second] = [await world.setAside('Order 4807', 'Ten'), await world.setAside('Order 4808', 'Ten')]
    await world.ask('POST', `/api/messages/${first}/skip`, { reason: 'ordered by telephone' })
    const page = await visit('/messages')
    const row = (id: string) => page.locator('ui5-table-row', { has: page.locator(`a[href$="/messages/${id}"]`) })
    await row(first).getByRole('link', { name: 'Order-4807@adatum.example' }).waitFor()
    await row(first).getByText('ordered by telephone').waitFor()
    await row(second).getByRole('link', { name: 'Order-4808@adatum.example' }).waitFor()
    expect(await row(second).getByText('refused the recipient').count()).toBe(1)
    await world.ask('POST', `/api/messages/${second}/skip`, { reason: 'seen' })
  })

  test('text of a row is marked and copied without the page of the row being opened', async () => {
    const id = await world.setAside('Order 4809', 'Ten pieces')
    const page = await visit('/messages?state=set-aside')
    const row = page.locator('ui5-table-row', { has: page.locator(`a[href$="/messages/${id}"]`) })
    const { x = 0, y = 0, width = 0 } = (await row.getByText('refused the recipient').boundingBox()) ?? {}
    await page.mouse.move(x + 2, y + 6)
    await page.mouse.down()
    await page.mouse.move(x + width / 2, y + 6, { steps: 5 })
    await page.mouse.up()
    await page.waitForTimeout(500)
    expect(page.url()).toContain('/messages?state=set-aside')
    // Beside what is marked.
    await page.mouse.click(x + width / 2 + 40, y + 6)
    await page.getByRole('heading', { level: 1, name: 'Order 4809' }).waitFor()
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'seen' })
  })

  test.each([
    ['two hours fast', 7_200_000],
    ['two hours slow', -7_200_000],
  ])('a browser whose clock is %s tells the times of the hub', async (_what, offMs) => {
    const id = await world.setAside(`Order ${4_805 + Math.sign(offMs)}`, 'Ten pieces')
    const page = await visit('/account')
    await page.addInitScript(off => {
      const real = Date.now.bind(Date)
      Date.now = () => real() + off
    }, offMs)
    await page.goto(`${world.url}/console/messages?within=1h`)
    const row = page.locator('ui5-table-row').first()
    await row.waitFor()
    expect(await row.locator('time').first().textContent()).toMatch(/^(now|\d+ s ago)$/)
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'seen' })
  })

  test('after an outage everything that was set aside is sent on by one button', async () => {
    const ids = [await world.setAside('Order 4890', 'Ten'), await world.setAside('Order 4891', 'Twenty')]
    const page = await visit('/flows/mail')
    await page.getByRole('button', { name: 'Replay set-aside' }).click()
    await question(page).getByRole('button', { name: 'Replay set-aside' }).click()
    await question(page).waitFor({ state: 'detached' })
    const delivered = async () => (await world.find('state=delivered')).map(({ id }) => id)
    await expect.poll(delivered, { timeout: patienceMs }).toEqual(expect.arrayContaining(ids))
    // The page asks for the counts every few seconds.
    for (const name of ['Replay set-aside', 'Try now']) {
      const isSpent = () => page.getByRole('button', { name }).isDisabled()
      await expect.poll(isSpent, { timeout: patienceMs }).toBe(true)
    }
  })

  test('a replay of very many says how far it is', async () => {
    const id = await world.setAside('Order 4892', 'Ten')
    const page = await visit('/flows/mail')
    const last = Promise.withResolvers<void>()
    // Two calls that take their time, as of a hub with thousands of them.
    await page.route('**/set-aside/replay', async route => {
      const { after } = (route.request().postDataJSON() ?? {}) as { after?: string }
      if (after !== undefined) await last.promise
      const pass = { done: 1000, kept: { inDoubt: 0, lossy: 0, failed: 0 }, examples: [] }
      await route.fulfill({ json: after === undefined ? { ...pass, next: id } : pass })
    })
    await page.getByRole('button', { name: 'Replay set-aside' }).click()
    await question(page).getByRole('button', { name: 'Replay set-aside' }).click()
    await page.getByText('1,000 messages travel again so far.').waitFor()
    last.resolve()
    await page.getByText('2,000 messages travel again.').waitFor()
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'seen' })
  })

  test('documents that changed are shown before they count', async () => {
    const [file = ''] = world.flowFiles
    const text = readFileSync(file, 'utf8')
    const page = await visit('/flows')
    await page.getByRole('button', { name: 'Look for changed documents' }).click()
    await page.getByText('No document has changed.').waitFor()
    writeFileSync(file, `${text}\n# A remark.\n`)
    await page.getByRole('button', { name: 'Look for changed documents' }).click()
    const changed = page.getByRole('list', { name: 'Changed flows' })
    await changed.getByText('mail has changed, would be started anew').waitFor()
    await page.getByRole('button', { name: 'Apply the changes' }).click()
    await changed.getByText('mail was started anew').waitFor()
    writeFileSync(file, 'flow: mail\nfrom: { pigeon: {} }\n')
    await page.getByRole('button', { name: 'Look for changed documents' }).click()
    await changed.getByText('it runs on as it was').waitFor()
    expect(await page.getByRole('button', { name: 'Apply the changes' }).count()).toBe(0)
    writeFileSync(file, text)
  })
})
