import { z } from 'zod'
import type { Outcome } from '../flow/adapter.ts'

/** Settings that every sender has which serves an endpoint below /flows. */

export const endpointPath = z
  .string()
  .regex(
    /^(\/[A-Za-z0-9_~-][A-Za-z0-9._~-]*)+(\/\*)?$/,
    'a path begins with a slash: /orders, or /orders/* for all below',
  )
  .refine(path => !/^\/status(\/|$)/.test(path), '/status is taken: callers ask there how a message ended')

export const endpointRole = z
  .string()
  .regex(/^[A-Za-z0-9_.]{1,100}$/, 'letters, digits, dot and underscore')
  .optional()
  .meta({
    description:
      'Role that callers need; they send client id and secret, a token or a certificate of a service instance that has it. Without a role only callers on the machine of the hub are let in.',
    examples: ['ESBMessaging.send'],
  })

/**
 * Whether an error is for the people of the hub: what the other side said, unless the flow lets callers read it, and what
 * is wrong with the hub itself. Callers get its code, and the id of the message to ask with.
 */
export function isForPeopleOfHub({ side }: NonNullable<Outcome['error']>, tellsErrors: boolean): boolean {
  return !tellsErrors && (side === 'receiver' || side === 'hub')
}

export const tellErrors = z.boolean().default(false).meta({
  description:
    'Callers who wait for the answer, or ask at the status address, read what the receiver said where it failed, names of its hosts, columns and records among it, and what is wrong with the hub. Without it they get the code and the id of the message, and the rest is for the people of the hub.',
})
