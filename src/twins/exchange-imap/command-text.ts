import { badArgument } from './reply.ts'

/** Reads the arguments of one command from left to right; throws "Command Argument Error. 11" where they do not fit. */
export interface CommandText {
  isAtEnd(): boolean
  /** Takes one blank. */
  space(): void
  /** Nothing may follow. */
  end(): void
  /** Takes these letters (in any case) when they come next. */
  take(text: string): boolean
  atom(): string
  /** Everything up to the next blank or bracket: sequence sets and the like. */
  word(): string
  /** An atom, a quoted string or a literal; one letter per octet. */
  astring(): string
  /** The same with the wildcards of LIST. */
  pattern(): string
  /** A quoted string or a literal. */
  string(): string
  /** The octets of a literal. */
  literal(): Buffer
  /** What a parenthesised list holds, each read by `item`. */
  list<T>(item: () => T): T[]
  /** A flag or a parenthesised list of flags. */
  flags(): string[]
  /** True when a parenthesis opens next; nothing is taken. */
  isList(): boolean
  isQuoted(): boolean
}

/** `text` holds the command with each literal as `{n}` and CR LF; `literals` are their octets, in order. */
export function makeCommandText(text: string, literals: readonly Buffer[]): CommandText {
  let at = 0
  let literalIndex = 0

  function match(pattern: RegExp): string | undefined {
    pattern.lastIndex = at
    const found = pattern.exec(text)?.[0]
    if (found !== undefined) at += found.length
    return found
  }
  function need(pattern: RegExp): string {
    const found = match(pattern)
    if (found === undefined) throw badArgument()
    return found
  }
  function literal(): Buffer {
    need(/\{\d+\}\r\n/y)
    const octets = literals[literalIndex]
    literalIndex += 1
    if (!octets) throw badArgument()
    return octets
  }
  function quoted(): string {
    return need(/"(?:[^"\\\r\n]|\\["\\])*"/y)
      .slice(1, -1)
      .replace(/\\(["\\])/g, '$1')
  }
  function string(): string {
    return text[at] === '"' ? quoted() : literal().toString('latin1')
  }
  function stringOr(pattern: RegExp): string {
    return text[at] === '"' || text[at] === '{' ? string() : need(pattern)
  }
  function list<T>(item: () => T): T[] {
    need(/\(/y)
    const items: T[] = []
    while (!match(/\)/y)) {
      if (items.length > 0) need(/ /y)
      items.push(item())
    }
    return items
  }
  // ATOM-CHAR of RFC 3501 section 9, and what flags, astrings and list-mailbox add to it.
  const flag = () => need(/\\?[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y)

  return {
    isAtEnd: () => at === text.length,
    space: () => void need(/ /y),
    end() {
      if (at !== text.length) throw badArgument()
    },
    take(wanted) {
      const isNext = text.slice(at, at + wanted.length).toUpperCase() === wanted.toUpperCase()
      if (isNext) at += wanted.length
      return isNext
    },
    atom: () => need(/[!#$&'+,\-./0-9:;<=>?@A-Z[^_`a-z|}~]+/y),
    word: () => need(/[^\s()]+/y),
    astring: () => stringOr(/[!#$&'+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y),
    pattern: () => stringOr(/[!#$%&'*+,\-./0-9:;<=>?@A-Z[\]^_`a-z|}~]+/y),
    string,
    literal,
    list,
    isList: () => text[at] === '(',
    isQuoted: () => text[at] === '"',
    flags: () => (text[at] === '(' ? list(flag) : [flag()]),
  }
}
