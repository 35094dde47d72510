import { createHash, randomBytes, timingSafeEqual } from 'node:crypto'
import { readFile, rm, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

const setupFile = 'setup.token'
const setupPattern = /^setup_[A-Za-z0-9_-]{43}$/

/** Makes the first administrator, once: a hub has no password before somebody chose one. */
export interface Setup {
  /** The token as long as there is no administrator. */
  readonly token: string | undefined
  /** Made by this start, so that nobody was told of it yet. */
  readonly isNew: boolean
  /** What `make` answers, when the token is right and nobody else is making the first administrator; else undefined. */
  use<Made>(token: string, make: () => Promise<Made>): Promise<Made | undefined>
  /** There is an administrator: the token counts no more, and neither does its file. */
  end(): Promise<void>
}

/** The setup token of the data folder (256 random bits, readable by the owner alone); none where it is not needed. */
export async function openSetup(dataFolder: string, isNeeded: boolean): Promise<Setup> {
  const file = join(dataFolder, setupFile)
  const kept = isNeeded ? await readKept(file) : undefined
  let token = kept
  if (!isNeeded) await rm(file, { force: true })
  else if (token === undefined) {
    token = `setup_${randomBytes(32).toString('base64url')}`
    await rm(file, { force: true })
    await writeFile(file, `${token}\n`, { mode: 0o600, flag: 'wx' })
  }
  let isBusy = false

  const end = async () => {
    token = undefined
    await rm(file, { force: true })
  }

  return {
    get token() {
      return token
    },
    isNew: token !== undefined && kept === undefined,
    async use(sent, make) {
      const isRight = token !== undefined && timingSafeEqual(digest(sent), digest(token))
      if (!isRight || isBusy) return undefined
      isBusy = true
      try {
        const made = await make()
        await end()
        return made
      } finally {
        isBusy = false
      }
    },
    end,
  }
}

/** What an earlier start left; a file that holds something else is made anew. */
async function readKept(file: string): Promise<string | undefined> {
  const text = await readFile(file, 'utf8').catch(() => '')
  return setupPattern.test(text.trim()) ? text.trim() : undefined
}

function digest(text: string): Buffer {
  return createHash('sha256').update(text).digest()
}
