import { z } from 'zod'
import { credentialName, location, size, someTime } from '../kernel/schema.ts'

/** What every receiver asks for that posts documents to one address. */
export const postFields = {
  auth: credentialName.optional().meta({
    description: 'Credential: basic, OAuth 2.0, secret (a bearer token), or certificate (shown in the TLS handshake).',
  }),
  cleartext: z.boolean().default(false).meta({
    description: 'Lets a credential go over plain http; only where the network is trusted.',
  }),
  via: location.optional(),
  ca: z.string().min(1).optional().meta({
    description: 'PEM file of a certificate authority to trust, relative to the flow.',
  }),
  timeout: someTime.prefault('60s').meta({ description: 'For the whole exchange, answer included.' }),
  'max-answer': size.prefault('10MiB').meta({ description: 'The largest answer that is read.' }),
} as const

/** An address that a document names whole, query included. */
export const postUrl = z
  .url({ protocol: /^https?$/ })
  .refine(text => !URL.canParse(text) || isPlainUrl(new URL(text)), 'a url here has no user and no #')

const shape = z.object({ url: postUrl, ...postFields })
export type PostConfig = z.output<typeof shape>

/** A credential must not be read by everybody on the way. */
export function checkCleartext(
  given: Pick<PostConfig, 'url' | 'auth' | 'via' | 'cleartext'>,
  context: z.RefinementCtx,
) {
  if (given.auth === undefined || given.via !== undefined || given.cleartext) return
  if (!/^http:/i.test(given.url) || isLoopback(given.url)) return
  const message = 'over http:// everybody on the way reads the credential; use https://, via, or cleartext: true'
  context.addIssue({ code: 'custom', path: ['auth'], message })
}

function isPlainUrl({ username, password, hash }: URL): boolean {
  return username === '' && password === '' && hash === ''
}

function isLoopback(url: string): boolean {
  return /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/?#]|$)/i.test(url)
}
