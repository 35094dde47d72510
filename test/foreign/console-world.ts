import { spawnSync } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Locator, Page } from 'playwright-core'
import { parse } from 'yaml'
import { consoleFolder } from '../../src/cli/console-folder.ts'
import { c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { exchangeAccount, startExchangeEws } from '../../src/twins/exchange-ews/exchange-ews.ts'
import { contoso } from '../../src/twins/sign-in/contoso.ts'
import { mail, mailWorld, orders, whenTestEnds } from '../system/mail-world.ts'
import { freePorts, waitFor } from './servers/wait.ts'

const root = join(import.meta.dirname, '../..')
const example = join(root, 'examples/c4c-groupware')

export const password = 'correct horse battery'
export const mailboxCount = 40
export const patienceMs = 60_000
const refused = { refuse: [{ at: 'rcpt', code: 550, text: '5.7.1 <b>relaying</b> denied', times: 1 }] }
/** Nobody in the CRM has this address. */
export const stranger = 'p039@contoso.com'
const people = Array.from({ length: mailboxCount }, (_, index) => `p${String(index).padStart(3, '0')}@contoso.com`)

/** A hub with its console between the twins: a flow of mail, and an organization whose mailboxes nobody activated. */
export async function consoleWorld() {
  // Does nothing where it is built already.
  const built = spawnSync(process.execPath, [join(root, 'console/build.ts')], { encoding: 'utf8' })
  if (built.status !== 0) throw new Error(`The console could not be built: ${built.stderr}`)

  const { cert, key, ca } = await makeTwinCertificate(['localhost', '127.0.0.1'])
  const tls = { cert, key }
  const exchange = await startExchangeEws({ tls, mailboxes: people.map(address => ({ address })) })
  whenTestEnds(() => exchange.stop())
  const c4c = await startC4C({ tls, employees: people.filter(address => address !== stranger) })
  whenTestEnds(() => c4c.stop())
  // Registered at the sign-in server before the hub starts.
  const [port = 0] = await freePorts(1)
  const redirectUris = ['http://localhost/oauth/callback', `http://localhost:${port}/oauth/callback`]
  const world = await mailWorld({
    signIn: { tenants: [contoso(redirectUris)] },
    hub: {
      admin: { host: '127.0.0.1', port },
      console: consoleFolder,
      trustedCertificates: [ca],
      alertPolicy: { lookEveryMs: 1_000 },
      // Nobody reads along what these tests make the hub complain about.
      log: { level: 'info', format: 'json', output: { write: () => true } },
    },
  })
  await world.hub.credentials.create('exchange-impersonation', { kind: 'basic', ...exchangeAccount })
  await world.hub.credentials.create('c4c-technical-user', { kind: 'basic', ...c4cUser })
  const groupware = await world.hub.groupware.load()
  await groupware.writeProfile('sales', readYaml('profile.yaml'))
  const settings = readYaml('organization.yaml')
  await groupware.createOrganization('contoso', {
    ...settings,
    exchange: { ...(settings['exchange'] as object), url: exchange.url },
    crm: { ...(settings['crm'] as object), url: c4c.root },
    testMailbox: people[0],
  })
  await groupware.addList('contoso', people.join('\n'), false)

  return {
    ...world,
    url: world.hub.adminUrl,
    setupToken: world.hub.newSetupToken ?? '',
    /** What a browser keeps of somebody who signed in before. */
    async signedIn(name: string) {
      const answer = await fetch(`${world.hub.adminUrl}/api/session`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify({ name, password }),
      })
      const [, cookie = '', value = ''] = /^([^=]+)=([^;]+)/.exec(answer.headers.getSetCookie()[0] ?? '') ?? []
      const where = { domain: '127.0.0.1', path: '/', expires: -1, httpOnly: true, secure: true }
      return { cookies: [{ name: cookie, value, sameSite: 'Strict' as const, ...where }], origins: [] }
    },
    /** Lets one mail be refused, which is set aside then. */
    async setAside(subject: string, body: string, header: readonly string[] = []): Promise<string> {
      const before = (await world.find('state=set-aside')).length
      world.s4.setFaults(refused)
      world.exchange.deliver(orders, mail(subject, { body, header }))
      const found = await waitFor(`${subject} to be set aside`, patienceMs, async () => {
        const messages = await world.find('state=set-aside')
        return messages.length > before ? messages[0] : undefined
      })
      world.s4.clearFaults()
      return found.id
    },
    /** Somebody else who may get in. */
    administrator: (name: string, roles: readonly string[]) =>
      world.ask('POST', '/api/administrators', { name, roles, password }),
  }
}

export type ConsoleWorld = Awaited<ReturnType<typeof consoleWorld>>

function readYaml(file: string): Readonly<Record<string, unknown>> {
  return parse(readFileSync(join(example, file), 'utf8')) as Readonly<Record<string, unknown>>
}

/** Somebody who may everything, made as the setup page makes them. */
export async function firstAdministrator(world: ConsoleWorld, name: string): Promise<void> {
  const answer = await fetch(`${world.url}/api/setup`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ token: world.setupToken, name, password }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}

/** The words of what the next key goes to, or its id where it has none. */
export function focused(page: Page): Promise<string> {
  return page.evaluate(() => {
    const { activeElement } = (globalThis as unknown as Tab).document
    return activeElement?.id === 'content' ? 'content' : (activeElement?.textContent ?? '').trim()
  })
}

/** Signs in on the page that asks for it. */
export async function signIn(page: Page, name: string, code = ''): Promise<void> {
  await page.getByLabel('Name', { exact: true }).fill(name)
  await page.getByLabel('Password', { exact: true }).fill(password)
  if (code !== '') await page.getByLabel('Code of your authenticator').fill(code)
  await page.getByRole('button', { name: 'Sign in', exact: true }).click()
}

/** The question that an action asks, with its buttons. */
export function question(page: Page) {
  return page.locator('ui5-dialog[open]')
}

/** Opens a page of the console as its links do. */
export async function openPage(page: Page, name: string): Promise<void> {
  await page.locator(`ui5-side-navigation-item[text="${name}"]`).click()
  await page.getByRole('heading', { level: 1, name }).waitFor()
}

/** What functions that run in the page use of it; the types of browsers are no part of these tests. */
export interface Tab {
  readonly history: { pushState(state: null, title: string, url: string): void }
  readonly document: {
    readonly body: object
    readonly activeElement: { readonly id: string; readonly textContent: string | null } | null
  }
  dispatchEvent(event: Event): void
  getComputedStyle(node: object): {
    readonly backgroundColor: string
    readonly borderLeftColor: string
    readonly borderTopStyle: string
    readonly color: string
    readonly transitionProperty: string
  }
}

/** Goes to a path of the console without loading it anew, as the arrows of the browser do. */
export async function openPath(page: Page, path: string): Promise<void> {
  await page.evaluate(to => {
    const tab = globalThis as unknown as Tab
    tab.history.pushState(null, '', to)
    tab.dispatchEvent(new Event('popstate'))
  }, `/console${path}`)
}

/** Chooses in a list that opens; its options lie outside of the dialog. */
export async function choose(within: Locator, label: string, words: string): Promise<void> {
  await within.getByRole('combobox', { name: label }).click()
  await within.page().getByRole('option', { name: words }).click()
}
