import { execFile } from 'node:child_process'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { promisify } from 'node:util'
import { ConfidentialClientApplication, CryptoProvider, ProtocolMode } from '@azure/msal-node'
import * as oauth from 'oauth4webapi'
import * as client from 'openid-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { assertionXml, signatureXml } from '../../src/auth/token-server/saml/assertion-world.ts'
import { makeTwinCertificate, type TwinCertificate } from '../../src/twins/certificate.ts'
import { describeForeign } from './servers/needs.ts'
import { person, startTokenHub, type TokenCaller, type TokenHub } from './servers/token-hub.ts'

const run = promisify(execFile)
const callback = 'https://app.example/callback'
const samlGrant = 'urn:ietf:params:oauth:grant-type:saml2-bearer'
const idp = 'https://idp.example'
const startedAt = Date.now()

let idpKeys: TwinCertificate
let tokens: TokenHub
let machine: TokenCaller
let portal: TokenCaller
let saml: TokenCaller
beforeAll(async () => {
  idpKeys = await makeTwinCertificate(['idp.example'], { keys: 'rsa' })
  tokens = await startTokenHub({ isTls: true, trusted: [{ name: 'corp', issuer: idp, certificates: [idpKeys.cert] }] })
  machine = await tokens.caller('machine', { 'grant-types': ['client_credentials', 'password', 'refresh_token'] })
  portal = await tokens.caller('portal', {
    'grant-types': ['authorization_code', 'refresh_token'],
    'redirect-uris': [callback, 'http://localhost:3000/msal'],
  })
  saml = await tokens.caller('saml', { 'grant-types': [samlGrant] })
})
afterAll(() => tokens.stop())

const audience = () => `${tokens.issuer}/runtime`

describe('openid-client', () => {
  const discover = ({ clientId, secret }: TokenCaller, auth?: client.ClientAuth) =>
    client.discovery(new URL(tokens.issuer), clientId, { client_secret: secret }, auth)

  test.each([
    ['Basic', (secret: string) => client.ClientSecretBasic(secret)],
    ['the form', (secret: string) => client.ClientSecretPost(secret)],
  ])('gets a token with its secret in %s, asks what it is and ends it', async (_name, auth) => {
    const config = await discover(machine, auth(machine.secret))
    const answer = await client.clientCredentialsGrant(config, { scope: 'ESBMessaging.send' })
    expect(answer.expires_in).toBe(3600)
    const seen = await client.tokenIntrospection(config, answer.access_token)
    expect(seen).toMatchObject({ active: true, client_id: machine.clientId, scope: 'ESBMessaging.send' })
    await client.tokenRevocation(config, answer.access_token)
    expect(await client.tokenIntrospection(config, answer.access_token)).toEqual({ active: false })
  })

  test('signs a person in with code, PKCE, state and nonce, and refreshes', async () => {
    const config = await discover(portal)
    const pkceCodeVerifier = client.randomPKCECodeVerifier()
    const expected = { expectedState: client.randomState(), expectedNonce: client.randomNonce() }
    const url = client.buildAuthorizationUrl(config, {
      redirect_uri: callback,
      scope: 'openid profile ESBMessaging.send',
      code_challenge: await client.calculatePKCECodeChallenge(pkceCodeVerifier),
      code_challenge_method: 'S256',
      state: expected.expectedState,
      nonce: expected.expectedNonce,
    })
    const end = await tokens.signIn(url.href, callback)
    const answer = await client.authorizationCodeGrant(config, new URL(end), { pkceCodeVerifier, ...expected })
    expect(answer.claims()).toMatchObject({ sub: person.name, name: person.displayName })
    const refreshed = await client.refreshTokenGrant(config, answer.refresh_token ?? '')
    expect(refreshed.refresh_token).not.toBe(answer.refresh_token)
    await expect(client.refreshTokenGrant(config, answer.refresh_token ?? '')).rejects.toMatchObject({
      error: 'invalid_grant',
    })
  })

  test('exchanges a SAML assertion', async () => {
    const config = await discover(saml)
    const id = '_openidclient1'
    const signature = signatureXml(idpKeys.key, id, assertionXml(tokens.issuer, { id, now: startedAt }))
    const assertion = Buffer.from(assertionXml(tokens.issuer, { id, now: startedAt }, signature)).toString('base64url')
    const answer = await client.genericGrantRequest(config, samlGrant, { assertion })
    expect(answer.scope).toBe('ESBMessaging.send')
  })
})
test('oauth4webapi checks an access token as a resource server does', async () => {
  const issuer = new URL(tokens.issuer)
  const as = await oauth.processDiscoveryResponse(issuer, await oauth.discoveryRequest(issuer, { algorithm: 'oauth2' }))
  const me = { client_id: machine.clientId }
  const auth = oauth.ClientSecretBasic(machine.secret)
  const response = await oauth.clientCredentialsGrantRequest(as, me, auth, new URLSearchParams())
  const { access_token: token } = await oauth.processClientCredentialsResponse(as, me, response)
  const call = (given: string) =>
    new Request('https://flow.example/', { headers: { authorization: `Bearer ${given}` } })
  const claims = await oauth.validateJwtAccessToken(as, call(token), audience())
  expect(claims).toMatchObject({ sub: machine.clientId, scope: 'ESBMessaging.send', iss: tokens.issuer })
  const tampered = `${token.slice(0, -8)}${token.endsWith('AAAAAAAA') ? 'BBBBBBBB' : 'AAAAAAAA'}`
  await expect(oauth.validateJwtAccessToken(as, call(tampered), audience())).rejects.toThrow()
})

