import { generateKeyPairSync, X509Certificate } from 'node:crypto'
import { writeFile } from 'node:fs/promises'
import { connect } from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, HOUR, MINUTE } from '../../kernel/time.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { makeAuthority, makeSerial, signCertificate } from '../certificate-signing.ts'
import { thumbprintOf } from './client-certificate.ts'
import { basic, type GuardWorld, guardWorld } from './guard-world.ts'

/** An authority of somebody else, and the certificates it signs. */
async function foreignAuthority(name: string) {
  const now = Date.now()
  const authority = await makeAuthority(
    { name },
    { notBefore: new Date(now - 30 * DAY), notAfter: new Date(now + 300 * DAY) },
  )
  return {
    pem: authority.certificate,
    async sign(subject: string, fromMs: number, toMs: number, usage: 'client' | 'server' = 'client') {
      const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' })
      const cert = await signCertificate(authority, {
        serial: makeSerial(),
        subject: { name: subject },
        publicKey: new Uint8Array(publicKey.export({ type: 'spki', format: 'der' })),
        usage,
        hosts: [],
        notBefore: new Date(now + fromMs),
        notAfter: new Date(now + toMs),
      })
      return { cert, key: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString() }
    },
  }
}

let partner: Awaited<ReturnType<typeof foreignAuthority>>
let impostor: Awaited<ReturnType<typeof foreignAuthority>>
let world: GuardWorld
beforeEach(async () => {
  partner = await foreignAuthority('Partner CA')
  impostor = await foreignAuthority('Partner CA')
  world = await guardWorld({ tls: true, externalAuthorities: [partner.pem] })
})
afterEach(() => world.close())

/** An instance with one key of this kind. */
async function withKey(parameters: unknown) {
  const made = await world.caller('cpi', { 'grant-types': ['client_x509'] }, parameters)
  const { certificate: cert, key } = made.document.oauth
  return { ...made, client: { cert, key } }
}

test('a certificate of the hub lets in; none, or that of somebody else, does not', async () => {
  const { client, key } = await withKey({ 'key-type': 'certificate', validity: 30 })
  const stranger = await makeTwinCertificate(['cpi'])
  expect(await world.overTls(client)).toBe(200)
  expect(world.seen[0]?.caller).toMatchObject({ instance: 'cpi', by: 'certificate', keyId: key.id })
  expect([await world.overTls(), await world.overTls(stranger)]).toEqual([401, 401])
  expect(world.reasons).toEqual(['no-credential', 'unknown-certificate'])
})

test('secrets work over the same connection', async () => {
  const { clientId, secret } = await world.caller('other')
  expect(await world.overTls({}, basic(clientId, secret))).toBe(200)
})

test('a revoked key, a certificate revoked at the authority, one that ended: refused at the next request', async () => {
  const { client, key } = await withKey({ 'key-type': 'certificate', validity: 1 })
  expect(await world.overTls(client)).toBe(200)
  const second = await world.caller('second', {}, { 'key-type': 'certificate', validity: 30 })
  const other = { cert: second.document.oauth.certificate, key: second.document.oauth.key }
  expect(await world.overTls(other)).toBe(200)
  await world.clock.advance(DAY + HOUR)
  expect([await world.overTls(client), await world.overTls(other)]).toEqual([401, 200])
  await world.authority.revoke(second.key.certificate?.serialNumber ?? '', 'lost')
  expect(await world.overTls(other)).toBe(401)
  const third = await world.caller('third', {}, { 'key-type': 'certificate', validity: 30 })
  await world.users().revokeKey(third.key.id)
  expect(world.authority.isRevoked(third.key.certificate?.serialNumber ?? '')).toBe(true)
  expect(await world.overTls({ cert: third.document.oauth.certificate, key: third.document.oauth.key })).toBe(401)
  expect(world.reasons).toEqual(['certificate-expired', 'certificate-revoked', 'certificate-revoked'])
  expect(world.users().stateOf(key)).toBe('expired')
})

test('a connection that stays open is judged anew at each request', async () => {
  const { client, instance } = await withKey({ 'key-type': 'certificate', validity: 30 })
  const socket = connect({ host: '127.0.0.1', port: world.port, ca: world.ca, ...client })
  socket.setEncoding('utf8')
  const answer = () =>
    new Promise<string>((resolve, reject) => {
      socket.once('data', (text: string) => resolve(text.slice(9, 12)))
      socket.once('error', reject)
      socket.write('POST /flows/costs HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n')
    })
  try {
    expect([await answer(), await answer()]).toEqual(['200', '200'])
    await world.users().updateInstance(instance.id, { disabled: true })
    expect(await answer()).toBe('401')
  } finally {
    socket.destroy()
  }
})

