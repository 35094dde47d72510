import { z } from 'zod'
import { busy, drops, fail, html, slowMs, truncate } from '../http-faults.ts'

/** The faults of the OData twin. */
export const odataFaults = z.strictObject({
  busy: busy(503),
  fail: fail('Exception raised without specific error'),
  ...drops({}),
  slowMs,
  html,
  nextLink: z
    .enum(['elsewhere', 'circle', 'endless'])
    .optional()
    .meta({ description: 'Where the link to the next page leads: another host, the same page, or on for ever.' }),
  truncate,
  forgetSessions: z.literal(true).optional().meta({ description: 'Once: sessions and their CSRF tokens are over.' }),
  refuseTokens: z.literal(true).optional().meta({ description: 'Once: access tokens given out so far are refused.' }),
})
export type ODataFaultDocument = z.input<typeof odataFaults>
export type ODataFaults = z.output<typeof odataFaults>
