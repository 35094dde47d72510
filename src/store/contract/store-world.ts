import type { Claimed, NewDelivery, Store, StoredBody, StoredError, StoredReceipt } from '../port.ts'

/** A store under test, and what can happen to the process that has it open. */
export interface StoreWorld {
  /** The store that is open now. */
  readonly store: Store
  /** Closes it in good order and opens it again. */
  reopen(): Promise<void>
  /** Takes the data as it lies on the disk at this moment, without any warning to the store, and opens that. */
  crash(): Promise<void>
  close(): Promise<void>
}

export interface WorldOptions {
  readonly inlineBytes?: number
}

export type OpenWorld = (options?: WorldOptions) => Promise<StoreWorld>

export const startedAt = Date.UTC(2026, 0, 5, 8)

export const someError: StoredError = {
  code: 'SMTP_REFUSED',
  side: 'receiver',
  message: 'The mail server refused: 451 try later',
  next: 'Nothing; the hub tries again.',
}

export function textBody(text: string): StoredBody {
  return { bytes: Buffer.byteLength(text), type: 'text/plain', sha256: undefined, inline: Buffer.from(text) }
}

/** A delivery of flow `orders` with the parts that a test cares about. */
export function newDelivery(changes: Partial<NewDelivery> = {}): NewDelivery {
  return {
    flow: 'orders',
    keys: [],
    remember: [],
    orderKey: undefined,
    holds: true,
    headers: {},
    attributes: {},
    body: textBody('hello'),
    terms: [],
    acceptedAt: startedAt,
    isProbe: false,
    replayOf: undefined,
    ...changes,
  }
}

export async function accept(store: Store, changes: Partial<NewDelivery> = {}): Promise<string> {
  return (await store.accept(newDelivery(changes))).id
}

export interface ClaimWish {
  readonly max?: number
  readonly now?: number
  readonly places?: Readonly<Record<string, number>>
}

/** Claims as an engine does that has room for a hundred deliveries of flow `orders`. */
export async function claim(store: Store, wish: ClaimWish = {}): Promise<readonly Claimed[]> {
  return (await claimWithDue(store, wish)).deliveries
}

export function claimWithDue(store: Store, wish: ClaimWish = {}): ReturnType<Store['claim']> {
  return store.claim({
    owner: 'contract',
    max: wish.max ?? 100,
    now: wish.now ?? startedAt,
    leaseMs: 60_000,
    places: new Map(Object.entries(wish.places ?? { orders: 100 })),
  })
}

/** The one delivery that can be claimed now; throws when there is another number of them. */
export async function claimOne(store: Store, wish: ClaimWish = {}): Promise<Claimed> {
  const deliveries = await claim(store, wish)
  const [only] = deliveries
  if (!only || deliveries.length > 1) throw new Error(`expected one delivery to claim, found ${deliveries.length}`)
  return only
}

export function delivered(changes: Partial<Parameters<Store['finish']>[1]> = {}): Parameters<Store['finish']>[1] {
  return {
    state: 'delivered',
    at: startedAt + 5,
    summary: '250 Ok',
    error: undefined,
    receipts: [],
    terms: [],
    ...changes,
  }
}

export function setAside(changes: Partial<Parameters<Store['finish']>[1]> = {}): Parameters<Store['finish']>[1] {
  return delivered({ state: 'set-aside', summary: 'gave up', error: someError, ...changes })
}

export function receiptOf(effect: string, changes: Partial<StoredReceipt> = {}): StoredReceipt {
  return { effect, state: 'done', at: startedAt, summary: '250 Ok', fields: undefined, answer: undefined, ...changes }
}

/** Retries after a minute. */
export const laterAt = startedAt + 60_000

export function retryLater(changes: Partial<Parameters<Store['retry']>[1]> = {}): Parameters<Store['retry']>[1] {
  return { at: startedAt + 5, dueAt: laterAt, since: startedAt, error: someError, awaitsChange: false, ...changes }
}

/** Replays what is set aside one by one, each to its end; the ids in the order in which they travelled. */
export async function replayInTurn(store: Store, asides: readonly string[], now: number): Promise<readonly string[]> {
  const travelled: string[] = []
  for (const id of asides) {
    await store.requeue(id, { now, forgetIntents: true })
    const claimed = await claimOne(store, { now })
    travelled.push(claimed.id)
    await store.finish(claimed, delivered({ at: now }))
  }
  return travelled
}

export function ids(rows: readonly { readonly id: string }[]): readonly string[] {
  return rows.map(row => row.id)
}

export async function readAll(source: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const chunks: Uint8Array[] = []
  for await (const chunk of source) chunks.push(chunk)
  return Buffer.concat(chunks)
}
