import type { ServerResponse } from 'node:http'
import { type Clock, MINUTE } from '../../kernel/time.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import { numberIn } from './item-operations.ts'
import { isoSeconds } from './series.ts'
import type { Session } from './session.ts'
import { answerEnvelope, EwsError, errorRow, invalid, needed, response, row } from './soap.ts'
import { changeKey, type MailboxEvent, type TwinMailbox } from './world.ts'

interface Subscription {
  readonly id: string
  readonly mailbox: TwinMailbox
  readonly folders: ReadonlySet<string>
  readonly waiting: MailboxEvent[]
  readonly stop: () => void
  stream: Stream | undefined
}

interface Stream {
  readonly response: ServerResponse
  readonly subscriptions: readonly Subscription[]
  readonly anchor: TwinMailbox
  readonly end: () => void
}

/** Of one mailbox in Exchange Online (EWSMaxSubscriptions), and open streams of one (HangingConnectionLimit). */
const perMailboxMax = 20
const streamsPerMailboxMax = 10
const waitingMax = 1000
/** How often an open stream gives a sign of life. */
const heartbeatMs = 45_000

/** Subscriptions and the open streams that tell of them. */
export class Notifications {
  readonly #subscriptions = new Map<string, Subscription>()
  readonly #streams = new Set<Stream>()
  readonly #byMailbox = new Map<TwinMailbox, Set<string>>()
  readonly #clock: Clock
  #counter = 0

  constructor(clock: Clock) {
    this.#clock = clock
  }

