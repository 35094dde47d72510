import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { exportJWK, generateKeyPair, type JWTPayload, SignJWT } from 'jose'

/** What a test bends of an ID token. */
export interface Bent {
  readonly claims?: JWTPayload
  readonly signWithOtherKey?: boolean
  readonly withoutSignature?: boolean
}

export const providerClient = { id: 'isthmus', secret: 'a secret of the provider' }

/** An identity provider on a socket: discovery, keys, authorize, token. It asks nobody for a password. */
export async function identityProviderWorld(person: JWTPayload) {
  const [keys, otherKeys] = await Promise.all([generateKeyPair('ES256'), generateKeyPair('ES256')])
  const jwk = { ...(await exportJWK(keys.publicKey)), kid: 'one', alg: 'ES256', use: 'sig' }
  const codes = new Map<string, URLSearchParams>()
  let bent: Bent = {}
  let issuer = ''

  async function idToken(nonce: string): Promise<string> {
    const now = Math.floor(Date.now() / 1000)
    const times = { iss: issuer, aud: providerClient.id, iat: now, exp: now + 300, nonce }
    const claims = { ...times, ...person, ...bent.claims }
    if (bent.withoutSignature) {
      const parts = [{ alg: 'none' }, claims].map(part => Buffer.from(JSON.stringify(part)).toString('base64url'))
      return `${parts.join('.')}.`
    }
    const key = bent.signWithOtherKey ? otherKeys.privateKey : keys.privateKey
    return new SignJWT(claims).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key)
  }

  async function answerToken(form: URLSearchParams, authorization: string | undefined): Promise<object | undefined> {
    const asked = codes.get(form.get('code') ?? '')
    codes.delete(form.get('code') ?? '')
    const challenge = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url')
    const basic = [providerClient.id, providerClient.secret].map(text =>
      encodeURIComponent(text).replaceAll('%20', '+'),
    )
    const isClient = authorization === `Basic ${Buffer.from(basic.join(':')).toString('base64')}`
    const isSame = asked?.get('redirect_uri') === form.get('redirect_uri') && asked?.get('code_challenge') === challenge
    if (!asked || !isClient || !isSame) return undefined
    return { access_token: 'x', token_type: 'Bearer', id_token: await idToken(asked.get('nonce') ?? '') }
  }

  const server = createServer((request, response) => {
    const url = new URL(request.url ?? '', issuer)
    const send = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body))
    if (url.pathname === '/.well-known/openid-configuration') {
      const endpoints = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` }
      send(200, {
        issuer,
        ...endpoints,
        jwks_uri: `${issuer}/keys`,
        id_token_signing_alg_values_supported: ['ES256', 'none'],
      })
    } else if (url.pathname === '/keys') send(200, { keys: [jwk] })
    else if (url.pathname === '/authorize') {
      const code = randomBytes(16).toString('hex')
      codes.set(code, url.searchParams)
      const back = new URL(url.searchParams.get('redirect_uri') ?? '')
      back.searchParams.set('code', code)
      back.searchParams.set('state', url.searchParams.get('state') ?? '')
      response.writeHead(302, { location: back.href }).end()
    } else {
      const chunks: Buffer[] = []
      request.on('data', chunk => chunks.push(chunk))
      request.on('end', () => {
        const form = new URLSearchParams(Buffer.concat(chunks).toString())
        answerToken(form, request.headers.authorization).then(
          answer => (answer ? send(200, answer) : send(400, { error: 'invalid_grant' })),
          () => send(500, {}),
        )
      })
    }
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  issuer = `http://127.0.0.1:${port}`

  return {
    issuer,
    bend(change: Bent) {
      bent = change
    },
    async close() {
      server.close()
      server.closeAllConnections()
      await once(server, 'close')
    },
  }
}
