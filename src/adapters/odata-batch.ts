import type { Effect, Receipt } from '../flow/adapter.ts'
import { type Json, parseExact } from '../kernel/json.ts'
import { type BatchAnswer, type BatchRequest, isOk } from '../protocols/odata/batch.ts'
import type { ODataClient } from '../protocols/odata/client.ts'
import { isGroup, isList, readEntity } from '../protocols/odata/json.ts'
import type { EntityType } from '../protocols/odata/model.ts'
import { failureOf } from '../protocols/odata/service-error.ts'
import type { ODataConfig } from './odata-config.ts'
import { entitiesOf, entityJson, entityOf, pathOf, type Surroundings, typeOf, withoutKey } from './odata-operation.ts'
import { answerOf, refuseDoubtful } from './odata-receipt.ts'
import { stateHeader } from './odata-state.ts'

/** A change of the batch, with what people are told of it. */
interface Part {
  readonly request: BatchRequest
  readonly words: string
  readonly type: EntityType | undefined
}

/** Changes that are done together or not at all, as one changeset of $batch. */
export async function changeTogether(
  client: ODataClient,
  at: Surroundings,
  batch: NonNullable<ODataConfig['batch']>,
  effect: Effect,
  now: number,
): Promise<Receipt> {
  const { config, naming } = at
  const { server, version } = naming
  const isHarmless = batch.changes.every(({ create, update, delete: remove }) => {
    const etag = (update ?? remove)?.etag?.text
    return !create && (etag === undefined || etag === '*' || etag === 'current')
  })
  const isRepeatable = refuseDoubtful(at, effect, isHarmless)
  const parts: Part[] = []
  for (const change of batch.changes) parts.push(...(await partsOf(client, at, change, effect)))
  const { signal } = effect
  await effect.intend()
  const changeset = parts.map(({ request }) => request)
  const results = await client.batch([{ changeset }], { signal, form: batch.form, isRepeatable })
  const [result] = results
  const answers = result && 'answers' in result ? result.answers : []
  const failed = result && 'failed' in result ? result.failed : answers.find(answer => !isOk(answer))
  if (failed) throw failureOf(failed, { server, credential: config.auth ?? 'the receiver', path: '$batch', now })
  const entities = answers.map((answer, index) => shownOf(version, parts[index]?.type, answer))
  return {
    summary: `${parts.map(({ words }) => words).join(', ')} together at ${server}`.slice(0, summaryLettersMax),
    fields: { changes: parts.length },
    answer: answerOf({ value: entities }),
  }
}

const summaryLettersMax = 500

async function partsOf(
  client: ODataClient,
  at: Surroundings,
  { create, update, delete: remove }: NonNullable<ODataConfig['batch']>['changes'][number],
  effect: Effect,
): Promise<readonly Part[]> {
  if (create) {
    const type = typeOf(at, create.set)
    return (await entitiesOf(at, create.body)).map(entity => ({
      request: {
        method: 'POST',
        path: encodeURIComponent(create.set),
        headers: jsonHeaders,
        body: entityJson(at, type, entity),
      },
      words: `created ${create.set}`,
      type,
    }))
  }
  const named = update ?? remove
  // The schema asks for exactly one of the three.
  if (!named) return []
  const { path, type, values } = await pathOf(at, named.set, named.key)
  const state = await stateHeader(client, effect, { etag: named.etag, entity: path })
  if (!update) {
    const request = { method: 'DELETE', path, headers: { ...acceptHeader, ...state } } as const
    return [{ request, words: `deleted ${decodeURIComponent(path)}`, type }]
  }
  const body = entityJson(at, type, withoutKey(await entityOf(at, update.body), values))
  const request = { method: update.method, path, headers: { ...jsonHeaders, ...state }, body }
  return [{ request, words: `updated ${decodeURIComponent(path)}`, type }]
}

const acceptHeader = { accept: 'application/json' }
const jsonHeaders = { ...acceptHeader, 'content-type': 'application/json' }

/** The entity of an answer in plain words; {} where there is none. */
function shownOf(version: 'v2' | 'v4', type: EntityType | undefined, { body }: BatchAnswer): Json {
  if (body.length === 0) return {}
  const document = parseExact(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'))
  const value = version === 'v2' && isGroup(document) && 'd' in document ? document['d'] : document
  return value === undefined || isList(value) ? {} : readEntity(version, type, value)
}
