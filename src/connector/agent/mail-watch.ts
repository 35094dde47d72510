import { KiB } from '../../kernel/size.ts'
import { latin, PassingReplies, type PassingReply } from '../balance/passing-replies.ts'

export const mailWatchLimits = {
  /** Mails of a connection whose answers are kept, and so much of each. */
  answers: 8,
  answerLetters: KiB,
  /** Of a command so much is read; it is enough to know the ones that matter. */
  commandBytes: 64,
} as const

/** A mail that the server has as a whole. */
interface WholeMail {
  /** Octets of the client before its command MAIL. */
  readonly at: number
  /** The how-manieth reply of the server is its answer. */
  readonly replyNumber: number
  answer: string | undefined
}

/** An answer of the server, its octets as Latin-1 letters. */
export interface MailAnswer {
  /** Octets of the client before the command MAIL. */
  readonly at: number
  readonly answer: string
}

/** So many octets were understood, and what they end. */
interface Taken {
  readonly octets: number
  readonly ends: 'nothing' | 'line' | 'mail'
}

const endOfData = Buffer.from('\r\n.\r\n')

/**
 * Follows a dialogue of SMTP that passes by, to know two things when the hub is gone: whether the answer to a whole mail
 * is due, and what the server answered. A mail is over with its final dot (RFC 5321 section 4.1.1.4) or with the chunk that
 * is LAST (RFC 3030 section 2). Behind STARTTLS nothing can be seen.
 */
export class MailWatch {
  #part: 'command' | 'data' | 'chunk' | 'hidden' = 'command'
  /** Octets of the client. */
  #octets = 0
  /** Where the present line begins, and the last command MAIL. */
  #lineAt = 0
  #mailAt = 0
  #command = ''
  /** The last octets of the data, where their end may begin. */
  #dataEnd: Uint8Array = endOfData.subarray(0, 2)
  #chunk = { octets: 0, isLast: false }
  #isTlsAsked = false
  /** Replies that are due in all, the greeting among them, and those that came. */
  #dueCount = 1
  #replyCount = 0
  #lastReply = ''
  readonly #replies = new PassingReplies(mailWatchLimits.answerLetters)
  readonly #mails: WholeMail[] = []

  /** The server has a whole mail and has not said what became of it. */
  get isAnswerDue(): boolean {
    const last = this.#mails.at(-1)
    return last !== undefined && last.answer === undefined
  }

  /** To the latest mails, oldest first. */
  answers(): readonly MailAnswer[] {
    return this.#mails.flatMap(({ at, answer }) => (answer === undefined ? [] : [{ at, answer }]))
  }

  /** Octets for the server. */
  asked(octets: Uint8Array): void {
    for (let rest = octets; rest.length > 0 && this.#part !== 'hidden'; ) {
      const { octets: count, ends } = this.#take(rest)
      this.#octets += count
      if (ends !== 'nothing') this.#lineAt = this.#octets
      if (ends === 'mail') this.#noteMail()
      rest = rest.subarray(count)
    }
  }

  /** Octets of the server. */
  answered(octets: Uint8Array): void {
    if (this.#isHidden) return
    for (const reply of this.#replies.read(octets)) {
      this.#takeReply(reply)
      if (this.#isHidden) return
    }
  }

  get #isHidden(): boolean {
    return this.#part === 'hidden'
  }

  #takeReply({ code, letters }: PassingReply): void {
    this.#replyCount++
    const answered = this.#mails.find(({ replyNumber }) => replyNumber === this.#replyCount)
    if (answered) answered.answer = letters
    this.#lastReply = letters
    if (code === '354') {
      this.#part = 'data'
      this.#dataEnd = endOfData.subarray(0, 2)
    }
    if (code === '220' && this.#isTlsAsked) this.#part = 'hidden'
  }

  #take(octets: Uint8Array): Taken {
    if (this.#part === 'data') return this.#takeData(octets)
    if (this.#part === 'chunk') return this.#takeChunk(octets)
    return this.#takeCommand(octets)
  }

  #takeCommand(octets: Uint8Array): Taken {
    const end = octets.indexOf(10)
    const line = end < 0 ? octets : octets.subarray(0, end)
    this.#command += latin(line.subarray(0, mailWatchLimits.commandBytes - this.#command.length))
    if (end < 0) return { octets: octets.length, ends: 'nothing' }
    const command = this.#command.trim().toUpperCase()
    this.#command = ''
    this.#dueCount++
    this.#isTlsAsked = command === 'STARTTLS'
    if (command.startsWith('MAIL ')) this.#mailAt = this.#lineAt
    const chunk = /^BDAT +(\d+)( +LAST)?$/.exec(command)
    if (!chunk) return { octets: end + 1, ends: 'line' }
    this.#chunk = { octets: Number(chunk[1]), isLast: chunk[2] !== undefined }
    this.#part = 'chunk'
    return { octets: end + 1, ends: this.#chunk.octets === 0 ? this.#endChunk() : 'line' }
  }

  #takeData(octets: Uint8Array): Taken {
    // The end may lie across two pieces, however long they are.
    const border = Buffer.concat([this.#dataEnd, octets.subarray(0, endOfData.length - 1)])
    const across = border.indexOf(endOfData)
    const at = across < 0 ? indexOfEnd(octets) : across - this.#dataEnd.length
    if (across < 0 && at < 0) {
      const last = octets.length < endOfData.length ? border : octets
      this.#dataEnd = Buffer.from(last.subarray(1 - endOfData.length))
      return { octets: octets.length, ends: 'nothing' }
    }
    this.#dueCount++
    return { octets: at + endOfData.length, ends: 'mail' }
  }

  #takeChunk(octets: Uint8Array): Taken {
    const taken = Math.min(this.#chunk.octets, octets.length)
    this.#chunk.octets -= taken
    return { octets: taken, ends: this.#chunk.octets === 0 ? this.#endChunk() : 'nothing' }
  }

  #endChunk(): Taken['ends'] {
    this.#part = 'command'
    return this.#chunk.isLast ? 'mail' : 'line'
  }

  #noteMail(): void {
    this.#part = 'command'
    // A server that would not hear the rest has answered already; but nobody takes a mail before its end.
    const early = /^[45]/.test(this.#lastReply) ? this.#lastReply : ''
    const answer = this.#replyCount >= this.#dueCount ? early : undefined
    this.#mails.push({ at: this.#mailAt, replyNumber: this.#dueCount, answer })
    if (this.#mails.length > mailWatchLimits.answers) this.#mails.shift()
  }
}

function indexOfEnd(octets: Uint8Array): number {
  return Buffer.from(octets.buffer, octets.byteOffset, octets.length).indexOf(endOfData)
}
