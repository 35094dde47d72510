import { generateKeyPairSync, webcrypto, X509Certificate } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { silentLog } from '../kernel/log.ts'
import { DAY, systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { certificateLimits, openCertificateAuthority } from './certificate-authority.ts'
import { openCredentials } from './credentials.ts'
import { MemoryRecords } from './records-world.ts'
import { openVault } from './vault.ts'
import { Pkcs10CertificateRequestGenerator } from './x509.ts'

let folder = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-authority-'))
})
afterEach(() => rm(folder, { recursive: true }))

const ec = { name: 'ECDSA', namedCurve: 'P-256', hash: 'SHA-256' }

async function makeWorld(records = new MemoryRecords()) {
  const clock = { time: Date.now(), now: () => clock.time }
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  const authority = await openCertificateAuthority({ records, vault, clock })
  return { records, vault, clock, authority, reopen: () => openCertificateAuthority({ records, vault, clock }) }
}

function makeKeyPair(kind: 'ec' | 'rsa' = 'ec', bits = 2048) {
  const pair =
    kind === 'ec'
      ? generateKeyPairSync('ec', { namedCurve: 'prime256v1' })
      : generateKeyPairSync('rsa', { modulusLength: bits })
  return {
    publicKey: pair.publicKey.export({ type: 'spki', format: 'pem' }).toString(),
    privateKey: pair.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
  }
}

async function makeRequest(name = 'CN=whoever,OU=admin') {
  const keys = await webcrypto.subtle.generateKey(ec, true, ['sign', 'verify'])
  return (await Pkcs10CertificateRequestGenerator.create({ name, keys, signingAlgorithm: ec })).toString('pem')
}

const order = (publicKey: string) => ({
  key: { publicKey },
  subject: { name: 'c-0123456789ab', unit: 'dc-frankfurt' },
  days: 90,
  usage: 'client' as const,
})

test('a certificate opens a TLS connection that asks for one of the hub, and no other does', async () => {
  const { authority } = await makeWorld()
  const own = makeKeyPair()
  const server = makeKeyPair('rsa')
  const ca = authority.authorities().map(({ certificate }) => certificate)
  const subject = { name: 'hub' }
  const key = { publicKey: server.publicKey }
  const hub = await authority.issue({ key, subject, days: 1, usage: 'server', hosts: ['hub.test', '127.0.0.1'] })
  const client = await authority.issue(order(own.publicKey))
  expect(client.serial).toBe(new X509Certificate(client.certificate).serialNumber.toLowerCase())

  const listener = tls.createServer({ key: server.privateKey, cert: hub.certificate, ca, requestCert: true })
  await new Promise<void>(resolve => listener.listen(0, '127.0.0.1', resolve))
  const { port } = listener.address() as { port: number }
  const shown = new Promise<X509Certificate | undefined>((resolve, reject) => {
    listener.once('secureConnection', socket => {
      resolve(socket.getPeerX509Certificate())
      socket.end()
    })
    listener.once('tlsClientError', reject)
  })
  const socket = tls.connect({ port, servername: 'hub.test', ca, cert: client.certificate, key: own.privateKey })
  socket.resume()
  const peer = await shown
  expect(peer && authority.verify(peer, 'client')).toEqual({
    serial: client.serial,
    subject: { name: 'c-0123456789ab', unit: 'dc-frankfurt' },
  })
  await new Promise<void>(resolve => socket.once('close', () => resolve()))
  await new Promise(resolve => listener.close(resolve))
})

test('a request counts for its key alone: the names are those the hub gives', async () => {
  const { authority } = await makeWorld()
  const { certificate } = await authority.issue({ ...order(''), key: { csr: await makeRequest() } })
  expect(new X509Certificate(certificate).subject).toBe('OU=dc-frankfurt\nCN=c-0123456789ab')
})

test('the authority survives a restart, and its key lies sealed', async () => {
  const { authority, records, reopen } = await makeWorld()
  const issued = await authority.issue(order(makeKeyPair().publicKey))
  expect(records.dump()).not.toContain('PRIVATE KEY')
  const again = await reopen()
  expect(again.authorities()).toEqual(authority.authorities())
  expect(await again.lookup(issued.serial)).toEqual(issued)
  expect(await again.list()).toEqual([issued])
})

