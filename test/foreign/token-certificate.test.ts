import { writeFileSync } from 'node:fs'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { openCredentials } from '../../src/auth/credentials.ts'
import { MemoryRecords } from '../../src/auth/records-world.ts'
import { openVault } from '../../src/auth/vault.ts'
import { silentLog } from '../../src/kernel/log.ts'
import { DAY, systemClock } from '../../src/kernel/time.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { describeForeign } from './servers/needs.ts'
import { type ServerProcess, startProcess } from './servers/server-process.ts'
import { freePorts, waitFor } from './servers/wait.ts'

let folder = ''
let server: ServerProcess | undefined
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-token-certificate-'))
})
afterEach(async () => {
  await server?.stop()
  await rm(folder, { recursive: true })
})

/** Demands a certificate of this authority. */
async function demanding(own: { cert: string; key: string }, authority: string, version: string): Promise<number> {
  const [port = 0] = await freePorts(1)
  writeFileSync(join(folder, 'own.pem'), `${own.cert}\n${own.key}`)
  writeFileSync(join(folder, 'authority.pem'), authority)
  const identity = ['-cert', join(folder, 'own.pem'), '-key', join(folder, 'own.pem')]
  const demand = ['-CAfile', join(folder, 'authority.pem'), '-Verify', '2', '-verify_return_error']
  server = startProcess('openssl', ['s_server', '-accept', String(port), version, ...identity, ...demand, '-www'])
  await waitFor('openssl to listen', 10_000, () => server?.output().includes('ACCEPT'))
  return port
}

async function credentialsWith(port: number, pair: { cert: string; key: string }, ca: string) {
  const records = new MemoryRecords()
  const vault = await openVault({ records, keyFile: join(folder, 'master.key') })
  // A hub whose clock is behind: else it would not even ask with a certificate that has ended.
  const clock = { ...systemClock, now: () => Date.now() - 3 * DAY }
  const credentials = openCredentials({ records, vault, clock, connect: makeConnect(), log: silentLog })
  await credentials.create('btp', {
    kind: 'oauth2-client-credentials',
    provider: { generic: { tokenUrl: `https://localhost:${port}/oauth/token` } },
    clientId: 'sb-hub',
    authentication: 'tls',
    certificate: pair.cert,
    privateKey: pair.key,
    ca,
  })
  const value = await credentials.lookup('btp')
  if (value.kind !== 'oauth2') throw new Error(value.kind)
  return { credentials, asked: value.token() }
}

describeForeign('a token server of OpenSSL that demands a certificate', ['openssl'], () => {
  describe.each(['-tls1_3', '-tls1_2'])('%s', version => {
    test.each([
      ['of an authority it does not know', /TLS handshake: (a signature|it was issued)/],
      ['that has ended', /TLS handshake: it has ended/],
    ])('refuses a certificate %s', async (what, reason) => {
      const isEnded = what === 'that has ended'
      const [own, stranger] = [await makeTwinCertificate(['localhost']), await makeTwinCertificate(['stranger'])]
      const pair = await makeTwinCertificate(['hub'], isEnded ? { validForMs: -DAY } : {})
      const port = await demanding(own, isEnded ? pair.ca : stranger.ca, version)
      const { credentials, asked } = await credentialsWith(port, pair, own.ca)
      await expect(asked).rejects.toMatchObject({ code: 'OAUTH_CLIENT_REFUSED' })
      await expect(asked).rejects.toThrow(reason)
      await credentials.close()
    })
  })
})
