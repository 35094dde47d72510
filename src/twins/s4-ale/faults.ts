import { z } from 'zod'
import { drops, slowMs } from '../http-faults.ts'
import { times } from '../twin.ts'

/** The faults of the twin: of what it sends first, then of its own endpoints. */
export const aleFaults = z.strictObject({
  hangUp: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Requests after which it hangs up without reading the answer; it sends them again later.' }),
  sendTwice: z.strictObject({ times }).optional().meta({ description: 'Packets and proxy messages sent twice.' }),
  reversed: z.strictObject({ times }).optional().meta({ description: 'Runs that send the newest IDoc first.' }),
  malformed: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Requests with a bare & in them, so that the XML is not well-formed.' }),
  splitRequest: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Requests of which only the first half is sent before the connection is cut.' }),
  busy: z
    .strictObject({ times, retryAfterS: z.int().min(0).max(3600).default(1) })
    .optional()
    .meta({ description: 'Requests answered with 503 and Retry-After.' }),
  fail: z.strictObject({ times }).optional().meta({ description: 'Requests answered with 500 and a page of HTML.' }),
  ...drops({}),
  locked: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Inbound IDocs that cannot be posted because the object is locked (status 51).' }),
  slowMs,
})
export type AleFaultDocument = z.input<typeof aleFaults>
export type AleFaults = z.output<typeof aleFaults>