test('a pinned certificate counts, self-signed or not; another of the same names does not', async () => {
  const first = await partner.sign('orders.partner', -HOUR, 30 * DAY)
  const same = await partner.sign('orders.partner', -MINUTE, 30 * DAY)
  await withKey({ 'key-type': 'certificate_external', 'X.509': first.cert.replaceAll('\n', '\\n') })
  expect([await world.overTls(first), await world.overTls(same)]).toEqual([200, 401])
  expect(world.reasons).toEqual(['unknown-certificate'])
})

describe('a certificate whose key ended moves to another instance, whatever becomes of the one it left', () => {
  const external = (pem: string, isPinned: boolean) => ({
    'key-type': 'certificate_external',
    'X.509': pem,
    'pin-certificate': isPinned,
  })
  async function expectMoved(client: { cert: string; key: string }, isPinned: boolean, leftId: string) {
    const { key } = await world.caller('taken', {}, external(client.cert, isPinned))
    await world.users().updateInstance(leftId, { parameters: { 'token-validity': 7200 } })
    expect(await world.overTls(client)).toBe(200)
    expect(world.seen[0]?.caller).toMatchObject({ instance: 'taken', keyId: key.id })
  }

  test('pinned, and replaced by a rotation', async () => {
    const first = await partner.sign('orders.partner', -HOUR, 30 * DAY)
    const next = await partner.sign('orders.partner', -HOUR, 60 * DAY)
    const { instance, key } = await withKey(external(first.cert, true))
    await world.users().rotateKey(key.id, { overlapMs: 0, parameters: external(next.cert, true) })
    await world.clock.advance(MINUTE)
    await expectMoved(first, true, instance.id)
  })

  test('by subject and issuer, and expired', async () => {
    const first = await partner.sign('orders.partner', -HOUR, HOUR)
    const { instance } = await withKey(external(first.cert, false))
    await world.clock.advance(2 * HOUR)
    await expectMoved(await partner.sign('orders.partner', 0, 30 * DAY), false, instance.id)
  })
})

test('a key for subject and issuer takes newer certificates, refuses the older one then, and trusts signatures only', async () => {
  const first = await partner.sign('orders.partner', -HOUR, 30 * DAY)
  const { key, instance } = await withKey({
    'key-type': 'certificate_external',
    'X.509': first.cert,
    'pin-certificate': false,
  })
  const next = await partner.sign('orders.partner', -MINUTE, 60 * DAY)
  expect([await world.overTls(first), await world.overTls(next)]).toEqual([200, 200])
  await expect.poll(() => world.users().getKey(key.id).certificate?.thumbprint).not.toBe(key.certificate?.thumbprint)
  expect(await world.overTls(first)).toBe(401)
  const expiresAt = world.users().getKey(key.id).expiresAt ?? 0
  expect(Math.round((expiresAt - world.clock.now()) / DAY)).toBe(60)

  for (const other of [
    await impostor.sign('orders.partner', 0, 90 * DAY),
    await partner.sign('invoices.partner', 0, 90 * DAY),
    await partner.sign('orders.partner', 0, 90 * DAY, 'server'),
    await partner.sign('orders.partner', -29 * DAY, -DAY),
    await partner.sign('orders.partner', DAY, 90 * DAY),
  ]) {
    expect(await world.overTls(other)).toBe(401)
  }
  expect(world.reasons).toEqual([
    'certificate-replaced',
    'certificate-untrusted',
    'unknown-certificate',
    'certificate-untrusted',
    'certificate-expired',
    'certificate-not-yet-valid',
  ])
  // Two keys for the same names could not be told apart.
  await expect(
    world.users().createKey(instance.id, {
      name: 'again',
      parameters: { 'key-type': 'certificate_external', 'X.509': next.cert, 'pin-certificate': false },
    }),
  ).rejects.toMatchObject({ code: 'SERVICE_CERTIFICATE_TAKEN' })
  await expect(world.users().rotateKey(key.id, { overlapMs: 0 })).rejects.toThrow('by itself')
})

test('a certificate that begins later is not listed as active before, and its place is taken', async () => {
  const later = await partner.sign('orders.partner', DAY, 90 * DAY)
  const parameters = { 'key-type': 'certificate_external', 'X.509': later.cert, 'pin-certificate': true }
  const { instance, key } = await withKey(parameters)
  const users = world.users()
  const stateNow = () => users.stateOf(users.getKey(key.id))
  expect([stateNow(), await world.overTls(later)]).toEqual(['not-yet-valid', 401])
  await expect(users.createKey(instance.id, { name: key.name })).rejects.toMatchObject({ code: 'SERVICE_KEY_EXISTS' })

  await world.clock.advance(DAY + MINUTE)
  expect([stateNow(), await world.overTls(later)]).toEqual(['active', 200])
})

