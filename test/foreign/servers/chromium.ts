import { type Browser, type BrowserContextOptions, chromium, type Page } from 'playwright-core'

/** On a machine that is busy with other tests a page takes its time. */
const patienceMs = 20_000

const args = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
]

export interface Chromium {
  /** A window of a person who was never here; what goes wrong in it is kept for `takeTroubles`. */
  visit(url: string, options?: BrowserContextOptions): Promise<Page>
  /** Violations of the content security policy, errors of scripts, dialogs, and requests to other hosts. */
  takeTroubles(): readonly string[]
  stop(): Promise<void>
}

/** The Chromium of Debian, without a screen, with a fresh profile. */
export async function startChromium(): Promise<Chromium> {
  const browser: Browser = await chromium.launch({ executablePath: '/usr/bin/chromium', headless: true, args })
  const troubles: string[] = []

  return {
    takeTroubles: () => troubles.splice(0),
    async visit(url, options = {}) {
      const context = await browser.newContext(options)
      const page = await context.newPage()
      page.setDefaultTimeout(patienceMs)
      watch(page, new URL(url).origin)
      await page.goto(url)
      return page
    },
    stop: () => browser.close(),
  }

  function watch(page: Page, origin: string): void {
    page.on('pageerror', error => troubles.push(`error of a script: ${error.message}`))
    page.on('console', message => {
      // What the hub refuses is told on the page; the browser writes it down, too.
      const isRefusal = message.text().startsWith('Failed to load resource')
      if (message.type() === 'error' && !isRefusal) troubles.push(message.text())
    })
    page.on('dialog', dialog => {
      troubles.push(`a dialog: ${dialog.message()}`)
      dialog.dismiss().catch((thrown: unknown) => troubles.push(String(thrown)))
    })
    page.on('request', request => {
      const url = request.url()
      if (!url.startsWith(`${origin}/`) && !/^(data|blob|about):/.test(url)) troubles.push(`a request to ${url}`)
    })
  }
}
