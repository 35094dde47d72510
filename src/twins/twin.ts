import { z } from 'zod'
import { defineErrors } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'

/** A stand-in that speaks a real system's protocol on loopback, with faults on request. */
export interface Twin {
  readonly name: string
  /** One sentence: what it stands in for. */
  readonly about: string
  /** Where it listens, by protocol: `{ imap: 40143, imaps: 40993 }`. */
  readonly ports: Readonly<Record<string, number>>
  /** Every fault it can play, as one JSON document; unknown keys are refused. */
  readonly faultSchema: z.ZodType
  /** From now on these faults and no others; throws TWIN_FAULTS_REFUSED. */
  setFaults(document: unknown): void
  clearFaults(): void
  /** What a person wants to know of it now. */
  state(): Json
  stop(): Promise<void>
}

/** A twin that holds mailboxes, so that mail can be put into one from outside. */
export interface MailboxTwin extends Twin {
  /** Puts a mail into a folder (INBOX where it is left out) and returns its UID; throws TWIN_NO_SUCH_FOLDER, TWIN_FULL. */
  deliver(mailbox: string, mail: Uint8Array, place?: { readonly folder?: string }): number
}

export const twinErrors = defineErrors('TWIN', {
  FAULTS_REFUSED: {
    side: 'caller',
    retry: 'never',
    means: 'The twin {twin} does not know these faults: {text}',
    next: 'Ask GET /twins/{twin} for the faults it knows, and send the document again.',
  },
  NO_SUCH_FOLDER: {
    side: 'caller',
    retry: 'never',
    means: 'The twin has no folder {folder} in a mailbox {mailbox}.',
    next: 'Name a mailbox and a folder that GET /twins shows.',
  },
  FULL: {
    side: 'caller',
    retry: 'never',
    means: 'The mailbox {mailbox} of the twin has reached its limit: {limit}.',
    next: 'Delete mail from the mailbox, or start the twin with a higher limit.',
  },
})

/** A fault document as the twin's schema reads it; throws TWIN_FAULTS_REFUSED with one sentence per mistake. */
export function readFaults<S extends z.ZodType>(twin: string, schema: S, document: unknown): z.output<S> {
  const parsed = schema.safeParse(document)
  if (parsed.success) return parsed.data
  const text = parsed.error.issues.map(issue => `${issue.path.join('.') || 'document'}: ${issue.message}`).join('; ')
  throw twinErrors.FAULTS_REFUSED({ twin, text }, { cause: parsed.error })
}

/** How often a fault strikes before it is used up. */
export const times = z.int().min(1).max(1_000_000).default(1).meta({ description: 'How often it strikes.' })

/** True when the fault is set and has strikes left; takes one of them. */
export function strike(fault: { times: number } | undefined): boolean {
  if (!fault || fault.times === 0) return false
  fault.times -= 1
  return true
}
