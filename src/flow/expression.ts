import type { Json } from '../kernel/json.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'

/** What an expression can see. */
export interface Scope {
  readonly message: Message
  readonly params: Readonly<Record<string, unknown>>
  readonly flow: { readonly name: string; readonly stage: string }
  /** Further names that a step offers to its own expressions (`part`, `answer`). */
  readonly locals?: Readonly<Record<string, unknown>>
  /** The hub's limits; the default ones where it is left out. */
  readonly limits?: Pick<Limits, 'parseBytes'>
}

/** A compiled CEL expression. */
export interface Expression {
  readonly text: string
  /** True when it reads `message.body` or `message.attachments`, so that the body must be read beforehand. */
  readonly needsBody: boolean
  /**
   * Its value as JSON. Resolves at once (a plain value) unless the body must be read first.
   * Throws EXPRESSION_FAILED with the text of the expression and what was wrong, BODY_NOT_TEXT and BODY_TOO_LARGE when
   * it reads a body that is neither JSON nor text, or too large.
   */
  evaluate(scope: Scope): Json | Promise<Json>
}

/** Text with `${…}` parts that are expressions over the message: `orders-${message.headers.region}@s4.example`. */
export interface Template {
  readonly text: string
  /** True when nothing in it depends on the message. */
  readonly isFixed: boolean
  /** The text; a template that is one `${…}` alone gives that value as it is (a list stays a list). */
  render(scope: Scope): Json | Promise<Json>
}
