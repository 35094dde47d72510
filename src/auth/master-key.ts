import { createHmac, hkdfSync, randomBytes } from 'node:crypto'
import { link, mkdir, open, readFile, rename, stat, unlink } from 'node:fs/promises'
import { dirname } from 'node:path'
import { vaultErrors } from './vault-errors.ts'

export interface MasterKey {
  readonly id: string
  /** Wraps the keys of records; derived, so that the master key itself encrypts nothing. */
  readonly wrapKey: Buffer
  /** Tells this key from another one without telling anything about it. */
  readonly check: string
}

/** The keys a hub knows: the first seals, all of them open. */
export interface KeyRing {
  readonly source: string
  readonly active: MasterKey
  readonly keys: ReadonlyMap<string, MasterKey>
}

const keyBytes = 32

/**
 * The ring in ISTHMUS_MASTER_KEY, or else in the key file; undefined when there is neither.
 * Throws VAULT_KEY_MALFORMED, VAULT_KEY_FILE_OPEN.
 */
export async function loadKeyRing(file: string, fromEnvironment: string | undefined): Promise<KeyRing | undefined> {
  if (fromEnvironment !== undefined && fromEnvironment.trim() !== '') {
    return parseKeyRing(fromEnvironment, 'ISTHMUS_MASTER_KEY')
  }
  const text = await readKeyFile(file)
  return text === undefined ? undefined : parseKeyRing(text, file)
}

/** Makes a key file that only its owner can read. One that appeared meanwhile is left as it is. */
export async function createKeyFile(file: string): Promise<void> {
  await mkdir(dirname(file), { recursive: true })
  const draft = await writeDraft(file, newKeyLine().text)
  try {
    // A link either makes the whole file or fails: two hubs that start at once end up with one key.
    await link(draft, file)
  } catch (thrown) {
    if (!isCode(thrown, 'EEXIST')) throw thrown
  } finally {
    await unlink(draft)
  }
  await syncFolder(file)
}

/**
 * Puts a new key in front of those in the file, which has to be there; it seals from the next start on. Returns its id,
 * and how many keys the file holds now. Throws VAULT_KEY_FILE_GONE, VAULT_KEY_MALFORMED, VAULT_KEY_FILE_OPEN.
 */
export async function addMasterKey(file: string): Promise<{ readonly id: string; readonly count: number }> {
  const present = await readKeyFile(file)
  if (present === undefined) throw vaultErrors.KEY_FILE_GONE({ file })
  const { keys } = parseKeyRing(present, file)
  const { id, text } = newKeyLine()
  const draft = await writeDraft(file, `${text}${present}`)
  await rename(draft, file)
  await syncFolder(file)
  return { id, count: keys.size + 1 }
}

function newKeyLine(): { readonly id: string; readonly text: string } {
  const id = `k${randomBytes(4).toString('hex')}`
  return { id, text: `${id}:${randomBytes(keyBytes).toString('base64')}\n` }
}

/** A file beside it that only its owner can read, whole and on the disk. */
async function writeDraft(file: string, text: string): Promise<string> {
  const draft = `${file}.${randomBytes(4).toString('hex')}.new`
  const handle = await open(draft, 'wx', 0o600)
  try {
    await handle.writeFile(text)
    await handle.sync()
  } finally {
    await handle.close()
  }
  return draft
}

async function syncFolder(file: string): Promise<void> {
  const folder = await open(dirname(file), 'r')
  await folder.sync()
  await folder.close()
}

/** Reads `name:base64` entries, separated by line breaks or commas. */
function parseKeyRing(text: string, source: string): KeyRing {
  const entries = text.split(/[\n,]/).map(entry => entry.trim())
  const keys = entries
    .filter(entry => entry !== '' && !entry.startsWith('#'))
    .map((entry, index) => parseKey(entry, index + 1, source))
  const [active] = keys
  if (!active) throw vaultErrors.KEY_MALFORMED({ source, entry: 1 })
  return { source, active, keys: new Map(keys.map(key => [key.id, key])) }
}

function parseKey(text: string, entry: number, source: string): MasterKey {
  const [, id, encoded = ''] = /^([A-Za-z0-9._-]{1,32}):([A-Za-z0-9+/_-]+={0,2})$/.exec(text) ?? []
  const bytes = Buffer.from(encoded, 'base64')
  // The entry itself is a secret, so the error names only its place.
  if (!id || bytes.length !== keyBytes) throw vaultErrors.KEY_MALFORMED({ source, entry })
  return {
    id,
    wrapKey: Buffer.from(hkdfSync('sha256', bytes, '', 'isthmus/wrap/v1', keyBytes)),
    check: createHmac('sha256', bytes).update('isthmus/key-check/v1').digest().subarray(0, 8).toString('base64'),
  }
}

async function readKeyFile(file: string): Promise<string | undefined> {
  try {
    const { mode } = await stat(file)
    // Windows knows no such bits; there the folder's own rights decide.
    if (process.platform !== 'win32' && (mode & 0o077) !== 0) {
      throw vaultErrors.KEY_FILE_OPEN({ file, mode: (mode & 0o777).toString(8) })
    }
    return await readFile(file, 'utf8')
  } catch (thrown) {
    if (isCode(thrown, 'ENOENT')) return undefined
    throw thrown
  }
}

function isCode(thrown: unknown, code: string): boolean {
  return typeof thrown === 'object' && thrown !== null && 'code' in thrown && thrown.code === code
}
