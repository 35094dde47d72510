import { Readable } from 'node:stream'
import type { ZodTypeProvider } from 'fastify-type-provider-zod'
import { z } from 'zod'
import { parseId } from '../kernel/id.ts'
import { storeErrors } from '../store/errors.ts'
import type { DeliveryDetail, DeliveryQuery } from '../store/port.ts'
import { apiErrors } from './api-errors.ts'
import { nameBody } from './body-name.ts'
import { readIncoming } from './incoming-body.ts'
import { lossOf, readStored } from './loss.ts'
import { type ApiParts, type App, whoOf } from './parts.ts'
import {
  deliveryState,
  lossView,
  messageDetailView,
  messageView,
  skippedMessageView,
  viewMessage,
  viewMessageDetail,
} from './views.ts'

const pageRowsMax = 1000
const pageRowsDefault = 50
const tags = ['messages']
const byId = z.strictObject({ id: z.string().meta({ description: 'Id of the delivery, 11 letters.' }) })
const time = z.iso.datetime({ offset: true })

const findQuery = z.strictObject({
  flow: z.string().optional(),
  state: deliveryState.optional(),
  term: z.string().max(1000).optional().meta({
    description:
      'Message-ID, DOCNUM, queue id of either side, its beginning with a trailing *; or the id of a message.',
  }),
  from: time.optional().meta({ description: 'Accepted at or after this time.' }),
  to: time.optional().meta({ description: 'Accepted before this time.' }),
  before: z.string().optional().meta({ description: 'For the next page: `next` of the page before.' }),
  limit: z.coerce.number().int().min(1).max(pageRowsMax).default(pageRowsDefault),
})

