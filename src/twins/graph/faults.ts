import { z } from 'zod'
import { drops, html, slowMs, truncate, writesOnly } from '../http-faults.ts'
import { times } from '../twin.ts'

/** The faults of the Graph twin; `mailbox` narrows one to the requests of a mailbox. */
export const graphFaults = z.strictObject({
  throttle: z
    .strictObject({ times, retryAfterS: z.int().min(0).max(999_999_999).default(10), mailbox: z.string().optional() })
    .optional()
    .meta({ description: 'Requests answered with 429 and Retry-After.' }),
  unavailable: z
    .strictObject({ times, status: z.int().min(500).max(599).default(503), mailbox: z.string().optional() })
    .optional()
    .meta({ description: 'Requests answered with a 5xx.' }),
  late: z
    .strictObject({ times, status: z.int().min(500).max(599).default(504) })
    .optional()
    .meta({
      description: 'Writes that are carried out and answered with a 5xx all the same: a gateway gave up too early.',
    }),
  moving: z
    .strictObject({ times, mailbox: z.string() })
    .optional()
    .meta({ description: 'Requests for a mailbox that is being moved.' }),
  refuse: z
    .strictObject({
      times,
      status: z.int().min(400).max(599).default(400),
      code: z.string(),
      message: z.string().default('Refused by the twin.'),
    })
    .optional()
    .meta({ description: 'Requests refused with an error of Graph.' }),
  ...drops({ writesOnly }),
  slowMs,
  html,
  truncate,
  foreignLinks: z.literal(true).optional().meta({ description: 'Links to next pages lead to another host.' }),
  expireDeltas: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: all delta tokens given out so far are forgotten.' }),
  dropNotifications: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Notifications that are not delivered; a lifecycle notification says that some are missed.' }),
  endSubscriptions: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: all subscriptions end; a lifecycle notification says so.' }),
})
export type GraphFaultDocument = z.input<typeof graphFaults>
export type GraphFaults = z.output<typeof graphFaults>
