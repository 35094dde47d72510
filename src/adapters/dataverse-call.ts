import type { Receipt } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { recordPath } from '../protocols/dataverse/key.ts'
import { recordOf } from '../protocols/dataverse/record.ts'
import { operationCall } from '../protocols/odata/url.ts'
import { answerOf, groupOf, headersOf, type Job, keyOf, refuseDoubtful } from './dataverse-job.ts'

/** Calls an action or a function, a custom API among them. */
export async function callOperation(job: Job): Promise<Receipt> {
  const { client, config, effect, within } = job
  const { set, name = '', operation } = config
  const { values } = recordOf(undefined, await groupOf(job))
  const key = set === undefined ? undefined : await keyOf(job, values)
  const on = set === undefined ? undefined : key ? recordPath(set, key) : encodeURIComponent(set)
  const naming = { version: 'v4', server: client.server } as const
  if (operation === 'function') {
    const { path } = operationCall(naming, name, undefined, values, { method: 'GET', on })
    return { ...receiptOf(await client.read(path, [], within)), isQuestion: true }
  }
  const isRepeatable = refuseDoubtful(job, false)
  const { path } = operationCall(naming, name, undefined, values, { method: 'POST', on })
  await effect.intend()
  const change = { method: 'POST' as const, path, body: values, headers: headersOf(job), isRepeatable, within }
  return receiptOf((await client.change(change)).value)

  function receiptOf(value: Json | undefined): Receipt {
    return {
      summary: `${name} done at ${client.server}`,
      fields: { operation: 'called', name },
      answer: answerOf(value ?? {}),
    }
  }
}
