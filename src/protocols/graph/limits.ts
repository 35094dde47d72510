import { KiB, MiB } from '../../kernel/size.ts'
import { SECOND } from '../../kernel/time.ts'

/** Limits of the Graph client. */
export const graphLimits = {
  /** One answer: a page, an item, a batch. */
  answerBytes: 32 * MiB,
  /** What is read of an answer that is an error. */
  errorBytes: 64 * KiB,
  /** The bytes of one attachment, or of a mail as MIME. */
  attachmentBytes: 150 * MiB,
  /** An attachment up to this size travels inside JSON; Graph refuses larger ones there. */
  inlineAttachmentBytes: 3 * MiB,
  /** Requests of one $batch (Graph: 20). */
  batchRequests: 20,
  /** Pages of one query. */
  pages: 10_000,
  /** Items of a page that are asked for. */
  pageItems: 100,
  /** How often what a batch was told to ask again is asked again, and how long that may take. */
  batchRounds: 4,
  batchWaitMs: 20 * SECOND,
  /** The body of a notification. */
  notificationBytes: 4 * MiB,
  /** Notifications in one body. */
  notifications: 10_000,
} as const

export type GraphLimits = { readonly [K in keyof typeof graphLimits]: number }
