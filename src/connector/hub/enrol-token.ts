import { createHmac, randomBytes, randomInt, timingSafeEqual } from 'node:crypto'
import { HubError } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'
import { enrolErrors } from './errors.ts'
import { hubLimits } from './limits.ts'

/** What is kept of a token: nothing that would let anybody enrol. */
interface StoredToken {
  readonly location: string
  readonly name?: string
  /** HMAC-SHA-256 of id and location under the secret of the token, base64. */
  readonly mac: string
  readonly endsAt: number
  readonly used?: { readonly at: number; readonly address: string; readonly connector: string }
}

export interface NewToken {
  readonly id: string
  /** Shown once: `isthmus-enrol.<id>.<secret>.<sha256 of the CA certificate>`. */
  readonly text: string
  readonly endsAt: number
}

const area = 'connector-enrolment'
const alphabet = '0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz'
const secretLetters = 43
const form = /^isthmus-enrol\.([0-9a-f]{12})\.([0-9A-Za-z]{43})\.([0-9a-f]{64})$/

/** One-time tokens with which connectors enrol: 256 bits, bound to a location, for 15 minutes, kept as MAC only. */
export class EnrolTokens {
  readonly #records: Pick<Records, 'read' | 'write' | 'list' | 'remove'>
  readonly #clock: Pick<Clock, 'now'>

  constructor(records: Pick<Records, 'read' | 'write' | 'list' | 'remove'>, clock: Pick<Clock, 'now'>) {
    this.#records = records
    this.#clock = clock
  }

  async make(location: string, name: string | undefined, authorityFingerprint: string): Promise<NewToken> {
    await this.#forgetOld()
    const id = randomBytes(6).toString('hex')
    const secret = Array.from({ length: secretLetters }, () => alphabet[randomInt(alphabet.length)]).join('')
    const endsAt = this.#clock.now() + hubLimits.enrolTokenMs
    const stored = { location, ...(name !== undefined && { name }), mac: macOf(id, location, secret), endsAt }
    await this.#records.write(area, id, { v: 1, ...stored }, 0)
    return { id, text: `isthmus-enrol.${id}.${secret}.${authorityFingerprint}`, endsAt }
  }

  /** The location that a token is good for, without using it up. Throws ENROL_TOKEN_…. */
  async read(text: string): Promise<{ readonly id: string; readonly location: string; readonly name?: string }> {
    const { id, token } = await this.#find(text)
    return { id, location: token.location, ...(token.name !== undefined && { name: token.name }) }
  }

  /** Uses a token up; of several who try at once one gets it. Throws ENROL_TOKEN_…. */
  async use(text: string, by: { readonly address: string; readonly connector: string }): Promise<void> {
    const { id, token, revision } = await this.#find(text)
    const used = { at: this.#clock.now(), ...by }
    try {
      await this.#records.write(area, id, { v: 1, ...token, used }, revision)
    } catch (thrown) {
      if (!(thrown instanceof HubError && thrown.code === 'STORE_CHANGED_MEANWHILE')) throw thrown
      // Somebody else was faster; the token says who.
      await this.#find(text)
      throw thrown
    }
  }

  async #find(text: string): Promise<{ id: string; token: StoredToken; revision: number }> {
    const [, id = '', secret = ''] = form.exec(text) ?? []
    const record = id === '' ? undefined : await this.#records.read(area, id)
    if (!record) throw enrolErrors.TOKEN_REFUSED()
    const { v: _, ...token } = record.value as unknown as StoredToken & { readonly v: 1 }
    // Whether it was used or has ended is told only to those who know its secret.
    if (!isSame(token.mac, macOf(id, token.location, secret))) throw enrolErrors.TOKEN_REFUSED()
    if (token.used) throw enrolErrors.TOKEN_USED({ address: token.used.address, connector: token.used.connector })
    const { endsAt, location } = token
    if (this.#clock.now() >= endsAt) {
      throw enrolErrors.TOKEN_ENDED({ endsAt: new Date(endsAt).toISOString(), location })
    }
    return { id, token, revision: record.revision }
  }

  // Kept for a while after their end, so that a second use of a stolen one is told as what it is.
  async #forgetOld(): Promise<void> {
    const before = this.#clock.now() - 100 * hubLimits.enrolTokenMs
    for (const { id, value } of await this.#records.list(area)) {
      if ((value as unknown as StoredToken).endsAt < before) await this.#records.remove(area, id)
    }
  }
}

function macOf(id: string, location: string, secret: string): string {
  return createHmac('sha256', secret).update(`isthmus-enrol/1\0${id}\0${location}`).digest('base64')
}

function isSame(kept: string, given: string): boolean {
  const [a, b] = [Buffer.from(kept), Buffer.from(given)]
  return a.length === b.length && timingSafeEqual(a, b)
}
