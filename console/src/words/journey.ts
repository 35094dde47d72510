import type { MessageDetail, ToldError } from '../api/types.ts'
import { bytesWords } from './format.ts'

/** A station of a message on its way. */
export interface Station {
  readonly key: string
  readonly at: string | undefined
  readonly tone: 'good' | 'bad' | 'odd' | 'plain'
  readonly title: string
  readonly text: string | undefined
  readonly error: ToldError | undefined
  readonly facts: readonly (readonly [name: string, value: string])[]
}

/** What people call a message: the subject of a mail, else the first word it is found by, else its id. */
export function titleOf({ id, attributes, terms }: Pick<MessageDetail, 'id' | 'attributes' | 'terms'>): string {
  const subject = typeof attributes === 'object' && attributes !== null && 'subject' in attributes && attributes.subject
  return (typeof subject === 'string' && subject.trim()) || terms[0] || `Message ${id}`
}

const ends: Readonly<Record<string, readonly [tone: Station['tone'], title: string]>> = {
  delivered: ['good', 'Delivered'],
  dropped: ['odd', 'Dropped by a step'],
  rejected: ['bad', 'Rejected'],
  'set-aside': ['bad', 'Set aside: it had its chances and waits for a person'],
  skipped: ['odd', 'Skipped by a person'],
}

/** The way of a message from its acceptance to its end (or to what it waits for), in the order in which it happened. */
export function planJourney(detail: MessageDetail): readonly Station[] {
  const { state, acceptedAt, at, attempts, body, replayOf, isProbe } = detail
  const accepted = station('accepted', acceptedAt, 'good', 'Accepted and kept', {
    text: [
      `${bytesWords(detail.original?.body.bytes ?? body.bytes)} of ${detail.original?.body.type ?? body.type}`,
      isProbe ? 'a probe of the hub itself' : '',
      replayOf === undefined ? '' : `repeats ${replayOf}`,
    ]
      .filter(Boolean)
      .join(', '),
  })
  const failures = detail.failures.map(failure =>
    station(`attempt-${failure.attempt}-${failure.at}`, failure.at, 'bad', `Attempt ${failure.attempt} failed`, {
      error: failure.error,
    }),
  )
  const receipts = detail.receipts.map((receipt, index) =>
    station(`receipt-${index}-${receipt.effect}`, receipt.at, 'good', `Receipt of ${receipt.effect}`, {
      text: receipt.summary,
      facts: factsOf(receipt.fields),
    }),
  )
  const between = [...failures, ...receipts].toSorted((one, other) => (one.at ?? '').localeCompare(other.at ?? ''))
  return [accepted, ...between, lastOf(detail, state, at, attempts)]
}

function lastOf(detail: MessageDetail, state: string, at: string, attempts: number): Station {
  const end = ends[state]
  if (end) {
    const [tone, title] = end
    // Of a message that failed, the last attempt has said why already.
    const text = state === 'skipped' || state === 'dropped' ? (detail.error?.message ?? undefined) : undefined
    return station('end', at, tone, title, { text })
  }
  const { heldBy, orderKey, awaitsChange } = detail
  if (heldBy !== undefined) {
    const text = `Message ${heldBy} comes first for the key ${orderKey ?? ''}; this one goes on when that one ended.`
    return station('held', undefined, 'odd', 'Held by another message', { text })
  }
  if (awaitsChange) {
    const text = 'It is tried again as soon as a credential, a role or a connector changes.'
    return station('waits', undefined, 'odd', 'Waits for a change', { text })
  }
  return station('due', at, 'plain', attempts === 0 ? 'On its way' : 'The next attempt is due', {})
}

function station(
  key: string,
  at: string | undefined,
  tone: Station['tone'],
  title: string,
  more: Partial<Pick<Station, 'text' | 'error' | 'facts'>>,
): Station {
  return { key, at, tone, title, text: more.text, error: more.error, facts: more.facts ?? [] }
}

/** What a receipt says in fields (DOCNUM, queue id, ETag), as text. */
function factsOf(fields: unknown): Station['facts'] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
}
