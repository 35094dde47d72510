import type { Effect, Receipt } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import type { Change, ODataClient, Reply } from '../protocols/odata/client.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isGroup, readEntity } from '../protocols/odata/json.ts'
import type { EntityType } from '../protocols/odata/model.ts'
import type { ODataConfig } from './odata-config.ts'
import { answers, isFailure } from './odata-gone.ts'
import { entityJson, entityOf, pathOf, type Surroundings, typeOf, withoutKey } from './odata-operation.ts'
import { answerOf, refuseDoubtful } from './odata-receipt.ts'
import { changeState } from './odata-state.ts'

/** Creates, updates, upserts or deletes, whichever the flow names. */
export async function changeEntity(client: ODataClient, at: Surroundings, effect: Effect): Promise<Receipt> {
  const { create, update, upsert, delete: remove } = at.config
  if (create) return createEntity(client, at, create, effect)
  if (update) return updateEntity(client, at, update, effect)
  if (upsert) return upsertEntity(client, at, upsert, effect)
  if (remove) return deleteEntity(client, at, remove, effect)
  throw odataErrors.VALUE_UNFIT({ name: 'the receiver', type: 'an operation', reason: 'none is named' })
}

async function createEntity(
  client: ODataClient,
  at: Surroundings,
  create: NonNullable<ODataConfig['create']>,
  effect: Effect,
): Promise<Receipt> {
  const isRepeatable = refuseDoubtful(at, effect, false)
  const type = typeOf(at, create.set)
  const body = entityJson(at, type, await entityOf(at, create.body))
  await effect.intend()
  const reply = await client.change({
    method: 'POST',
    path: encodeURIComponent(create.set),
    body,
    isRepeatable,
    signal: effect.signal,
  })
  return receiptOf(at, 'created', create.set, type, reply)
}

async function updateEntity(
  client: ODataClient,
  at: Surroundings,
  update: NonNullable<ODataConfig['update']>,
  effect: Effect,
): Promise<Receipt> {
  const { path, type, values } = await pathOf(at, update.set, update.key)
  const body = entityJson(at, type, withoutKey(await entityOf(at, update.body), values))
  const reply = await changeState(
    client,
    at,
    effect,
    { method: update.method, path, body },
    { etag: update.etag, entity: path },
  )
  return receiptOf(at, 'updated', decodeURIComponent(path), type, reply)
}

/**
 * V4 creates what a PATCH does not find (OData Protocol 4.01 section 11.4.4), though not every service does. Where it is
 * not created, it is created with the key in the entity. If-Match: * says that any state of it will do.
 */
async function upsertEntity(
  client: ODataClient,
  at: Surroundings,
  upsert: NonNullable<ODataConfig['upsert']>,
  effect: Effect,
): Promise<Receipt> {
  const isRepeatable = refuseDoubtful(at, effect, true)
  const { path, type, values } = await pathOf(at, upsert.set, upsert.key)
  const entity = withoutKey(await entityOf(at, upsert.body), values)
  const { signal } = effect
  const patch: Change = { method: 'PATCH', path, body: entityJson(at, type, entity), isRepeatable, signal }
  const anyState: Change = { ...patch, headers: { 'if-match': '*' } }
  await effect.intend()
  try {
    const reply = await client.change(at.naming.version === 'v2' ? anyState : patch).catch((thrown: unknown) => {
      if (isFailure(thrown, odataErrors.ETAG_WANTED)) return client.change(anyState)
      throw thrown
    })
    return receiptOf(at, reply.status === 201 ? 'created' : 'updated', decodeURIComponent(path), type, reply)
  } catch (thrown) {
    const isNotThere = isFailure(thrown, odataErrors.NOT_FOUND) || isFailure(thrown, odataErrors.CHANGED_MEANWHILE)
    if (!isNotThere || !(await answers(client, at, upsert.set, signal))) throw thrown
  }
  const body = entityJson(at, type, { ...entity, ...values })
  const reply = await client.change({
    method: 'POST',
    path: encodeURIComponent(upsert.set),
    body,
    isRepeatable,
    signal,
  })
  return receiptOf(at, 'created', upsert.set, type, reply)
}

async function deleteEntity(
  client: ODataClient,
  at: Surroundings,
  remove: NonNullable<ODataConfig['delete']>,
  effect: Effect,
): Promise<Receipt> {
  const { path, type } = await pathOf(at, remove.set, remove.key)
  try {
    const reply = await changeState(client, at, effect, { method: 'DELETE', path }, { etag: remove.etag, entity: path })
    return receiptOf(at, 'deleted', decodeURIComponent(path), type, reply)
  } catch (thrown) {
    const mayBeGone = remove.missing === 'ok' && isFailure(thrown, odataErrors.NOT_FOUND)
    if (!mayBeGone || !(await answers(client, at, remove.set, effect.signal))) throw thrown
    const summary = `${decodeURIComponent(path)} is not there any more at ${at.naming.server}`
    return { summary, answer: answerOf({}) }
  }
}

function receiptOf(
  at: Surroundings,
  done: string,
  what: string,
  type: EntityType | undefined,
  { value, etag, headers }: Reply,
): Receipt {
  const { version, server } = at.naming
  const id = headers['odata-entityid'] ?? headers['location']
  const shown: Json = value === undefined ? {} : readEntity(version, type, value)
  const marks = { ...(etag !== undefined && { '@odata.etag': etag }), ...(id !== undefined && { '@odata.id': id }) }
  return {
    summary: `${done} ${what} at ${server}${id === undefined ? '' : `: ${id}`}`,
    fields: { ...(etag !== undefined && { etag }), ...(id !== undefined && { location: id }) },
    ...(id !== undefined && { terms: [id] }),
    answer: answerOf(isGroup(shown) ? { ...marks, ...shown } : shown, headers),
  }
}
