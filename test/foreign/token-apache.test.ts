import { afterAll, beforeAll, expect, test } from 'vitest'
import { type Apache, startApache } from './servers/apache.ts'
import { describeForeign } from './servers/needs.ts'
import { startTokenHub, type TokenCaller, type TokenHub } from './servers/token-hub.ts'

const algorithms = ['ES256', 'RS256'] as const

for (const algorithm of algorithms) {
  describeForeign(`mod_auth_openidc with ${algorithm}`, ['apache2', 'mod_auth_openidc'], () => {
    let tokens: TokenHub
    let portal: TokenCaller
    let apache: Apache
    beforeAll(async () => {
      tokens = await startTokenHub({ algorithm })
      portal = await tokens.caller('apache', { 'grant-types': ['authorization_code', 'refresh_token'] })
      apache = await startApache(tokens.folder, ['auth_openidc'], url =>
        [
          `OIDCProviderMetadataURL ${tokens.issuer}/.well-known/openid-configuration`,
          `OIDCClientID ${portal.clientId}`,
          `OIDCClientSecret ${portal.secret}`,
          `OIDCRedirectURI ${url}/protected/callback`,
          'OIDCCryptoPassphrase a-passphrase-of-the-test',
          'OIDCPKCEMethod S256',
          'OIDCScope "openid profile ESBMessaging.send"',
          'OIDCRemoteUserClaim sub',
          '<Location "/protected/">',
          '  AuthType openid-connect',
          '  Require valid-user',
          '</Location>',
        ].join('\n'),
      )
      await tokens.hub.serviceUsers.updateInstance(portal.instanceId, {
        parameters: {
          'grant-types': ['authorization_code', 'refresh_token'],
          'redirect-uris': [`${apache.url}/protected/callback`],
        },
      })
    })
    afterAll(async () => {
      await apache?.stop()
      await tokens?.stop()
    })

    test('signs a person in with the browser and shows the page', async () => {
      expect((await fetch(`${apache.url}/protected/`)).status).toBe(401)
      const page = await tokens
        .signIn(`${apache.url}/protected/`, `${apache.url}/protected/`)
        .catch((error: unknown) => {
          throw new Error(`${String(error)}\n${apache.output()}`)
        })
      expect(page).toBe('the protected page\n')
    })
  })

  describeForeign(`mod_oauth2 with ${algorithm}`, ['apache2', 'mod_oauth2'], () => {
    let tokens: TokenHub
    let machine: TokenCaller
    const open: Apache[] = []
    beforeAll(async () => {
      tokens = await startTokenHub({ algorithm })
      machine = await tokens.caller('machine', {})
    })
    afterAll(async () => {
      for (const apache of open) await apache.stop()
      await tokens?.stop()
    })

    async function start(verify: string): Promise<Apache> {
      const apache = await startApache(tokens.folder, ['oauth2'], () =>
        ['<Location "/protected/">', '  AuthType oauth2', verify, '  Require valid-user', '</Location>'].join('\n'),
      )
      open.push(apache)
      return apache
    }
    const token = async () => {
      const response = await fetch(`${tokens.issuer}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: 'client_credentials',
          client_id: machine.clientId,
          client_secret: machine.secret,
        }),
      })
      return ((await response.json()) as { access_token: string }).access_token
    }
    const call = async (apache: Apache, bearer?: string) => {
      const headers = bearer === undefined ? {} : { authorization: `Bearer ${bearer}` }
      const response = await fetch(`${apache.url}/protected/`, { headers })
      return [response.status, response.headers.get('x-user')]
    }
    /** One letter in the middle of the signature: its end may be mere padding. */
    const tampered = (good: string) => {
      const at = good.length - 30
      return good.slice(0, at) + (good[at] === 'A' ? 'B' : 'A') + good.slice(at + 1)
    }

    test('checks tokens with the published keys', async () => {
      const apache = await start(`  OAuth2TokenVerify jwks_uri ${tokens.issuer}/token_keys`)
      const good = await token()
      expect(await call(apache, good), apache.output()).toEqual([200, machine.clientId])
      expect((await call(apache, tampered(good)))[0]).toBe(401)
      expect((await call(apache))[0]).toBe(401)
    })

    test('asks the hub what a token is, and so sees one that was revoked', async () => {
      const { clientId, secret } = machine
      const options = `introspect.auth=client_secret_basic&client_id=${clientId}&client_secret=${secret}&expiry=0`
      const apache = await start(`  OAuth2TokenVerify introspect ${tokens.issuer}/introspect ${options}`)
      const good = await token()
      const other = await token()
      expect((await call(apache, good))[0], apache.output()).toBe(200)
      expect((await call(apache, tampered(good)))[0]).toBe(401)
      await (await tokens.hub.tokens.load()).revokeToken(jtiOf(other))
      expect((await call(apache, other))[0]).toBe(401)
    })
  })
}

function jtiOf(token: string): string {
  const payload = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { jti: string }
  return payload.jti
}
