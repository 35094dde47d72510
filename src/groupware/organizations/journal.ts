import { mkdirSync } from 'node:fs'
import { dirname } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { ItemKind } from '../plan/items.ts'
import type { Decision } from '../sync/context.ts'
import { organizationLimits } from './limits.ts'

/** One line of the log of a mailbox: what became of an item, or of a whole round. */
export type JournalLine =
  | ({ readonly about: 'item'; readonly kind: ItemKind } & Decision)
  | {
      readonly about: 'mailbox'
      readonly at: number
      readonly what: 'state' | 'round' | 'round-failed'
      readonly text: string
      readonly code?: string
      readonly next?: string
    }

export interface JournalRequest {
  readonly mailbox: string
  /** Only lines about items whose title or id has this in it. */
  readonly item?: string | undefined
  readonly before?: number | undefined
  readonly limit: number
}

/**
 * The logs of all mailboxes, bounded per mailbox. A power cut may cost their last seconds: nothing rests on them. Kept in
 * a file of its own, so that it can be deleted without harm.
 */
export class Journal {
  readonly #database: DatabaseSync
  readonly #insert
  readonly #trim
  readonly #select
  readonly #drop
  readonly #lines = new Map<string, number>()
  #waiting: { mailbox: string; line: JournalLine }[] = []
  #isScheduled = false

  readonly #onLost: (count: number, error: HubError) => void

  /** `onLost`: so many lines could not be written. */
  constructor({
    file,
    onLost = () => {},
  }: {
    readonly file: string
    readonly onLost?: (count: number, error: HubError) => void
  }) {
    this.#onLost = onLost
    if (file !== ':memory:') mkdirSync(dirname(file), { recursive: true, mode: 0o700 })
    this.#database = new DatabaseSync(file)
    this.#database.exec(`
      pragma busy_timeout = 5000;
      pragma journal_mode = ${file === ':memory:' ? 'memory' : 'wal'};
      pragma synchronous = normal;
      pragma journal_size_limit = 16777216;
      create table if not exists line (
        number integer primary key autoincrement,
        mailbox text not null,
        at integer not null,
        words text not null,
        content text not null
      ) strict;
      create index if not exists line_mailbox on line (mailbox, number)`)
    this.#insert = this.#database.prepare('insert into line (mailbox, at, words, content) values (?, ?, ?, ?)')
    this.#trim = this.#database.prepare(`
      delete from line where mailbox = ?1 and number <=
        (select number from line where mailbox = ?1 order by number desc limit 1 offset ?2)`)
    this.#select = this.#database.prepare(`
      select number, content from line
      where mailbox = ? and number < ? and (?3 = '' or instr(words, ?3) > 0) order by number desc limit ?4`)
    this.#drop = this.#database.prepare('delete from line where mailbox = ?')
  }

  append(mailbox: string, line: JournalLine): void {
    this.#waiting.push({ mailbox, line })
    if (this.#isScheduled) return
    this.#isScheduled = true
    setImmediate(() => this.#store())
  }

  /** Newest first, with the number by which the next page is asked for. */
  list({ mailbox, item = '', before, limit }: JournalRequest): readonly (JournalLine & { readonly number: number })[] {
    this.#store()
    return this.#select
      .all(mailbox, before ?? Number.MAX_SAFE_INTEGER, item.toLowerCase(), limit)
      .map(row => ({ ...(JSON.parse(String(row['content'])) as JournalLine), number: Number(row['number']) }))
  }

  forget(mailbox: string): void {
    this.#store()
    this.#drop.run(mailbox)
    this.#lines.delete(mailbox)
  }

  close(): void {
    this.#store()
    this.#database.close()
  }

  #store(): void {
    this.#isScheduled = false
    const waiting = this.#waiting.splice(0)
    if (waiting.length === 0 || !this.#database.isOpen) return
    try {
      this.#database.exec('begin')
      for (const { mailbox, line } of waiting) {
        this.#insert.run(mailbox, line.at, wordsOf(line), JSON.stringify(line))
        this.#count(mailbox)
      }
      this.#database.exec('commit')
    } catch (thrown) {
      // A full disk costs lines of the log, not the hub.
      if (this.#database.isTransaction) this.#database.exec('rollback')
      this.#onLost(waiting.length, asHubError(thrown))
    }
  }

  /** The oldest lines go a hundred at a time. */
  #count(mailbox: string): void {
    const count = (this.#lines.get(mailbox) ?? 0) + 1
    this.#lines.set(mailbox, count % 100)
    if (count % 100 === 0 || count === 1) this.#trim.run(mailbox, organizationLimits.logLines)
  }
}

function wordsOf(line: JournalLine): string {
  if (line.about === 'mailbox') return ''
  return [line.title, line.exchangeId, line.crmId].join('\n').toLowerCase()
}
