import { z } from 'zod'
import { busy, drops, fail, html, slowMs, truncate, writesOnly } from '../http-faults.ts'

/** The faults of the Cloud for Customer twin. */
export const c4cFaults = z.strictObject({
  busy: busy(429),
  fail: fail('Internal error'),
  ...drops({ writesOnly }),
  slowMs,
  html,
  truncate,
  visibleAfterMs: z
    .int()
    .min(0)
    .max(600_000)
    .optional()
    .meta({ description: 'A change is found by EntityLastChangedOn this much later.' }),
  lockUser: z.literal(true).optional().meta({ description: 'The user may log in no more (401).' }),
  withdrawRights: z
    .union([z.literal(true), z.array(z.string()).min(1)])
    .optional()
    .meta({ description: 'The user may open no work centre (403), or not these sets (VisitCollection).' }),
  forgetSessions: z.literal(true).optional().meta({ description: 'Once: sessions and their CSRF tokens are over.' }),
})
export type C4CFaultDocument = z.input<typeof c4cFaults>
export type C4CFaults = z.output<typeof c4cFaults>
