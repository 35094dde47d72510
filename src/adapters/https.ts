import { z } from 'zod'
import { defineSender, type Outcome, type Sender, type SenderContext } from '../flow/adapter.ts'
import { asHubError, defineErrors } from '../kernel/error.ts'
import type { CrossOrigin, HttpRequest, HttpResponse, HttpRoute } from '../kernel/http-exchange.ts'
import { duration, size, someTime } from '../kernel/schema.ts'
import { SECOND } from '../kernel/time.ts'
import { callerOf } from './caller.ts'
import { bodyBytesMaxOf, endWithin, serveRoutes } from './endpoint.ts'
import { endpointPath, endpointRole, tellErrors } from './endpoint-config.ts'
import { answerAccepted, answerEnd, answerProblem, answerState } from './https-answer.ts'
import { StatusLinks } from './https-status.ts'

const httpsErrors = defineErrors('HTTPS', {
  KEY_MISSING: {
    side: 'caller',
    retry: 'never',
    means: 'The request has no header {header}, by which a repeat of it would be recognised.',
    next: 'Send a value there that is the same for each repeat of one request and different for every other.',
  },
  KEY_MALFORMED: {
    side: 'caller',
    retry: 'never',
    means: 'The value of header {header} is longer than {lettersMax} letters or has other letters than plain ASCII.',
    next: 'Send a UUID or another short key.',
  },
  REJECTED: {
    side: 'caller',
    retry: 'never',
    means: '{summary}',
    next: 'Correct the request as the sentence says, and send it again.',
  },
  STATUS_UNKNOWN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no such status address.',
    next: 'Use the address in the Location header of the answer, whole and as it came.',
  },
  STATUS_GONE: {
    side: 'caller',
    retry: 'never',
    means: 'Message {id} ended so long ago that the hub does not keep it any more.',
    next: 'Ask sooner, or ask whoever runs the hub to keep messages of this flow for longer (keep).',
  },
})

const keyLettersMax = 256

// Headers that steer the hub, or carry what belongs to the log-in, never become part of a message.
const neverPassed = /^(x-isthmus-.*|authorization|proxy-authorization|cookie|x-api-key)$/i

const cors = z.strictObject({
  origins: z
    .array(
      z
        .string()
        .regex(
          /^(https:\/\/[a-z0-9.-]+|http:\/\/localhost)(:\d{1,5})?$/,
          'scheme and host of a page in lower case, with its port where it has one, and no path: https://portal.contoso.com',
        ),
    )
    .min(1)
    .meta({
      description: 'Pages whose scripts may call, each by its origin.',
      examples: [['https://portal.contoso.com']],
    }),
  'max-age': duration.prefault('10m').meta({ description: 'How long a browser need not ask again.' }),
})

const config = z
  .strictObject({
    path: endpointPath.meta({ description: 'Path below /flows.', examples: ['/orders'] }),
    methods: z
      .array(z.enum(['GET', 'POST', 'PUT', 'PATCH', 'DELETE']))
      .min(1)
      .default(['POST']),
    role: endpointRole,
    answer: z.enum(['accepted', 'result']).default('accepted').meta({
      description:
        'accepted: 202 as soon as the message is safe, with an address that tells how it ends. result: waits for the end and answers with what the flow made of the message.',
    }),
    within: someTime.prefault('30s').meta({
      description:
        'How long `result` waits; then the answer is 202 as with accepted, and the message goes on. It comes at once where the message is not tried again in that time.',
    }),
    'tell-errors': tellErrors,
    'max-size': size.optional().meta({ description: 'The largest body that is taken. Default: the limit of the hub.' }),
    'once-header': z
      .string()
      .regex(/^[A-Za-z0-9-]{1,64}$/, 'the name of a header')
      .optional()
      .meta({
        description:
          'Header that callers repeat with a repeated request; the second is answered like the first. The same value of two service instances, or of two users of one, is two requests.',
        examples: ['Idempotency-Key'],
      }),
    headers: z
      .array(
        z
          .string()
          .regex(/^[A-Za-z0-9_-]{1,64}$/, 'the name of a header')
          .refine(name => !neverPassed.test(name), 'a header that never becomes part of a message'),
      )
      .default([])
      .meta({ description: 'Headers of the request that the message keeps, besides content-type.' }),
    cors: cors.optional().meta({
      description:
        'Lets pages of other origins call, with a token in the Authorization header; passwords and certificates that a browser adds by itself never count for them. Left out: none.',
    }),
  })
  .refine(given => given.cors === undefined || given.role !== undefined, {
    path: ['cors'],
    message: 'pages of other origins may call only where a role is asked for',
  })

type HttpsConfig = z.output<typeof config>

export const https = defineSender({
  id: 'https',
  title: 'HTTPS endpoint',
  summary: 'Takes the requests of others below /flows, one message per request.',
  config,
  examples: [
    {
      title: 'Orders, answered as soon as they are safe',
      config: { path: '/orders', 'once-header': 'Idempotency-Key' },
    },
    {
      title: 'Only for callers with a role',
      config: { path: '/orders/de', role: 'ESBMessaging_DE' },
    },
    {
      title: 'A question with an answer',
      config: { path: '/prices', answer: 'result', within: '10s', headers: ['x-region'] },
    },
  ],
  errors: httpsErrors,
  attributes: ['method', 'path', 'query', 'caller'],
  // Only a request that can be recognised can be asked again.
  keepsResult: ({ answer, 'once-header': onceHeader }) => answer === 'result' && onceHeader !== undefined,
  open: async context => new HttpsSender(context, await StatusLinks.open(context)),
})

