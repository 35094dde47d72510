import { z } from 'zod'
import { times } from './twin.ts'

/** Faults that any service over HTTP may have. */

/** Cut connections; `where` narrows down which requests are meant. */
export function drops<Where extends z.ZodRawShape>(where: Where) {
  const drop = z.strictObject({ times, ...where }).optional()
  return {
    dropBefore: drop.meta({ description: 'Connections cut before the request is carried out.' }),
    dropAfter: drop.meta({ description: 'Connections cut after the request was carried out.' }),
  }
}

export const writesOnly = z.boolean().default(false).meta({ description: 'Only requests that change something.' })

export const slowMs = z
  .int()
  .min(0)
  .max(600_000)
  .optional()
  .meta({ description: 'Every answer comes this much later.' })

export const html = z
  .strictObject({ times })
  .optional()
  .meta({ description: 'Requests answered with a log-in page and 200.' })

export const truncate = z
  .strictObject({ times })
  .optional()
  .meta({ description: 'Answers of which only the first half is sent.' })

export function busy(status: 429 | 503) {
  return z
    .strictObject({
      times,
      status: z.union([z.literal(429), z.literal(503)]).default(status),
      retryAfterS: z.int().min(0).max(3600).default(30),
    })
    .optional()
    .meta({ description: 'Requests answered with 429 or 503 and Retry-After.' })
}

export function fail(message: string) {
  return z
    .strictObject({ times, status: z.int().min(400).max(599).default(500), message: z.string().default(message) })
    .optional()
    .meta({ description: 'Requests answered with an error of the service.' })
}
