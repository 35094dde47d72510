import type { SenderMemory } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { formatUidSets } from '../protocols/imap/uid-set.ts'
import type { Ending } from './imap-done.ts'

/**
 * Mails of one folder that are dealt with but still lie there as if they were not. They are remembered apart from their
 * deliveries, which are purged one day: a mailbox that refuses every move for longer than that must not be read again.
 */
export class Leftovers {
  readonly #memory: SenderMemory
  readonly #name: string
  readonly #uidValidity: number
  readonly #endings = new Map<number, Ending>()
  #written: string

  private constructor(memory: SenderMemory, name: string, uidValidity: number, value: Json | undefined) {
    this.#memory = memory
    this.#name = name
    this.#uidValidity = uidValidity
    const known = readRecord(value)
    // Under another UIDVALIDITY the same numbers mean other mails.
    if (known?.uidValidity === uidValidity) {
      for (const uid of readSet(known.done)) this.#endings.set(uid, 'done')
      for (const uid of readSet(known.failed)) this.#endings.set(uid, 'failed')
    }
    this.#written = JSON.stringify(this.#record())
  }

  static async open(memory: SenderMemory, folder: string, uidValidity: number): Promise<Leftovers> {
    const name = `leftovers ${folder}`
    return new Leftovers(memory, name, uidValidity, await memory.get(name))
  }

  get isEmpty(): boolean {
    return this.#endings.size === 0
  }

  ending(uid: number): Ending | undefined {
    return this.#endings.get(uid)
  }

  /** Remembers these and no others; durable when the promise resolves. */
  async keep(endings: Iterable<readonly [number, Ending]>): Promise<void> {
    this.#endings.clear()
    for (const [uid, ending] of endings) this.#endings.set(uid, ending)
    const record = this.#record()
    const text = JSON.stringify(record)
    if (text === this.#written) return
    await this.#memory.set(this.#name, record)
    this.#written = text
  }

  #record() {
    const setOf = (wanted: Ending) => {
      const uids = [...this.#endings].filter(([, ending]) => ending === wanted).map(([uid]) => uid)
      return formatUidSets(uids, Number.POSITIVE_INFINITY)[0] ?? ''
    }
    return { uidValidity: this.#uidValidity, done: setOf('done'), failed: setOf('failed') }
  }
}

interface Kept {
  readonly uidValidity: number
  readonly done: string
  readonly failed: string
}

function readRecord(value: Json | undefined): Kept | undefined {
  if (typeof value !== 'object' || value === null || !('uidValidity' in value)) return undefined
  const { uidValidity, done, failed } = value
  const isWhole = typeof uidValidity === 'number' && typeof done === 'string' && typeof failed === 'string'
  return isWhole ? { uidValidity, done, failed } : undefined
}

function* readSet(text: string): Generator<number> {
  for (const [, first = '', last = first] of text.matchAll(/(\d+)(?::(\d+))?/g)) {
    for (let uid = Number(first); uid <= Number(last); uid++) yield uid
  }
}
