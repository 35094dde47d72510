import { X509Certificate } from 'node:crypto'
import { request } from 'node:https'
import { text } from 'node:stream/consumers'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { type Answer, decode, type TokenWorld, tokenWorld } from './token-world.ts'

let world: TokenWorld
let ca = ''
beforeAll(async () => {
  const server = await makeTwinCertificate(['127.0.0.1'])
  ca = server.ca
  world = await tokenWorld({ tls: { cert: server.cert, key: server.key } })
})
afterAll(() => world.close())

interface Proof {
  readonly cert?: string
  readonly key?: string
  readonly authorization?: string
}

/** A request over TLS, with a client certificate where one is given. */
function post(form: Readonly<Record<string, string>>, proof: Proof = {}, path = '/oauth/token') {
  return new Promise<{ status: number; body: Answer }>((resolve, reject) => {
    const { authorization, ...certificate } = proof
    const sent = request(`${world.issuer}${path}`, {
      method: 'POST',
      ca,
      agent: false,
      ...certificate,
      headers: { 'content-type': 'application/x-www-form-urlencoded', ...(authorization && { authorization }) },
    })
    sent.on('error', reject)
    sent.on('response', response => {
      text(response).then(body => {
        resolve({ status: response.statusCode ?? 0, body: (body ? JSON.parse(body) : {}) as Answer })
      }, reject)
    })
    sent.end(new URLSearchParams(form).toString())
  })
}

let count = 0
async function certificateCaller(parameters: object = {}) {
  count++
  const keyParameters = { 'key-type': 'certificate', validity: 30 }
  const caller = await world.caller(`cert-${count}`, parameters, keyParameters)
  const { certificate = '', key = '' } = caller.document.oauth
  return { ...caller, proof: { cert: certificate, key }, thumbprint: caller.key.certificate?.thumbprint }
}

const grant = { grant_type: 'client_credentials' }

test('a certificate key gets a token that counts only with that certificate', async () => {
  const caller = await certificateCaller()
  const { status, body } = await post({ ...grant, client_id: caller.clientId }, caller.proof)
  expect(status).toBe(200)
  expect(decode(body.access_token).payload).toMatchObject({
    key_id: caller.key.id,
    cnf: { 'x5t#S256': caller.thumbprint },
  })
  expect((await world.tokens().verifyAccessToken(body.access_token))?.thumbprint).toBe(caller.thumbprint)
  const introspected = await post({ token: body.access_token, client_id: caller.clientId }, caller.proof, '/introspect')
  expect(introspected.body).toMatchObject({ active: true, cnf: { 'x5t#S256': caller.thumbprint } })
})

test('secret and certificate keys of one instance work side by side', async () => {
  const caller = await certificateCaller()
  const secretKey = await world.users().createKey(caller.instance.id, { name: 'secret' })
  const secret = secretKey.document.oauth.clientsecret ?? ''
  const authorization = `Basic ${Buffer.from(`${caller.clientId}:${secret}`).toString('base64')}`
  const bySecret = await post(grant, { authorization })
  expect(decode(bySecret.body.access_token).payload).toMatchObject({ key_id: secretKey.key.id })
  expect(decode(bySecret.body.access_token).payload['cnf']).toBeUndefined()
  const byCertificate = await post({ ...grant, client_id: caller.clientId }, caller.proof)
  expect(decode(byCertificate.body.access_token).payload).toMatchObject({ key_id: caller.key.id })
})

test('client_x509 lets nobody in but by certificate, and for no other grant', async () => {
  const caller = await certificateCaller({ 'grant-types': ['client_x509'] })
  expect((await post({ ...grant, client_id: caller.clientId }, caller.proof)).status).toBe(200)
  const refresh = { grant_type: 'refresh_token', refresh_token: 'x', client_id: caller.clientId }
  expect((await post(refresh, caller.proof)).status).toBe(400)
  expect((await post({ ...grant, client_id: caller.clientId })).body.error).toBe('invalid_client')
  const withSecret = { ...grant, client_id: caller.clientId, client_secret: 'x' }
  expect((await post(withSecret, caller.proof)).body.error).toBe('invalid_client')
})

describe('a certificate is refused', () => {
  test('of another instance, of another authority with the same name, and without its client id', async () => {
    const caller = await certificateCaller()
    const other = await certificateCaller()
    expect((await post({ ...grant, client_id: caller.clientId }, other.proof)).body.error).toBe('invalid_client')
    const stranger = await makeTwinCertificate(['client.example'])
    const strange = { cert: stranger.cert, key: stranger.key }
    expect((await post({ ...grant, client_id: caller.clientId }, strange)).body.error).toBe('invalid_client')
    expect((await post(grant, caller.proof)).status).toBe(400)
  })

  test('once its key is revoked', async () => {
    const caller = await certificateCaller()
    await world.users().revokeKey(caller.key.id)
    expect((await post({ ...grant, client_id: caller.clientId }, caller.proof)).body.error).toBe('invalid_client')
  })
})

test('a refresh token of a certificate key needs that certificate', async () => {
  const password = 'correct horse battery'
  await world.people.create({ name: 'anna', roles: ['ESBMessaging.send'], password })
  const caller = await certificateCaller({ 'grant-types': ['password', 'refresh_token'] })
  const form = { grant_type: 'password', username: 'anna', password, client_id: caller.clientId }
  const { body } = await post(form, caller.proof)
  expect(decode(body.access_token).payload['cnf']).toEqual({ 'x5t#S256': caller.thumbprint })
  const refresh = { grant_type: 'refresh_token', refresh_token: body.refresh_token, client_id: caller.clientId }
  const second = await world.users().createKey(caller.instance.id, {
    name: 'second',
    parameters: { 'key-type': 'certificate', validity: 30 },
  })
  const { certificate = '', key = '' } = second.document.oauth
  expect(new X509Certificate(certificate).subject).toBeTruthy()
  expect((await post(refresh, { cert: certificate, key })).body.error).toBe('invalid_grant')
  expect((await post(refresh, caller.proof)).status).toBe(200)
})