describe('msal-node', () => {
  const application = ({ clientId, secret }: TokenCaller) =>
    new ConfidentialClientApplication({
      auth: {
        clientId,
        clientSecret: secret,
        authority: tokens.issuer,
        knownAuthorities: [new URL(tokens.issuer).host],
      },
      system: { protocolMode: ProtocolMode.OIDC },
    })

  test('gets a token for a service and takes the next one from its cache', async () => {
    const app = application(machine)
    const first = await app.acquireTokenByClientCredential({ scopes: ['ESBMessaging.send'] })
    const second = await app.acquireTokenByClientCredential({ scopes: ['ESBMessaging.send'] })
    expect([first?.fromCache, second?.fromCache]).toEqual([false, true])
    expect(await tokens.hub.tokens.verifyAccessToken(first?.accessToken ?? '')).toMatchObject({
      clientId: machine.clientId,
      scope: ['ESBMessaging.send'],
    })
  })

  test('signs a person in, and gets the next token silently', async () => {
    const app = application(portal)
    const { verifier, challenge } = await new CryptoProvider().generatePkceCodes()
    const request = { scopes: ['ESBMessaging.send'], redirectUri: callback }
    const url = await app.getAuthCodeUrl({ ...request, codeChallenge: challenge, codeChallengeMethod: 'S256' })
    const code = new URL(await tokens.signIn(url, callback)).searchParams.get('code') ?? ''
    const signedIn = await app.acquireTokenByCode({ ...request, code, codeVerifier: verifier })
    expect(signedIn.idTokenClaims).toMatchObject({ sub: person.name, name: person.displayName })
    if (!signedIn.account) throw new Error('msal-node knows no account.')
    const { account } = signedIn
    const silent = await app.acquireTokenSilent({ scopes: request.scopes, account, forceRefresh: true })
    expect(silent.accessToken).not.toBe(signedIn.accessToken)
    expect(await tokens.hub.tokens.verifyAccessToken(silent.accessToken)).toMatchObject({ subject: person.name })
  })
})

describeForeign('curl', ['curl'], () => {
  const ask = async (...args: string[]) => {
    const { stdout } = await run('curl', ['--silent', '--cacert', tokens.caFile ?? '', ...args])
    return JSON.parse(stdout) as Record<string, unknown>
  }
  const tokenUrl = () => `${tokens.issuer}/oauth/token`
  const good = () => ({ token_type: 'Bearer', expires_in: 3600, scope: 'ESBMessaging.send' })

  test('gets a token with Basic, with the form, and in the way SAP documents it', async () => {
    const user = `${machine.clientId}:${machine.secret}`
    expect(await ask('--user', user, '--data', 'grant_type=client_credentials', tokenUrl())).toMatchObject(good())
    const form = `grant_type=client_credentials&client_id=${machine.clientId}&client_secret=${machine.secret}`
    expect(await ask('--data', form, tokenUrl())).toMatchObject(good())
    const legacy = `${tokenUrl()}?grant_type=client_credentials`
    expect(await ask('--user', user, '--request', 'POST', legacy)).toMatchObject(good())
    const inUrl = `${legacy}&client_id=${machine.clientId}&client_secret=${machine.secret}`
    expect(await ask('--request', 'POST', inUrl)).toMatchObject({ error: 'invalid_request' })
  })

  test('gets a bound token with a certificate', async () => {
    const made = await tokens.hub.serviceUsers.createKey(machine.instanceId, {
      name: 'certificate',
      parameters: { 'key-type': 'certificate', validity: 1 },
    })
    const { certificate = '', key = '' } = made.document.oauth
    writeFileSync(join(tokens.folder, 'client.pem'), certificate)
    writeFileSync(join(tokens.folder, 'client.key'), key, { mode: 0o600 })
    const proof = ['--cert', join(tokens.folder, 'client.pem'), '--key', join(tokens.folder, 'client.key')]
    const form = `grant_type=client_credentials&client_id=${machine.clientId}`
    const answer = await ask(...proof, '--data', form, tokenUrl())
    expect(answer).toMatchObject(good())
    const claims = await tokens.hub.tokens.verifyAccessToken(String(answer['access_token']))
    expect(claims?.thumbprint).toBe(made.key.certificate?.thumbprint)
  })
})

