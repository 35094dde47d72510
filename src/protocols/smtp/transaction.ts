import { asHubError, type RetryClass } from '../../kernel/error.ts'
import { KiB } from '../../kernel/size.ts'
import type { Address } from './address.ts'
import type { AwaitedReply } from './awaited-reply.ts'
import type { SmtpConnection } from './connection.ts'
import type { Content } from './content.ts'
import { DotStuffer } from './dot-stuffing.ts'
import { type Envelope, openEnvelope, type Refusal } from './envelope.ts'
import { smtpErrors } from './errors.ts'
import { concludeMail, type Handover, isAnswer } from './handover.ts'
import { beyondReach, planMail, type SendMode } from './plan.ts'
import { refusalError } from './refusal.ts'
import { formatReply, type Reply } from './reply.ts'
import type { SmtpTimeouts } from './session.ts'

/** A mail with its envelope, ready to be sent. */
export interface Mail {
  /** Message-ID or another name by which a person can find it at the other side. */
  readonly name: string
  /** Undefined is the null sender, `<>`: nobody is told about a failure. */
  readonly from: Address | undefined
  readonly to: readonly Address[]
  readonly content: Content
  /**
   * What happens when some recipients are refused for good: the others get it, or nobody does. A recipient refused
   * for now always makes the whole mail wait, so that none is lost.
   */
  readonly someRefused: 'deliver' | 'refuse'
  /** Retry class of SMTP_OUTCOME_UNKNOWN. */
  readonly whenUnknown: RetryClass
  /**
   * Called once, as soon as a recipient was accepted; the last octets are written only after it resolved. From then
   * on the server may have the mail. On a connection through a connector the handover says by what it can be asked for;
   * its `written` is what the mail has at least.
   */
  beforeCommit(handover: Handover | undefined): Promise<void>
  /** Called when the last octets are written, with what they come to. */
  onHandedOver?(handover: Handover): void
}

/** A mail the server took. */
export interface SentMail {
  readonly reply: Reply
  readonly accepted: readonly string[]
  readonly refused: readonly Refusal[]
  readonly mode: SendMode
  readonly bytes: number
  /** True when bare CR or LF had to become CRLF, because the server offers DATA only. */
  readonly hasRepairedLineEnds: boolean
}

/**
 * Sends one mail on an open connection. After an error the connection says itself whether it can be used again.
 * `onWritten` is called when only the answer is due: a server that takes commands in groups may be told the next mail
 * now. It says whether that is done.
 */
export async function sendMail(
  connection: SmtpConnection,
  asked: Mail,
  timeouts: SmtpTimeouts,
  onWritten: (final: AwaitedReply) => boolean = () => false,
): Promise<SentMail> {
  const beyond = beyondReach(connection, asked)
  const mail = { ...asked, to: asked.to.filter(({ text }) => !beyond.some(({ recipient }) => recipient === text)) }
  const plan = planMail(connection, mail)
  connection.mailCount++
  const commit = new Commit(mail)
  const { trace, server } = connection
  const facts = {
    mode: plan.mode,
    bytes: mail.content.bytes,
    hasRepairedLineEnds: plan.mode !== 'bdat' && mail.content.facts.hasBareLineEnd,
    from: mail.from?.text ?? '',
  }
  const handoverOf = (envelope: Envelope, written: number): Handover | undefined =>
    trace && { trace, written, server, ...facts, ...envelope }
  let isFollowed = false
  try {
    const leastWritten = () => connection.writtenBytes + mail.content.bytes + endBytesMin
    const withBeyond = (given: Envelope) => ({ ...given, refused: [...beyond, ...given.refused] })
    const envelope = withBeyond(
      await openEnvelope(connection, mail, plan, timeouts, given =>
        commit.start(handoverOf(withBeyond(given), leastWritten())),
      ),
    )
    const written = (final: AwaitedReply) => {
      const handover = handoverOf(envelope, connection.writtenBytes)
      if (handover) mail.onHandedOver?.(handover)
      isFollowed = onWritten(final)
    }
    const send = plan.mode === 'bdat' ? sendByBdat : sendByData
    const reply = await send({ connection, mail, timeouts, commit, written })
    // RFC 5321 section 4.1.1.4: the end of a mail ends its transaction, whatever the answer. Not every server knows.
    if (!isFollowed) connection.needsReset = reply.code !== 250
    return concludeMail(reply, { ...facts, ...envelope }, connection)
  } finally {
    // Whoever counts on the callback must not find it still running after the mail has ended.
    await commit.settled()
  }
}

/** What ends a mail has so many octets at least: the final dot, or the command of its chunk. */
const endBytesMin = '.\r\n'.length

/** A mail on its way, from the moment when the server waits for its octets. */
interface Transfer {
  readonly connection: SmtpConnection
  readonly mail: Mail
  readonly timeouts: SmtpTimeouts
  readonly commit: Commit
  readonly written: (final: AwaitedReply) => void
}

async function sendByData(transfer: Transfer): Promise<Reply> {
  const { connection, mail, commit } = transfer
  const final = connection.expect('end of mail')
  const stuffer = new DotStuffer({ repairLineEnds: mail.content.facts.hasBareLineEnd })
  const whole = wholeOf(mail.content)
  if (!whole) await writeBody(transfer, final, piece => stuffer.stuff(piece))
  await commit.reached(connection)
  return close(transfer, final, [...(whole?.flatMap(piece => stuffer.stuff(piece)) ?? []), stuffer.end()])
}