class HttpsSender implements Sender {
  readonly #context: SenderContext<HttpsConfig>
  readonly #links: StatusLinks

  constructor(context: SenderContext<HttpsConfig>, links: StatusLinks) {
    this.#context = context
    this.#links = links
  }

  async receive(): Promise<void> {
    const { config, flow } = this.#context
    const { path, methods, role } = config
    const bodyBytesMax = bodyBytesMaxOf(this.#context)
    const cors = crossOriginOf(config)
    const shared = { flow, role, ...(cors && { cors }) }
    const takesCoded = config.headers.some(name => name.toLowerCase() === 'content-encoding')
    const handle = (request: HttpRequest) => this.#take(request)
    const route: HttpRoute = { ...shared, path, methods, bodyBytesMax, takesCoded, handle }
    const status: HttpRoute = {
      ...shared,
      path: this.#links.path,
      methods: ['GET', 'HEAD'],
      bodyBytesMax: 0,
      handle: request => this.#tell(request),
    }
    await serveRoutes(this.#context, route, status)
  }

  /** The route stands as long as the flow runs; there is nothing behind it that could be down. */
  async check() {
    const { path, methods } = this.#context.config
    return { ok: true as const, detail: `${methods.join(', ')} /flows${path}` }
  }

  async close(): Promise<void> {}

  async #take(request: HttpRequest): Promise<HttpResponse> {
    const { config, intake } = this.#context
    const key = this.#keyOf(request)
    if (key && 'problem' in key) return key.problem
    const { id, duplicate } = await intake.accept({
      headers: this.#headersOf(request),
      attributes: {
        method: request.method,
        path: request.path.replace(/^\/flows/, ''),
        query: request.query,
        ...(request.caller && { caller: callerOf(request.caller) }),
      },
      type: request.headers['content-type'] ?? 'application/octet-stream',
      body: request.body,
      ...(key && { sourceKey: sourceKeyOf(key.value, request), terms: [key.value] }),
    })
    const link = this.#links.linkTo(id)
    if (config.answer === 'accepted') return answerAccepted(id, link, duplicate)
    const outcome = await endWithin(this.#context, id, request.signal)
    if (!outcome) return answerAccepted(id, link, duplicate)
    const refusal = outcome.state === 'rejected' ? httpsErrors.REJECTED({ summary: outcome.summary }) : outcome.error
    return answerEnd({ ...outcome, ...(refusal && { error: refusal }) }, link, config['tell-errors'])
  }

  async #tell(request: HttpRequest): Promise<HttpResponse> {
    const id = this.#links.idIn(request.path)
    if (id === undefined) return answerProblem(httpsErrors.STATUS_UNKNOWN(), 404)
    let outcome: Outcome | undefined
    try {
      // Only a look: a signal that is over already waits for nothing.
      outcome = await this.#context.intake.outcome(id, AbortSignal.abort())
    } catch (thrown) {
      if (asHubError(thrown).code !== 'STORE_NOT_FOUND') throw thrown
      return answerProblem(httpsErrors.STATUS_GONE({ id }), 410)
    }
    if (outcome) return answerState(outcome, this.#context.config['tell-errors'])
    const body = JSON.stringify({ id, state: 'working', summary: 'on its way' })
    return { status: 200, headers: { 'content-type': 'application/json', 'cache-control': 'no-store' }, body }
  }

  #keyOf(request: HttpRequest): { readonly value: string } | { readonly problem: HttpResponse } | undefined {
    const header = this.#context.config['once-header']
    if (header === undefined) return undefined
    const value = request.headers[header.toLowerCase()]?.trim()
    if (!value) return { problem: answerProblem(httpsErrors.KEY_MISSING({ header }), 400) }
    if (value.length <= keyLettersMax && /^[!-~ ]+$/.test(value)) return { value }
    return { problem: answerProblem(httpsErrors.KEY_MALFORMED({ header, lettersMax: keyLettersMax }), 400) }
  }

  #headersOf(request: HttpRequest): Record<string, string> {
    const passed: Record<string, string> = {}
    for (const name of ['content-type', ...this.#context.config.headers.map(wanted => wanted.toLowerCase())]) {
      const value = request.headers[name]
      if (value !== undefined) passed[name] = value
    }
    return passed
  }
}

/** Callers know nothing of each other's keys, and the answer to one is nothing for the next. */
function sourceKeyOf(key: string, { caller }: HttpRequest): string {
  if (!caller) return `https/${key}`
  const { client, instance: _named, ...user } = callerOf(caller)
  const who = Object.keys(user).length > 0 ? `${String(client)} ${JSON.stringify(user)}` : String(client)
  return `https/${who}/${key}`
}

function crossOriginOf({ cors, headers, 'once-header': onceHeader }: HttpsConfig): CrossOrigin | undefined {
  if (!cors) return undefined
  const named = [
    'authorization',
    'content-type',
    'x-csrf-token',
    ...(onceHeader === undefined ? [] : [onceHeader]),
    ...headers,
  ]
  return {
    origins: cors.origins,
    headers: [...new Set(named.map(name => name.toLowerCase()))],
    maxAgeSeconds: Math.floor(cors['max-age'] / SECOND),
  }
}
