import { timingSafeEqual } from 'node:crypto'
import type { Json, JsonObject } from '../../kernel/json.ts'
import type { GraphCall } from './client.ts'
import { graphErrors } from './errors.ts'
import { graphLimits } from './limits.ts'
import { isObject } from './refusal.ts'

export interface SubscriptionWish {
  /** What is watched: `users/a@x.example/events`. */
  readonly resource: string
  /** HTTPS addresses that Graph can reach. */
  readonly notificationUrl: string
  readonly lifecycleUrl: string
  /** Comes back with each notification, so that it is known for ours. At most 128 letters. */
  readonly clientState: string
  readonly expiresAt: number
}

export interface Subscription {
  readonly id: string
  /** When it ends unless it is renewed; what Graph says, not what was wished for. */
  readonly expiresAt: number
}

export function subscribe(wish: SubscriptionWish): GraphCall {
  return {
    method: 'POST',
    path: 'subscriptions',
    body: {
      changeType: 'created,updated,deleted',
      resource: `/${wish.resource}`,
      notificationUrl: wish.notificationUrl,
      lifecycleNotificationUrl: wish.lifecycleUrl,
      clientState: wish.clientState,
      expirationDateTime: new Date(wish.expiresAt).toISOString(),
    },
  }
}

/** Also answers a `reauthorizationRequired`: a renewal authorises anew. */
export function renew(id: string, expiresAt: number): GraphCall {
  return {
    method: 'PATCH',
    path: `subscriptions/${encodeURIComponent(id)}`,
    body: { expirationDateTime: new Date(expiresAt).toISOString() },
  }
}

export function unsubscribe(id: string): GraphCall {
  return { method: 'DELETE', path: `subscriptions/${encodeURIComponent(id)}` }
}

export function readSubscription(body: JsonObject): Subscription {
  const { id, expirationDateTime } = body
  const expiresAt = typeof expirationDateTime === 'string' ? Date.parse(expirationDateTime) : Number.NaN
  if (typeof id !== 'string' || Number.isNaN(expiresAt)) {
    throw graphErrors.ANSWER_ODD({ path: 'subscriptions', reason: 'it names no subscription with an end' })
  }
  return { id, expiresAt }
}

/** What a notification says: something changed, or something happened to the subscription itself. */
export interface Notification {
  readonly subscription: string
  readonly clientState: string
  /** `missed`: notifications were lost. Run a delta round after each of the three. */
  readonly lifecycle: 'missed' | 'subscriptionRemoved' | 'reauthorizationRequired' | undefined
  /** Id of the item, where one is named. */
  readonly item: string | undefined
}

/** The notifications of a request body. Throws GRAPH_NOTIFICATION_ODD. */
export function readNotifications(bytes: Uint8Array): readonly Notification[] {
  const odd = (reason: string) => graphErrors.NOTIFICATION_ODD({ reason })
  if (bytes.length > graphLimits.notificationBytes)
    throw odd(`it is larger than ${graphLimits.notificationBytes} bytes`)
  let document: Json
  try {
    document = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes)) as Json
  } catch {
    throw odd('it is no JSON')
  }
  const value = isObject(document) ? document['value'] : undefined
  if (!Array.isArray(value)) throw odd('it holds no list')
  if (value.length > graphLimits.notifications) throw odd(`it holds more than ${graphLimits.notifications}`)
  return value.map((each: Json): Notification => {
    const subscription = isObject(each) ? each['subscriptionId'] : undefined
    if (!isObject(each) || typeof subscription !== 'string') throw odd('one of them names no subscription')
    const { clientState, lifecycleEvent, resourceData } = each
    if (lifecycleEvent !== undefined && lifecycleEvent !== null && !isLifecycle(lifecycleEvent)) {
      throw odd('one of them tells of an event that nobody knows')
    }
    const item = isObject(resourceData) ? resourceData['id'] : undefined
    return {
      subscription,
      clientState: typeof clientState === 'string' ? clientState : '',
      lifecycle: isLifecycle(lifecycleEvent) ? lifecycleEvent : undefined,
      item: typeof item === 'string' ? item : undefined,
    }
  })
}

const lifecycles = ['missed', 'subscriptionRemoved', 'reauthorizationRequired'] as const

function isLifecycle(value: Json | undefined): value is (typeof lifecycles)[number] {
  return lifecycles.some(each => each === value)
}

/** True when a notification carries the secret that its subscription was made with; takes the same time for any other. */
export function isOurs(notification: Notification, clientState: string): boolean {
  const [given, wanted] = [Buffer.from(notification.clientState), Buffer.from(clientState)]
  return given.length === wanted.length && timingSafeEqual(given, wanted)
}

/**
 * The answer to the request by which Graph finds out whether an address is ours: the token as plain text within 10 s.
 * Undefined for any other request. Letters that a browser could take for a page are no token of Graph.
 */
export function validationAnswer(query: Readonly<Record<string, string>>): string | undefined {
  const token = query['validationToken']
  return token !== undefined && token.length <= 2048 && !/[<>]/.test(token) ? token : undefined
}
