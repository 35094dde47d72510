import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { chmod, open, readFile, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { HubError } from '../kernel/error.ts'
import { type Clock, formatDuration, MINUTE } from '../kernel/time.ts'
import { apiErrors } from './api-errors.ts'

const tokenFile = 'admin.token'
const tokenPattern = /^isthmus_[A-Za-z0-9_-]{43}$/

export const tokenLimits = {
  /** Wrong tokens from one address … */
  failuresMax: 20,
  /** … within this time; more are answered with 429. The right token always passes. */
  withinMs: MINUTE,
  /** Addresses that are remembered; the oldest is forgotten first. */
  addressesMax: 10_000,
}

/**
 * The admin token of the data folder; made (256 random bits, readable by the owner alone) where there is none.
 * Throws API_TOKEN_FILE_OPEN, API_TOKEN_FILE_BAD.
 */
export async function ensureAdminToken(
  dataFolder: string,
): Promise<{ readonly token: string; readonly isNew: boolean }> {
  const file = join(dataFolder, tokenFile)
  const token = `isthmus_${randomBytes(32).toString('base64url')}`
  try {
    const handle = await open(file, 'wx', 0o600)
    await handle.writeFile(`${token}\n`)
    await handle.sync()
    await handle.close()
    // The umask may only take rights away, but a file system without modes should fail here and not later.
    await chmod(file, 0o600)
    return { token, isNew: true }
  } catch (thrown) {
    if (!isThere(thrown)) throw thrown
    return { token: await readAdminToken(file), isNew: false }
  }
}

/** Reads the token of a hub from its file. */
export async function readAdminToken(file: string): Promise<string> {
  const mode = (await stat(file)).mode & 0o777
  if ((mode & 0o077) !== 0) throw apiErrors.TOKEN_FILE_OPEN({ file, mode: mode.toString(8) })
  const token = (await readFile(file, 'utf8')).trim()
  if (!tokenPattern.test(token)) throw apiErrors.TOKEN_FILE_BAD({ file })
  return token
}

/** Checks the Authorization header of a caller; returns the error to answer with, or undefined when it is right. */
export type TokenCheck = (authorization: string | undefined, address: string) => HubError | undefined

export function createTokenCheck(token: string, clock: Clock): TokenCheck {
  const expected = digest(token)
  const failures = new Map<string, { count: number; readonly from: number }>()

  return (authorization, address) => {
    const sent = /^Bearer +([^\s]+)$/i.exec(authorization ?? '')?.[1]
    // Digests have one length, so that the comparison takes the same time whatever was sent.
    const isRight = timingSafeEqual(digest(sent ?? ''), expected)
    if (sent !== undefined && isRight) return undefined
    return countFailure(address) ?? (sent === undefined ? apiErrors.TOKEN_MISSING() : apiErrors.TOKEN_WRONG())
  }

  function countFailure(address: string): HubError | undefined {
    const now = clock.now()
    const before = failures.get(address)
    const isFresh = before && now - before.from < tokenLimits.withinMs
    const failure = { count: (isFresh ? before.count : 0) + 1, from: isFresh ? before.from : now }
    failures.delete(address)
    failures.set(address, failure)
    const oldest = failures.keys().next()
    if (failures.size > tokenLimits.addressesMax && !oldest.done) failures.delete(oldest.value)
    if (failure.count <= tokenLimits.failuresMax) return undefined
    const waitMs = failure.from + tokenLimits.withinMs - now
    return apiErrors.TOO_MANY_FAILURES({ address, wait: formatDuration(waitMs) }, { retryAfterMs: waitMs })
  }
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}

function isThere(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && thrown.code === 'EEXIST'
}
