import { z } from 'zod'
import type { Json } from '../kernel/json.ts'
import { type KeyMapEntry, keyMapLimits } from '../kernel/key-map.ts'
import { apiErrors } from './api-errors.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'

const tags = ['key maps']
const pageMax = 1000
const map = z.string().regex(/^[A-Za-z0-9_.@:-]{1,128}$/, 'letters, digits, dot, hyphen, underscore, @ and colon')
const key = z.string().min(1).max(keyMapLimits.keyLetters)
const named = z.strictObject({ map })
const ofKey = z.strictObject({ key })
// z.json() refers to itself, and the OpenAPI document would refer to a schema that it has not.
const anyJson = z.custom<Json>(value => value !== undefined, 'must be there').meta({ description: 'Any JSON.' })

const entryView = z
  .object({
    key: z.string(),
    value: anyJson,
    revision: z.number().int().meta({ description: 'Grows by one at each write.' }),
    at: z.iso.datetime().meta({ description: 'When it was written last.' }),
  })
  .meta({ title: 'key map entry' })

/** Key maps: what flows keep of a key over messages. Keys go into the query, since they may hold any character. */
export function keyMapRoutes(app: App, parts: ApiParts): void {
  const { store, clock } = parts

  app.get(
    '/api/key-maps',
    {
      schema: {
        tags,
        summary: 'All key maps that have entries',
        response: { 200: z.object({ maps: z.array(z.object({ map: z.string(), entries: z.number().int() })) }) },
      },
    },
    async () => ({ maps: [...(await store.keyMaps())] }),
  )

  app.get(
    '/api/key-maps/:map/entries',
    {
      schema: {
        tags,
        summary: 'Entries of a key map, by their keys',
        params: named,
        querystring: z.strictObject({
          prefix: key.optional().meta({ description: 'Only keys that begin so.' }),
          after: key.optional().meta({ description: 'The last key of the page before.' }),
          limit: z.coerce.number().int().min(1).max(pageMax).default(100),
        }),
        response: { 200: z.object({ entries: z.array(entryView), next: z.string().optional() }) },
      },
    },
    async ({ params, query }) => {
      const { prefix, after, limit } = query
      const found = await store.keyMapEntries({ map: params.map, prefix, after, limit: limit + 1 })
      const page = found.slice(0, limit)
      const next = found.length > limit ? page.at(-1)?.key : undefined
      return { entries: page.map(entry => view(entry.key, entry)), ...(next !== undefined && { next }) }
    },
  )

  app.delete(
    '/api/key-maps/:map/entries',
    {
      schema: {
        tags,
        summary: 'Forgets all keys of a key map, or those that begin so',
        params: named,
        querystring: z.strictObject({ prefix: key.optional() }),
        response: { 200: z.object({ forgotten: z.number().int() }) },
      },
    },
    async request => {
      const { map: name } = request.params
      const { prefix } = request.query
      let forgotten = 0
      // In small writes, so that deliveries go on in between.
      for (let went = pageMax; went === pageMax; forgotten += went) {
        went = await store.forgetKeys({ map: name, prefix, max: pageMax })
      }
      await auditChange(parts, request, 'key-map.clear', {
        map: name,
        forgotten,
        ...(prefix !== undefined && { prefix }),
      })
      return { forgotten }
    },
  )

  app.get(
    '/api/key-maps/:map/entry',
    {
      schema: { tags, summary: 'One entry', params: named, querystring: ofKey, response: { 200: entryView } },
    },
    async ({ params, query }) => {
      const entry = await store.recall(params.map, query.key)
      if (!entry) throw apiErrors.KEY_MAP_ENTRY_UNKNOWN({ map: params.map, key: query.key })
      return view(query.key, entry)
    },
  )

  app.put(
    '/api/key-maps/:map/entry',
    {
      schema: {
        tags,
        summary: 'Writes an entry',
        params: named,
        querystring: ofKey,
        body: z.strictObject({
          value: anyJson,
          expected: z.number().int().min(0).optional().meta({
            description: 'Refused when the revision is another; 0: there must be no entry.',
          }),
        }),
        response: { 200: entryView },
      },
    },
    async request => {
      const { value, expected } = request.body
      const at = clock.now()
      const { map: name } = request.params
      const bytes = Buffer.byteLength(JSON.stringify(value))
      if (bytes > keyMapLimits.valueBytes) throw apiErrors.BODY_TOO_LARGE({ bytesMax: keyMapLimits.valueBytes })
      const revision = await store.rewrite({ map: name, key: request.query.key, value, at, expected })
      await auditChange(parts, request, 'key-map.set', { map: name, key: request.query.key })
      return view(request.query.key, { value, revision, at })
    },
  )

  app.delete(
    '/api/key-maps/:map/entry',
    {
      schema: { tags, summary: 'Forgets a key', params: named, querystring: ofKey, response: { 204: z.null() } },
    },
    async (request, reply) => {
      const { map: name } = request.params
      const write = { map: name, key: request.query.key, value: undefined, at: clock.now() }
      if ((await store.rewrite(write)) === 0) {
        throw apiErrors.KEY_MAP_ENTRY_UNKNOWN({ map: name, key: request.query.key })
      }
      await auditChange(parts, request, 'key-map.delete', { map: name, key: request.query.key })
      return reply.status(204).send(null)
    },
  )
}

function view(name: string, { value, revision, at }: KeyMapEntry): z.output<typeof entryView> {
  return { key: name, value, revision, at: new Date(at).toISOString() }
}
