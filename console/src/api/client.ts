import { readJson } from '../words/directions.ts'
import { learnHubTime } from './hub-clock.ts'
import type { Problem, Session } from './types.ts'

/** What the hub refused, in its own words: code, whose turn it is, next step. */
export class Refusal extends Error {
  readonly problem: Pick<Problem, 'code' | 'side' | 'title' | 'next' | 'status'>

  constructor(problem: Refusal['problem']) {
    super(problem.title)
    this.problem = problem
  }
}

type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'

interface Call {
  /** Sent as JSON, but for a file, whose very bytes travel. */
  readonly body?: unknown
  readonly signal?: AbortSignal | undefined
}

// A page that waits for ever tells nobody anything.
const answerMs = 60_000

/** How the hub refuses a change of a page whose session is not the browser's any more. */
const otherSession = 'API_CSRF_TOKEN_MISSING'

interface Listener {
  /** The hub says that the session is over. */
  onLost(): void
  /** The browser has another session by now, of the same person or not. */
  onOther(session: Session): void
}

let session: Session | undefined
let listener: Listener | undefined

/** From now on calls are made in this session. */
export function useSessionForCalls(current: Session | undefined, tell: Listener): void {
  session = current
  listener = tell
}

/** Asks the admin API and resolves with its JSON (or nothing); throws a Refusal. */
export async function ask<Answer>(method: Method, path: string, { body, signal }: Call = {}): Promise<Answer> {
  const response = await send(method, path, { body, signal })
  const text = await response.text()
  return (text === '' ? undefined : readJson(text)) as Answer
}

/** The same for bytes that are nobody's JSON. */
export async function askBytes(path: string, signal?: AbortSignal): Promise<{ bytes: Uint8Array; headers: Headers }> {
  const response = await send('GET', path, { signal })
  return { bytes: new Uint8Array(await response.arrayBuffer()), headers: response.headers }
}

async function send(method: Method, path: string, { body, signal }: Call): Promise<Response> {
  const signals = [AbortSignal.timeout(answerMs), ...(signal ? [signal] : [])]
  let response: Response
  try {
    response = await fetch(path, {
      method,
      credentials: 'same-origin',
      headers: {
        ...(method !== 'GET' && session && { 'x-csrf-token': session.csrfToken }),
        ...(body !== undefined && {
          'content-type': body instanceof Blob ? 'application/octet-stream' : 'application/json',
        }),
      },
      ...(body !== undefined && { body: body instanceof Blob ? body : JSON.stringify(body) }),
      signal: AbortSignal.any(signals),
    })
  } catch (thrown) {
    if (signal?.aborted) throw thrown
    throw new Refusal(silence(method))
  }
  learnHubTime(response.headers.get('date'))
  if (response.ok) return response
  const refusal = new Refusal(await problemOf(method, response))
  if (response.status === 401 && session) listener?.onLost()
  if (refusal.problem.code === otherSession && (await hasNewSession())) return send(method, path, { body, signal })
  throw refusal
}

/** All tabs share one session: true when the same person signed in anew in another tab, in which calls go on. */
async function hasNewSession(): Promise<boolean> {
  const before = session
  const current = await ask<Session>('GET', '/api/session')
  if (!before || current.csrfToken === before.csrfToken) return false
  session = current
  listener?.onOther(current)
  return current.administrator.name === before.administrator.name
}

function silence(method: Method): Refusal['problem'] {
  const look = 'Look whether its process runs and whether this machine reaches it'
  return {
    code: 'CONSOLE_HUB_SILENT',
    side: 'hub',
    status: 0,
    title: 'The hub does not answer.',
    next:
      method === 'GET'
        ? `${look}; the page tries again by itself.`
        : `${look}. It may have done what you asked: look before you try again.`,
  }
}

async function problemOf(method: Method, response: Response): Promise<Refusal['problem']> {
  try {
    const problem = readJson(await response.text()) as Problem
    if (typeof problem.code === 'string') return problem
  } catch {
    // Something between browser and hub answered in its own way; the status is all there is.
  }
  return {
    ...silence(method),
    status: response.status,
    title: `The answer was ${response.status} instead of the hub’s.`,
  }
}

export function refusalOf(thrown: unknown): Refusal['problem'] {
  if (thrown instanceof Refusal) return thrown.problem
  const title = thrown instanceof Error ? thrown.message : String(thrown)
  return { code: 'CONSOLE_UNFORESEEN', side: 'hub', status: 0, title, next: 'Load the page again.' }
}

/** A path of the API with its names escaped: pathTo`/api/flows/${name}/stop`. */
export function pathTo(parts: TemplateStringsArray, ...names: readonly string[]): string {
  return parts.reduce((path, part, index) => `${path}${encodeURIComponent(names[index - 1] ?? '')}${part}`)
}

/** A query string of what is set; empty when nothing is. */
export function queryOf(fields: Readonly<Record<string, string | number | undefined>>): string {
  const set = Object.entries(fields).filter(([, value]) => value !== undefined && value !== '')
  const query = new URLSearchParams(set.map(([name, value]) => [name, String(value)]))
  return set.length === 0 ? '' : `?${query}`
}
