import { z } from 'zod'
import { times } from '../twin.ts'

/** The faults of the Cloud for Customer twin. */
export const c4cFaults = z.strictObject({
  busy: z
    .strictObject({
      times,
      status: z.union([z.literal(429), z.literal(503)]).default(429),
      retryAfterS: z.int().min(0).max(3600).default(30),
    })
    .optional()
    .meta({ description: 'Requests answered with 429 or 503 and Retry-After.' }),
  fail: z
    .strictObject({
      times,
      status: z.int().min(400).max(599).default(500),
      message: z.string().default('Internal error'),
    })
    .optional()
    .meta({ description: 'Requests answered with an error of the service.' }),
  dropBefore: z
    .strictObject({ times, writesOnly: z.boolean().default(false) })
    .optional()
    .meta({ description: 'Connections cut before the request is carried out.' }),
  dropAfter: z
    .strictObject({ times, writesOnly: z.boolean().default(false) })
    .optional()
    .meta({ description: 'Connections cut after the request was carried out.' }),
  slowMs: z.int().min(0).max(600_000).optional().meta({ description: 'Every answer comes this much later.' }),
  html: z.strictObject({ times }).optional().meta({ description: 'Requests answered with a log-in page and 200.' }),
  truncate: z.strictObject({ times }).optional().meta({ description: 'Answers of which only the first half is sent.' }),
  visibleAfterMs: z
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .meta({ description: 'A change is found by EntityLastChangedOn this much later.' }),
  lockUser: z.literal(true).optional().meta({ description: 'The user may log in no more (401).' }),
  withdrawRights: z.literal(true).optional().meta({ description: 'The user may open no work centre (403).' }),
  forgetSessions: z.literal(true).optional().meta({ description: 'Once: sessions and their CSRF tokens are over.' }),
})
export type C4CFaultDocument = z.input<typeof c4cFaults>
export type C4CFaults = z.output<typeof c4cFaults>
