import { randomUUID } from 'node:crypto'
import { strike } from '../twin.ts'
import { type Destination, postTo } from './destination.ts'
import { aleTwinErrors } from './errors.ts'
import type { AleFaults } from './faults.ts'
import { type ProxyRequest, plainId, type Quality, readXi, writeProxyRequest } from './xi-message.ts'

/** A message in the monitor (transaction SXMB_MONI). */
export interface SentProxyMessage {
  readonly request: ProxyRequest
  /** What it speaks of. */
  readonly objectId: string
  readonly state: 'scheduled' | 'retry' | 'sent' | 'system-error' | 'acknowledged' | 'acknowledged-with-error'
  readonly attempts: number
  /** Why it is where it is. */
  readonly text: string
}

export interface NewProxyMessage {
  readonly interface: string
  readonly payload: string
  readonly objectId: string
  readonly quality: 'ExactlyOnce' | 'ExactlyOnceInOrder'
  readonly queue?: string
  readonly wantsAcks?: boolean
}

export interface XiWorld {
  readonly system: string
  readonly receiver: string
  readonly namespace: string
  now(): number
  destination(interfaceName: string): Destination | undefined
  faults(): AleFaults
}

type OpenMessage = { -readonly [K in keyof SentProxyMessage]: SentProxyMessage[K] }

/** The proxy runtime: queues of messages, each sent until the other side has it, in order where the quality says so. */
export class XiOutbound {
  readonly #world: XiWorld
  readonly #messages: OpenMessage[] = []

  constructor(world: XiWorld) {
    this.#world = world
  }

  get messages(): readonly SentProxyMessage[] {
    return this.#messages
  }

  add({ quality, queue, wantsAcks = false, objectId, payload, ...rest }: NewProxyMessage): SentProxyMessage {
    const message: OpenMessage = {
      request: this.#request(rest.interface, quality, payload, queue, wantsAcks),
      objectId,
      state: 'scheduled',
      attempts: 0,
      text: '',
    }
    this.#messages.push(message)
    return message
  }

  /** Sends what is due, once; a queue stops at the first of its messages that does not get through. */
  async send(): Promise<void> {
    const stopped = new Set<string>()
    for (const message of this.#messages) {
      if (message.state !== 'scheduled' && message.state !== 'retry') continue
      const { queue } = message.request
      if (queue !== undefined && stopped.has(queue)) continue
      const isThere = await this.#send(message)
      if (queue !== undefined && !isThere) stopped.add(queue)
    }
  }

  /** A system error waits for a person: restart from the monitor. */
  restart(id: string): void {
    const message = this.#messages.find(({ request }) => plainId(request.id) === plainId(id))
    if (message?.state === 'system-error') message.state = 'retry'
  }

  /** An acknowledgement that came in; false when it speaks of nothing that was sent. */
  acknowledge(refersTo: string, isError: boolean, text: string): boolean {
    const message = this.#messages.find(({ request }) => plainId(request.id) === refersTo)
    // One whose sending seemed to fail may have arrived nevertheless.
    if (!message || message.attempts === 0) return false
    message.state = isError ? 'acknowledged-with-error' : 'acknowledged'
    message.text = text
    return true
  }

  /** A synchronous call; the payload of the answer. Throws TWINALE_ODD_ANSWER for everything that is no response. */
  async call(interfaceName: string, payload: string): Promise<string> {
    const destination = this.#destination(interfaceName)
    const request = this.#request(interfaceName, 'BestEffort', payload, undefined, false)
    const { status, type, body } = await postTo(destination, writeProxyRequest(request), this.#world.faults())
    const odd = (text: string) => aleTwinErrors.ODD_ANSWER({ url: destination.url, text })
    let answer: ReturnType<typeof readXi>
    try {
      answer = readXi(type, body)
    } catch (thrown) {
      throw odd(`${status}: ${thrown instanceof Error ? thrown.message : String(thrown)}`)
    }
    const { messageClass, refersTo, error } = answer
    if (error) throw odd(`${status} ${messageClass} ${error.category} ${error.code}: ${error.text}`)
    if (status !== 200) throw odd(`status ${status}`)
    if (messageClass !== 'ApplicationResponse') throw odd(`a ${messageClass} instead of an ApplicationResponse`)
    if (refersTo !== plainId(request.id)) throw odd(`it refers to ${refersTo}`)
    if (answer.payload === undefined) throw odd('it has no MainDocument')
    return answer.payload
  }

  /** True when the other side has it now. */
  async #send(message: OpenMessage): Promise<boolean> {
    const faults = this.#world.faults()
    const destination = this.#destination(message.request.interface)
    const { type, body } = writeProxyRequest(message.request)
    const bytes = strike(faults.malformed) ? Buffer.from(body.toString().replace('</SAP:Main>', '&</SAP:Main>')) : body
    const count = strike(faults.sendTwice) ? 2 : 1
    for (let time = 0; time < count; time++) {
      message.attempts += 1
      try {
        const answer = await postTo(destination, { type, body: bytes }, faults)
        const { state, text } = judge(message, answer)
        message.state = state
        message.text = text
      } catch (thrown) {
        message.state = 'retry'
        message.text = thrown instanceof Error ? thrown.message : String(thrown)
      }
    }
    return message.state === 'sent'
  }

  #request(
    interfaceName: string,
    quality: Quality,
    payload: string,
    queue: string | undefined,
    wantsAcks: boolean,
  ): ProxyRequest {
    const { system, receiver, namespace, now } = this.#world
    const sentAt = now()
    return {
      id: randomUUID(),
      interface: interfaceName,
      namespace,
      quality,
      queue,
      wantsAcks,
      sentAt,
      sender: system,
      receiver,
      payload,
    }
  }

  #destination(interfaceName: string): Destination {
    const destination = this.#world.destination(interfaceName)
    if (!destination) throw aleTwinErrors.NO_DESTINATION({ name: interfaceName })
    return destination
  }
}

/** What an answer makes of an asynchronous message. */
function judge(
  { request, attempts }: SentProxyMessage,
  { status, type, body }: { readonly status: number; readonly type: string; readonly body: Buffer },
): { readonly state: 'sent' | 'retry' | 'system-error'; readonly text: string } {
  // A server that is busy or down says so by its status; what its page says is for people.
  if (status === 429 || status >= 502) return { state: 'retry', text: `HTTP status ${status}` }
  let answer: ReturnType<typeof readXi>
  try {
    answer = readXi(type, body)
  } catch (thrown) {
    const text = `HTTP status ${status}: ${thrown instanceof Error ? thrown.message : String(thrown)}`
    return { state: status >= 500 ? 'retry' : 'system-error', text }
  }
  const { messageClass, refersTo, error, ack } = answer
  if (messageClass === 'SystemAck' && refersTo === plainId(request.id)) {
    if (ack?.status === 'OK' && status === 200) return { state: 'sent', text: '' }
    // The first attempt arrived after all.
    if (error?.code === 'DUPLICATE_DETECTED' && attempts > 1) return { state: 'sent', text: 'it was there already' }
  }
  if (error) {
    const text = `${error.category} ${error.code}: ${error.text}`
    return { state: status >= 500 ? 'retry' : 'system-error', text }
  }
  return { state: 'system-error', text: `${messageClass} for ${refersTo ?? 'nothing'}, status ${status}` }
}