test('a token that is bound to a certificate counts on its connections only', async () => {
  const { client, clientId, key } = await withKey({ 'key-type': 'certificate', validity: 30 })
  const other = await world.caller('other', {}, { 'key-type': 'certificate', validity: 30 })
  world.claims.set('a.b.c', {
    clientId,
    keyId: key.id,
    subject: clientId,
    scope: ['ESBMessaging.send'],
    jti: 'j',
    expiresAt: world.clock.now() + MINUTE,
    thumbprint: key.certificate?.thumbprint,
  })
  const otherClient = { cert: other.document.oauth.certificate, key: other.document.oauth.key }
  expect(await world.overTls(client, 'Bearer a.b.c')).toBe(200)
  expect(await world.overTls(otherClient, 'Bearer a.b.c')).toBe(401)
  expect(await world.overTls({}, 'Bearer a.b.c')).toBe(401)
  expect(world.reasons).toEqual(['token-without-its-certificate', 'token-without-its-certificate'])
})

test('a rotation of a certificate key: both until the overlap is over', async () => {
  const { client, key } = await withKey({ 'key-type': 'certificate', validity: 30 })
  const next = await world.users().rotateKey(key.id, { overlapMs: HOUR })
  const fresh = { cert: next.document.oauth.certificate, key: next.document.oauth.key }
  expect([await world.overTls(client), await world.overTls(fresh)]).toEqual([200, 200])
  expect(Math.round(((next.key.expiresAt ?? 0) - world.clock.now()) / DAY)).toBe(30)
  await world.clock.advance(HOUR)
  expect([await world.overTls(client), await world.overTls(fresh)]).toEqual([401, 200])
})

test('a successor has an RSA key of the same length, where its predecessor had one, over a restart too', async () => {
  const parameters = { 'key-type': 'certificate', 'key-length': 3072, validity: 30 }
  const { key } = await withKey(parameters)
  const users = await world.reopen()
  const next = await users.rotateKey(key.id, { overlapMs: HOUR })
  const { publicKey } = new X509Certificate(next.document.oauth.certificate ?? '')
  expect(publicKey.asymmetricKeyDetails?.modulusLength).toBe(3072)
  expect(next.document.oauth.key).toContain('BEGIN RSA PRIVATE KEY')
})

const mistakes: readonly [string, (pem: string) => unknown, RegExp][] = [
  ['no PEM', () => ({ 'X.509': 'hello' }), /not one certificate/],
  ['two certificates', pem => ({ 'X.509': pem + pem }), /not one certificate/],
  [
    'a broken one',
    () => ({ 'X.509': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----' }),
    /cannot be read/,
  ],
  ['nothing', () => ({}), /X\.509/],
]
test.each(mistakes)('an external key with %s is refused in words', async (_what, parameters, words) => {
  const { cert } = await partner.sign('x', -HOUR, DAY)
  const { id } = await world.users().createInstance({ name: 'cpi' })
  const given = { 'key-type': 'certificate_external', ...(parameters(cert) as object) }
  await expect(world.users().createKey(id, { name: 'k', parameters: given })).rejects.toThrow(words)
})

test('an authority by its names, and a certificate that ended, are no keys of a caller', async () => {
  const { id } = await world.users().createInstance({ name: 'cpi' })
  const ended = await partner.sign('x', -2 * DAY, -DAY)
  for (const [pem, words] of [
    [partner.pem, 'of an authority'],
    [ended.cert, 'ended on'],
  ] as const) {
    const parameters = { 'key-type': 'certificate_external', 'X.509': pem, 'pin-certificate': false }
    await expect(world.users().createKey(id, { name: 'k', parameters })).rejects.toThrow(words)
  }
})

test('the thumbprint is what others compute', async () => {
  // RFC 8705 section 3.1: base64url of SHA-256 over the DER form; the empty input has a well-known digest.
  expect(thumbprintOf(new Uint8Array())).toBe('47DEQpj8HBSa-_TImW-5JCeuQeRkm5NMpJWZG3hSuFU')
})

test('a renewed certificate of the endpoint counts for new connections, and a broken file changes nothing', async () => {
  const serial = () =>
    new Promise<string>((resolve, reject) => {
      const socket = connect({ host: '127.0.0.1', port: world.port, rejectUnauthorized: false }, () => {
        resolve(socket.getPeerCertificate().serialNumber)
        socket.destroy()
      })
      socket.on('error', reject)
    })
  const before = await serial()
  const { cert, key } = await makeTwinCertificate()
  await writeFile(world.files.certificate, cert)
  await world.clock.advance(MINUTE)
  expect(await serial()).toBe(before)
  expect(world.lines.join()).toContain('endpoint.certificate-not-renewed')
  await writeFile(world.files.key, key)
  await world.clock.advance(MINUTE)
  expect(await serial()).not.toBe(before)
})