// RFC 3030: one chunk of known length. The octets need no stuffing, so any byte arrives as it is.
async function sendByBdat(transfer: Transfer): Promise<Reply> {
  const { connection, mail, commit } = transfer
  const final = connection.expect('end of mail')
  // The server acts when the last octet is there, so that one is held back until the commit.
  let held: Uint8Array = Buffer.from(`BDAT ${mail.content.bytes} LAST\r\n`)
  const whole = wholeOf(mail.content)
  if (!whole)
    await writeBody(transfer, final, piece => {
      const ready = [held, piece.subarray(0, -1)]
      // A copy: the memory of the piece is used again.
      held = Uint8Array.from(piece.subarray(-1))
      return ready
    })
  await commit.reached(connection)
  return close(transfer, final, [held, ...(whole ?? [])])
}

/** Octets that are written at once; for an ordinary mail, body and end together, when it may go. */
const pieceBytes = 256 * KiB

/** The octets of a mail that goes out in one piece. */
function wholeOf(content: Content): readonly Uint8Array[] | undefined {
  if (content.bytes > pieceBytes) return undefined
  const pieces = content.pieces()
  return Array.isArray(pieces) ? pieces : undefined
}

async function writeBody(
  { connection, mail: { content }, timeouts: { dataBlockMs } }: Transfer,
  final: AwaitedReply,
  prepare: (piece: Uint8Array) => Uint8Array[],
): Promise<void> {
  let bytes = 0
  try {
    for await (const whole of content.pieces()) {
      for (let from = 0; from < whole.length && !final.isSettled; from += pieceBytes) {
        const piece = whole.length <= pieceBytes ? whole : whole.subarray(from, from + pieceBytes)
        if (piece.length === 0) continue
        bytes += piece.length
        if (content.isHeld) {
          connection.write(...prepare(piece))
          await connection.drained(final, dataBlockMs)
        } else await connection.lend(prepare(piece), final, dataBlockMs)
      }
      if (final.isSettled) break
    }
    if (final.isSettled) return
    if (bytes !== content.bytes) throw smtpErrors.BODY_TORN({ bytes, bytesExpected: content.bytes })
  } catch (error) {
    // There is no way to take back half a mail but to hang up.
    connection.fail(lost(connection, 'the body could not be read'))
    throw error
  }
}

/** The point of no return: what is written here makes the mail the server's. */
async function close(
  { connection, mail, timeouts, written }: Transfer,
  final: AwaitedReply,
  last: readonly Uint8Array[],
): Promise<Reply> {
  if (final.isSettled) return answeredEarly(connection, mail, final)
  connection.write(...last)
  connection.limit(final, timeouts.dataEndMs)
  connection.needsReset = false
  written(final)
  const unknown = (text: string, cause?: unknown) =>
    smtpErrors.OUTCOME_UNKNOWN({ mail: mail.name, server: connection.server, text }, { cause, retry: mail.whenUnknown })
  const reply = await final.promise.catch(cause => {
    throw unknown(whyNoAnswer(cause), cause)
  })
  if (isAnswer(reply)) return reply
  connection.fail(lost(connection, formatReply(reply)))
  throw unknown(`It answered ${formatReply(reply)}`)
}

/** In words of its own: those of the error say that the mail was not handed over. */
function whyNoAnswer(cause: unknown): string {
  const { code, fields, message } = asHubError(cause)
  if (code === smtpErrors.CONNECTION_LOST.code) return `The connection was lost: ${String(fields['text'])}`
  return code === smtpErrors.INTERRUPTED.code ? 'The hub stopped waiting for it.' : message
}

/** The server answered, or was lost, before the mail was complete: it does not have it. */
async function answeredEarly(connection: SmtpConnection, mail: Mail, final: AwaitedReply): Promise<Reply> {
  const reply = await final.promise
  connection.fail(lost(connection, formatReply(reply)))
  throw refusalError(connection, reply, { phase: 'body', from: nameOf(mail.from), bytes: mail.content.bytes })
}

function lost(connection: SmtpConnection, text: string) {
  return smtpErrors.CONNECTION_LOST({ server: connection.server, phase: 'body', text })
}

function nameOf(from: Address | undefined): string {
  return from?.text ?? '<>'
}

/** Runs the callback once, beside the transfer of the body. */
class Commit {
  readonly #mail: Mail
  #running: Promise<void> | undefined

  constructor(mail: Mail) {
    this.#mail = mail
  }

  start(handover: Handover | undefined): void {
    this.#running = this.#mail.beforeCommit(handover)
    // Its failure is met in `reached`; until then it is not unhandled.
    this.#running.catch(() => undefined)
  }

  /** Resolves when the last octets may go; hangs up when they may not. */
  async reached(connection: SmtpConnection): Promise<void> {
    try {
      await this.#running
    } catch (error) {
      connection.fail(lost(connection, 'the hub could not record the sending'))
      throw error
    }
  }

  async settled(): Promise<void> {
    // `reached` has thrown the failure already, or an earlier one hides it.
    await this.#running?.catch(() => undefined)
  }
}
