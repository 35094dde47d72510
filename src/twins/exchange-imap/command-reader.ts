import { type CommandText, makeCommandText } from './command-text.ts'

/** A command as it came: `A3 UID FETCH 1:5 (FLAGS)` is tag A3, verb FETCH, isUid. */
export interface Command {
  readonly tag: string
  /** In capitals, without UID. */
  readonly verb: string
  readonly isUid: boolean
  readonly text: CommandText
}

/** A command that could not be read; after `isFatal` nobody knows where the next one starts. */
export interface Unreadable {
  readonly tag: string
  readonly problem: string
  readonly isFatal: boolean
}

export interface CommandReader {
  /** The next command; undefined when the client is gone. `proceed` asks for a synchronizing literal. */
  command(limits: ReadLimits, proceed: () => Promise<void>): Promise<Command | Unreadable | undefined>
  /** The next line without its line end, for continuations (SASL, DONE); undefined when gone or too long. */
  line(bytesMax: number): Promise<string | undefined>
}

interface ReadLimits {
  /** Octets of a command without its literals. */
  readonly commandBytes: number
  /** Octets of the literal of APPEND; other commands' literals count as command octets. */
  readonly appendBytes: number
}

/** A line above the limit: only its beginning is kept, because the tag stands there. */
interface TooLong {
  readonly start: string
}

const startKept = 100

/** `record` hears each command's line, with arguments of log-ins left out. */
export function makeCommandReader(
  chunks: AsyncIterator<Buffer, undefined>,
  record: (line: string) => void,
): CommandReader {
  let held: Buffer = Buffer.alloc(0)

  async function more(): Promise<boolean> {
    const { value, done } = await chunks.next()
    if (done) return false
    held = held.length === 0 ? value : Buffer.concat([held, value])
    return true
  }

  /** A line with its line end cut off. One that is too long is read to its end and thrown away. */
  async function readLine(bytesMax: number): Promise<Buffer | TooLong | undefined> {
    let tooLong: TooLong | undefined
    for (;;) {
      const end = held.indexOf(10)
      if (end >= 0) {
        const line = held.subarray(0, end)
        held = held.subarray(end + 1)
        if (tooLong || line.length > bytesMax + 1) return tooLong ?? startOf(line)
        return line.at(-1) === 13 ? line.subarray(0, -1) : line
      }
      if (held.length > bytesMax) {
        tooLong ??= startOf(held)
        held = Buffer.alloc(0)
      }
      if (!(await more())) return undefined
    }
  }

  async function readOctets(count: number): Promise<Buffer | undefined> {
    const parts: Buffer[] = []
    let missing = count
    while (missing > 0) {
      if (held.length === 0 && !(await more())) return undefined
      const part = held.subarray(0, missing)
      held = held.subarray(part.length)
      missing -= part.length
      parts.push(part)
    }
    return parts.length === 1 && parts[0] ? parts[0] : Buffer.concat(parts)
  }

  return {
    async line(bytesMax) {
      const line = await readLine(bytesMax)
      return Buffer.isBuffer(line) ? line.toString('latin1') : undefined
    },
    async command(limits, proceed) {
      let text = ''
      const literals: Buffer[] = []
      for (;;) {
        const line = await readLine(limits.commandBytes - text.length)
        if (line === undefined) return undefined
        if (!Buffer.isBuffer(line)) return { tag: tagOf(text + line.start), problem: 'too long', isFatal: false }
        text += line.toString('latin1')
        const literal = /\{(\d{1,12})(\+?)\}$/.exec(text)
        if (!literal) {
          const command = readCommand(text, literals)
          record(
            /^(LOGIN|AUTHENTICATE \S+)/i.exec(text.slice(command.tag.length + 1))?.[0] ??
              text.slice(command.tag.length + 1),
          )
          return command
        }
        const octets = Number(literal[1])
        const isWaiting = literal[2] === ''
        const octetsMax = /^\S+ APPEND /i.test(text) ? limits.appendBytes : limits.commandBytes - text.length
        if (octets > octetsMax) return { tag: tagOf(text), problem: 'literal too long', isFatal: !isWaiting }
        if (isWaiting) await proceed()
        const content = await readOctets(octets)
        if (!content) return undefined
        literals.push(content)
        text = `${text.slice(0, literal.index)}{${octets}}\r\n`
      }
    },
  }
}

function readCommand(text: string, literals: readonly Buffer[]): Command | Unreadable {
  const match = /^([^\s(){%*"\\+]+) (UID )?([A-Za-z]+)(?= |$)/i.exec(text)
  if (!match) return { tag: tagOf(text), problem: 'not a command', isFatal: false }
  const [whole, tag = '', uid, verb = ''] = match
  return {
    tag,
    verb: verb.toUpperCase(),
    isUid: uid !== undefined,
    text: makeCommandText(text.slice(whole.length), literals),
  }
}

function startOf(line: Buffer): TooLong {
  return { start: line.subarray(0, startKept).toString('latin1') }
}

/** What can be told of the tag of a broken command; `*` where there is none. */
function tagOf(text: string): string {
  return /^([^\s(){%*"\\+]{1,64}) /.exec(text)?.[1] ?? '*'
}