test('two nodes that open it for the first time at once end up with one authority', async () => {
  const { vault, clock } = await makeWorld()
  const records = new MemoryRecords()
  const open = () => openCertificateAuthority({ records, vault, clock })
  const [one, other] = await Promise.all([open(), open()])
  expect(one.authorities()).toEqual(other.authorities())
  expect(one.authorities()).toHaveLength(1)
})

test('a revoked certificate is refused at once, after a restart, and on the other node', async () => {
  const { authority, reopen } = await makeWorld()
  const other = await reopen()
  const { serial, certificate } = await authority.issue(order(makeKeyPair().publicKey))
  const told: string[] = []
  authority.onRevoked(gone => told.push(gone))
  const revoked = await authority.revoke(serial.toUpperCase(), 'laptop lost')
  expect(revoked.revoked).toMatchObject({ reason: 'laptop lost' })
  expect((await authority.revoke(serial, 'again')).revoked).toMatchObject({ reason: 'laptop lost' })
  expect(told).toEqual([serial])
  expect(authority.isRevoked(`00:${serial.toUpperCase()}`)).toBe(true)
  const x509 = new X509Certificate(certificate)
  expect(() => authority.verify(x509, 'client')).toThrow(expect.objectContaining({ code: 'CERTIFICATE_REVOKED' }))
  expect(other.isRevoked(serial)).toBe(false)
  await other.refresh()
  expect(other.isRevoked(serial)).toBe(true)
  expect((await reopen()).isRevoked(serial)).toBe(true)
  await expect(authority.revoke('ff', 'never made')).rejects.toMatchObject({ code: 'CERTIFICATE_UNKNOWN' })
})

test('verify tells a foreign authority of the same name, another use and another time apart', async () => {
  const { authority, clock } = await makeWorld()
  const { authority: foreign } = await makeWorld()
  const { publicKey } = makeKeyPair()
  const theirs = new X509Certificate((await foreign.issue(order(publicKey))).certificate)
  const own = new X509Certificate((await authority.issue(order(publicKey))).certificate)
  const refusal = (certificate: X509Certificate, usage: 'client' | 'server' = 'client') => {
    try {
      return authority.verify(certificate, usage).serial
    } catch (thrown) {
      return (thrown as { code: string }).code
    }
  }
  expect(refusal(own)).toMatch(/^[0-9a-f]{32}$/)
  expect(refusal(theirs)).toBe('CERTIFICATE_NOT_OURS')
  expect(refusal(own, 'server')).toBe('CERTIFICATE_NOT_OURS')
  expect(refusal(new X509Certificate(authority.authorities()[0]?.certificate ?? ''))).toBe('CERTIFICATE_NOT_OURS')
  clock.time += 91 * DAY
  expect(refusal(own)).toBe('CERTIFICATE_NOT_VALID_NOW')
})

test('a successor is known for 400 days before it signs, and the old one is trusted to its end', async () => {
  const { authority, clock } = await makeWorld()
  const [first] = authority.authorities()
  const { authorityDays, successorMadeDays, successorSignsDays } = certificateLimits
  const { publicKey } = makeKeyPair()
  const signers = async () => {
    await authority.refresh()
    return authority.authorities().map(({ generation }) => generation)
  }
  clock.time += (authorityDays - successorMadeDays - 1) * DAY
  expect(await signers()).toEqual([1])
  clock.time += 2 * DAY
  expect(await signers()).toEqual([1, 2])
  clock.time += (successorMadeDays - successorSignsDays - 2) * DAY
  expect(await signers()).toEqual([1, 2])
  const last = new X509Certificate((await authority.issue({ ...order(publicKey), days: 365 })).certificate)
  expect(last.validToDate.getTime()).toBeLessThan(first?.endsAt ?? 0)
  clock.time += 2 * DAY
  expect(await signers()).toEqual([2, 1])
  const next = new X509Certificate((await authority.issue(order(publicKey))).certificate)
  for (const certificate of [last, next]) expect(authority.verify(certificate, 'client').serial).not.toBe('')
  clock.time += successorSignsDays * DAY
  expect(await signers()).toEqual([2])
})

