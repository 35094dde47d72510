import type { Receipt } from '../flow/adapter.ts'
import type { JsonObject } from '../kernel/json.ts'
import { isFailure } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import { keyText, type RecordKey, recordFilter, recordPath } from '../protocols/dataverse/key.ts'
import { isGroup } from '../protocols/odata/json.ts'
import { idColumnOf, type Job, keyOf, receiptOf } from './dataverse-job.ts'

/** Looks whether there is such a record, and answers with its id and the columns that the flow names. */
export async function checkRecord(job: Job): Promise<Receipt> {
  const { client, config } = job
  const key = (await keyOf(job, undefined)) ?? { columns: {} }
  const text = keyText(key)
  const found = await findRecord(job, key, config.select ?? [])
  if (found) {
    const value = { found: true, ...found.record }
    return { ...receiptOf(job, 'found', { key: text, id: found.id, value }), isQuestion: true }
  }
  if (config.missing === 'fail') {
    const path = `${config.set}(${text})`
    throw dataverseErrors.NOT_FOUND({ server: client.server, path, code: 'asked by key', text: 'nothing has this key' })
  }
  return { ...receiptOf(job, 'missing', { key: text, id: undefined, value: { found: false } }), isQuestion: true }
}

/**
 * The record of a key. Columns are asked for with $filter, so that they need no alternate key and may hold any
 * characters. Throws DATAVERSE_KEY_AMBIGUOUS.
 */
export async function findRecord(
  job: Job,
  key: RecordKey,
  select: readonly string[],
): Promise<{ readonly id: string; readonly record: JsonObject } | undefined> {
  const { client, config, within } = job
  const { set = '', expand = [] } = config
  const idColumn = await idColumnOf(job)
  const shape: [string, string][] = [['$select', [idColumn, ...select].join(',')]]
  if (expand.length > 0 && config.operation === 'check') shape.push(['$expand', expand.join(',')])
  const records =
    'id' in key
      ? await readById()
      : await client.query(set, [...shape, ['$filter', recordFilter(set, key.columns)], ['$top', '2']], within)
  if (records.length > 1)
    throw dataverseErrors.KEY_AMBIGUOUS({ server: client.server, path: `${set}(${keyText(key)})` })
  const [record] = records
  return record && { id: String(record[idColumn]), record }

  async function readById(): Promise<readonly JsonObject[]> {
    try {
      const value = await client.read(recordPath(set, key), shape, within)
      return isGroup(value) ? [value] : []
    } catch (thrown) {
      if (isFailure(thrown, dataverseErrors.NOT_FOUND)) return []
      throw thrown
    }
  }
}
