import { type Argon2Parameters, argon2, randomBytes, timingSafeEqual } from 'node:crypto'

/** 19 MiB and two passes: the first choice of the OWASP Password Storage Cheat Sheet; about 50 ms. */
const cost = { memory: 19_456, passes: 2, parallelism: 1, tagLength: 32 } as const
const saltBytes = 16

/** At most this many are worked out at once; each takes 19 MiB, and log-ins come from anywhere. */
const hashesAtOnce = 2

/** Hashes a password for keeping, in the PHC form `$argon2id$v=19$m=…,t=…,p=…$salt$hash`. */
export async function hashPassword(password: string): Promise<string> {
  const salt = randomBytes(saltBytes)
  const hash = await derive(password, { ...cost, nonce: salt })
  const { memory, passes, parallelism } = cost
  return `$argon2id$v=19$m=${memory},t=${passes},p=${parallelism}$${unpadded(salt)}$${unpadded(hash)}`
}

/** Compares in the same time whether there is a hash or not (undefined: an unknown user). */
export async function isPasswordOf(password: string, phc: string | undefined): Promise<boolean> {
  const known = phc === undefined ? undefined : parse(phc)
  const { parameters, hash } = known ?? nobody
  const found = await derive(password, { ...parameters, tagLength: hash.length })
  return timingSafeEqual(found, hash) && known !== undefined
}

const nobody = { parameters: { ...cost, nonce: randomBytes(saltBytes) }, hash: randomBytes(cost.tagLength) }

function parse(phc: string) {
  const match = /^\$argon2id\$v=19\$m=(\d+),t=(\d+),p=(\d+)\$([A-Za-z0-9+/]+)\$([A-Za-z0-9+/]+)$/.exec(phc)
  if (!match) return undefined
  const [, memory, passes, parallelism, salt = '', hash = ''] = match
  const nonce = Buffer.from(salt, 'base64')
  return {
    parameters: { memory: Number(memory), passes: Number(passes), parallelism: Number(parallelism), nonce },
    hash: Buffer.from(hash, 'base64'),
  }
}

let running = 0
const waiting: (() => void)[] = []

async function derive(password: string, parameters: Omit<Argon2Parameters, 'message'>): Promise<Buffer> {
  if (running >= hashesAtOnce) await new Promise<void>(resolve => waiting.push(resolve))
  else running++
  try {
    return await new Promise<Buffer>((resolve, reject) => {
      // The same letters typed on another keyboard must stay the same password (RFC 8265 section 4).
      const message = password.normalize('NFC')
      argon2('argon2id', { ...parameters, message }, (error, key) => (error ? reject(error) : resolve(key)))
    })
  } finally {
    // The place goes from hand to hand, so that nobody slips in between.
    const next = waiting.shift()
    if (next) next()
    else running--
  }
}

function unpadded(bytes: Buffer): string {
  return bytes.toString('base64').replace(/=+$/, '')
}
