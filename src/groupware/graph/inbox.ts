import { HubError } from '../../kernel/error.ts'
import { isOurs, type Notification, readNotifications, validationAnswer } from '../../protocols/graph/subscription.ts'

export interface InboxAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

interface Listener {
  readonly clientState: string
  readonly hear: (notification: Notification) => void
}

/**
 * Where the notifications of Microsoft Graph come in: an HTTP endpoint hands it each request. It believes nothing but the
 * secret of the subscription, and a notification says no more than that it is time to look.
 */
export class GraphInbox {
  /** Addresses of the endpoint as Graph reaches it. */
  readonly notificationUrl: string
  readonly lifecycleUrl: string
  readonly #listeners = new Map<string, Listener>()

  constructor(urls: { readonly notificationUrl: string; readonly lifecycleUrl: string }) {
    this.notificationUrl = urls.notificationUrl
    this.lifecycleUrl = urls.lifecycleUrl
  }

  /** Answers within the time Graph gives (3 s): hearing is nothing but taking note. */
  handle(query: Readonly<Record<string, string>>, body: Uint8Array): InboxAnswer {
    const token = validationAnswer(query)
    if (token !== undefined) return { status: 200, type: 'text/plain', body: token }
    try {
      for (const notification of readNotifications(body)) {
        const listener = this.#listeners.get(notification.subscription)
        if (listener && isOurs(notification, listener.clientState)) listener.hear(notification)
      }
    } catch (thrown) {
      if (!(thrown instanceof HubError)) throw thrown
      return { status: 400, type: 'text/plain', body: thrown.message }
    }
    // Also for subscriptions that nobody knows (any more): a refusal would make Graph send it again for hours.
    return { status: 202, type: 'text/plain', body: '' }
  }

  listen(subscription: string, clientState: string, hear: Listener['hear']): () => void {
    this.#listeners.set(subscription, { clientState, hear })
    return () => this.#listeners.delete(subscription)
  }
}