test('a rotation of the master key seals the key of the authority anew, before the old master key goes', async () => {
  const [older, newer] = ['k1', 'k2'].map(
    id => `${id}:${Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')}`,
  )
  const records = new MemoryRecords()
  const openWith = async (masterKey: string) => {
    const vault = await openVault({ records, keyFile: 'unused', masterKey })
    return { vault, authority: await openCertificateAuthority({ records, vault, clock: systemClock }) }
  }
  const first = await openWith(`${older}`)
  const both = await openWith(`${newer},${older}`)
  const credentials = openCredentials({
    records,
    vault: both.vault,
    clock: systemClock,
    connect: makeConnect(),
    log: silentLog,
    resealOthers: both.authority.resealKeys,
  })
  expect(await credentials.rotateMasterKey()).toBe(1)
  const { authority } = await openWith(`${newer}`)
  expect(authority.authorities()).toEqual(first.authority.authorities())
  expect(await authority.issue(order(makeKeyPair().publicKey))).toMatchObject({ usage: 'client' })
})

describe('no certificate is made from', () => {
  const cases: Record<string, () => Promise<{ csr: string } | { publicKey: string }>> = {
    'a request that was changed': async () => {
      const der = Buffer.from((await makeRequest()).replace(/-----.*?-----|\s/g, ''), 'base64')
      der[der.indexOf('whoever')] = 0x57
      const body = der.toString('base64')
      return { csr: `-----BEGIN CERTIFICATE REQUEST-----\n${body}\n-----END CERTIFICATE REQUEST-----\n` }
    },
    'a request cut in half': async () => ({ csr: (await makeRequest()).slice(0, 200) }),
    'an empty text': async () => ({ csr: '' }),
    'a megabyte of letters': async () => ({ csr: `-----BEGIN CERTIFICATE REQUEST-----\n${'A'.repeat(1 << 20)}` }),
    'words in a frame': async () => ({
      csr: '-----BEGIN CERTIFICATE REQUEST-----\nbm90aGluZw==\n-----END CERTIFICATE REQUEST-----',
    }),
    'an RSA key of 1024 bits': async () => ({ publicKey: makeKeyPair('rsa', 1024).publicKey }),
    'a private key': async () => ({ publicKey: makeKeyPair().privateKey }),
    'a public key with its private key': async () => {
      const { publicKey, privateKey } = makeKeyPair()
      return { publicKey: publicKey + privateKey }
    },
    'a key on another curve': async () => ({
      publicKey: generateKeyPairSync('ec', { namedCurve: 'secp256k1' })
        .publicKey.export({ type: 'spki', format: 'pem' })
        .toString(),
    }),
  }
  test.each(Object.entries(cases))('%s', async (_, makeKey) => {
    const { authority } = await makeWorld()
    const issuing = authority.issue({ ...order(''), key: await makeKey() })
    await expect(issuing).rejects.toMatchObject({ code: 'CERTIFICATE_REQUEST_REFUSED' })
    expect(await authority.list()).toEqual([])
  })

  test.each([0, 366, 1.5, -1, Number.NaN])('a request for %s days', async days => {
    const { authority } = await makeWorld()
    const issuing = authority.issue({ ...order(makeKeyPair().publicKey), days })
    await expect(issuing).rejects.toMatchObject({ code: 'CERTIFICATE_DAYS_REFUSED' })
  })

  test.each(['', 'a'.repeat(65), 'two\nlines'])('a subject named %j', async name => {
    const { authority } = await makeWorld()
    const issuing = authority.issue({ ...order(makeKeyPair().publicKey), subject: { name } })
    await expect(issuing).rejects.toMatchObject({ code: 'CERTIFICATE_REQUEST_REFUSED' })
  })
})

test('a subject keeps its odd characters and stays one name', async () => {
  const { authority } = await makeWorld()
  const subject = { name: '#CN=admin, OU=x', unit: 'Köln+1' }
  const { certificate } = await authority.issue({ ...order(makeKeyPair().publicKey), subject })
  const shown = new X509Certificate(certificate).toLegacyObject().subject
  expect(shown).toMatchObject({ CN: subject.name, OU: subject.unit })
})
