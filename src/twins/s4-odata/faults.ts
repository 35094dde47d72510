import { z } from 'zod'
import { times } from '../twin.ts'

/** The faults of the OData twin. */
export const odataFaults = z.strictObject({
  busy: z
    .strictObject({
      times,
      status: z.union([z.literal(429), z.literal(503)]).default(503),
      retryAfterS: z.int().min(0).max(3600).default(30),
    })
    .optional()
    .meta({ description: 'Requests answered with 429 or 503 and Retry-After.' }),
  fail: z
    .strictObject({
      times,
      status: z.int().min(400).max(599).default(500),
      message: z.string().default('Exception raised without specific error'),
    })
    .optional()
    .meta({ description: 'Requests answered with an error of the service.' }),
  dropBefore: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Connections cut before the request is carried out.' }),
  dropAfter: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Connections cut after the request was carried out.' }),
  slowMs: z.int().min(0).max(600_000).optional().meta({ description: 'Every answer comes this much later.' }),
  html: z.strictObject({ times }).optional().meta({ description: 'Requests answered with a log-in page and 200.' }),
  nextLink: z
    .enum(['elsewhere', 'circle', 'endless'])
    .optional()
    .meta({ description: 'Where the link to the next page leads: another host, the same page, or on for ever.' }),
  truncate: z.strictObject({ times }).optional().meta({ description: 'Answers of which only the first half is sent.' }),
  forgetSessions: z.literal(true).optional().meta({ description: 'Once: sessions and their CSRF tokens are over.' }),
  refuseTokens: z.literal(true).optional().meta({ description: 'Once: access tokens given out so far are refused.' }),
})
export type ODataFaultDocument = z.input<typeof odataFaults>
export type ODataFaults = z.output<typeof odataFaults>
