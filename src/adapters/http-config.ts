import { z } from 'zod'
import { templateSchema } from '../flow/expression-schema.ts'
import { credentialName, location, size, someTime } from '../kernel/schema.ts'
import { isHostEntry, isNetwork } from '../protocols/net/address.ts'
import { UrlTemplate } from './http-url.ts'

const headerName = z.string().regex(/^[!#$%&'*+.^_`|~0-9A-Za-z-]{1,128}$/, 'the name of a header')

// What belongs to the connection or to the log-in is not for a template to say (RFC 9110 section 7.6.1).
const ownHeaders = new Set([
  'connection',
  'content-length',
  'expect',
  'host',
  'keep-alive',
  'proxy-authorization',
  'te',
  'trailer',
  'transfer-encoding',
  'upgrade',
])

const success = z.union([z.int().min(200).max(599), z.string().regex(/^[2-5]xx$/, 'a status, or a class of them: 2xx')])

/** What a flow document says under `http` as receiver. */
export const httpConfig = z
  .strictObject({
    url: templateSchema.meta({
      description:
        'Where to send. Parts that come from the message are percent-encoded. A url whose host comes from the message is only called at public addresses, or those of allow.',
      examples: ['https://api.example.com/orders/${message.headers.orderid}'],
    }),
    method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']).default('POST'),
    query: z.record(z.string().min(1), templateSchema).default({}).meta({ description: 'Fields of the query.' }),
    headers: z
      .record(
        headerName.refine(name => !ownHeaders.has(name.toLowerCase()), 'a header that the hub sets itself'),
        templateSchema,
      )
      .default({})
      .meta({ description: 'Headers of the request. The content type is that of the message, unless named here.' }),
    body: z.enum(['as-received', 'none']).optional().meta({
      description: 'The very bytes of the message, or nothing. Default: nothing with GET and HEAD.',
    }),
    auth: credentialName.optional().meta({
      description:
        'Credential: basic, secret (sent as bearer token, or in auth-header), OAuth 2.0, or certificate (shown in the TLS handshake).',
    }),
    'auth-header': headerName.optional().meta({
      description: 'Header that carries a credential of kind secret.',
      examples: ['x-api-key'],
    }),
    cleartext: z.boolean().default(false).meta({
      description: 'Lets a credential go over plain http; only where the network is trusted.',
    }),
    via: location.optional(),
    ca: z.string().min(1).optional().meta({
      description: 'PEM file of a certificate authority to trust, relative to the flow.',
    }),
    timeout: someTime.prefault('30s').meta({ description: 'For the whole exchange, answer included.' }),
    success: z.array(success).min(1).default(['2xx']).meta({ description: 'Answers that mean: it was taken.' }),
    'idempotency-key': headerName.optional().meta({
      description: 'Header for a key that is the same over all attempts, where the other side knows one.',
      examples: ['Idempotency-Key'],
    }),
    'on-unknown': z.enum(['set-aside', 'send-again']).optional().meta({
      description:
        'When the connection was lost after the request and before the answer, or a gateway had no valid answer (502) or waited for it in vain (504): let a person look, or send it again. Default: send-again with GET, HEAD, PUT, DELETE and with an idempotency-key, else set-aside. Any other answer of 5xx counts as known. A 303 says that it was done, so nothing is sent again; success: [303] takes it.',
    }),
    'max-answer': size.prefault('10MiB').meta({ description: 'The largest answer that is read.' }),
    redirects: z.int().min(0).max(3).default(0).meta({
      description: 'Redirects to follow. Credentials go to no other origin.',
    }),
    allow: z
      .array(z.string().refine(isHostEntry, 'a host name, *.domain, an address or a network'))
      .default([])
      .meta({
        description:
          'Where a url may lead whose host comes from the message: host names narrow the choice, networks add addresses that are not public.',
        examples: [['*.partner.example', '10.20.0.0/16']],
      }),
  })
  .superRefine((given, context) => {
    const url = new UrlTemplate(given.url.text)
    const { start } = url
    if (start !== '' && !/^https?:/i.test(start)) {
      context.addIssue({ code: 'custom', path: ['url'], message: 'a url here begins with https:// or http://' })
    }
    if (given.auth === undefined) return
    if (url.mayChooseHost && !given.allow.some(entry => !isNetwork(entry))) {
      const message = 'the message chooses who gets the credential; name the hosts that may, under allow'
      context.addIssue({ code: 'custom', path: ['auth'], message })
    }
    if (/^http:/i.test(start) && !isLoopback(start) && given.via === undefined && !given.cleartext) {
      const message = 'over http:// everybody on the way reads the credential; use https://, via, or cleartext: true'
      context.addIssue({ code: 'custom', path: ['auth'], message })
    }
  })

export type HttpConfig = z.output<typeof httpConfig>

function isLoopback(start: string): boolean {
  return /^http:\/\/(localhost|127\.\d+\.\d+\.\d+|\[::1\])([:/?#]|$)/i.test(start)
}
