import { createHmac, randomBytes, timingSafeEqual } from 'node:crypto'
import type { SenderContext } from '../flow/adapter.ts'

const memoryName = 'status-key'

/**
 * Addresses that tell how a message of one flow ended. Each carries a MAC over the id, so that nobody can ask for
 * messages of others by counting ids up and down.
 */
export class StatusLinks {
  /** Path of the route, below /flows. */
  readonly path: string
  readonly #key: Buffer

  constructor(flow: string, key: Buffer) {
    this.path = `/status/${flow}/*`
    this.#key = key
  }

  static async open({ flow, memory }: Pick<SenderContext<unknown>, 'flow' | 'memory'>): Promise<StatusLinks> {
    const known = await memory.get(memoryName)
    if (typeof known === 'string') return new StatusLinks(flow, Buffer.from(known, 'base64'))
    const key = randomBytes(32)
    await memory.set(memoryName, key.toString('base64'))
    return new StatusLinks(flow, key)
  }

  linkTo(id: string): string {
    return `/flows${this.path.slice(0, -1)}${id}.${this.#macOf(id)}`
  }

  /** The id in a path that `linkTo` made, or undefined for any other. */
  idIn(path: string): string | undefined {
    const [id = '', mac = ''] = path.slice(path.lastIndexOf('/') + 1).split('.')
    const [given, wanted] = [Buffer.from(mac), Buffer.from(this.#macOf(id))]
    return given.length === wanted.length && timingSafeEqual(given, wanted) ? id : undefined
  }

  #macOf(id: string): string {
    return createHmac('sha256', this.#key).update(id).digest().subarray(0, 16).toString('base64url')
  }
}
