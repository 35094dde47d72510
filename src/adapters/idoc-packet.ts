import { createHash } from 'node:crypto'
import { asHubError, type HubError } from '../kernel/error.ts'
import { MiB } from '../kernel/size.ts'
import { idocErrors } from '../protocols/idoc/errors.ts'
import type { Idoc } from '../protocols/idoc/idoc.ts'
import { Spool } from './idoc-spool.ts'

export const idocPacketLimits = {
  /** Packets up to this are held and read once; larger ones pass through a file and are read twice. */
  heldBytes: MiB,
} as const

/** How IDocs are read out of bytes; `whole` where that is cheaper for few of them. */
export interface ReadPacket {
  stream(source: AsyncIterable<Uint8Array>): AsyncIterable<Idoc>
  whole?(bytes: Uint8Array): Iterable<Idoc>
}

/**
 * What a request brought. It is read to its end before anything of it is accepted: of a packet with a mistake at its end
 * nothing must have been taken. Close it when it is not needed any more.
 */
export class IdocPacket {
  readonly #spool: Spool
  readonly #read: ReadPacket
  #held: Idoc[] | undefined = []
  /** Number of IDocs. */
  count = 0
  /** What is wrong with it; the errors of XML and IDOC. */
  fault: HubError | undefined
  /** Namespace of the first IDoc in a SOAP body. */
  soapNamespace: string | undefined

  private constructor(spool: Spool, read: ReadPacket) {
    this.#spool = spool
    this.#read = read
  }

  /** Throws what the source throws. */
  static async receive(
    source: AsyncIterable<Uint8Array>,
    read: ReadPacket,
    countMax: number,
    heldBytesMax: number = idocPacketLimits.heldBytes,
  ): Promise<IdocPacket> {
    const packet = new IdocPacket(new Spool(heldBytesMax), read)
    try {
      await packet.#receive(source, countMax)
      return packet
    } catch (thrown) {
      await packet.close()
      throw thrown
    }
  }

  async #receive(source: AsyncIterable<Uint8Array>, countMax: number): Promise<void> {
    const spool = this.#spool
    const pieces = source[Symbol.asyncIterator]()
    const { whole } = this.#read
    const isLarge = whole ? await fill(spool, pieces) : true
    // The reader leaves early when it finds a mistake; the rest is still taken in, so that all of it can be kept.
    async function* passing() {
      yield* spool.stream()
      for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) {
        await spool.add(piece.value)
        yield piece.value
      }
    }
    try {
      if (whole && !isLarge) for (const idoc of whole(spool.held())) this.#see(idoc, countMax)
      else for await (const idoc of this.#read.stream(passing())) this.#see(idoc, countMax)
    } catch (thrown) {
      const error = asHubError(thrown)
      if (!/^(XML|IDOC)_/.test(error.code)) throw thrown
      this.fault = error
      this.#held = undefined
      for (let piece = await pieces.next(); !piece.done; piece = await pieces.next()) await spool.add(piece.value)
    }
  }

  #see(idoc: Idoc, countMax: number): void {
    this.count += 1
    if (this.count > countMax) throw idocErrors.TOO_MANY({ count: this.count })
    if (this.count === 1) this.soapNamespace = idoc.soapNamespace
    if (this.#spool.isHeld) this.#held?.push(idoc)
    else this.#held = undefined
  }

  /** The bytes as they came, where they are few. */
  get heldBytes(): Uint8Array | undefined {
    return this.#spool.isHeld ? this.#spool.held() : undefined
  }

  bytes(): AsyncIterable<Uint8Array> {
    return this.#spool.stream()
  }

  async *idocs(): AsyncGenerator<Idoc> {
    if (this.#held) yield* this.#held
    else yield* this.#read.stream(this.#spool.stream())
  }

  /** SHA-256 of the bytes, hexadecimal. */
  async checksum(): Promise<string> {
    const hash = createHash('sha256')
    for await (const chunk of this.#spool.stream()) hash.update(chunk)
    return hash.digest('hex')
  }

  close(): Promise<void> {
    this.#held = undefined
    return this.#spool.close()
  }
}

/** Takes in what comes while it can be held; true when there is more than that. */
async function fill(spool: Spool, pieces: AsyncIterator<Uint8Array>): Promise<boolean> {
  while (spool.isHeld) {
    const piece = await pieces.next()
    if (piece.done) return false
    await spool.add(piece.value)
  }
  return true
}