describeForeign('Authlib', ['python3-authlib'], () => {
  test('gets, refreshes, checks, introspects and revokes tokens', async () => {
    const script = join(tokens.folder, 'authlib-client.py')
    writeFileSync(script, authlibScript)
    const { clientId, secret } = machine
    const ca = tokens.caFile ?? ''
    // requests prefers what stands in the environment to what the program says.
    const env = { ...process.env, REQUESTS_CA_BUNDLE: ca }
    const { stdout } = await run('/usr/bin/python3', [script, tokens.issuer, clientId, secret, ca], { env })
    expect(JSON.parse(stdout)).toEqual({
      basic: 'Bearer',
      post: 'Bearer',
      claims: { iss: tokens.issuer, client_id: clientId, scope: 'ESBMessaging.send', sub: clientId },
      tampered: 'BadSignatureError',
      user: person.name,
      refreshed: true,
      reused: 'invalid_grant',
      active: true,
      revoked: false,
    })
  })
})

describeForeign('xmlsec1', ['xmlsec1'], () => {
  test('signs an assertion that counts, and again one that was changed does not', async () => {
    const id = '_xmlsec1'
    const template = assertionXml(tokens.issuer, { id }, signatureTemplate(id))
    const [unsigned, signed] = [join(tokens.folder, 'unsigned.xml'), join(tokens.folder, 'signed.xml')]
    writeFileSync(unsigned, template)
    writeFileSync(join(tokens.folder, 'idp.key'), idpKeys.key, { mode: 0o600 })
    const idAttribute = ['--id-attr:ID', 'urn:oasis:names:tc:SAML:2.0:assertion:Assertion']
    const key = ['--privkey-pem', join(tokens.folder, 'idp.key')]
    await run('xmlsec1', ['--sign', ...key, ...idAttribute, '--output', signed, unsigned])
    const xml = readFileSync(signed, 'utf8')
    const send = async (text: string) => {
      const response = await fetch(`${tokens.issuer}/oauth/token`, {
        method: 'POST',
        body: new URLSearchParams({
          grant_type: samlGrant,
          client_id: saml.clientId,
          client_secret: saml.secret,
          assertion: Buffer.from(text).toString('base64url'),
        }),
      })
      return [response.status, (await response.json()) as { error?: string }] as const
    }
    expect(await send(xml.replace('anna@corp', 'boss@corp'))).toMatchObject([400, { error: 'invalid_grant' }])
    expect(await send(xml)).toMatchObject([200, { scope: 'ESBMessaging.send' }])
  })
})

function signatureTemplate(id: string): string {
  const ds = 'http://www.w3.org/2000/09/xmldsig#'
  return `<ds:Signature xmlns:ds="${ds}"><ds:SignedInfo>
<ds:CanonicalizationMethod Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/>
<ds:SignatureMethod Algorithm="http://www.w3.org/2001/04/xmldsig-more#rsa-sha256"/>
<ds:Reference URI="#${id}"><ds:Transforms><ds:Transform Algorithm="${ds}enveloped-signature"/>
<ds:Transform Algorithm="http://www.w3.org/2001/10/xml-exc-c14n#"/></ds:Transforms>
<ds:DigestMethod Algorithm="http://www.w3.org/2001/04/xmlenc#sha256"/><ds:DigestValue/></ds:Reference>
</ds:SignedInfo><ds:SignatureValue/></ds:Signature>`
}

const authlibScript = `import json, sys
from authlib.integrations.requests_client import OAuth2Session
from authlib.jose import JsonWebKey, jwt
from authlib.jose.errors import JoseError
from authlib.integrations.base_client.errors import OAuthError
import requests

issuer, client_id, secret, ca = sys.argv[1:5]
url = issuer + '/oauth/token'

def session(method):
    made = OAuth2Session(client_id, secret, token_endpoint_auth_method=method)
    made.verify = ca
    return made

out = {}
basic = session('client_secret_basic')
token = basic.fetch_token(url, grant_type='client_credentials')
out['basic'] = token['token_type']
out['post'] = session('client_secret_post').fetch_token(url, grant_type='client_credentials')['token_type']
keys = JsonWebKey.import_key_set(requests.get(issuer + '/token_keys', verify=ca).json())
claims = jwt.decode(token['access_token'], keys)
claims.validate()
out['claims'] = {name: claims[name] for name in ('iss', 'client_id', 'scope', 'sub')}
try:
    jwt.decode(token['access_token'][:-6] + 'AAAAAA', keys)
except JoseError as error:
    out['tampered'] = type(error).__name__
user = session('client_secret_basic')
mine = user.fetch_token(url, grant_type='password', username='anna', password='correct horse battery')
out['user'] = jwt.decode(mine['access_token'], keys)['sub']
fresh = user.refresh_token(url, refresh_token=mine['refresh_token'])
out['refreshed'] = fresh['refresh_token'] != mine['refresh_token']
try:
    user.refresh_token(url, refresh_token=mine['refresh_token'])
except OAuthError as error:
    out['reused'] = error.error
out['active'] = basic.introspect_token(issuer + '/introspect', token=token['access_token']).json()['active']
basic.revoke_token(issuer + '/revoke', token=token['access_token'])
out['revoked'] = basic.introspect_token(issuer + '/introspect', token=token['access_token']).json()['active']
print(json.dumps(out))
`
