/** Whose turn it is when something fails. `hub` is Isthmus itself, `flow` the document, `caller` whoever called us. */
export type Side = 'sender' | 'receiver' | 'hub' | 'flow' | 'caller'

/**
 * What may be done with a failed delivery.
 * `soon`: try again by the flow's retry policy. `after-change`: trying again helps only when somebody changed something
 * (a credential, a right, a document), so it is tried slowly and at once after such a change. `never`: set aside now.
 */
export type RetryClass = 'soon' | 'after-change' | 'never'

export interface ErrorSpec {
  readonly side: Side
  readonly retry: RetryClass
  /** One sentence that says what happened; `{name}` is filled from the fields. */
  readonly means: string
  /** What a person does next; the same placeholders. */
  readonly next: string
  /** True when the other side may have done it all the same (a connection lost after the point of no return). */
  readonly isOutcomeUnknown?: boolean
  /** True when the failure is about this one message: the other side answered, so the link to it works. */
  readonly isAboutMessage?: boolean
  /** True when the other side did nothing but ask to wait: it costs a delivery none of its chances. */
  readonly isThrottling?: boolean
}

type Placeholder<S extends string> = S extends `${string}{${infer Name}}${infer Rest}`
  ? Name | Placeholder<Rest>
  : never
type FieldsOf<E extends ErrorSpec> = Placeholder<E['means']> | Placeholder<E['next']>
type FieldValue = string | number | boolean | undefined

export interface ErrorOptions {
  readonly cause?: unknown
  /** The other side's own wish (Retry-After, "Suggested Backoff Time"), in milliseconds. */
  readonly retryAfterMs?: number
  /** Overrides the class of the error where this one place knows better. */
  readonly retry?: RetryClass
  readonly isAboutMessage?: boolean
}

/** The one error of the hub: a code, a side, a retry class, a sentence and a next step. */
export class HubError extends Error {
  readonly code: string
  readonly side: Side
  readonly retry: RetryClass
  readonly next: string
  readonly fields: Readonly<Record<string, FieldValue>>
  readonly retryAfterMs: number | undefined
  readonly isOutcomeUnknown: boolean
  readonly isAboutMessage: boolean
  readonly isThrottling: boolean

  constructor(
    code: string,
    spec: ErrorSpec,
    fields: Readonly<Record<string, FieldValue>> = {},
    options: ErrorOptions = {},
  ) {
    super(fill(spec.means, fields), options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'HubError'
    this.code = code
    this.side = spec.side
    this.retry = options.retry ?? spec.retry
    this.next = fill(spec.next, fields)
    this.fields = fields
    this.retryAfterMs = options.retryAfterMs
    this.isOutcomeUnknown = spec.isOutcomeUnknown ?? false
    this.isAboutMessage = options.isAboutMessage ?? spec.isAboutMessage ?? false
    this.isThrottling = spec.isThrottling ?? false
  }

  /** The same failure, for whoever knows better on which side it happened. */
  onSide(side: Side): HubError {
    const { code, retry, message: means, next, isOutcomeUnknown, isAboutMessage, isThrottling } = this
    const { cause, retryAfterMs } = this
    const options = { cause, ...(retryAfterMs !== undefined && { retryAfterMs }) }
    // Filled in already: braces that stand there now are text.
    const copy = new HubError(
      code,
      { side, retry, means, next, isOutcomeUnknown, isAboutMessage, isThrottling },
      {},
      options,
    )
    return Object.assign(copy, { fields: this.fields })
  }
}

export type ErrorFactory<E extends ErrorSpec> = ([FieldsOf<E>] extends [never]
  ? (fields?: Record<string, FieldValue>, options?: ErrorOptions) => HubError
  : (fields: Record<FieldsOf<E>, FieldValue> & Record<string, FieldValue>, options?: ErrorOptions) => HubError) & {
  readonly code: string
}

/** The errors of an adapter or step, whatever fields they need. */
export type ErrorTable = Readonly<Record<string, { readonly code: string }>>

const known = new Map<string, ErrorSpec>()

/**
 * Declares the errors of one area. `defineErrors('IMAP', { AUTH_REFUSED: {…} }).AUTH_REFUSED({ user })` makes a
 * HubError with code `IMAP_AUTH_REFUSED`. Every code is listed in docs/reference/errors.md.
 */
export function defineErrors<const T extends Record<string, ErrorSpec>>(
  area: string,
  table: T,
): { readonly [K in keyof T]: ErrorFactory<T[K]> } {
  const factories: Record<string, unknown> = {}
  for (const [name, spec] of Object.entries(table)) {
    const code = `${area}_${name}`
    known.set(code, spec)
    const factory = (fields?: Record<string, FieldValue>, options?: ErrorOptions) =>
      new HubError(code, spec, fields, options)
    factories[name] = Object.assign(factory, { code })
  }
  return factories as { readonly [K in keyof T]: ErrorFactory<T[K]> }
}

/** Every error code declared so far, for the reference page. */
export function knownErrors(): ReadonlyMap<string, ErrorSpec> {
  return known
}

/** Any thrown value as a HubError; what nobody foresaw becomes HUB_UNEXPECTED, kept with its cause. */
export function asHubError(thrown: unknown): HubError {
  if (thrown instanceof HubError) return thrown
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  if (isBeyondEngine(thrown)) return hubErrors.UNWORKABLE({ text }, { cause: thrown })
  return hubErrors.UNEXPECTED({ text }, { cause: thrown })
}

/** What JavaScript itself cannot do with a value: it fails each time, so trying again would only cost time. */
function isBeyondEngine(thrown: unknown): boolean {
  if (!(thrown instanceof Error)) return false
  if ('code' in thrown && thrown.code === 'ERR_STRING_TOO_LONG') return true
  return (
    thrown instanceof RangeError && /^(Maximum call stack size exceeded|Invalid string length)/.test(thrown.message)
  )
}

export const hubErrors = defineErrors('HUB', {
  UNEXPECTED: {
    side: 'hub',
    retry: 'soon',
    means: 'Something happened that no rule foresaw: {text}',
    next: 'Look at the log line of the same delivery; report it with that line if it happens again.',
  },
  UNWORKABLE: {
    side: 'sender',
    retry: 'never',
    means: 'The content is too large, or its lists and groups lie too deep inside each other, to be worked on: {text}',
    next: 'Look at the message (isthmus message show), correct it at its source or repair it here, then replay it.',
    // It may have come when the answer of a receiver was read.
    isOutcomeUnknown: true,
    isAboutMessage: true,
  },
  STOPPING: { side: 'hub', retry: 'soon', means: 'The hub is stopping.', next: 'Nothing; it goes on after the start.' },
})

function fill(template: string, fields: Readonly<Record<string, FieldValue>>): string {
  return template.replace(/\{([^}]+)\}/g, (whole, name: string) => {
    const value = fields[name]
    return value === undefined ? whole : String(value)
  })
}
