import { z } from 'zod'
import { drops, html, slowMs, truncate, writesOnly } from '../http-faults.ts'
import { times } from '../twin.ts'

/** The faults of the EWS twin. */
export const ewsFaults = z.strictObject({
  busy: z
    .strictObject({
      times,
      as: z.enum(['fault', 'row', 'inside', '503', 'concurrency']).default('fault'),
      backOffMs: z.int().min(0).max(999_999_999_000).default(1000),
    })
    .optional()
    .meta({
      description:
        'Requests that are throttled: as a SOAP fault with BackOffMilliseconds, as a row of the answer, inside of ErrorInternalServerError, with HTTP 503, or as the fault of too many connections, which names no time.',
    }),
  fail: z
    .strictObject({
      times,
      code: z.string().min(1),
      text: z.string().default('It failed on request.'),
      mailbox: z.string().optional(),
    })
    .optional()
    .meta({ description: 'Requests (of one mailbox) that end in a SOAP fault with this response code.' }),
  failItems: z
    .strictObject({ times, code: z.string().min(1), text: z.string().default('It failed on request.') })
    .optional()
    .meta({ description: 'Items of batches that fail with this response code.' }),
  stopBatchAfter: z
    .strictObject({ times, items: z.int().min(0).max(1000) })
    .optional()
    .meta({ description: 'Batches of which only the first items are carried out.' }),
  status: z
    .strictObject({ times, status: z.int().min(300).max(599), location: z.string().optional() })
    .optional()
    .meta({ description: 'Requests answered with this HTTP status and no SOAP.' }),
  html,
  ...drops({ writesOnly }),
  truncate,
  slowMs,
  cutStreams: z.literal(true).optional().meta({ description: 'Once: open streams end in the middle of an envelope.' }),
  loseSyncStates: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: sync states given out so far are worth nothing.' }),
  loseSubscriptions: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: subscriptions are forgotten, streams say so.' }),
  refuseLogIns: z.literal(true).optional().meta({ description: 'Nobody may log in.' }),
  illegalReferences: z
    .literal(true)
    .optional()
    .meta({ description: 'Bodies contain references to characters that XML does not have.' }),
})
export type EwsFaultDocument = z.input<typeof ewsFaults>
export type EwsFaults = z.output<typeof ewsFaults>
