import { randomUUID } from 'node:crypto'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { type Clock, DAY, MINUTE, SECOND } from '../../kernel/time.ts'
import { strike } from '../twin.ts'
import type { GraphFaults } from './faults.ts'
import { refusals } from './graph-error.ts'

export interface StoredSubscription {
  readonly id: string
  readonly resource: string
  /** Address of the mailbox and the kind of items that are watched. */
  readonly mailbox: string
  readonly area: string
  readonly changeTypes: readonly string[]
  readonly notificationUrl: string
  readonly lifecycleUrl: string | undefined
  readonly clientState: string | undefined
  expiresAt: number
}

/** Sends a request outwards; the twin's way to the addresses that it is given. */
export type SendOut = (
  url: string,
  body: string,
  type: string,
) => Promise<{ readonly status: number; readonly text: string }>

const lifeMaxMs = 7 * DAY
const lifeMinMs = 45 * MINUTE
const perMailboxMax = 1000

/** Subscriptions of the twin, and the notifications it sends for them. */
export class Subscriptions {
  readonly #clock: Clock
  readonly #sendOut: SendOut
  readonly #faults: () => GraphFaults
  readonly #all = new Map<string, StoredSubscription>()
  /** Those of each mailbox, so that a change in one is not held against those of ten thousand. */
  readonly #byMailbox = new Map<string, Set<StoredSubscription>>()
  #sending: Promise<void> = Promise.resolve()
  readonly delivered: { readonly url: string; readonly status: number }[] = []

  constructor(clock: Clock, sendOut: SendOut, faults: () => GraphFaults) {
    this.#clock = clock
    this.#sendOut = sendOut
    this.#faults = faults
  }

  get count(): number {
    return this.#all.size
  }

  /** Checks the addresses as Graph does, by a token that must come back, and keeps the subscription. */
  async create(body: JsonObject, mailbox: string, area: string): Promise<StoredSubscription> {
    const { changeType, notificationUrl, lifecycleNotificationUrl, clientState, expirationDateTime, resource } = body
    const types = typeof changeType === 'string' ? changeType.split(',') : []
    if (types.length === 0 || !types.every(type => ['created', 'updated', 'deleted'].includes(type))) {
      throw refusals.malformed('ChangeType is invalid.')
    }
    if (typeof clientState === 'string' && clientState.length > 128)
      throw refusals.malformed('ClientState is too long.')
    const now = this.#clock.now()
    const expiresAt = Date.parse(String(expirationDateTime))
    if (Number.isNaN(expiresAt) || expiresAt < now) throw refusals.malformed('ExpirationDateTime is invalid.')
    const urls = [notificationUrl, ...(lifecycleNotificationUrl === undefined ? [] : [lifecycleNotificationUrl])]
    for (const url of urls) await this.#validate(url)
    const here = this.#byMailbox.get(mailbox) ?? new Set()
    if (here.size >= perMailboxMax) {
      throw Object.assign(
        refusals.malformed('Maximum number of active subscriptions for the mailbox has been reached.'),
        { status: 403 },
      )
    }
    const subscription: StoredSubscription = {
      id: randomUUID(),
      resource: String(resource),
      mailbox,
      area,
      changeTypes: types,
      notificationUrl: String(notificationUrl),
      lifecycleUrl: typeof lifecycleNotificationUrl === 'string' ? lifecycleNotificationUrl : undefined,
      clientState: typeof clientState === 'string' ? clientState : undefined,
      expiresAt: Math.max(now + lifeMinMs, Math.min(expiresAt, now + lifeMaxMs)),
    }
    this.#all.set(subscription.id, subscription)
    this.#byMailbox.set(mailbox, here.add(subscription))
    return subscription
  }

  get(id: string): StoredSubscription {
    const found = this.#all.get(id)
    if (found && found.expiresAt > this.#clock.now()) return found
    throw refusals.noResource('subscriptions')
  }

  renew(id: string, until: Json | undefined): StoredSubscription {
    const found = this.get(id)
    const expiresAt = Date.parse(String(until))
    const now = this.#clock.now()
    if (Number.isNaN(expiresAt) || expiresAt < now) throw refusals.malformed('ExpirationDateTime is invalid.')
    found.expiresAt = Math.min(expiresAt, now + lifeMaxMs)
    return found
  }

  remove(id: string): void {
    const found = this.get(id)
    this.#all.delete(id)
    this.#byMailbox.get(found.mailbox)?.delete(found)
  }

  /** Tells all that watch this kind of item; in the background, one after the other. */
  notify(mailbox: string, area: string, change: 'created' | 'updated' | 'deleted', id: string): void {
    const now = this.#clock.now()
    for (const each of this.#byMailbox.get(mailbox) ?? []) {
      if (each.area !== area || each.expiresAt <= now || !each.changeTypes.includes(change)) continue
      if (strike(this.#faults().dropNotifications)) {
        this.#lifecycle(each, 'missed')
        continue
      }
      this.#post(each.notificationUrl, {
        ...this.#head(each),
        changeType: change,
        resource: `Users/${mailbox}/${area}/${id}`,
        resourceData: { '@odata.type': '#Microsoft.Graph.Event', '@odata.id': `Users/${mailbox}/${area}/${id}`, id },
      })
    }
  }

  endAll(): void {
    for (const each of this.#all.values()) this.#lifecycle(each, 'subscriptionRemoved')
    this.#all.clear()
    this.#byMailbox.clear()
  }

  /** Resolves when everything that was to be told so far was told. */
  async settled(): Promise<void> {
    await this.#sending
  }

  #lifecycle(subscription: StoredSubscription, lifecycleEvent: string): void {
    if (subscription.lifecycleUrl === undefined) return
    this.#post(subscription.lifecycleUrl, {
      ...this.#head(subscription),
      lifecycleEvent,
      resource: subscription.resource,
    })
  }

  #head({ id, expiresAt, clientState }: StoredSubscription): JsonObject {
    return {
      subscriptionId: id,
      subscriptionExpirationDateTime: new Date(expiresAt).toISOString(),
      ...(clientState !== undefined && { clientState }),
      tenantId: '72f988bf-0000-4000-8000-2d7cd011db47',
    }
  }

  #post(url: string, notification: JsonObject): void {
    const body = JSON.stringify({ value: [notification] })
    this.#sending = this.#sending.then(async () => {
      const status = await this.#sendOut(url, body, 'application/json').then(
        answer => answer.status,
        // Whoever was to be told is gone: the real service tries for hours, the twin does not.
        () => 0,
      )
      this.delivered.push({ url, status })
      if (this.delivered.length > 1000) this.delivered.shift()
    })
  }

  async #validate(url: Json | undefined): Promise<void> {
    if (typeof url !== 'string' || !URL.canParse(url)) throw refusals.malformed('NotificationUrl is invalid.')
    const token = `Validation: Testing client application reachability for subscription Request-Id: ${randomUUID()}`
    const at = new URL(url)
    at.searchParams.set('validationToken', token)
    const answer = await Promise.race([
      this.#sendOut(at.href, '', 'text/plain; charset=utf-8').catch((thrown: unknown) => ({
        status: 0,
        text: String(thrown),
      })),
      this.#clock.sleep(10 * SECOND).then(() => ({ status: 0, text: 'timed out' })),
    ])
    if (answer.status !== 200 || answer.text !== token) {
      throw refusals.webhook(
        `Notification endpoint must respond with 200 OK to validation request, and it said ${answer.status}.`,
      )
    }
  }
}
