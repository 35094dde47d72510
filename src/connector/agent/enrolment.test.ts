import { mkdir, mkdtemp, readFile, rm, stat } from 'node:fs/promises'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { asHubError } from '../../kernel/error.ts'
import { DAY } from '../../kernel/time.ts'
import { type StandInHub, startStandInHub, startTarget } from './agent-world.ts'
import { parseEnrolToken } from './enrol-token.ts'
import { enrol } from './enrolment.ts'
import { dialHub } from './hub-node.ts'
import { readIdentity } from './identity.ts'

let hub: StandInHub
let folder: string

beforeEach(async () => {
  hub = await startStandInHub()
  folder = await mkdtemp(join(tmpdir(), 'isthmus-enrol-'))
})

afterEach(async () => {
  await hub.close()
  await rm(folder, { recursive: true, force: true })
})

const enrolNow = (more: Partial<Parameters<typeof enrol>[0]> = {}) =>
  enrol({ node: `localhost:${hub.port}`, token: hub.token, name: 'rack 4', dataFolder: join(folder, 'data'), ...more })

test('a token becomes a certificate; the key is made here and stays here', async () => {
  const identity = await enrolNow()
  expect(identity).toMatchObject({ connector: 'connector-1', location: 'dc-frankfurt', authorities: [hub.authority] })
  expect(hub.requests).toMatchObject([{ body: { name: 'rack 4', token: hub.token } }])
  expect(JSON.stringify(hub.requests)).not.toContain('PRIVATE KEY')
  const file = join(folder, 'data/identity.json')
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(await readFile(file, 'utf8')).not.toContain(hub.token)
  expect(await readIdentity(join(folder, 'data'))).toEqual(identity)
})

test('a hub that is not the one of the token never hears the token', async () => {
  const other = await startStandInHub()
  try {
    await expect(enrolNow({ token: other.token })).rejects.toMatchObject({ code: 'CONNECTOR_HUB_NOT_TRUSTED' })
    expect(hub.requests).toEqual([])
  } finally {
    await other.close()
  }
})

test.each([
  [42, 'broken'],
  [44, 'revoked'],
  [45, 'ended'],
  [46, 'not known there'],
])('alert %i of a node speaks of the certificate: it is %s', async (alert, words) => {
  const node = createServer(socket => socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert]))))
  await new Promise<void>(resolve => node.listen(0, 'localhost', resolve))
  const address = node.address()
  const port = typeof address === 'object' && address ? address.port : 0
  const failed = await enrolNow({ node: `localhost:${port}` }).catch(asHubError)
  expect(failed).toMatchObject({
    code: 'CONNECTOR_CERTIFICATE_REFUSED',
    message: expect.stringContaining(words),
  })
  node.close()
})

test.each([
  ['begins later', 2 * DAY],
  ['has ended', -2 * DAY],
])('a clock that is wrong is told as that: the certificate of the hub %s', async (words, aheadMs) => {
  const other = await startStandInHub(aheadMs)
  try {
    const failed = await enrolNow({ node: `localhost:${other.port}`, token: other.token }).catch(asHubError)
    expect(failed).toMatchObject({ code: 'CONNECTOR_CLOCKS_DIFFER', message: expect.stringContaining(words) })
  } finally {
    await other.close()
  }
})

test('a token that was used is told in the words of the hub', async () => {
  const token = hub.token.replace('0123456789ab', 'ba9876543210')
  const refused = await enrolNow({ token }).catch((error: unknown) => error)
  expect(refused).toMatchObject({
    code: 'CONNECTOR_HUB_REFUSED',
    message: 'The hub refused: The token was used already. (403)',
    next: 'Get a new one.',
  })
})

test('a folder in which nothing can be kept is told before the token is used', async () => {
  await mkdir(join(folder, 'data/identity.json.new'), { recursive: true })
  const failed = await enrolNow().catch(asHubError)
  expect(failed).toMatchObject({ code: 'CONNECTOR_IDENTITY_UNWRITABLE', message: expect.stringContaining('EISDIR') })
  expect(hub.requests).toEqual([])
})

test('a certificate is not replaced by accident', async () => {
  await enrolNow()
  await expect(enrolNow()).rejects.toMatchObject({ code: 'CONNECTOR_ALREADY_ENROLLED' })
  const again = await enrolNow({ isAgain: true })
  expect((await readIdentity(join(folder, 'data')))?.certificate).toBe(again.certificate)
})

test('something takes the connection and stays silent: it is not said that nothing answers', async () => {
  const silent = await startTarget(() => {})
  const dialled = dialHub(silent.address, { alpn: 'http/1.1', proxy: undefined, authorities: [], timeoutMs: 300 })
  await expect(dialled).rejects.toThrow(/it takes the connection and does not end the TLS handshake within 300 ms/)
  await silent.close()
})

test('nothing answers', async () => {
  await expect(enrolNow({ node: 'localhost:1' })).rejects.toMatchObject({ code: 'CONNECTOR_HUB_UNREACHABLE' })
})

test.each([
  [''],
  ['isthmus-enrol'],
  ['isthmus-enrol.0123456789ab.short.0'],
  [`isthmus-enrol.0123456789ab.${'x'.repeat(43)}.${'g'.repeat(64)}`],
  [`isthmus-enrol.0123456789ab.${'x'.repeat(43)}.${'0'.repeat(64)}.more`],
  [`isthmus-enrol.0123456789ab.${'-'.repeat(43)}.${'0'.repeat(64)}`],
])('%j is no token, and the message does not repeat it', text => {
  expect(() => parseEnrolToken(text)).toThrow(/^This is no enrolment token: /)
  try {
    parseEnrolToken(text)
  } catch (thrown) {
    if (text !== '') expect(String(thrown)).not.toContain(text)
  }
})
