import { hash } from 'node:crypto'
import type { Receipt } from '../flow/adapter.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { type Changed, type DataverseChange, isFailure } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { keyText, type RecordKey, recordPath } from '../protocols/dataverse/key.ts'
import {
  columnsOf,
  isPlainRecord,
  type RecordToWrite,
  recordOf,
  withoutColumns,
} from '../protocols/dataverse/record.ts'
import { findRecord } from './dataverse-check.ts'
import {
  type Done,
  groupOf,
  headersOf,
  idColumnOf,
  type Job,
  keyOf,
  receiptOf,
  refuseDoubtful,
} from './dataverse-job.ts'
import { RecordMemory } from './dataverse-memory.ts'
import { isRefusal, isThere, writeReopened } from './dataverse-reopen.ts'

export interface Written {
  readonly done: Done
  readonly id: string | undefined
}

/** upsert, check-then-write, create and update of the one record that the message is about. */
export async function writeRecord(job: Job): Promise<Receipt> {
  const body = await groupOf(job)
  const record = recordOf(await keyOf(job, body), body)
  const { key } = record
  const text = key === undefined ? '' : keyText(key)
  const memory = key && (await RecordMemory.of(job, text, record.values))
  if (memory?.isUnchanged) return receiptOf(job, 'skipped', { key: text, id: memory.id })
  const { done, id } = await writeOrReopen(job, record, memory).catch((thrown: unknown) => {
    // It may be carried out, and this message may never get through: the next one must not pass for unchanged then.
    const doubts = asHubError(thrown).isOutcomeUnknown ? (memory?.doubts() ?? []) : []
    if (doubts.length > 0) job.effect.unlearn('what was sent last may not be there any more', doubts)
    throw thrown
  })
  // Nothing was sent that the key map could remember.
  if (done === 'missing') return receiptOf(job, done, { key: text, id: undefined })
  const receipt = receiptOf(job, done, { key: key === undefined ? (id ?? 'new') : text, id: id ?? memory?.id })
  return memory ? { ...receipt, remember: memory.writes(id, done === 'updated') } : receipt
}

async function writeOrReopen(job: Job, record: RecordToWrite, memory: RecordMemory | undefined): Promise<Written> {
  try {
    return (await writeChanges(job, memory)) ?? (await writeAll(job, record, memory?.id))
  } catch (thrown) {
    const [written] = (isRefusal(thrown) && (await writeReopened(job, [record]))) || []
    if (written) return written
    const isParent = isFailure(thrown, dataverseErrors.PARENT_MISSING)
    throw isParent && job.config.references === 'refuse' ? await missingReference(job, record, thrown) : thrown
  }
}

function writeAll(job: Job, record: RecordToWrite, known: string | undefined): Promise<Written> {
  const { operation } = job.config
  if (operation === 'create') return create(job, record)
  if (operation === 'update') return update(job, record)
  return operation === 'check-then-write' ? checkThenWrite(job, record, known) : upsert(job, record)
}

/** The references of a record that lead nowhere, by name. */
async function missingReference({ client, within }: Job, record: RecordToWrite, thrown: HubError): Promise<HubError> {
  const missing: string[] = []
  for (const [name, value] of Object.entries({ ...record.values, ...record.createOnly })) {
    if (!name.endsWith('@odata.bind') || typeof value !== 'string') continue
    if (!(await isThere(client, value, within))) missing.push(`${value} (${name.replace('@odata.bind', '')})`)
  }
  // It may have come meanwhile: then the next attempt finds it.
  if (missing.length === 0) return thrown
  const { server, path } = thrown.fields
  return dataverseErrors.REFERENCE_MISSING({ server, path, missing: missing.join(', ') }, { cause: thrown })
}

/** What differs from what was sent last, to the record as it is known; undefined where all has to be sent. */
async function writeChanges(job: Job, memory: RecordMemory | undefined): Promise<Written | undefined> {
  if (!memory?.changes || memory.id === undefined) return undefined
  const path = recordPath(job.config.set ?? '', { id: memory.id })
  const change = { ...(await changeOf(job, true)), tell: undefined, path, body: memory.changes }
  try {
    await job.client.change({ ...change, method: 'PATCH', ifMatch: '*' })
    return { done: 'updated', id: memory.id }
  } catch (thrown) {
    // The record is gone, or one that it refers to: the whole record tells which.
    if (isFailure(thrown, dataverseErrors.NOT_FOUND)) return undefined
    throw thrown
  }
}

