import type { Effect, Receipt } from '../flow/adapter.ts'
import { renderValue } from '../flow/value-template.ts'
import type { Json } from '../kernel/json.ts'
import type { ODataClient } from '../protocols/odata/client.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isGroup, readEntity } from '../protocols/odata/json.ts'
import type { EntityType } from '../protocols/odata/model.ts'
import { fieldString, operationCall, operationOf } from '../protocols/odata/url.ts'
import type { ODataConfig } from './odata-config.ts'
import { pathOf, type Surroundings } from './odata-operation.ts'
import { answerOf } from './odata-receipt.ts'
import { changeState } from './odata-state.ts'

/** Calls a function or an action: with GET what only reads, with POST what changes something. */
export async function callOperation(
  client: ODataClient,
  at: Surroundings,
  call: NonNullable<ODataConfig['call']>,
  effect: Effect,
): Promise<Receipt> {
  const { server } = at.naming
  const { config } = at
  const known = at.model && operationOf(at.model, call.name, server)
  const types = Object.entries(config.types)
  const operation =
    types.length === 0
      ? known
      : {
          name: call.name,
          qualifiedName: call.name,
          method: 'POST' as const,
          isBound: false,
          ...known,
          parameters: new Map([...(known?.parameters ?? []), ...types]),
        }
  const parameters: [string, Json][] = []
  for (const [name, value] of Object.entries(call.parameters)) {
    parameters.push([name, await renderValue(value, effect.scope)])
  }
  const entity = call.on?.key && (await pathOf(at, call.on.set, call.on.key)).path
  const on = call.on && (entity ?? encodeURIComponent(call.on.set))
  const { method, path, fields, body } = operationCall(
    at.naming,
    call.name,
    operation,
    Object.fromEntries(parameters),
    {
      method: call.method,
      on,
    },
  )
  const target = `${path}${fieldString(fields)}`
  const type = known?.set === undefined ? undefined : at.model?.sets.get(known.set)
  const summary = `called ${call.name} at ${server}`
  if (method === 'GET') {
    if (call.etag) {
      const reason = `${call.name} is asked with GET, which changes nothing`
      throw odataErrors.VALUE_UNFIT({ name: 'etag', type: 'the state of a change', reason })
    }
    const { value } = await client.read({ path: target, signal: effect.signal })
    return { isQuestion: true, summary, answer: answerOf(result(at, call.name, type, value)) }
  }
  const change = { method, path: target, body }
  const { value, headers } = await changeState(client, at, effect, change, { etag: call.etag, entity, isOnce: true })
  return { summary, answer: answerOf(value === undefined ? {} : result(at, call.name, type, value), headers) }
}

/** V2 puts what comes under the name of its function, lists apart; entities read like those of their set. */
function result({ naming }: Surroundings, name: string, type: EntityType | undefined, value: Json | undefined): Json {
  const { version } = naming
  const names = version === 'v2' && isGroup(value) ? Object.keys(value) : []
  if (names.length !== 1 || names[0] !== name) return readEntity(version, type, value ?? null)
  const wrap = type && { name, key: [], properties: new Map(), navigation: new Map([[name, type]]) }
  const plain = readEntity(version, wrap, value ?? null)
  return isGroup(plain) ? (plain[name] ?? null) : plain
}
