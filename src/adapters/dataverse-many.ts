import type { Receipt } from '../flow/adapter.ts'
import { asHubError, HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { keyText, recordPath } from '../protocols/dataverse/key.ts'
import {
  columnsOf,
  isPlainRecord,
  type RecordToWrite,
  recordOf,
  withoutColumns,
} from '../protocols/dataverse/record.ts'
import type { BatchRequest } from '../protocols/odata/batch.ts'
import { isGroup, isList } from '../protocols/odata/json.ts'
import { inChangesetForm, sendChangeset } from './dataverse-changeset.ts'
import { findRecord } from './dataverse-check.ts'
import { answerOf, type Done, headersOf, type Job, keyIn, listOf, refuseDoubtful } from './dataverse-job.ts'
import { isRefusal, newRecord, type ReopenedWrite, writeReopened } from './dataverse-reopen.ts'
import { upsert } from './dataverse-write.ts'

interface Row {
  readonly record: RecordToWrite
  readonly key: string
}

interface RowDone {
  readonly key: string
  readonly operation: Done
  readonly id?: string
}

/** Requests of one message under way at the same time; the gate of the environment decides over all messages. */
const rowsAtOnce = 16

/** upsert-many and create-many: a list of records, one by one, in changesets or with UpsertMultiple and CreateMultiple. */
export async function writeMany(job: Job): Promise<Receipt> {
  const { client, config } = job
  const { set = '', key, operation, by } = config
  const names = Array.isArray(key) ? key : []
  const rows = (await listOf(job)).map((body, index): Row => {
    const own = names.length > 0 ? keyIn(set, names, body) : undefined
    return { record: recordOf(own, body), key: own ? keyText(own) : String(index + 1) }
  })
  const done = operation === 'create-many' ? await createAll(job, rows) : await upsertOrReopen(job, rows, by)
  const count = (what: Done) => done.filter(row => row.operation === what).length
  const counts = { created: count('created'), updated: count('updated'), upserted: count('upserted') }
  const told = Object.entries(counts).filter(([, number]) => number > 0)
  const words = told.map(([what, number]) => `${number} ${what}`).join(', ') || 'nothing to write'
  const rowsDone = done.map(row => ({ ...row }))
  return {
    summary: `${words}: ${set} at ${client.server}`,
    fields: { operation: 'many', set, count: done.length, ...counts },
    answer: answerOf({ operation: 'many', set, ...counts, records: rowsDone }),
  }
}

/** Where the record that they belong to is closed and refuses them: all or none of them while it is open. */
async function upsertOrReopen(job: Job, rows: readonly Row[], by: Job['config']['by']): Promise<readonly RowDone[]> {
  const reopened = () =>
    writeReopened(
      job,
      rows.map(({ record }) => record),
    )
  // One look, rather than a refusal for each of them.
  const written = job.config.reopen && rows.length > 1 ? await reopened() : undefined
  if (written) return doneOf(rows, written)
  try {
    return await upsertAll(job, rows, by)
  } catch (thrown) {
    const late = isRefusal(thrown) ? await reopened() : undefined
    if (!late) throw thrown
    return doneOf(rows, late)
  }
}

function doneOf(rows: readonly Row[], written: readonly ReopenedWrite[]): readonly RowDone[] {
  return rows.map(({ key }, index) => {
    const { done = 'updated', id } = written[index] ?? {}
    return { key, operation: done, ...(id !== undefined && { id }) }
  })
}

async function upsertAll(job: Job, rows: readonly Row[], by: Job['config']['by']): Promise<readonly RowDone[]> {
  if (by === 'record') return oneByOne(job, rows)
  if (by === 'changeset') {
    const done: RowDone[] = []
    for (const part of parts(rows, job.config['per-request'])) done.push(...(await inChangeset(job, part)))
    return done
  }
  // UpsertMultiple does not tell new records from old ones, so those with fields for new ones go alone.
  const plain = rows.filter(({ record }) => isPlainRecord(record))
  const done: RowDone[] = []
  for (const part of parts(plain, job.config['per-request'])) {
    try {
      await multiple(job, 'UpsertMultiple', part)
      done.push(...part.map(({ key }) => ({ key, operation: 'upserted' as const })))
    } catch (thrown) {
      // All or none: one wrong record keeps the others out, until each goes for itself.
      if (!(thrown instanceof HubError) || !thrown.isAboutMessage) throw thrown
      done.push(...(await oneByOne(job, part)))
    }
  }
  return [
    ...done,
    ...(await oneByOne(
      job,
      rows.filter(row => !plain.includes(row)),
    )),
  ]
}

/** All or none, since a second try would make what the first one has made. */
async function createAll(job: Job, rows: readonly Row[]): Promise<readonly RowDone[]> {
  const { config, effect } = job
  const most = config['per-request']
  if (rows.length > most) {
    const reason = `${rows.length} records cannot be made all or none, ${most} can (per-request)`
    throw dataverseErrors.BODY_UNFIT({ operation: config.operation, reason })
  }
  if (rows.length === 0) return []
  const isRepeatable = refuseDoubtful(job, false)
  await effect.intend()
  if (config.by === 'multiple') {
    const ids = await multiple(job, 'CreateMultiple', rows, isRepeatable)
    return rows.map(({ key }, index) => ({ key, operation: 'created', ...(ids[index] && { id: ids[index] }) }))
  }
  const path = encodeURIComponent(config.set ?? '')
  const requests = rows.map(
    ({ record }): BatchRequest => ({ method: 'POST', path, ...inChangesetForm(job, record.forNew) }),
  )
  const ids = await sendChangeset(job, requests, isRepeatable)
  return rows.map(({ key }, index) => ({ key, operation: 'created', ...(ids[index] && { id: ids[index] }) }))
}

/** Each record for itself; the same key never twice at a time. Those that can be written are, whatever the others do. */
async function oneByOne(job: Job, rows: readonly Row[]): Promise<readonly RowDone[]> {
  const byKey = Map.groupBy(rows, ({ key }) => key)
  const queue = [...byKey.values()]
  const done: RowDone[] = []
  const failed: HubError[] = []
  const work = async () => {
    for (let next = queue.shift(); next; next = queue.shift()) {
      for (const { record, key } of next) {
        try {
          const { done: operation, id } = await upsert(job, record)
          done.push({ key, operation, ...(id !== undefined && { id }) })
        } catch (thrown) {
          failed.push(asHubError(thrown))
        }
      }
    }
  }
  await Promise.all(Array.from({ length: Math.min(rowsAtOnce, queue.length) }, work))
  // What may still succeed by itself decides; what is refused for good is told in the end.
  const [first] = failed
  const retriable = failed.find(error => error.retry === 'soon') ?? failed.find(error => error.retry === 'after-change')
  if (retriable) throw retriable
  if (first === undefined) return done
  const { config, client } = job
  const fields = { server: client.server, set: config.set, count: failed.length, total: rows.length }
  throw dataverseErrors.ROWS_REFUSED({ ...fields, text: first.message }, { cause: first })
}

/** UpsertMultiple or CreateMultiple. The key stands in @odata.id alone: in the body too it is a 400 (0x80040216). */
async function multiple(
  job: Job,
  action: 'UpsertMultiple' | 'CreateMultiple',
  rows: readonly Row[],
  isRepeatable = true,
): Promise<readonly string[]> {
  const { client, config, within } = job
  const { set = '' } = config
  const { logicalName } = await client.facts(set, within)
  const targets = rows.map(({ record }): JsonObject => {
    const type = { '@odata.type': `Microsoft.Dynamics.CRM.${logicalName}` }
    if (action === 'CreateMultiple' || record.key === undefined) return { ...type, ...record.forNew }
    return { ...type, '@odata.id': decodeURIComponent(recordPath(set, record.key)), ...record.values }
  })
  const path = `${encodeURIComponent(set)}/Microsoft.Dynamics.CRM.${action}`
  const change = {
    method: 'POST' as const,
    path,
    body: { Targets: targets },
    headers: headersOf(job),
    isRepeatable,
    within,
  }
  const { value } = await client.change(change)
  const ids = isGroup(value) ? value['Ids'] : undefined
  return isList(ids) ? ids.map(String) : []
}

async function inChangeset(job: Job, rows: readonly Row[]): Promise<readonly RowDone[]> {
  const { set = '' } = job.config
  const requests: BatchRequest[] = []
  const operations: Done[] = []
  for (const { record } of rows) {
    const { key = { id: '' }, values } = record
    const path = recordPath(set, key)
    const isPlain = isPlainRecord(record)
    // In a changeset nothing can be tried first: the answer would end it.
    const isThere = isPlain || (await findRecord(job, key, [])) !== undefined
    const condition: Record<string, string> = isPlain ? {} : isThere ? { 'if-match': '*' } : { 'if-none-match': '*' }
    const body = isThere ? values : withoutColumns(await newRecord(job, record), columnsOf(key))
    requests.push({ method: 'PATCH', path, ...inChangesetForm(job, body, condition) })
    operations.push(isPlain ? 'upserted' : isThere ? 'updated' : 'created')
  }
  const ids = await sendChangeset(job, requests, true)
  return rows.map(({ key }, index) => ({
    key,
    operation: operations[index] ?? 'upserted',
    ...(ids[index] && { id: ids[index] }),
  }))
}

function* parts<T>(all: readonly T[], size: number): Generator<readonly T[]> {
  for (let at = 0; at < all.length; at += size) yield all.slice(at, at + size)
}
