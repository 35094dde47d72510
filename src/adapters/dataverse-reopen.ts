import { renderValue } from '../flow/value-template.ts'
import { HubError } from '../kernel/error.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import { isFailure } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { type RecordKey, recordPath } from '../protocols/dataverse/key.ts'
import type { RecordToWrite } from '../protocols/dataverse/record.ts'
import type { BatchRequest } from '../protocols/odata/batch.ts'
import { inChangesetForm, sendChangeset } from './dataverse-changeset.ts'
import { findRecord } from './dataverse-check.ts'
import type { Job } from './dataverse-job.ts'

/** What became of each record, in their order. */
export interface ReopenedWrite {
  readonly done: 'created' | 'updated'
  readonly id: string | undefined
}

/**
 * Writes records that Dynamics 365 has just refused, when that is because a record is closed: a paid or canceled invoice is
 * read-only, and so are its lines. One changeset opens it, makes the changes and closes it again, all or none: nobody ever
 * sees a paid invoice open, and nothing stays open where a change is refused. Undefined when it is not closed: the refusal
 * was about something else.
 */
export async function writeReopened(
  job: Job,
  records: readonly RecordToWrite[],
): Promise<readonly ReopenedWrite[] | undefined> {
  const { reopen, set = '' } = job.config
  if (!reopen) return undefined
  const closed = { set: reopen.set ?? set, key: await keyOfClosed(job, records) }
  const found = closed.key && (await findRecord(of(job, closed.set), closed.key, stateColumns))
  const before = pickState(found?.record ?? {})
  if (!found || before['statecode'] === reopen.with['statecode']) return undefined
  const path = recordPath(closed.set, { id: found.id })
  const isOwn = reopen.set === undefined
  if (records.length > changesMax) {
    const reason = `${records.length} records cannot be written while a closed one is open, all or none; ${changesMax} can`
    throw dataverseErrors.BODY_UNFIT({ operation: job.config.operation, reason })
  }
  const told = isOwn ? pickState(records[0]?.values ?? {}) : {}
  const after = told['statecode'] === undefined ? before : told
  const change = (body: JsonObject): BatchRequest => ({
    method: 'PATCH',
    path,
    ...inChangesetForm(job, body, { 'if-match': '*' }),
  })
  const requests = [change(reopen.with)]
  const done: ReopenedWrite[] = []
  for (const record of records) {
    const there = isOwn ? found : record.key && (await findRecord(job, record.key, []))
    const values = isOwn ? withoutState(record.values) : record.values
    requests.push(
      there
        ? {
            method: 'PATCH',
            path: recordPath(set, { id: there.id }),
            ...inChangesetForm(job, values, { 'if-match': '*' }),
          }
        : { method: 'POST', path: encodeURIComponent(set), ...inChangesetForm(job, await newRecord(job, record)) },
    )
    done.push({ done: there ? 'updated' : 'created', id: there?.id })
  }
  requests.push(change(after))
  const ids = await sendChangeset(job, requests, true)
  return done.map((each, index) => ({ ...each, id: each.id ?? ids[index + 1] }))
}

/** True for refusals that a closed record may be the reason of; Dynamics 365 words some of them like any other. */
export function isRefusal(thrown: unknown): thrown is HubError {
  const known = [
    dataverseErrors.READ_ONLY,
    dataverseErrors.ROWS_REFUSED,
    dataverseErrors.REFUSED,
    dataverseErrors.VALUE_REFUSED,
    dataverseErrors.PLUGIN_REFUSED,
  ]
  return thrown instanceof HubError && known.some(({ code }) => thrown.code === code)
}

/** What a new record has: with what it refers to, or, where that is not there, without. */
export async function newRecord({ client, within }: Job, record: RecordToWrite): Promise<JsonObject> {
  if (!record.unlinked) return record.forNew
  for (const [name, value] of Object.entries(record.createOnly)) {
    if (!name.endsWith('@odata.bind') || typeof value !== 'string') continue
    if (!(await isThere(client, value, within))) return record.unlinked
  }
  return record.forNew
}

/** Whether there is a record at the address of a reference, `/products(new_sapkey='4711')`. */
export async function isThere(client: Job['client'], reference: string, within: Job['within']): Promise<boolean> {
  try {
    await client.read(encodeURI(reference.replace(/^\//, '').toWellFormed()), [], within)
    return true
  } catch (thrown) {
    if (!isFailure(thrown, dataverseErrors.NOT_FOUND)) throw thrown
    return false
  }
}

/** A batch of Dataverse has 1,000 requests at most (Microsoft, "Execute batch operations"); two of them open and close. */
const changesMax = 998

const stateColumns = ['statecode', 'statuscode'] as const

async function keyOfClosed({ config, effect }: Job, records: readonly RecordToWrite[]): Promise<RecordKey | undefined> {
  const named = config.reopen?.key
  if (!named) return records[0]?.key
  const columns: Record<string, Json> = {}
  for (const [name, template] of Object.entries(named)) columns[name] = await renderValue(template, effect.scope)
  return { columns }
}

/** The same job, about another table. */
function of(job: Job, set: string): Job {
  if (set === job.config.set) return job
  return { ...job, config: { ...job.config, set, id: undefined } }
}

function pickState(values: JsonObject): Readonly<Record<string, Json>> {
  return Object.fromEntries(stateColumns.flatMap(name => (values[name] === undefined ? [] : [[name, values[name]]])))
}

function withoutState(values: JsonObject): JsonObject {
  return Object.fromEntries(Object.entries(values).filter(([name]) => !stateColumns.some(each => each === name)))
}
