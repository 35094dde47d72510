import { createHash, randomBytes } from 'node:crypto'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { eventOf, occurrenceId, viewsIn } from './events.ts'
import { refusals } from './graph-error.ts'
import type { GraphMailbox } from './mailbox.ts'
import type { Query } from './query.ts'
import type { ItemType } from './shapes.ts'
import { type Manner, showEvent, showItem, showOccurrenceRow } from './show.ts'

/** What a delta round is about. */
export interface DeltaSubject {
  readonly mailbox: GraphMailbox
  readonly type: ItemType
  /** Id of the folder. */
  readonly folder: string
  /** Of a calendar view; fixed in the token. */
  readonly window: { readonly from: number; readonly to: number } | undefined
  readonly query: Query
  /** The query as it was asked. */
  readonly text: string
}

interface Round {
  readonly subject: DeltaSubject
  /** What happened up to here was told in the round before. */
  readonly since: number
  /** Up to here this one tells. */
  readonly upTo: number
  /** Rows that are still to be told: ids of items, and of what is gone. */
  readonly rest: readonly Row[]
}

type Row = { readonly id: string; readonly isRemoved: boolean }

/** Rounds that stand in the middle of their pages. */
const openRoundsMax = 100_000

/** Tokens of one mailbox that are worth something; the older go as new ones come, as in Outlook's cache of them. */
const tokensPerMailbox = 1000

/**
 * Delta rounds and their tokens, a new one each time. A token of a finished round says itself where it stands and which it
 * is of its mailbox, so that those of ten thousand mailboxes take no room here.
 */
export class DeltaRounds {
  readonly #open = new Map<string, Round>()
  readonly #subjects = new WeakMap<GraphMailbox, Map<string, DeltaSubject>>()
  readonly #given = new WeakMap<GraphMailbox, number>()
  #seal = randomBytes(12).toString('base64url')

  /** Begins the first round of a subject. */
  begin(subject: DeltaSubject): Round {
    return this.#round(subject, 0)
  }

  /** The round of a `$skiptoken` or `$deltatoken`; throws 410. */
  go(token: string, mailbox: GraphMailbox): Round {
    if (token.startsWith('d')) {
      const [key = '', since = '', number = '', seal] = token.slice(1).split('.')
      const subject = this.#subjects.get(mailbox)?.get(key)
      const isOld = (this.#given.get(mailbox) ?? 0) - Number(number) >= tokensPerMailbox
      if (!subject || isOld || seal !== this.#seal) throw refusals.deltaLost()
      return this.#round(subject, Number(since))
    }
    const round = this.#open.get(token)
    if (round?.subject.mailbox !== mailbox) throw refusals.deltaLost()
    return round
  }

  forgetAll(): void {
    this.#open.clear()
    this.#seal = randomBytes(12).toString('base64url')
  }

  /** One page of a round, and the token that goes on with it. */
  page(
    round: Round,
    size: number,
    manner: Manner,
  ): { readonly value: readonly Json[]; readonly skip?: string; readonly delta?: string } {
    const rows = round.rest.slice(0, size)
    const value = rows.flatMap(row => this.#shown(round, row, manner))
    const rest = round.rest.slice(size)
    if (rest.length > 0) return { value, skip: this.#keep({ ...round, rest }) }
    const { mailbox } = round.subject
    const number = (this.#given.get(mailbox) ?? 0) + 1
    this.#given.set(mailbox, number)
    return { value, delta: `d${this.#keyOf(round.subject)}.${round.upTo}.${number}.${this.#seal}` }
  }

  #keep(round: Round): string {
    const token = `s${randomBytes(18).toString('base64url')}`
    this.#open.set(token, round)
    const [oldest] = this.#open.keys()
    if (this.#open.size > openRoundsMax && oldest !== undefined) this.#open.delete(oldest)
    return token
  }

  /** The same for the same question. */
  #keyOf(subject: DeltaSubject): string {
    const { mailbox, type, folder, text } = subject
    const all = JSON.stringify([type, folder, text])
    const key = createHash('sha256').update(all).digest('base64url').slice(0, 20)
    const subjects = this.#subjects.get(mailbox) ?? new Map<string, DeltaSubject>()
    this.#subjects.set(mailbox, subjects.set(key, subjects.get(key) ?? subject))
    return key
  }

  #round(subject: DeltaSubject, since: number): Round {
    const { mailbox, type, folder, window, query } = subject
    const changed: Row[] = []
    for (const item of mailbox.items.values()) {
      if (item.type !== type || item.folder !== folder || item.seq <= since) continue
      if (query.filter && !query.filter(item)) continue
      const isInside = !window || viewsIn(item, window.from, window.to).length > 0
      // What has left the window is gone as far as the window goes.
      if (isInside) changed.push({ id: item.id, isRemoved: false })
      else if (since > 0 && item.createdSeq <= since) changed.push({ id: item.id, isRemoved: true })
    }
    const removed = mailbox.removed.filter(
      each => each.type === type && each.folder === folder && each.seq > since && each.createdSeq <= since,
    )
    const gone = [...new Set(removed.filter(each => !this.#isBack(each.id, subject)).map(each => each.id))]
    const rest = [...changed, ...gone.map(id => ({ id, isRemoved: true }))]
    return { subject, since, upTo: mailbox.seq, rest }
  }

  /** An item that was moved out and back again is a change, not a loss. */
  #isBack(id: string, { mailbox, folder }: DeltaSubject): boolean {
    return mailbox.items.get(id)?.folder === folder
  }

  #shown({ subject }: Round, row: Row, manner: Manner): readonly JsonObject[] {
    const { mailbox, window, query } = subject
    const item = mailbox.items.get(row.id)
    if (row.isRemoved || !item)
      return [{ '@odata.type': '#microsoft.graph.event', id: row.id, '@removed': { reason: 'deleted' } }]
    if (!window) return [showItem(mailbox, item, query, manner)]
    const views = viewsIn(item, window.from, window.to)
    if (!item.values['recurrence']) return [showEvent(mailbox, { item }, query, manner)]
    const rows = views.flatMap(({ day }) => {
      if (day === undefined) return []
      const view = eventOf(mailbox, occurrenceId(item, day))
      // Exceptions come whole, the others as little more than their times.
      return [
        item.overrides.has(day) ? showEvent(mailbox, view, query, manner) : showOccurrenceRow({ item, day }, manner),
      ]
    })
    return [showEvent(mailbox, { item }, query, manner), ...rows]
  }
}