/** Messages: find from either end, show, read the body, replay, repair, skip. */
export function messageRoutes(app: App, parts: ApiParts): void {
  const { engine, store } = parts

  async function findMessage(id: string): Promise<DeliveryDetail> {
    const detail = parseId(id) === undefined ? undefined : await store.get(id.toUpperCase())
    if (!detail) throw storeErrors.NOT_FOUND({ id })
    return detail
  }

  /** The message of this very id, where it fits the rest of the query; what replays it came later and stands before it. */
  async function ownRow(term: string, query: DeliveryQuery): Promise<DeliveryDetail | undefined> {
    const detail = parseId(term) === undefined ? undefined : await store.get(term.toUpperCase())
    if (!detail || (query.flow ?? detail.flow) !== detail.flow || (query.state ?? detail.state) !== detail.state) return
    const { acceptedFrom = detail.acceptedAt, acceptedTo = Number.POSITIVE_INFINITY, before } = query
    const fits = detail.acceptedAt >= acceptedFrom && detail.acceptedAt <= acceptedTo
    return fits && (before === undefined || detail.id < before.toUpperCase()) ? detail : undefined
  }

  async function findLoss(detail: DeliveryDetail) {
    const lost = await lossOf(parts, detail)
    return lost && { ...lost, segments: lost.segments.map(each => ({ ...each, fields: [...each.fields] })) }
  }

  async function viewDetail(id: string) {
    const detail = await findMessage(id)
    // A replay carries the id of what it repeats among its words.
    const rows = await store.find({ flow: detail.flow, term: detail.id, limit: pageRowsDefault })
    return viewMessageDetail(
      detail,
      rows.filter(row => row.replayOf === detail.id),
    )
  }

  app.get(
    '/api/messages',
    {
      schema: {
        tags,
        summary: 'Finds messages, newest first',
        querystring: findQuery,
        response: { 200: z.object({ messages: z.array(messageView), next: z.string().optional() }) },
      },
    },
    async request => {
      const { from, to, ...query } = request.query
      const { limit, term } = query
      const acceptedFrom = from === undefined ? undefined : Date.parse(from)
      const acceptedTo = to === undefined ? undefined : Date.parse(to) - 1
      let rows = await store.find({ ...query, acceptedFrom, acceptedTo })
      // People paste a Message-ID with its angle brackets or without; of a mail it is kept without.
      const bare = term?.replace(/^<|>$/g, '')
      if (rows.length === 0 && bare !== term)
        rows = await store.find({ ...query, term: bare, acceptedFrom, acceptedTo })
      const own = term === undefined ? undefined : await ownRow(term, { ...query, acceptedFrom, acceptedTo })
      if (own && rows.length < limit) rows = [...rows, own]
      return { messages: rows.map(viewMessage), next: rows.length === limit ? rows.at(-1)?.id : undefined }
    },
  )

  app.get(
    '/api/messages/:id',
    {
      schema: {
        tags,
        summary: 'One message with headers, attempts and receipts',
        params: byId,
        response: { 200: messageDetailView },
      },
    },
    request => viewDetail(request.params.id),
  )

  app.get(
    '/api/messages/:id/body',
    {
      schema: {
        tags,
        summary: 'The very bytes of the body',
        description: 'Always application/octet-stream, as content of others; the type stands in isthmus-body-type.',
        params: byId,
        querystring: z.strictObject({
          first: z.coerce.number().int().min(0).optional().meta({ description: 'Only the first bytes.' }),
          which: z.enum(['current', 'original']).default('current'),
        }),
        response: {
          200: {
            description: 'The bytes.',
            content: {
              'application/octet-stream': { schema: z.custom<Readable>().meta({ type: 'string', format: 'binary' }) },
            },
          },
        },
      },
    },
    async (request, reply) => {
      const detail = await findMessage(request.params.id)
      const { first, which } = request.query
      const body = which === 'original' ? (detail.original?.body ?? detail.body) : detail.body
      const bytes = Math.min(first ?? body.bytes, body.bytes)
      reply.headers({
        'content-type': 'application/octet-stream',
        'content-length': bytes,
        'content-disposition': `attachment; filename="${nameBody(detail, body.type)}"`,
        'content-security-policy': "sandbox; default-src 'none'",
        'isthmus-body-type': printableAscii(body.type),
        'isthmus-body-bytes': body.bytes,
      })
      return reply.send(Readable.from(firstBytes(readStored(parts, body), bytes), { objectMode: false }))
    },
  )

  app.post(
    '/api/messages/:id/replay',
    {
      schema: {
        tags,
        summary: 'Lets a message travel again',
        description:
          'A set-aside one travels itself, and is set aside no more; one that ended otherwise keeps its end and is repeated as a new message that names it.',
        params: byId,
        querystring: z.strictObject({
          state: deliveryState
            .optional()
            .meta({ description: 'As the caller saw it; in another one nothing is done.' }),
        }),
        response: { 200: z.object({ id: z.string().meta({ description: 'The id that travels now.' }) }) },
      },
    },
    async request => {
      const { id, state } = await findMessage(request.params.id)
      const seen = request.query.state ?? state
      if (seen !== state) throw apiErrors.MESSAGE_MOVED_ON({ id, seen, state })
      // Only a set-aside one can still change after this look.
      return { id: await engine.replay(id, whoOf(request), seen === 'set-aside' ? seen : undefined) }
    },
  )

  const repairBody = z
    .strictObject({
      headers: z.record(z.string(), z.string()).optional().meta({ description: 'All headers of the message.' }),
      body: z.union([z.strictObject({ text: z.string() }), z.strictObject({ base64: z.string() })]).optional(),
    })
    .refine(change => change.headers !== undefined || change.body !== undefined, 'give headers or body')
  app.post(
    '/api/messages/:id/repair',
    {
      // Base64 takes four letters for three bytes.
      bodyLimit: Math.ceil((parts.repairBytesMax * 4) / 3) + 65_536,
      schema: {
        tags,
        summary: 'Replaces body or headers of a set-aside message and lets it travel; the original is kept',
        params: byId,
        body: repairBody,
        response: { 200: messageDetailView },
      },
    },
    async request => {
      const { id } = await findMessage(request.params.id)
      const { headers, body } = request.body
      const bytes = body && bytesOf(body)
      await engine.repair(id, { ...(headers && { headers }), ...(bytes && { body: bytes }) }, whoOf(request))
      return viewDetail(id)
    },
  )

  app.register(async scope => {
    // The bytes as they come; they may be larger than what is held in memory.
    scope.removeAllContentTypeParsers()
    scope.addContentTypeParser('application/octet-stream', (_request, _payload, done) => done(null))
    scope.withTypeProvider<ZodTypeProvider>().put(
      '/api/messages/:id/body',
      {
        schema: {
          tags,
          summary: 'Replaces the body of a set-aside message and lets it travel; the original is kept',
          description:
            'Takes application/octet-stream, up to limits.messageBytes; POST …/repair changes headers, too. The type of the body stays.',
          params: byId,
          response: { 200: messageDetailView },
        },
      },
      async (request, reply) => {
        const { id } = await findMessage(request.params.id)
        // Nothing at all is no body either: a message shall not become empty by mistake.
        if (request.headers['content-type'] === undefined) throw apiErrors.TYPE_UNSUPPORTED({ type: 'nobody named' })
        // The store holds it against limits.messageBytes while it comes.
        const body = readIncoming(request.raw, reply.raw, Number.POSITIVE_INFINITY)
        await engine.repair(id, { body }, whoOf(request))
        return viewDetail(id)
      },
    )
  })

  app.post(
    '/api/messages/:id/skip',
    {
      schema: {
        tags,
        summary: 'Ends a message by hand, so that its successors go on',
        params: byId,
        body: z.strictObject({ reason: z.string().min(1).max(500) }),
        description: 'An IDoc may have told of what no later one tells again by itself: `lost` names it.',
        response: { 200: skippedMessageView },
      },
    },
    async request => {
      const detail = await findMessage(request.params.id)
      const lost = await findLoss(detail)
      await engine.skip(detail.id, request.body.reason, whoOf(request))
      return { ...(await viewDetail(detail.id)), ...(lost && { lost }) }
    },
  )

  app.get(
    '/api/messages/:id/loss',
    {
      schema: {
        tags,
        summary: 'What would be lost if the message were skipped',
        params: byId,
        response: { 200: z.object({ lost: lossView.optional() }) },
      },
    },
    async request => {
      const lost = await findLoss(await findMessage(request.params.id))
      return lost ? { lost } : {}
    },
  )
}

function bytesOf(body: { readonly text: string } | { readonly base64: string }): Uint8Array {
  if ('text' in body) return Buffer.from(body.text)
  const isBase64 = body.base64.length % 4 === 0 && /^[A-Za-z0-9+/]*={0,2}$/.test(body.base64)
  if (!isBase64) throw apiErrors.BASE64_INVALID()
  return Buffer.from(body.base64, 'base64')
}

async function* firstBytes(source: AsyncIterable<Uint8Array>, bytesMax: number): AsyncGenerator<Uint8Array> {
  let left = bytesMax
  for await (const chunk of source) {
    if (left <= 0) return
    yield chunk.length > left ? chunk.subarray(0, left) : chunk
    left -= chunk.length
  }
}

function printableAscii(text: string): string {
  return text.replace(/[^\u0020-\u007E]/g, '?')
}
