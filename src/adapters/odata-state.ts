import type { Effect } from '../flow/adapter.ts'
import type { Template } from '../flow/expression.ts'
import type { Change, ODataClient, Reply } from '../protocols/odata/client.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isFailure } from './odata-gone.ts'
import type { Surroundings } from './odata-operation.ts'
import { refuseDoubtful } from './odata-receipt.ts'

/** Which state of which entity a change is meant for. */
export interface WantedState {
  /** The state that the flow names; `current` is the one the entity has right now. Undefined: whichever it is. */
  readonly etag: Template | undefined
  /** Path of the entity; undefined where there is none, and so no current state. */
  readonly entity: string | undefined
  /** True for what must not be done twice, whatever the state (an action). */
  readonly isOnce?: boolean
}

/** A change of one state of an entity (If-Match): the one that the flow names, the current one, or whichever it is. */
export async function changeState(
  client: ODataClient,
  at: Surroundings,
  effect: Effect,
  change: Pick<Change, 'method' | 'path' | 'body'>,
  { etag: template, entity, isOnce = false }: WantedState,
): Promise<Reply> {
  const wanted = await wantedState(template, effect)
  const isCurrent = wanted === 'current'
  // After a change of our own that nobody heard of, the old ETag would be refused as if somebody else had been there.
  const isHarmless = !isOnce && (wanted === undefined || wanted === '*' || isCurrent)
  const isRepeatable = refuseDoubtful(at, effect, isHarmless)
  const { signal } = effect
  const etag = isCurrent ? await currentState(client, entity, signal) : wanted
  await effect.intend()
  try {
    const headers = etag === undefined ? {} : { 'if-match': etag }
    return await client.change({ ...change, headers, isRepeatable, signal })
  } catch (thrown) {
    if (!isCurrent || !isFailure(thrown, odataErrors.CHANGED_MEANWHILE)) throw thrown
    const { path = '', server = '', text = '' } = thrown.fields
    throw odataErrors.CHANGED_MEANWHILE({ path, server, text }, { cause: thrown, retry: 'soon' })
  }
}

/** The header that names the state a change is meant for; none where it is whichever there is. */
export async function stateHeader(
  client: ODataClient,
  effect: Effect,
  { etag: template, entity }: WantedState,
): Promise<Readonly<Record<string, string>>> {
  const wanted = await wantedState(template, effect)
  const etag = wanted === 'current' ? await currentState(client, entity, effect.signal) : wanted
  return etag === undefined ? {} : { 'if-match': etag }
}

async function wantedState(template: Template | undefined, { scope }: Effect): Promise<string | undefined> {
  const wanted = template && (await template.render(scope))
  if (wanted === undefined || (typeof wanted === 'string' && /^[\x21-\x7e ]{1,500}$/.test(wanted))) return wanted
  const reason = `it is ${JSON.stringify(wanted).slice(0, 60)}`
  throw odataErrors.VALUE_UNFIT({ name: 'etag', type: 'an ETag', reason })
}

async function currentState(
  client: ODataClient,
  entity: string | undefined,
  signal: AbortSignal,
): Promise<string | undefined> {
  if (entity !== undefined) return (await client.read({ path: entity, signal })).etag
  const reason = 'it is current, and no entity is named whose state that is'
  throw odataErrors.VALUE_UNFIT({ name: 'etag', type: 'an ETag', reason })
}
