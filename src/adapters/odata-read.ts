import type { Effect, Receipt } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import type { ODataClient } from '../protocols/odata/client.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isGroup, readEntity } from '../protocols/odata/json.ts'
import { queryString } from '../protocols/odata/url.ts'
import type { ODataConfig } from './odata-config.ts'
import { answers, isFailure } from './odata-gone.ts'
import { checkedNames, pathOf, type Surroundings, typeOf, wholeOf } from './odata-operation.ts'
import { answerOf } from './odata-receipt.ts'

export async function readEntityByKey(
  client: ODataClient,
  at: Surroundings,
  read: NonNullable<ODataConfig['read']>,
  effect: Effect,
): Promise<Receipt> {
  const { version, server } = at.naming
  const { path, type } = await pathOf(at, read.set, read.key)
  const query = queryString(version, checkedNames(at, type, read))
  try {
    const { value, etag } = await client.read({ path: path + query, signal: effect.signal })
    const entity = readEntity(version, type, value ?? null)
    return {
      isQuestion: true,
      summary: `read ${decodeURIComponent(path)} from ${server}`,
      ...(etag !== undefined && { fields: { etag } }),
      answer: answerOf(withEtag(entity, etag)),
    }
  } catch (thrown) {
    const mayBeGone = read.missing === 'null' && isFailure(thrown, odataErrors.NOT_FOUND)
    if (!mayBeGone || !(await answers(client, at, read.set, effect.signal))) throw thrown
    const summary = `${server} has no ${decodeURIComponent(path)}`
    return { isQuestion: true, summary, answer: answerOf(null) }
  }
}

export async function queryEntities(
  client: ODataClient,
  at: Surroundings,
  query: NonNullable<ODataConfig['query']>,
  effect: Effect,
): Promise<Receipt> {
  const { version, server } = at.naming
  const { scope } = effect
  const type = typeOf(at, query.set)
  const top = await wholeOf('top', query.top, scope)
  const options = {
    ...checkedNames(at, type, query),
    filter: await query.filter?.render(scope, at.naming, type, at.model !== undefined),
    top,
    skip: await wholeOf('skip', query.skip, scope),
    count: query.count,
  }
  const path = `${encodeURIComponent(query.set)}${queryString(version, options)}`
  const size = query['page-size']
  const headers = version === 'v4' && size !== undefined ? { prefer: `odata.maxpagesize=${size}` } : {}
  const list = new EntityList(at.config['max-answer'], server)
  let count: number | undefined
  let pageCount = 0
  for await (const page of client.pages({ path, headers, signal: effect.signal })) {
    pageCount += 1
    count ??= page.count
    for (const entity of page.entities) list.add(readEntity(version, type, entity))
    // A service may cut a query with top into pages too, and may go on behind what was asked for.
    if (top !== undefined && list.size >= top) break
  }
  const pages = pageCount === 1 ? '' : ` in ${pageCount} pages`
  return {
    isQuestion: true,
    summary: `${list.size} of ${query.set} from ${server}${pages}`,
    fields: { entities: list.size, pages: pageCount, ...(count !== undefined && { count }) },
    answer: { headers: {}, type: 'application/json', body: list.answer(query.count ? count : undefined, top) },
  }
}

function withEtag(entity: Json, etag: string | undefined): Json {
  return isGroup(entity) && etag !== undefined ? { '@odata.etag': etag, ...entity } : entity
}

/** Entities as the text of a JSON list, so that each stands in memory once; held to the limit of the answer. */
class EntityList {
  readonly #texts: string[] = []
  readonly #bytesMax: number
  readonly #server: string
  #bytes = 0

  constructor(bytesMax: number, server: string) {
    this.#bytesMax = bytesMax
    this.#server = server
  }

  get size(): number {
    return this.#texts.length
  }

  add(entity: Json): void {
    const text = JSON.stringify(entity)
    this.#bytes += Buffer.byteLength(text) + 1
    if (this.#bytes > this.#bytesMax) {
      const what = `${this.#texts.length} entities fit`
      throw odataErrors.ANSWER_TOO_LARGE({ server: this.#server, bytesMax: this.#bytesMax, limit: 'max-answer', what })
    }
    this.#texts.push(text)
  }

  answer(count: number | undefined, top: number | undefined): Buffer {
    const head = count === undefined ? '{' : `{"count":${count},`
    return Buffer.from(`${head}"value":[${this.#texts.slice(0, top).join(',')}]}`)
  }
}