/**
 * One atomic PATCH. Where the flow has fields for new records only: the PATCH of an existing one first, and where there is
 * none, the PATCH that makes one. Somebody else may come between: then once more.
 */
export async function upsert(job: Job, record: RecordToWrite): Promise<Written> {
  const { set = '' } = job.config
  const path = recordPath(set, record.key ?? { id: '' })
  const patch = { ...(await changeOf(job, true)), method: 'PATCH' as const, path }
  if (isPlainRecord(record)) {
    return writtenOf(await orParent(orAgain(() => job.client.change({ ...patch, body: record.values }))))
  }
  const columns = columnsOf(record.key)
  const make = (whole: JsonObject) =>
    job.client.change({ ...patch, body: withoutColumns(whole, columns), ifNoneMatch: '*' })
  for (let isLast = false; ; isLast = true) {
    const missing = await job.client.change({ ...patch, body: record.values, ifMatch: '*' }).then(
      changed => ({ changed }),
      (thrown: unknown) => {
        if (isFailure(thrown, dataverseErrors.NOT_FOUND)) return { thrown }
        throw thrown
      },
    )
    if ('changed' in missing) return { done: 'updated', id: missing.changed.id }
    try {
      const { id } = await orParent(orUnlinked(record, make))
      return { done: 'created', id }
    } catch (thrown) {
      if (!isFailure(thrown, dataverseErrors.EXISTS_ALREADY)) throw thrown
      // It is there, and still the change found something missing: what it refers to.
      if (isLast) throw parentMissing(missing.thrown)
    }
  }
}

async function create(job: Job, record: RecordToWrite): Promise<Written> {
  const { client, effect, config } = job
  const { set = '' } = config
  const hasKey = record.key !== undefined
  const isRepeatable = refuseDoubtful(job, hasKey)
  const base = await changeOf(job, isRepeatable)
  await effect.intend()
  if (record.key === undefined) {
    const post = (body: JsonObject) => client.change({ ...base, method: 'POST', path: encodeURIComponent(set), body })
    return { done: 'created', id: (await orParent(orUnlinked(record, post))).id }
  }
  const path = recordPath(set, record.key)
  const columns = columnsOf(record.key)
  const make = (whole: JsonObject) =>
    client.change({ ...base, method: 'PATCH', path, body: withoutColumns(whole, columns), ifNoneMatch: '*' })
  try {
    const made = await orParent(orUnlinked(record, make))
    return { done: 'created', id: made.id }
  } catch (thrown) {
    if (!effect.isUnknown || !isFailure(thrown, dataverseErrors.EXISTS_ALREADY)) throw thrown
    // An earlier attempt of ours ended without an answer: this is what it made.
    const found = await findRecord(job, record.key, [])
    return { done: 'created', id: found?.id }
  }
}

async function update(job: Job, record: RecordToWrite): Promise<Written> {
  const { client, config } = job
  const { set = '' } = config
  const { key = { id: '' } } = record
  const base = { ...(await changeOf(job, true)), method: 'PATCH' as const, ifMatch: '*', body: record.values }
  try {
    const { id } = await client.change({ ...base, path: recordPath(set, key) })
    return { done: 'updated', id: id ?? ('id' in key ? key.id : undefined) }
  } catch (thrown) {
    if (!isFailure(thrown, dataverseErrors.NOT_FOUND)) throw thrown
    // The record, or one that it refers to: a look tells which.
    if (hasReference(record.values) && (await findRecord(job, key, []))) throw parentMissing(thrown)
    if (config.missing === 'ok') return { done: 'missing', id: undefined }
    throw config.missing === 'wait' ? awaited(thrown) : thrown
  }
}

