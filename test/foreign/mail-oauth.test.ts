import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import type { CredentialInput } from '../../src/auth/credential-input.ts'
import { randomMails } from '../corpus/random-mails.ts'
import { corpusSeed } from '../corpus/seeded-random.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { Browser, type Page } from './servers/browser.ts'
import { type Dovecot, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postfix, startPostfix } from './servers/postfix.ts'
import { appScope, imapScope, startTokenServer, type TokenServer } from './servers/token-server.ts'
import { freePorts, waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const own = 'svc@contoso.com'
const shared = 'orders@contoso.com'
const ofTheApp = 'invoices@contoso.com'
const stranger = 'eve@contoso.com'
/** So short that many tokens come of age while mails travel. */
const tokenLifeS = 3
const waitMs = 60_000

interface CredentialSeen {
  readonly status: { readonly state: string; readonly user?: string; readonly lastRefreshAt?: string }
}

describeForeign(
  'mailboxes opened with tokens (XOAUTH2)',
  ['dovecot', 'dovecot-auth-lua', 'openssl', 'curl', 'postfix'],
  () => {
    const folder = makeWorkFolder('oauth')
    let tokenServer: TokenServer
    let dovecot: Dovecot
    let postfix: Postfix
    let hub: HubUnderTest

    beforeAll(async () => {
      const [adminPort = 0] = await freePorts(1)
      const redirectUris = [`http://localhost:${adminPort}/oauth/callback`]
      tokenServer = await startTokenServer({ accessTokenTtlS: tokenLifeS, redirectUris })
      const users = [own, shared, ofTheApp, stranger]
      dovecot = await startDovecot({ users, tokenServer, delegates: { [shared]: [own] } })
      postfix = await startPostfix()
      mkdirSync(join(folder.path, 'flows'))
      writeFileSync(join(folder.path, 'flows', 'dovecot-ca.pem'), dovecot.ca)
      hub = new HubUnderTest({
        dataFolder: join(folder.path, 'data'),
        flowFiles: [
          writeFlow('mail-delegate', [own, shared], 'delegate'),
          writeFlow('mail-stranger', [shared], 'stranger'),
          writeFlow('mail-app', [ofTheApp], 'application'),
        ],
        adminPort,
        credentials: {
          delegate: byCode(own),
          stranger: byCode(stranger),
          application: { ...application('oauth2-client-credentials'), scopes: [appScope] },
        },
      })
      await hub.start()
    })
    afterAll(async () => {
      await Promise.all([hub?.stop(), dovecot?.stop(), postfix?.stop()])
      await tokenServer?.stop()
      folder.remove()
    })

    test('before anybody signed in, every mailbox says so and what to do', async () => {
      await waitForLink('mail-delegate', shared, 'down')
      expect((await hub.flow('mail-delegate')).links).toEqual(
        expect.arrayContaining(
          [own, shared].map(link => expect.objectContaining({ link, state: 'down', error: notAuthorised })),
        ),
      )
      expect(await credential('delegate')).toMatchObject({ status: { state: 'needs-authorisation' } })
    })

    test("a user signs in with a browser, and the own and the shared mailbox are read with that user's token", async () => {
      const page = await authorise('delegate')
      expect([page.status, page.text]).toEqual([200, expect.stringContaining('Signed in')])
      expect(await credential('delegate')).toMatchObject({ status: { state: 'ready' } })
      for (const mailbox of [own, shared]) await waitForLink('mail-delegate', mailbox, 'up')
      await expectArrivals(own, 3)
      await expectArrivals(shared, 3)
    })

    test("an application's token, without anybody signed in, opens a mailbox too", async () => {
      await waitForLink('mail-app', ofTheApp, 'up')
      await expectArrivals(ofTheApp, 3)
    })

    test('tokens come of age while mails travel: they are renewed, rotated and nobody notices', async () => {
      const renewals = new Set<string>()
      const wanted = 4
      const loginsOf = (mailbox: string) => dovecot.log().split(`Login: user=<${mailbox}>, method=XOAUTH2`).length - 1
      const loginsBefore = loginsOf(shared)
      const troublesBefore = hub.log().length
      // How often that happens in a round depends on the machine; a refresh token is worth nothing after its use, so
      // each renewal used the one that the last one brought.
      const isEnough = () => renewals.size >= wanted && loginsOf(shared) - loginsBefore >= wanted
      for (let round = 0; round < 20 && !isEnough(); round++) {
        await Promise.all([own, shared, ofTheApp].map(mailbox => expectArrivals(mailbox, 5)))
        renewals.add((await credential('delegate')).status.lastRefreshAt ?? '')
        await sleep((tokenLifeS * 1000) / 2)
      }
      expect([renewals.size, loginsOf(shared) - loginsBefore].map(count => count >= wanted)).toEqual([true, true])
      expect(hub.log().slice(troublesBefore)).toEqual([])
      expect(await credential('delegate')).toMatchObject({ status: { state: 'ready' } })
    })

    test('renewal goes on over a kill -9, since the newest refresh token was stored before it was used', async () => {
      // Right after a renewal: in the midst of one nobody has the new refresh token, and this server forgets the old one.
      const { lastRefreshAt } = (await credential('delegate')).status
      await waitFor('a renewal', waitMs, async () => {
        return (await credential('delegate')).status.lastRefreshAt !== lastRefreshAt
      })
      await hub.kill9()
      await hub.start()
      await expectArrivals(shared, 3)
    })

    test("a stranger's token is refused with the next step, while the other flows go on", async () => {
      expect((await authorise('stranger')).status).toBe(200)
      await waitFor('the refusal', waitMs, async () => {
        const [link] = (await hub.flow('mail-stranger')).links
        return link?.error?.code === 'IMAP_AUTH_REFUSED'
      })
      const [link] = (await hub.flow('mail-stranger')).links
      expect(link).toMatchObject({
        link: shared,
        state: 'down',
        error: {
          message: expect.stringContaining(`refused to log ${shared} in`),
          next: expect.stringContaining('Open Credentials > stranger and sign in again'),
        },
      })
      await Promise.all([own, shared, ofTheApp].map(mailbox => expectArrivals(mailbox, 3)))
      expect((await hub.flow('mail-stranger')).counts.accepted).toBe(0)
    })

    test('when somebody with the right signs in, the refused mailbox opens without a restart', async () => {
      await hub.call('POST', '/api/flows/mail-delegate/stop')
      await hub.call('PUT', '/api/credentials/stranger', byCode(own))
      expect((await authorise('stranger')).status).toBe(200)
      await waitForLink('mail-stranger', shared, 'up')
      await expectArrivals(shared, 3)
      expect((await hub.flow('mail-stranger')).counts.delivered).toBe(3)
    })

    function writeFlow(name: string, mailboxes: readonly string[], auth: string): string {
      const file = join(folder.path, 'flows', `${name}.yaml`)
      writeFileSync(
        file,
        `
flow: ${name}
from:
  imap:
    host: 127.0.0.1
    port: ${dovecot.imapsPort}
    ca: dovecot-ca.pem
    user: [${mailboxes.join(', ')}]
    auth: ${auth}
    every: 1s
    done: { move: Processed, failed: Error }
to:
  smtp:
    host: 127.0.0.1
    port: ${postfix.port}
    security: none
    to: orders@s4.local
`,
      )
      return file
    }

    function application<K extends string>(kind: K) {
      const { clientId, clientSecret, tokenUrl, authorizeUrl, issuer } = tokenServer
      return { kind, clientId, clientSecret, provider: { generic: { tokenUrl, authorizeUrl, issuer } } }
    }

    function byCode(loginHint: string): CredentialInput {
      return {
        ...application('oauth2-authorization-code'),
        scopes: ['openid', 'offline_access', imapScope],
        loginHint,
        authorizeParameters: { prompt: 'consent' },
      }
    }

    /** What a person does who was sent the address: opens it, signs in, consents, and ends at a page of the hub. */
    async function authorise(name: string): Promise<Page> {
      const { url } = await hub.call<{ url: string }>('POST', `/api/credentials/${name}/authorise`)
      return new Browser().open(url)
    }

    function credential(name: string): Promise<CredentialSeen> {
      return hub.call('GET', `/api/credentials/${name}`)
    }

    function waitForLink(flow: string, mailbox: string, state: string): Promise<unknown> {
      return waitFor(`${mailbox} of ${flow} to be ${state}`, waitMs, async () => {
        const { links } = await hub.flow(flow)
        return links.some(link => link.link === mailbox && link.state === state)
      }).catch((error: Error) => {
        throw new Error(`${error.message}\n${hub.output().slice(-3_000)}\n${dovecot.log().slice(-3_000)}`)
      })
    }

    /** Mails put into a mailbox arrive in Postfix, each once, and leave the mailbox. */
    async function expectArrivals(mailbox: string, count: number): Promise<void> {
      const mails = [...randomMails(corpusSeed + seededCount, count)]
      seededCount += 1
      dovecot.seed(
        mailbox,
        mails.map(mail => mail.bytes),
      )
      const wanted = mails.map(({ name }) => `<${name}@corpus.test>`)
      const timesOf = (id: string) => postfix.delivered().filter(({ messageId }) => messageId === id).length
      await waitFor(`${count} mails from ${mailbox}`, waitMs, () => wanted.every(id => timesOf(id) > 0)).catch(
        (error: Error) => {
          throw new Error(`${error.message}\n${hub.output().slice(-3_000)}\n${dovecot.log().slice(-3_000)}`)
        },
      )
      await waitFor(`${mailbox} to be empty`, waitMs, () => dovecot.unreadCount(mailbox) === 0)
      expect(wanted.map(timesOf)).toEqual(wanted.map(() => 1))
    }
  },
)

let seededCount = 0
const notAuthorised = expect.objectContaining({
  code: 'CREDENTIAL_NOT_AUTHORISED',
  next: expect.stringContaining('isthmus credential authorise delegate'),
})
