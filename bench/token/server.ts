import { generateKeyPairSync } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Provider } from 'oidc-provider'
import { startHub } from '../../src/main.ts'

/** One contestant in a process of its own, so that its CPU time is its alone. Speaks over IPC. */
interface Contestant {
  readonly tokenUrl: string
  readonly clientId: string
  readonly secret: string
  close(): Promise<void>
}

/** The hub as people run it, with its store on the disk. */
async function hubContestant(): Promise<Contestant> {
  const dataFolder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const hub = await startHub({
    dataFolder,
    stage: 'bench',
    flowFiles: [],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'info', format: 'json', colours: false, output: { write() {} } },
  })
  const { id } = await hub.serviceUsers.createInstance({ name: 'bench' })
  const { document } = await hub.serviceUsers.createKey(id, { name: 'bench' })
  return {
    tokenUrl: document.oauth.tokenurl,
    clientId: document.oauth.clientid,
    secret: document.oauth.clientsecret ?? '',
    async close() {
      await hub.close()
      rmSync(dataFolder, { recursive: true, force: true })
    },
  }
}

/** oidc-provider with what it keeps in memory: the same kind of token, one client that stands in its configuration. */
async function bareContestant(): Promise<Contestant> {
  const server = createServer()
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const audience = `${issuer}/runtime`
  const [clientId, secret] = ['bench', 'a-secret-of-the-same-length-as-those-that-the-hub-makes-it']
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
  const provider = new Provider(issuer, {
    jwks: { keys: [{ ...privateKey.export({ format: 'jwk' }), kid: 'k1', alg: 'ES256', use: 'sig' }] },
    clients: [
      {
        client_id: clientId,
        client_secret: secret,
        grant_types: ['client_credentials'],
        redirect_uris: [],
        response_types: [],
        id_token_signed_response_alg: 'ES256',
      },
    ],
    ttl: { ClientCredentials: 3600 },
    features: {
      devInteractions: { enabled: false },
      clientCredentials: { enabled: true },
      resourceIndicators: {
        enabled: true,
        defaultResource: () => audience,
        getResourceServerInfo: () => ({
          scope: 'ESBMessaging.send',
          audience,
          accessTokenFormat: 'jwt',
          jwt: { sign: { alg: 'ES256' } },
        }),
      },
    },
  })
  server.on('request', provider.callback())
  return {
    tokenUrl: `${issuer}/token`,
    clientId,
    secret,
    async close() {
      server.closeAllConnections()
      server.close()
    },
  }
}

const contestant = await (process.argv[2] === 'hub' ? hubContestant() : bareContestant())
process.on('message', message => {
  if (message === 'end') {
    void contestant.close().then(() => process.exit(0))
  } else {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicros: user + system })
  }
})
const { tokenUrl, clientId, secret } = contestant
process.send?.({ tokenUrl, clientId, secret })
