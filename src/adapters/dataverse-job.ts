import type { Effect, Receipt } from '../flow/adapter.ts'
import { renderValue } from '../flow/value-template.ts'
import { bodyErrors, readBody, refuseTooManyGroups } from '../kernel/body.ts'
import { HubError } from '../kernel/error.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMap } from '../kernel/key-map.ts'
import type { Limits } from '../kernel/limit.ts'
import type { Message } from '../kernel/message.ts'
import type { DataverseClient, Within } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { isGuid, type RecordKey } from '../protocols/dataverse/key.ts'
import { parseKeepingDigits } from '../protocols/dataverse/record.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import { isGroup, isList } from '../protocols/odata/json.ts'
import type { DataverseConfig } from './dataverse-config.ts'

/** One message for Dynamics 365, and all that is needed to bring it there. */
export interface Job {
  readonly client: DataverseClient
  readonly config: DataverseConfig
  readonly message: Message
  readonly effect: Effect
  readonly limits: Pick<Limits, 'parseBytes'>
  readonly keyMap: KeyMap | undefined
  readonly within: Within
}

/** Records of one message: at the pace of Dynamics 365 (20 a second) they are written within one attempt. */
const recordsMax = 5000

/** What became of a record; receipts, answers and acknowledgements use these words. */
export type Done = 'created' | 'updated' | 'upserted' | 'skipped' | 'found' | 'missing'

export async function bodyOf({ config, message, effect, limits }: Job): Promise<Json> {
  if (config.body) return renderValue(config.body, effect.scope)
  const bytes = await readBody(message.body, limits.parseBytes, 'reading a body into memory (parseBytes)')
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes)
    refuseTooManyGroups(text)
    return parseKeepingDigits(text)
  } catch (cause) {
    if (cause instanceof HubError) throw cause
    const text = cause instanceof Error ? cause.message : String(cause)
    throw bodyErrors.NOT_TEXT({ format: 'JSON', text }, { cause })
  }
}

export async function groupOf(job: Job): Promise<JsonObject> {
  const body = await bodyOf(job)
  if (isGroup(body)) return body
  throw unfit(job, 'it is no group of names and values')
}

export async function listOf(job: Job): Promise<readonly JsonObject[]> {
  const body = await bodyOf(job)
  if (!isList(body)) throw unfit(job, 'it is no list of records')
  if (body.length > recordsMax) {
    throw unfit(
      job,
      `${body.length} records are more than ${recordsMax}, which an attempt can write; split comes before`,
    )
  }
  return body.map((each, index) => {
    if (isGroup(each)) return each
    throw unfit(job, `number ${index + 1} of the list is no group of names and values`)
  })
}

/** The record that the flow means. Throws DATAVERSE_KEY_EMPTY, DATAVERSE_KEY_UNFIT. */
export async function keyOf(job: Job, body: JsonObject | undefined): Promise<RecordKey | undefined> {
  const { key, set = '' } = job.config
  if (key === undefined) return undefined
  if (Array.isArray(key)) return keyIn(set, key, body ?? (await groupOf(job)))
  if ('render' in key) {
    const id = await (key as { render(scope: Job['effect']['scope']): Json | Promise<Json> }).render(job.effect.scope)
    if (isGuid(id)) return { id }
    const value = JSON.stringify(id).slice(0, 60)
    throw dataverseErrors.KEY_UNFIT({ set, column: 'the id', value, reason: 'an id is a GUID' })
  }
  const columns: Record<string, Json> = {}
  for (const [name, template] of Object.entries(key)) columns[name] = await renderValue(template, job.effect.scope)
  return { columns }
}

/** The key of a record by columns of its own. */
export function keyIn(set: string, names: readonly string[], record: JsonObject): RecordKey {
  const columns: Record<string, Json> = {}
  for (const column of names) {
    const value = record[column]
    if (value === undefined || value === null || value === '') throw dataverseErrors.KEY_EMPTY({ set, column })
    columns[column] = value
  }
  return { columns }
}

/** The column that holds the id of records, where somebody wants to know it. */
export async function idColumnOf({ client, config, within }: Job): Promise<string> {
  return config.id ?? (await client.facts(config.set ?? '', within)).idColumn
}

/**
 * Whether a change may be sent again after an attempt whose end nobody knows. Throws ODATA_OUTCOME_UNKNOWN when there was
 * such an attempt and it may not. `isHarmless`: doing it twice leaves the same.
 */
export function refuseDoubtful({ config, client, effect }: Job, isHarmless: boolean): boolean {
  const onUnknown = config['on-unknown'] ?? (isHarmless ? 'send-again' : 'set-aside')
  if (effect.isUnknown && onUnknown === 'set-aside') {
    const reason = 'an earlier attempt ended without an answer'
    throw odataErrors.OUTCOME_UNKNOWN({ server: client.server, reason })
  }
  return onUnknown === 'send-again'
}

export function headersOf({ config }: Job): Readonly<Record<string, string>> {
  const own = Object.entries(config.headers).map(([name, value]) => [name.toLowerCase(), value])
  return {
    ...Object.fromEntries(own),
    ...(config['detect-duplicates'] && { 'mscrm.suppressduplicatedetection': 'false' }),
  }
}

/** The receipt of one record; its answer says the same as JSON. */
export function receiptOf(
  { client, config }: Job,
  done: Done,
  { key, id, value = {} }: { readonly key: string; readonly id: string | undefined; readonly value?: JsonObject },
): Receipt {
  const { set = '' } = config
  const facts = { operation: done, set, key, ...(id !== undefined && { id }) }
  const missing = config.operation === 'update' ? 'not there, so nothing to change' : 'not found'
  const words = done === 'missing' ? missing : done === 'skipped' ? 'skipped (unchanged)' : done
  return {
    summary: `${words}: ${set}(${key}) at ${client.server}${id === undefined || id === key ? '' : `, ${id}`}`,
    fields: facts,
    ...(id !== undefined && { terms: [id] }),
    answer: answerOf({ ...facts, ...value }),
  }
}

export function answerOf(value: Json): NonNullable<Receipt['answer']> {
  return { headers: {}, type: 'application/json', body: Buffer.from(JSON.stringify(value)) }
}

function unfit({ config }: Job, reason: string) {
  return dataverseErrors.BODY_UNFIT({ operation: config.operation, reason })
}
