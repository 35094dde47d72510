import type { JsonObject } from '../kernel/json.ts'
import { isFailure } from '../protocols/dataverse/client.ts'
import { dataverseErrors } from '../protocols/dataverse/errors.ts'
import type { BatchRequest } from '../protocols/odata/batch.ts'
import { headersOf, type Job } from './dataverse-job.ts'

/** Sends requests that are done all or none; the ids that their answers name. */
export async function sendChangeset(
  { client, config, within }: Job,
  requests: readonly BatchRequest[],
  isRepeatable: boolean,
): Promise<readonly (string | undefined)[]> {
  if (requests.length === 0) return []
  const how = { within, isRepeatable, continueOnError: true }
  const [result] = await client.batch([{ changeset: requests }], how)
  if (result && 'answers' in result) return result.answers.map(({ headers }) => client.idIn(headers))
  const failed = result && 'failed' in result ? result.failed : undefined
  if (!failed) {
    const text = 'the changeset has no answer'
    throw dataverseErrors.SERVER_FAILED({ server: client.server, status: 200, code: '$batch', text })
  }
  const error = client.failure(failed, config.set ?? '')
  const isRace = isFailure(error, dataverseErrors.EXISTS_ALREADY) || isFailure(error, dataverseErrors.NOT_FOUND)
  if (!isRace || !isRepeatable) throw error
  const { server, path, code, text } = error.fields
  throw dataverseErrors.PARENT_MISSING({ server, path, code, text }, { cause: error })
}

/** Headers and body of a request of a changeset. */
export function inChangesetForm(job: Job, body: JsonObject, condition: Readonly<Record<string, string>> = {}) {
  const headers = { 'content-type': 'application/json; type=entry', ...headersOf(job), ...condition }
  return { headers, body: JSON.stringify(body) }
}
