import type { Dispatcher } from 'undici'

/** An answer that was read to its end. */
export interface WholeAnswer {
  readonly status: number
  /** Names in lower case; repeated ones joined with a comma. */
  readonly headers: Readonly<Record<string, string>>
  readonly body: Uint8Array
}

export type WholeRequest = Omit<Dispatcher.DispatchOptions, 'signal'>

export interface WholeRequestEnds {
  readonly timeoutMs: number
  readonly signal: AbortSignal
}

/** An exchange that was ended from this side: its time was over, or the caller's signal aborted. */
export class EndedHere extends Error {
  readonly why: 'timeout' | 'aborted'

  constructor(why: 'timeout' | 'aborted') {
    super(why === 'timeout' ? 'no answer in time' : 'ended by the caller')
    this.why = why
  }
}

/**
 * One exchange whose answer is wanted whole. A stream for the answer and an AbortSignal of its own, as `request` of undici
 * has them, cost more than the exchange itself. Throws what undici throws, and EndedHere.
 */
export function requestWhole(
  dispatcher: Pick<Dispatcher, 'dispatch'>,
  request: WholeRequest,
  ends: WholeRequestEnds,
): Promise<WholeAnswer> {
  return new Promise((resolve, reject) => {
    dispatcher.dispatch(request, new WholeAnswerHandler(ends, resolve, reject))
  })
}

class WholeAnswerHandler implements Dispatcher.DispatchHandler {
  readonly #resolve: (answer: WholeAnswer) => void
  readonly #reject: (error: Error) => void
  readonly #signal: AbortSignal
  readonly #timer: NodeJS.Timeout
  readonly #chunks: Buffer[] = []
  #controller: Dispatcher.DispatchController | undefined
  #endedHere: EndedHere | undefined
  #status = 0
  #headers: Record<string, string> = {}

  constructor(
    { timeoutMs, signal }: WholeRequestEnds,
    resolve: (answer: WholeAnswer) => void,
    reject: (error: Error) => void,
  ) {
    this.#resolve = resolve
    this.#reject = reject
    this.#signal = signal
    this.#timer = setTimeout(() => this.#end('timeout'), timeoutMs)
    if (signal.aborted) this.#end('aborted')
    else signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller
    // It waited for a connection when it was ended: nothing of it goes out.
    if (this.#endedHere) controller.abort(this.#endedHere)
  }

  onResponseStart(_: unknown, status: number, headers: Readonly<Record<string, string | string[] | undefined>>): void {
    // 100 to 199 only announce the answer, which then takes their place.
    this.#status = status
    this.#headers = plainHeaders(headers)
  }

  onResponseData(_: unknown, chunk: Buffer): void {
    this.#chunks.push(chunk)
  }

  onResponseEnd(): void {
    this.#settle()
    // A chunk is a view on what was read from the socket; a copy lets go of that.
    this.#resolve({ status: this.#status, headers: this.#headers, body: Buffer.concat(this.#chunks) })
  }

  onResponseError(_: unknown, error: Error): void {
    this.#settle()
    this.#reject(error)
  }

  readonly #onAbort = () => this.#end('aborted')

  #end(why: EndedHere['why']): void {
    const ended = new EndedHere(why)
    this.#endedHere = ended
    this.#settle()
    this.#controller?.abort(ended)
    this.#reject(ended)
  }

  #settle(): void {
    clearTimeout(this.#timer)
    this.#signal.removeEventListener('abort', this.#onAbort)
  }
}

function plainHeaders(
  headers: Readonly<Record<string, string | string[] | undefined>>,
): Readonly<Record<string, string>> {
  const plain: Record<string, string> = {}
  for (const name in headers) {
    const value = headers[name]
    if (value !== undefined) plain[name.toLowerCase()] = typeof value === 'string' ? value : value.join(', ')
  }
  return plain
}
