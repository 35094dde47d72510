import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import type { GraphCall, GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { graphLimits } from '../../protocols/graph/limits.ts'
import type { GraphAnswer } from '../../protocols/graph/refusal.ts'
import { listAt } from './row.ts'
import { taskLink, taskLinkBody } from './task.ts'

/** A task whose mark is written, with the change of the task itself, which carries its version as condition. */
export interface LinkedTask {
  readonly change: GraphCall
  readonly mark: string | null
  readonly subject: string
}

/**
 * Changes tasks with their marks, which in To Do are entities of their own: three requests for ten tasks, instead of four
 * for each. Answers the tasks as they are afterwards, or why Graph refused one.
 */
export async function writeTaskLinks(
  client: GraphClient,
  tasks: readonly LinkedTask[],
  signal: AbortSignal,
): Promise<readonly (JsonObject | HubError)[]> {
  const results: (JsonObject | HubError)[] = []
  // Two requests for each task go together, so half as many tasks as a batch has requests.
  const size = Math.floor(graphLimits.batchRequests / 2)
  for (let from = 0; from < tasks.length; from += size) {
    results.push(...(await writeSome(client, tasks.slice(from, from + size), signal)))
  }
  return results
}

async function writeSome(client: GraphClient, tasks: readonly LinkedTask[], signal: AbortSignal) {
  const first = await client.batch(
    tasks.flatMap(({ change }) => [change, { method: 'GET', path: linksOf(change) } satisfies GraphCall]),
    signal,
  )
  const results = tasks.map((_, index) => first[2 * index] ?? graphErrors.GONE(nothing))
  const calls: { readonly index: number; readonly call: GraphCall }[] = []
  for (const [index, { change, mark, subject }] of tasks.entries()) {
    const links = first[2 * index + 1]
    if (results[index] instanceof HubError) continue
    if (!links || links instanceof HubError) {
      results[index] = links ?? graphErrors.GONE(nothing)
      continue
    }
    const known = taskLink({ linkedResources: [...listAt(bodyOf(links), 'value')] })
    if (known?.mark === mark) continue
    const path = linksOf(change)
    if (known) calls.push({ index, call: { method: 'DELETE', path: `${path}/${encodeURIComponent(known.id)}` } })
    if (mark !== null) calls.push({ index, call: { method: 'POST', path, body: taskLinkBody(mark, subject) } })
  }
  const written = await client.batch(
    calls.map(({ call }) => call),
    signal,
  )
  for (const [at, { index }] of calls.entries()) {
    const answer = written[at]
    if (answer instanceof HubError) results[index] = answer
  }
  // A link is part of its task: the version is another one now.
  const linked = [...new Set(calls.map(({ index }) => index))].filter(index => !(results[index] instanceof HubError))
  const now = await client.batch(
    linked.map((index): GraphCall => ({ method: 'GET', path: tasks[index]?.change.path ?? '' })),
    signal,
  )
  for (const [at, index] of linked.entries()) results[index] = now[at] ?? graphErrors.GONE(nothing)
  return results.map(result => (result instanceof HubError ? result : bodyOf(result)))
}

const nothing = { path: 'todo', code: 'no answer', text: 'the batch answered without it' }

function linksOf({ path }: GraphCall): string {
  return `${path}/linkedResources`
}

function bodyOf({ body }: GraphAnswer): JsonObject {
  return (body ?? {}) as JsonObject
}