  get counts(): { readonly subscriptions: number; readonly streams: number } {
    return { subscriptions: this.#subscriptions.size, streams: this.#streams.size }
  }

  subscribe(session: Session, request: XmlElement): string {
    const { mailbox } = session
    const wanted = needed(request, 'StreamingSubscriptionRequest')
    const folders = needed(wanted, 'FolderIds').children.map(ref => session.folder(ref).id)
    const open = this.#byMailbox.get(mailbox) ?? new Set()
    if (open.size >= perMailboxMax) {
      const failure = new EwsError(
        'ErrorExceededSubscriptionCount',
        'You have exceeded the available subscriptions for your account.',
      )
      return response('Subscribe', [errorRow('Subscribe', failure)])
    }
    this.#counter += 1
    const id = Buffer.from(`S|${mailbox.address}|${this.#counter}`).toString('base64')
    const listener = (event: MailboxEvent) => this.#hear(id, event)
    mailbox.listeners.add(listener)
    this.#byMailbox.set(mailbox, open.add(id))
    this.#subscriptions.set(id, {
      id,
      mailbox,
      folders: new Set(folders),
      waiting: [],
      stop: () => mailbox.listeners.delete(listener),
      stream: undefined,
    })
    return response('Subscribe', [row('Subscribe', textElement('m:SubscriptionId', id))])
  }

  unsubscribe(_session: Session, request: XmlElement): string {
    const id = needed(request, 'SubscriptionId').text.trim()
    const known = this.#subscriptions.get(id)
    if (!known) {
      const failure = new EwsError('ErrorSubscriptionNotFound', 'The subscription was not found.')
      return response('Unsubscribe', [errorRow('Unsubscribe', failure)])
    }
    this.#forget(known)
    return response('Unsubscribe', [row('Unsubscribe', '')])
  }

  /** Answers over time: a chunk for each envelope, until the minutes are over or somebody hangs up. */
  stream(session: Session, request: XmlElement, reply: ServerResponse): void {
    // Whoever has hung up already is not seen to do so any more.
    if (reply.destroyed) return
    const ids = needed(request, 'SubscriptionIds').children.map(each => each.text.trim())
    const minutes = numberIn(request, 'ConnectionTimeout', 1, 30)
    if (ids.length === 0) throw invalid("The element 'SubscriptionIds' has incomplete content.")
    reply.writeHead(200, { 'content-type': 'text/xml; charset=utf-8', 'transfer-encoding': 'chunked' })
    const lost = ids.filter(id => !this.#subscriptions.has(id))
    const subscriptions = ids.map(id => this.#subscriptions.get(id)).filter(each => each !== undefined)
    const streams = [...this.#streams].filter(each => each.anchor === session.mailbox)
    if (lost.length > 0) {
      reply.end(envelopeOf(lostRow(lost)))
      return
    }
    if (streams.length >= streamsPerMailboxMax) {
      const failure = new EwsError(
        'ErrorExceededConnectionCount',
        'You have exceeded the maximum number of concurrent connections.',
      )
      reply.end(envelopeOf(errorRow('GetStreamingEvents', failure)))
      return
    }
    const status = (word: string) =>
      envelopeOf(row('GetStreamingEvents', textElement('m:ConnectionStatus', word)), false)
    const cancelEnd = this.#clock.after(minutes * MINUTE, () => {
      end()
      reply.end(status('Closed'))
    })
    const beat = (): (() => void) =>
      this.#clock.after(heartbeatMs, () => {
        reply.write(status('OK'))
        cancelBeat = beat()
      })
    let cancelBeat = beat()
    function end() {
      cancelEnd()
      cancelBeat()
    }
    const stream: Stream = { response: reply, subscriptions, anchor: session.mailbox, end }
    this.#streams.add(stream)
    reply.on('close', () => {
      end()
      this.#streams.delete(stream)
      for (const each of subscriptions) if (each.stream === stream) each.stream = undefined
    })
    reply.write(envelopeOf(row('GetStreamingEvents', textElement('m:ConnectionStatus', 'OK'))))
    for (const subscription of subscriptions) {
      subscription.stream = stream
      for (const event of subscription.waiting.splice(0)) this.#send(stream, subscription, event)
    }
  }

  /** Streams say that their subscriptions are gone, and end. */
  loseAll(): void {
    for (const stream of this.#streams) {
      stream.response.end(envelopeOf(lostRow(stream.subscriptions.map(each => each.id)), false))
    }
    for (const each of this.#subscriptions.values()) each.stop()
    this.#subscriptions.clear()
    this.#byMailbox.clear()
  }

  /** Streams end in the middle of an envelope. */
  cutAll(): void {
    for (const { response: reply } of this.#streams) {
      reply.write('<s:Envelope xmlns:s="http://schemas.xml', () => reply.destroy())
    }
  }

  stop(): void {
    for (const stream of this.#streams) stream.end()
  }

  #hear(id: string, event: MailboxEvent): void {
    const subscription = this.#subscriptions.get(id)
    if (!subscription?.folders.has(event.folderId)) return
    if (subscription.stream) this.#send(subscription.stream, subscription, event)
    else if (subscription.waiting.length < waitingMax) subscription.waiting.push(event)
  }

  #send(stream: Stream, { id }: Subscription, { kind, item, folderId }: MailboxEvent): void {
    const parts = [
      textElement('t:TimeStamp', isoSeconds(this.#clock.now())),
      element('t:ItemId', { Id: item.id, ChangeKey: changeKey(item.version) }),
      element('t:ParentFolderId', { Id: folderId, ChangeKey: 'AQAAAA==' }),
    ]
    const notification = element(
      'm:Notification',
      {},
      textElement('t:SubscriptionId', id),
      element(`t:${kind}Event`, {}, ...parts),
    )
    stream.response.write(envelopeOf(row('GetStreamingEvents', element('m:Notifications', {}, notification)), false))
  }

  #forget(subscription: Subscription): void {
    subscription.stop()
    this.#subscriptions.delete(subscription.id)
    this.#byMailbox.get(subscription.mailbox)?.delete(subscription.id)
  }
}

function lostRow(ids: readonly string[]): string {
  const list = element('m:ErrorSubscriptionIds', {}, ...ids.map(id => textElement('t:SubscriptionId', id)))
  const failure = new EwsError('ErrorInvalidSubscription', 'The subscription is invalid.')
  return errorRow('GetStreamingEvents', failure, `${list}${textElement('m:ConnectionStatus', 'Closed')}`)
}

/** Only the first envelope of a stream has a declaration. */
function envelopeOf(content: string, isFirst = true): string {
  const text = answerEnvelope(response('GetStreamingEvents', [content]))
  return isFirst ? text : text.slice(text.indexOf('?>') + 2)
}
