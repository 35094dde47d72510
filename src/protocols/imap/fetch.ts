import { asHubError } from '../../kernel/error.ts'
import type { DataResponse, ImapConnection } from './connection.ts'
import { imapErrors } from './errors.ts'
import { announcesBody, parseFetchRow, uidBefore } from './fetch-row.ts'
import { imapLimits } from './limits.ts'
import { LiteralStream } from './literal-stream.ts'
import type { ResponsePart } from './response.ts'
import { discardingSink, holdingSink, type LiteralSink } from './response-reader.ts'
import { formatUidSets } from './uid-set.ts'
import type { FetchWindow } from './windows.ts'

/** A mail as the server handed it over: the very bytes. */
export interface FetchedMail {
  readonly uid: number
  readonly bytes: number
  /**
   * Held up to imapLimits.heldBytes, else a stream that can be read once; what is not read is let pass. A piece of the
   * stream is valid until the next is asked for.
   */
  readonly body: Uint8Array | AsyncIterable<Uint8Array>
}

/**
 * Fetches the mails of one window without marking them as read. `take` is called once per mail, in the order in which
 * the server answers; calls overlap. Resolves, when all of them have ended, with the UIDs that the server answered. Those it left out,
 * though it said OK, are the caller's to ask for again. Throws what ended the command, and what `take` threw.
 */
export async function fetchMails(
  connection: ImapConnection,
  window: FetchWindow,
  take: (mail: FetchedMail) => Promise<void>,
): Promise<ReadonlySet<number>> {
  const rows = new WindowRows(connection, window, take)
  // A window may be cut into several commands when its UIDs lie far apart.
  const sets = formatUidSets(window.uids, imapLimits.commandBytes)
  try {
    await Promise.all(
      sets.map(set =>
        connection.run({
          text: `UID FETCH ${set} (UID BODY.PEEK[])`,
          title: 'UID FETCH',
          isLong: true,
          onData: response => rows.takeRow(response),
          onLiteral: (head, bytes) => rows.chooseSink(head, bytes),
        }),
      ),
    )
  } catch (error) {
    rows.abandon(error)
    await rows.settled().catch(() => {})
    throw error
  }
  await rows.settled()
  return rows.answered
}

/**
 * Sizes of mails as the server estimates them; mails that are gone have no entry, nor have those that it refuses to
 * measure: one that is damaged must not keep the others from being fetched.
 */
export async function fetchSizes(connection: ImapConnection, uids: readonly number[]): Promise<Map<number, number>> {
  const wanted = new Set(uids)
  const sizes = new Map<number, number>()
  const onData = (response: DataResponse): boolean => {
    if (response.name !== 'FETCH') return false
    const { uid, size } = parseFetchRow(response.rest)
    if (uid === undefined || size === undefined || !wanted.has(uid)) return false
    sizes.set(uid, size)
    return true
  }
  for (const set of formatUidSets(uids, imapLimits.commandBytes)) {
    const text = `UID FETCH ${set} (UID RFC822.SIZE)`
    await connection.run({ text, title: 'UID FETCH', isLong: true, onData }).catch((thrown: unknown) => {
      if (asHubError(thrown).code !== imapErrors.COMMAND_REFUSED.code) throw thrown
    })
  }
  return sizes
}

/** The rows of one window. A row is told by its UID alone: rows of the next window stand in the same chunk. */
class WindowRows {
  readonly answered = new Set<number>()
  readonly #connection: ImapConnection
  readonly #wanted: Set<number>
  readonly #loneUid: number | undefined
  readonly #take: (mail: FetchedMail) => Promise<void>
  #takes: Promise<void>[] = []
  #stream: LiteralStream | undefined
  #untakenBytes = 0
  #isHolding = false

  constructor(connection: ImapConnection, window: FetchWindow, take: (mail: FetchedMail) => Promise<void>) {
    this.#connection = connection
    this.#wanted = new Set(window.uids)
    this.#loneUid = window.isLone ? window.uids[0] : undefined
    this.#take = take
  }

  chooseSink(head: readonly ResponsePart[], bytes: number): LiteralSink | undefined {
    if (!announcesBody(head)) return undefined
    const uid = uidBefore(head)
    if (uid !== undefined && !this.#wanted.has(uid)) return undefined
    if (bytes <= imapLimits.heldBytes) return holdingSink(bytes, imapLimits.heldBytes)
    const streamed = uid ?? this.#loneUid
    // Too large to hold, and nobody knows yet whose it is: the caller asks for it again, alone.
    if (streamed === undefined || this.answered.has(streamed)) return discardingSink(bytes)
    const stream = new LiteralStream(bytes, this.#connection)
    this.#stream = stream
    this.#hand({ uid: streamed, bytes, body: stream }, stream)
    return { push: chunk => stream.push(chunk), end: () => ({ bytes, held: undefined }) }
  }

  takeRow(response: DataResponse): boolean {
    if (response.name !== 'FETCH') return false
    const row = parseFetchRow(response.rest)
    if (row.body === undefined) return false
    const stream = this.#stream
    const uid = row.uid ?? this.#loneUid
    if (stream && row.body?.held === undefined) {
      this.#stream = undefined
      return this.#endStream(stream, uid)
    }
    if (uid === undefined || !this.#wanted.has(uid)) return false
    if (row.body?.held && !this.answered.has(uid)) {
      this.#hand({ uid, bytes: row.body.bytes, body: row.body.held }, undefined)
    }
    return true
  }

  /** The command failed: a reader in the midst of a stream learns why. */
  abandon(error: unknown): void {
    this.#stream?.fail(error)
  }

  async settled(): Promise<void> {
    // A stream whose row never ended: the tagged answer came too early.
    this.#stream?.fail(imapErrors.PROTOCOL({ reason: 'a FETCH row that does not end', line: '' }))
    const results = await Promise.allSettled(this.#takes)
    this.#takes = []
    for (const result of results) if (result.status === 'rejected') throw result.reason
  }

  #endStream(stream: LiteralStream, uid: number | undefined): boolean {
    if (uid !== undefined && this.answered.has(uid)) stream.end()
    else stream.fail(imapErrors.PROTOCOL({ reason: 'a row of another mail than was asked for', line: `UID ${uid}` }))
    return true
  }

  #hand(mail: FetchedMail, stream: LiteralStream | undefined): void {
    this.answered.add(mail.uid)
    const heldBytes = stream ? 0 : mail.bytes
    this.#count(heldBytes)
    this.#takes.push(
      this.#take(mail).finally(() => {
        stream?.discard()
        this.#count(-heldBytes)
      }),
    )
    // A take that fails is reported by `settled`; until then nobody waits for it.
    this.#takes.at(-1)?.catch(() => {})
  }

  #count(bytes: number): void {
    this.#untakenBytes += bytes
    const isFull = this.#untakenBytes > (this.#isHolding ? imapLimits.untakenBytes / 2 : imapLimits.untakenBytes)
    if (isFull === this.#isHolding) return
    this.#isHolding = isFull
    if (isFull) this.#connection.hold()
    else this.#connection.release()
  }
}
