/** One measurement of accepting durably and delivering in order by key. */
export interface LoopRequest {
  readonly messages: number
  /** Order keys, taken in turn. */
  readonly keys: number
  /** Size of one message. */
  readonly bytes: number
  /** Producers that each wait for the acceptance of one message before the next. */
  readonly producers: number
  readonly workers: number
  /** An empty folder for the data; the caller removes it. */
  readonly folder: string
  readonly pageBytes?: number
}

export interface LoopResult {
  readonly seconds: number
  /** CPU time (user and system, all threads) per message, from the first acceptance to the last end. */
  readonly cpuMicrosPerMessage: number
  readonly acceptedPerSecond: number
  readonly deliveredPerSecond: number
  /** Messages that came before an older one of their key; 0 in a correct run. */
  readonly orderBreaks: number
}

/** Takes the time, and checks that messages of one key come in their order. */
export class LoopWatch {
  readonly #messages: number
  readonly #startedAt = performance.now()
  readonly #cpuAtStart = process.cpuUsage()
  readonly #lastByKey = new Map<string, number>()
  #acceptedAt = 0
  #deliveredCount = 0
  #orderBreaks = 0

  constructor(messages: number) {
    this.#messages = messages
  }

  get isOver(): boolean {
    return this.#deliveredCount >= this.#messages
  }

  deliver(key: string, body: unknown): void {
    const number = numberOf(body)
    if (number <= (this.#lastByKey.get(key) ?? -1)) this.#orderBreaks += 1
    this.#lastByKey.set(key, number)
    this.#deliveredCount += 1
  }

  /** Everything is accepted. */
  accepted(): void {
    this.#acceptedAt = performance.now()
  }

  result(): LoopResult {
    const cpu = process.cpuUsage(this.#cpuAtStart)
    const seconds = (performance.now() - this.#startedAt) / 1000
    return {
      seconds,
      cpuMicrosPerMessage: (cpu.user + cpu.system) / this.#messages,
      acceptedPerSecond: (this.#messages * 1000) / (this.#acceptedAt - this.#startedAt),
      deliveredPerSecond: this.#messages / seconds,
      orderBreaks: this.#orderBreaks,
    }
  }
}

/** Lets the producers put every message in; resolves when all are accepted. */
export async function produce(
  request: LoopRequest,
  watch: LoopWatch,
  accept: (number: number, key: string) => Promise<unknown>,
): Promise<void> {
  let next = 0
  const producer = async () => {
    while (next < request.messages) {
      const number = next
      next += 1
      await accept(number, `key-${number % request.keys}`)
    }
  }
  await Promise.all(Array.from({ length: request.producers }, producer))
  watch.accepted()
}

/** A message of its own for each number, which stands in its first four bytes. */
export function messageBody(bytes: number, number: number): Uint8Array {
  const body = Buffer.alloc(bytes, 'isthmus ')
  body.writeUInt32BE(number)
  return body
}

function numberOf(body: unknown): number {
  if (!(body instanceof Uint8Array)) throw new TypeError('a message came without its bytes')
  return new DataView(body.buffer, body.byteOffset).getUint32(0)
}