/** As SAP PO does it: look, then PATCH by the id or POST. Works without an alternate key, with any characters. */
async function checkThenWrite(job: Job, record: RecordToWrite, remembered: string | undefined): Promise<Written> {
  const { client, config } = job
  const { set = '' } = config
  const { key = { id: '' } } = record
  const base = await changeOf(job, true)
  let known = remembered
  for (let round = 1; ; round += 1) {
    const id = known ?? (await findRecord(job, key, []))?.id
    try {
      if (id !== undefined) {
        await client.change({
          ...base,
          method: 'PATCH',
          path: recordPath(set, { id }),
          ifMatch: '*',
          body: record.values,
        })
        return { done: 'updated', id }
      }
      const own = { [await idColumnOf(job)]: newIdOf(job, key) }
      const post = (body: JsonObject) =>
        client.change({ ...base, method: 'POST', path: encodeURIComponent(set), body: { ...own, ...body } })
      return { done: 'created', id: (await orParent(orUnlinked(record, post))).id }
    } catch (thrown) {
      const isGone = id !== undefined && isFailure(thrown, dataverseErrors.NOT_FOUND)
      const isThere = id === undefined && isFailure(thrown, dataverseErrors.EXISTS_ALREADY)
      if (!isGone && !isThere) throw thrown
      if (isGone && known === undefined && round > 1) throw parentMissing(thrown)
      if (round > 2) throw thrown
      known = undefined
    }
  }
}

/**
 * The id of a record to be made: the same at each attempt, so that one which comes into being after the next attempt has
 * looked for it is not made twice. It ends with the time of the message, by which SQL Server puts ids in order.
 */
function newIdOf({ message, effect, config }: Job, key: RecordKey): string {
  if ('id' in key && key.id !== '') return key.id
  const { stage, name } = effect.scope.flow
  const seed = hash('sha256', JSON.stringify([stage, name, effect.key, config.set, keyText(key)]))
  const hex = `${seed.slice(0, 20)}${message.acceptedAt.toString(16).padStart(12, '0').slice(-12)}`
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')
}

/** What all changes of a job have alike. */
export async function changeOf(
  job: Job,
  isRepeatable: boolean,
): Promise<Pick<DataverseChange, 'tell' | 'headers' | 'isRepeatable' | 'within'>> {
  const tell = job.config['tell-id'] ? await idColumnOf(job) : undefined
  return { tell, headers: headersOf(job), isRepeatable, within: job.within }
}

function writtenOf({ status, id }: Changed): Written {
  return { done: status === 201 ? 'created' : status === 200 ? 'updated' : 'upserted', id }
}

/** Makes a record with what it refers to, or, where that is not there and the flow knows a way, without. */
async function orUnlinked(record: RecordToWrite, make: (whole: JsonObject) => Promise<Changed>): Promise<Changed> {
  try {
    return await make(record.forNew)
  } catch (thrown) {
    if (!record.unlinked || !isFailure(thrown, dataverseErrors.NOT_FOUND)) throw thrown
    return await make(record.unlinked)
  }
}

/** Of two that make the same record at the same moment one is refused, and finds it there the next time. */
async function orAgain(upsertOnce: () => Promise<Changed>): Promise<Changed> {
  try {
    return await upsertOnce()
  } catch (thrown) {
    if (!isFailure(thrown, dataverseErrors.EXISTS_ALREADY)) throw thrown
    return await upsertOnce()
  }
}

/** A change that may make its record finds nothing missing but what the record refers to. */
async function orParent(change: Promise<Changed>): Promise<Changed> {
  try {
    return await change
  } catch (thrown) {
    throw isFailure(thrown, dataverseErrors.NOT_FOUND) ? parentMissing(thrown) : thrown
  }
}

function awaited({ fields }: HubError) {
  const { server, path, code, text } = fields
  return dataverseErrors.RECORD_AWAITED({ server, path, code, text })
}

function parentMissing(thrown: unknown) {
  const fields = isFailure(thrown, dataverseErrors.NOT_FOUND) ? thrown.fields : {}
  const { server, path, code, text } = fields
  return dataverseErrors.PARENT_MISSING({ server, path, code, text }, { cause: thrown })
}

function hasReference(values: JsonObject): boolean {
  return Object.keys(values).some(name => name.endsWith('@odata.bind'))
}
