import type { Page } from 'playwright-core'
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest'
import { stopWorlds } from '../system/mail-world.ts'
import { type ConsoleWorld, consoleWorld, firstAdministrator, focused, password, question } from './console-world.ts'
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
})
