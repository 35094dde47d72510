import { StringDecoder } from 'node:string_decoder'
import { formatDuration } from '../../kernel/time.ts'
import { netErrors } from '../net/errors.ts'
import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { failureOf, readBody, readFault, readRow } from './answer.ts'
import { ewsErrors } from './errors.ts'
import type { EwsExchange } from './exchange.ts'
import { type FolderRef, writeFolderRef } from './folders.ts'
import { ewsLimits } from './limits.ts'
import { element, namespaces, textElement } from './write-xml.ts'

/** What a stream tells. It says when, never what: SyncFolderItems says that. */
export interface StreamListener {
  /** The server has taken the subscriptions; from now on changes are told. */
  onConnected(): void
  onEvent(event: StreamEvent): void
  /** The server does not know these subscriptions (any more); it closes the stream after saying so. */
  onLost(subscriptions: readonly string[], code: string): void
}

export interface StreamEvent {
  readonly subscription: string
  /** `NewMail`, `Created`, `Modified`, `Deleted`, `Moved`; `Status` is the heartbeat. */
  readonly kind: string
  readonly itemId: string | undefined
  readonly folderId: string | undefined
}

const eventTypes = ['NewMailEvent', 'CreatedEvent', 'ModifiedEvent', 'DeletedEvent', 'MovedEvent'] as const

export function writeSubscribe(folders: readonly FolderRef[]): string {
  return element(
    'm:Subscribe',
    {},
    element(
      'm:StreamingSubscriptionRequest',
      {},
      element('t:FolderIds', {}, ...folders.map(writeFolderRef)),
      element('t:EventTypes', {}, ...eventTypes.map(type => textElement('t:EventType', type))),
    ),
  )
}

export function writeUnsubscribe(subscription: string): string {
  return element('m:Unsubscribe', {}, textElement('m:SubscriptionId', subscription))
}

export function writeGetStreamingEvents(subscriptions: readonly string[], minutes: number): string {
  return element(
    'm:GetStreamingEvents',
    {},
    element('m:SubscriptionIds', {}, ...subscriptions.map(id => textElement('t:SubscriptionId', id))),
    textElement('m:ConnectionTimeout', minutes),
  )
}

export interface StreamRequest {
  readonly exchange: EwsExchange
  readonly mailbox: string
  readonly signal: AbortSignal
  readonly subscriptions: readonly string[]
  readonly listener: StreamListener
  readonly anchor: string | undefined
  readonly minutes: number | undefined
  readonly silenceMs: number | undefined
}

/** Hears a stream to its end. Each piece of it is a whole envelope; only the first begins with a declaration. */
export async function streamEvents(request: StreamRequest): Promise<void> {
  const { exchange, mailbox, signal, subscriptions, anchor, listener } = request
  const minutes = Math.min(30, Math.max(1, request.minutes ?? ewsLimits.streamMinutes))
  const body = writeGetStreamingEvents(subscriptions.slice(0, ewsLimits.streamSubscriptions), minutes)
  const silenceMs = request.silenceMs ?? ewsLimits.streamSilenceMs
  const silence = new AbortController()
  const listen = () => exchange.clock.after(silenceMs, () => silence.abort())
  let stopListening = listen()
  const split = splitEnvelopes(exchange.server)
  let isConnected = false
  try {
    const ends = AbortSignal.any([signal, silence.signal])
    const stream = await exchange.open({ body, mailbox, signal: ends, isWrite: false, anchor })
    for await (const chunk of stream.body) {
      stopListening()
      stopListening = listen()
      for (const text of split(chunk)) {
        const isOpen = hear(text)
        if (!isConnected) {
          isConnected = true
          if (isOpen) listener.onConnected()
        }
        if (!isOpen) return
      }
    }
  } catch (thrown) {
    if (signal.aborted) return
    // A dead line says nothing at all, as a quiet mailbox does: only the signs of life tell one from the other.
    if (silence.signal.aborted) {
      const reason = `nothing was heard for ${formatDuration(silenceMs)}`
      throw netErrors.CONNECTION_LOST({ ...exchange.target, reason }, { cause: thrown })
    }
    throw thrown
  } finally {
    stopListening()
  }

  function hear(text: string): boolean {
    const context = exchange.context(mailbox)
    const content = readBody(text, context)
    const fault = childOf(content, 'Fault', namespaces.soap)
    if (fault) throw readFault(fault, context)
    const messages = childOf(content.children[0], 'ResponseMessages')?.children ?? []
    let isOpen = true
    for (const message of messages) {
      const row = readRow(message)
      if (row.isError) {
        const lost = childOf(message, 'ErrorSubscriptionIds')?.children.map(each => each.text.trim()) ?? []
        if (lost.length === 0) throw failureOf(row.code, row.text, row.backOffMs, context)
        listener.onLost(lost, row.code)
      }
      for (const event of eventsIn(message)) listener.onEvent(event)
      if (textOf(message, 'ConnectionStatus') === 'Closed') isOpen = false
    }
    return isOpen
  }
}

function* eventsIn(message: XmlElement): Generator<StreamEvent> {
  for (const notification of childOf(message, 'Notifications')?.children ?? []) {
    const subscription = textOf(notification, 'SubscriptionId') ?? ''
    for (const child of notification.children) {
      if (!child.name.endsWith('Event')) continue
      yield {
        subscription,
        kind: child.name.slice(0, -'Event'.length),
        itemId: childOf(child, 'ItemId')?.attributes.get('Id'),
        folderId: (childOf(child, 'ParentFolderId') ?? childOf(child, 'FolderId'))?.attributes.get('Id'),
      }
    }
  }
}

/** Cuts a stream into its envelopes, wherever the pieces of the connection end. */
export function splitEnvelopes(server: string): (chunk: Uint8Array) => string[] {
  const decoder = new StringDecoder('utf8')
  const closing = /<\/(?:[\w.-]+:)?Envelope\s*>/g
  let waiting = ''
  return chunk => {
    // Looked at again from where a closing tag may have begun.
    closing.lastIndex = Math.max(0, waiting.length - 300)
    waiting += decoder.write(Buffer.from(chunk.buffer, chunk.byteOffset, chunk.byteLength))
    const whole: string[] = []
    let from = 0
    for (let found = closing.exec(waiting); found; found = closing.exec(waiting)) {
      whole.push(waiting.slice(from, closing.lastIndex))
      from = closing.lastIndex
    }
    waiting = waiting.slice(from)
    if (waiting.length > ewsLimits.streamEnvelopeBytes) {
      const bytesMax = ewsLimits.streamEnvelopeBytes
      throw ewsErrors.ANSWER_TOO_LARGE({ server, bytesMax, limit: 'streamEnvelopeBytes' })
    }
    return whole
  }
}
