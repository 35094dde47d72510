/** A literal inside a response: its octets when they were kept, undefined when they went elsewhere. */
export interface Literal {
  readonly bytes: number
  readonly held: Buffer | undefined
}

/**
 * One response as it came: text (octets as Latin-1 letters) with literals between. `* 1 FETCH (UID 17 BODY[] {3}` abc `)`
 * is `['* 1 FETCH (UID 17 BODY[] ', literal, ')']`.
 */
export type ResponsePart = string | Literal

/** `OK`, `NO`, `BAD`, `BYE` or `PREAUTH` with its response code (`UIDVALIDITY 17`) and its text for people. */
export interface StatusLine {
  readonly status: 'OK' | 'NO' | 'BAD' | 'BYE' | 'PREAUTH'
  readonly code: string
  readonly text: string
}

export type Response =
  | { readonly kind: 'tagged'; readonly tag: string; readonly line: StatusLine }
  | { readonly kind: 'status'; readonly line: StatusLine }
  | { readonly kind: 'continue'; readonly text: string }
  | {
      readonly kind: 'data'
      /** Upper case: `EXISTS`, `FETCH`, `SEARCH`, `CAPABILITY`. */
      readonly name: string
      /** The number before the name (`* 3 EXISTS`), 0 where there is none. */
      readonly number: number
      /** What follows the name. */
      readonly rest: readonly ResponsePart[]
    }

const statusPattern = /^(\S+) (OK|NO|BAD|BYE|PREAUTH)(?: (.*))?$/is
const dataPattern = /^\* (?:(\d{1,10}) )?([A-Za-z][A-Za-z0-9.-]*) ?/

/** What a response says, or undefined when it is none. */
export function parseResponse(parts: readonly ResponsePart[]): Response | undefined {
  const head = parts[0]
  if (typeof head !== 'string') return undefined
  if (head === '+' || head.startsWith('+ ')) return { kind: 'continue', text: head.slice(2) }
  const data = dataPattern.exec(head)
  const status = statusPattern.exec(head)
  if (status) return parseStatus(status)
  if (!data) return undefined
  const rest = [head.slice(data[0].length), ...parts.slice(1)]
  return { kind: 'data', name: (data[2] ?? '').toUpperCase(), number: Number(data[1] ?? 0), rest }
}

/** The text of a response without its literals. */
export function textOf(parts: readonly ResponsePart[]): string {
  return parts.filter(part => typeof part === 'string').join(' ')
}

/** True for lines whose end is text for people, so that a `{12}` there is no literal. */
export function endsInText(head: string): boolean {
  return head.startsWith('+') || statusPattern.test(head)
}

/** Octets of a line as people read them: UTF-8 where it is, without control characters, at most 300 letters. */
export function readableLine(text: string): string {
  const utf8 = Buffer.from(text.slice(0, 1_200), 'latin1').toString('utf8')
  return utf8
    .replace(/\p{Cc}+/gu, ' ')
    .trim()
    .slice(0, 300)
}

function parseStatus(match: RegExpExecArray): Response {
  const tag = match[1] ?? ''
  const text = match[3] ?? ''
  const code = /^\[([^\]]*)\] ?/.exec(text)
  const line: StatusLine = {
    status: (match[2] ?? '').toUpperCase() as StatusLine['status'],
    code: code?.[1] ?? '',
    text: code ? text.slice(code[0].length) : text,
  }
  return tag === '*' ? { kind: 'status', line } : { kind: 'tagged', tag, line }
}
