import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { FormBrowser } from '../../../src/auth/token-server/log-in/browser-world.ts'
import type { SigningAlgorithm } from '../../../src/auth/token-server/token-limits.ts'
import { type Hub, type HubOptions, startHub } from '../../../src/main.ts'
import { makeTwinCertificate } from '../../../src/twins/certificate.ts'
import { makeWorkFolder } from './work-folder.ts'

export const person = { name: 'anna', displayName: 'Anna Berg', password: 'correct horse battery' } as const

/** A service instance with a secret key, as its caller knows it. */
export interface TokenCaller {
  readonly clientId: string
  readonly secret: string
  readonly instanceId: string
}

/** A hub whose token server foreign clients ask, with one person who can sign in. */
export interface TokenHub {
  readonly hub: Hub
  readonly issuer: string
  /** Folder for the files of a test; servers that drop their privileges can read it. */
  readonly folder: string
  /** PEM file of the authority behind the hub's certificate; undefined without TLS. */
  readonly caFile: string | undefined
  caller(name: string, parameters: object): Promise<TokenCaller>
  /** Opens the address, signs the person in and allows everything; the address (or page) at which it ends. */
  signIn(url: string, stopAt: string): Promise<string>
  stop(): Promise<void>
}

export interface TokenHubOptions {
  readonly algorithm?: SigningAlgorithm
  readonly trusted?: NonNullable<HubOptions['tokens']>['trusted']
  readonly isTls?: boolean
}

export async function startTokenHub(options: TokenHubOptions = {}): Promise<TokenHub> {
  const work = makeWorkFolder('token')
  const folder = join(work.path, 'files')
  mkdirSync(folder, { mode: 0o755 })
  const tls = options.isTls ? await writeCertificate(folder) : undefined
  const hub = await startHub({
    dataFolder: join(work.path, 'data'),
    stage: 'test',
    flowFiles: [],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0, ...(tls && { tls: { certificate: tls.certificate, key: tls.key } }) },
    ...(tls && { trustedCertificates: [tls.ca] }),
    tokens: {
      ...(options.algorithm && { algorithm: options.algorithm }),
      ...(options.trusted && { trusted: options.trusted }),
    },
    log: { level: 'error', format: 'text', colours: false, output: process.stderr },
  })
  await hub.people.create({ ...person, roles: ['ESBMessaging.send'] })
  const issuer = new URL(hub.endpointsUrl).origin

  return {
    hub,
    issuer,
    folder,
    caFile: tls?.caFile,
    async caller(name, parameters) {
      const { id } = await hub.serviceUsers.createInstance({ name, parameters })
      const { document } = await hub.serviceUsers.createKey(id, { name: 'first' })
      return { clientId: document.oauth.clientid, secret: document.oauth.clientsecret ?? '', instanceId: id }
    },
    async signIn(url, stopAt) {
      const start = new URL(url).origin
      const browser = new FormBrowser(issuer, start === issuer ? [] : [start])
      let page = await browser.open(url)
      if (page.text.includes('name="password"')) {
        page = await browser.send(page, { user: person.name, password: person.password })
      }
      if (page.text.includes('Allow access?')) page = await browser.send(page, {})
      if (!page.url.startsWith(stopAt))
        throw new Error(`The log-in ended at ${page.url} (${page.status}): ${page.text}`)
      return page.status === 200 ? page.text : page.url
    },
    async stop() {
      await hub.close()
      work.remove()
    },
  }
}

async function writeCertificate(folder: string) {
  const made = await makeTwinCertificate(['localhost', '127.0.0.1'])
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o644 })
    return join(folder, name)
  }
  return {
    ca: made.ca,
    caFile: file('ca.pem', made.ca),
    certificate: file('server.pem', made.cert),
    key: file('server.key', made.key),
  }
}
