import { z } from 'zod'
import { times } from '../twin.ts'

/** The faults of the sign-in twin. The `Once` ones act when they are set; clearing them gives nothing back. */
export const signInFaults = z.strictObject({
  throttle: z
    .strictObject({ times, retryAfterS: z.int().min(0).max(3600).default(30) })
    .optional()
    .meta({ description: 'Token requests answered with 429 and Retry-After.' }),
  unavailable: z
    .strictObject({ times, status: z.int().min(500).max(599).default(503) })
    .optional()
    .meta({ description: 'Token requests answered with a 5xx.' }),
  drop: z.strictObject({ times }).optional().meta({ description: 'Token requests whose connection is cut.' }),
  slowMs: z.int().min(0).max(600_000).optional().meta({ description: 'Every answer comes this much later.' }),
  expireTokens: z.literal(true).optional().meta({ description: 'Once: every access token issued so far has expired.' }),
  revokeRefreshTokens: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: every refresh token issued so far is revoked.' }),
  withdrawConsent: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: every consent is taken back, of users and of administrators.' }),
})
export type SignInFaultDocument = z.input<typeof signInFaults>
export type SignInFaults = z.output<typeof signInFaults>
