import { crc32 } from 'node:zlib'
import type { Message } from '../kernel/message.ts'
import type { Claimed, StoredReceipt } from '../store/port.ts'
import type { PreparedReceiver } from './prepared-flow.ts'

/** The first receiver at the end of a flow. */
export const endPlace = 'to[0]'

/**
 * ` #` with the digest of what a receiver was given, and that of message and document it was made from. Hubs of before wrote no
 * second one, and neither where a flow had one receiver.
 */
const printForm = /^(?<place>.*) #(?<given>[0-9a-f]{8})(?:\.(?<edition>[0-9a-f]{8}))?$/

type Origin = Pick<Claimed, 'id' | 'headers' | 'attributes' | 'body'>
type Given = Pick<Message, 'headers' | 'attributes' | 'body'>
type Target = Pick<PreparedReceiver, 'fingerprint'>

/**
 * What receipts of one delivery are filed under, and which of them counts for what a receiver is about to get.
 *
 * While message and document are the same, the place tells: a step that makes another content each time (a date of now)
 * must not send it twice. After a repair, or by another document, places mean something else: then the content tells,
 * wherever it was handed over, once for each receipt.
 */
export class ReceiptNames {
  readonly #claimed: Origin
  /** Of the message as it was accepted or repaired. */
  readonly #source: number
  readonly #edition: string
  readonly #byPlace = new Map<string, string>()
  readonly #byContent = new Map<string, string[]>()

  constructor(claimed: Origin, revision: string, receipts: Iterable<StoredReceipt>) {
    this.#claimed = claimed
    const { headers, attributes, body } = claimed
    this.#source = crc32(body.inline ?? body.sha256 ?? String(body.bytes), crc32(JSON.stringify([headers, attributes])))
    this.#edition = hexOf(crc32(revision, this.#source))
    for (const { effect } of receipts) {
      const { place = effect, given, edition } = printForm.exec(effect)?.groups ?? {}
      if (given === undefined ? effect !== endPlace : edition === this.#edition) this.#byPlace.set(place, effect)
      else if (given !== undefined) this.#byContent.set(given, [...(this.#byContent.get(given) ?? []), effect])
    }
  }

  /** The name of a receipt that counts, or undefined. */
  known(place: string, target: Target, message: Given): string | undefined {
    const here = this.#byPlace.get(place)
    if (here !== undefined || this.#byContent.size === 0) return here
    const names = this.#byContent.get(this.#given(target, message)) ?? []
    const same = names.findIndex(name => placeOf(name) === place)
    return names.splice(Math.max(same, 0), 1)[0]
  }

  fresh(place: string, target: Target, message: Given): string {
    return `${place} #${this.#given(target, message)}.${this.#edition}`
  }

  /** The same over all attempts and after a crash, another one after a repair. */
  keyOf(name: string, target: Target): string {
    const place = placeOf(name)
    if (place === name) return `${this.#claimed.id}/${name}`
    return `${this.#claimed.id}/${place} #${hexOf(crc32(target.fingerprint, this.#source))}`
  }

  #given({ fingerprint }: Target, { headers, attributes, body }: Given): string {
    const content = body.held ?? this.#claimed.body.sha256 ?? String(body.bytes)
    return hexOf(crc32(content, crc32(JSON.stringify([fingerprint, headers, attributes]))))
  }
}

function placeOf(name: string): string {
  return printForm.exec(name)?.groups?.['place'] ?? name
}

function hexOf(number: number): string {
  return number.toString(16).padStart(8, '0')
}
