import { z } from 'zod'
import { readFaults, strike, times } from '../twin.ts'

/**
 * Where in the conversation a fault strikes. `body`: when the first octets of a mail have come. `end`: the whole mail
 * is here, but not recorded. `answer`: it is recorded, and the answer is not yet sent.
 */
const faultPlaces = ['banner', 'ehlo', 'starttls', 'auth', 'mail', 'rcpt', 'data', 'body', 'end', 'answer'] as const
export type FaultPlace = (typeof faultPlaces)[number]

const place = z.enum(faultPlaces).meta({ description: 'Where in the conversation it strikes.' })
const match = z
  .string()
  .optional()
  .meta({ description: 'Only when the command holds this text (an address, a mechanism).' })

const refusal = z.strictObject({
  at: place,
  code: z.int().min(400).max(599).default(451),
  text: z
    .string()
    .regex(/^[\x20-\x7e]*$/, 'one line of ASCII')
    .optional(),
  match,
  times,
})
const delay = z.strictObject({ at: place, ms: z.int().min(1).max(600_000), match, times })
const drop = z.strictObject({ at: place, match, times })

export const smtpFaultSchema = z.strictObject({
  /** Answers with a refusal instead of doing it. 421 also closes the connection. */
  refuse: z.array(refusal).default([]),
  delay: z.array(delay).default([]),
  /** Cuts the connection (reset) without a word. */
  drop: z.array(drop).default([]),
  /** Takes no more than so many bytes per second from each connection. */
  slowRead: z.strictObject({ bytesPerSecond: z.int().min(1) }).optional(),
  /** Up and down in turns; while down every connection is cut. */
  flap: z.strictObject({ upMs: z.int().min(1), downMs: z.int().min(1) }).optional(),
})

type Document = z.output<typeof smtpFaultSchema>

/** The faults of one SMTP twin. */
export class SmtpFaults {
  readonly #twin: string
  #now: Document = smtpFaultSchema.parse({})
  #changed: () => void = () => {}

  constructor(twin: string) {
    this.#twin = twin
  }

  /** From now on these faults and no others; throws TWIN_FAULTS_REFUSED. */
  set(document: unknown): void {
    this.#now = readFaults(this.#twin, smtpFaultSchema, document)
    this.#changed()
  }

  clear(): void {
    this.set({})
  }

  /** Adds a refusal: the next `times` (1) that reach the place. */
  refuse(fault: z.input<typeof refusal>): void {
    this.#now.refuse.push(refusal.parse(fault))
  }

  delay(fault: z.input<typeof delay>): void {
    this.#now.delay.push(delay.parse(fault))
  }

  drop(fault: z.input<typeof drop>): void {
    this.#now.drop.push(drop.parse(fault))
  }

  /** What strikes here now; each that is named has been used once. */
  strikeAt(at: FaultPlace, text: string): { delayMs: number; isDropped: boolean; refusal: string | undefined } {
    const fits = (fault: { at: FaultPlace; match?: string | undefined; times: number }) =>
      fault.at === at && fault.times > 0 && (fault.match === undefined || text.includes(fault.match))
    const delayed = this.#now.delay.find(fits)
    const dropped = this.#now.drop.find(fits)
    const refused = dropped ? undefined : this.#now.refuse.find(fits)
    return {
      delayMs: delayed && strike(delayed) ? delayed.ms : 0,
      isDropped: strike(dropped),
      refusal: refused && strike(refused) ? `${refused.code} ${refused.text ?? defaultText(refused.code)}` : undefined,
    }
  }

  get readBytesPerSecond(): number | undefined {
    return this.#now.slowRead?.bytesPerSecond
  }

  get flap(): Document['flap'] {
    return this.#now.flap
  }

  /** Calls back when the document was replaced. */
  onChange(callback: () => void): void {
    this.#changed = callback
  }

  /** What is still to strike. */
  pending(): Document {
    const left = <F extends { times: number }>(faults: readonly F[]) => faults.filter(fault => fault.times > 0)
    return { ...this.#now, refuse: left(this.#now.refuse), delay: left(this.#now.delay), drop: left(this.#now.drop) }
  }
}

function defaultText(code: number): string {
  if (code === 421) return '4.3.2 Service not available, closing transmission channel'
  return code < 500 ? '4.3.0 Try again later' : '5.3.0 Refused on request'
}
