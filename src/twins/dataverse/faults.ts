import { z } from 'zod'
import { drops, html, slowMs, truncate } from '../http-faults.ts'
import { times } from '../twin.ts'

const method = z
  .enum(['GET', 'POST', 'PATCH', 'DELETE'])
  .optional()
  .meta({ description: 'Strikes these requests only.' })

/** The faults of the Dynamics 365 twin. */
export const dataverseFaults = z.strictObject({
  throttle: z
    .strictObject({
      times,
      code: z.enum(['0x80072322', '0x80072321', '0x80072326']).default('0x80072322'),
      retryAfterS: z.int().min(0).max(86_400).default(1),
    })
    .optional()
    .meta({ description: 'Requests answered with 429 and Retry-After.' }),
  unavailable: z
    .strictObject({ times, retryAfterS: z.int().min(0).max(86_400).optional() })
    .optional()
    .meta({ description: 'Requests answered with 503.' }),
  fail: z
    .strictObject({
      times,
      method,
      status: z.int().min(400).max(599).default(500),
      code: z.string().default('0x80040224'),
      message: z.string().default('An unexpected error occurred.'),
    })
    .optional()
    .meta({ description: 'Requests answered with an error, such as that of a plug-in (400, 0x80040265).' }),
  late: z
    .strictObject({ times, method, status: z.union([z.literal(502), z.literal(503), z.literal(504)]).default(504) })
    .optional()
    .meta({ description: 'Requests that are carried out, and answered by a gateway that has no answer of it.' }),
  slowMs,
  ...drops({ method }),
  truncate,
  html,
  duplicates: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Writes held for doubles, where the request asks for duplicate detection.' }),
  expireTokens: z.literal(true).optional().meta({ description: 'Once: tokens seen so far are refused.' }),
  emptyCodes: z.literal(true).optional().meta({ description: 'Errors without a code, as many real ones are.' }),
})
export type DataverseFaultDocument = z.input<typeof dataverseFaults>
export type DataverseFaults = z.output<typeof dataverseFaults>
