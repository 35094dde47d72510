import { chmod, mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { MemoryRecords } from './records-world.ts'
import { openVault, type Sealed, type SecretPlace } from './vault.ts'

let folder = ''
let keyFile = ''
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-vault-'))
  keyFile = join(folder, 'data', 'master.key')
})
afterEach(() => rm(folder, { recursive: true }))

const place: SecretPlace = { type: 'credential', id: 'm365-mail', field: 'clientSecret', revision: 3 }
const newKey = () => Buffer.from(crypto.getRandomValues(new Uint8Array(32))).toString('base64')

test('the first start makes a key that only its owner can read; the second start uses it', async () => {
  const records = new MemoryRecords()
  const sealed = (await openVault({ records, keyFile })).seal('correct horse', place)
  expect((await stat(keyFile)).mode & 0o777).toBe(0o600)
  expect(JSON.stringify(sealed)).not.toContain('correct')
  expect((await openVault({ records, keyFile })).open(sealed, place)).toBe('correct horse')
})

test('two hubs that start at once end up with one key', async () => {
  const records = new MemoryRecords()
  const vaults = await Promise.all([openVault({ records, keyFile }), openVault({ records, keyFile })])
  const sealed = vaults[0]?.seal('one', place)
  for (const vault of vaults) expect(sealed && vault.open(sealed, place)).toBe('one')
})

describe('a hub with secrets does not start with', () => {
  test('a key that is gone, and makes no new one', async () => {
    const records = new MemoryRecords()
    await openVault({ records, keyFile })
    await rm(keyFile)
    await expect(openVault({ records, keyFile })).rejects.toMatchObject({ code: 'VAULT_KEY_MISSING' })
    await expect(stat(keyFile)).rejects.toThrow('ENOENT')
  })

  test('sealed records but neither key nor check value', async () => {
    const records = new MemoryRecords()
    await records.write('credential', 'm365-mail', { sealed: 'something' })
    await expect(openVault({ records, keyFile })).rejects.toMatchObject({ code: 'VAULT_KEY_MISSING' })
  })

  test('another key of the same name', async () => {
    const records = new MemoryRecords()
    await openVault({ records, keyFile, masterKey: `k1:${newKey()}` })
    const other = openVault({ records, keyFile, masterKey: `k1:${newKey()}` })
    await expect(other).rejects.toMatchObject({ code: 'VAULT_KEY_WRONG' })
    await expect(other).rejects.toThrow('Master key k1 from ISTHMUS_MASTER_KEY is not the one that sealed')
  })

  test('a key file that others can read', async () => {
    const records = new MemoryRecords()
    await openVault({ records, keyFile })
    await chmod(keyFile, 0o644)
    await expect(openVault({ records, keyFile })).rejects.toThrow('(mode 644)')
  })

  test.each(['', 'k1', 'k1:', 'k1:c2hvcnQ=', ':AAAA', 'k1:not base64 at all'])('a key that is none: %j', async text => {
    const records = new MemoryRecords()
    await openVault({ records, keyFile })
    await writeFile(keyFile, `${text}\n`)
    await expect(openVault({ records, keyFile })).rejects.toMatchObject({ code: 'VAULT_KEY_MALFORMED' })
  })
})

test('a new key in front seals, the old one still opens, and sealing anew frees the old one', async () => {
  const records = new MemoryRecords()
  const [first, second] = [`k1:${newKey()}`, `k2:${newKey()}`]
  const before = (await openVault({ records, keyFile, masterKey: first })).seal('kept', place)
  const vault = await openVault({ records, keyFile, masterKey: `${second},${first}` })
  expect(vault.open(before, place)).toBe('kept')
  expect(vault.seal('new', place).kek).toBe('k2')

  const after = vault.seal(vault.open(before, place), place)
  await expect(openVault({ records, keyFile, masterKey: second })).rejects.toThrow('master key k1')

  await vault.retireOldKeys()
  const alone = await openVault({ records, keyFile, masterKey: second })
  expect(alone.open(after, place)).toBe('kept')
})

describe('a sealed secret opens only where it was sealed', () => {
  const moved: readonly [string, Partial<SecretPlace>][] = [
    ['another record', { id: 'other' }],
    ['another field', { field: 'password' }],
    ['another type', { type: 'credential-grant' }],
    ['an earlier revision', { revision: 2 }],
    ['a place whose joined name is the same', { id: 'm365-mail\0clientSecret', field: '' }],
  ]
  test.each(moved)('%s', async (_title, change) => {
    const vault = await openVault({ records: new MemoryRecords(), keyFile })
    const sealed = vault.seal('secret', place)
    expect(() => vault.open(sealed, { ...place, ...change })).toThrow('cannot be opened')
  })

  test('every single bit that flips is noticed, in the wrapped key and in the text', async () => {
    const vault = await openVault({ records: new MemoryRecords(), keyFile })
    const sealed = vault.seal('a secret of some length', place)
    for (const part of ['w', 'c'] as const) {
      const bytes = Buffer.from(sealed[part], 'base64')
      for (let bit = 0; bit < bytes.length * 8; bit += 1) {
        const changed = Buffer.from(bytes)
        changed[bit >> 3] = (changed[bit >> 3] ?? 0) ^ (1 << (bit & 7))
        const broken: Sealed = { ...sealed, [part]: changed.toString('base64') }
        expect(() => vault.open(broken, place)).toThrow('cannot be opened')
      }
    }
  })

  test.each([{ c: '' }, { w: '' }, { c: 'AAAA' }, { kek: 'k9' }])('damage: %j', async damage => {
    const vault = await openVault({ records: new MemoryRecords(), keyFile })
    expect(() => vault.open({ ...vault.seal('x', place), ...damage }, place)).toThrow('cannot be opened')
  })

  test('a truncated tag', async () => {
    const vault = await openVault({ records: new MemoryRecords(), keyFile })
    const sealed = vault.seal('', place)
    const short = Buffer.from(sealed.c, 'base64').subarray(0, 24).toString('base64')
    expect(() => vault.open({ ...sealed, c: short }, place)).toThrow('cannot be opened')
  })
})

test('any text comes back as it went in, and never looks the same twice', async () => {
  const vault = await openVault({ records: new MemoryRecords(), keyFile })
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 300 }), fc.nat(), (secret, revision) => {
      const here = { ...place, revision }
      const sealed = vault.seal(secret, here)
      expect(vault.open(sealed, here)).toBe(secret)
      expect(vault.seal(secret, here).c).not.toBe(sealed.c)
    }),
    { numRuns: 50 },
  )
  expect(await readFile(keyFile, 'utf8')).toMatch(/^k[0-9a-f]{8}:[A-Za-z0-9+/]{43}=\n$/)
})
