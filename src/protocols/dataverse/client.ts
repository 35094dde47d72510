import { HubError } from '../../kernel/error.ts'
import type { Json, JsonObject } from '../../kernel/json.ts'
import { HOUR } from '../../kernel/time.ts'
import type { BatchAnswer, BatchPart, BatchResult } from '../odata/batch.ts'
import { ODataClient, type Reply } from '../odata/client.ts'
import type { ExchangeOptions } from '../odata/exchange.ts'
import { isGroup, isList } from '../odata/json.ts'
import { fieldString } from '../odata/url.ts'
import { dataverseErrors } from './errors.ts'
import { dataverseDoubt, dataverseFailure } from './failure.ts'
import type { Gate, Turn } from './gate.ts'
import { isGuid } from './key.ts'

export interface DataverseClientOptions
  extends Omit<ExchangeOptions, 'root' | 'failureOf' | 'doubtOf' | 'keepsCookies'> {
  /** Address of the environment, `https://contoso.crm4.dynamics.com`. */
  readonly environment: URL
  /** `v9.2` */
  readonly version: string
  readonly gate: Gate
  /** Whose requests these are: flows take turns at the gate. */
  readonly flow: string
  readonly answerBytesMax: number
  /** Hears of each time that the environment asked to slow down. */
  readonly onThrottled?: (wait: { readonly waitMs: number; readonly concurrent: number; readonly code: string }) => void
}

/** How long a call may take its time. */
export interface Within {
  readonly signal: AbortSignal
  /** Until then it may wait for its turn, milliseconds since 1970 UTC. */
  readonly until: number
}

export interface DataverseChange {
  readonly method: 'POST' | 'PATCH' | 'DELETE'
  /** Behind the root, percent-encoded, without a query. */
  readonly path: string
  readonly body?: Json | undefined
  readonly ifMatch?: string | undefined
  readonly ifNoneMatch?: string | undefined
  /** Column whose value shall come back with the answer; it also makes 201 and 200 tell created from updated. */
  readonly tell?: string | undefined
  readonly headers?: Readonly<Record<string, string>> | undefined
  readonly isRepeatable: boolean
  readonly within: Within
}

/** What a change did, as far as the answer says. */
export interface Changed {
  readonly status: number
  /** The id of the record; undefined where the answer names only its alternate key. */
  readonly id: string | undefined
  readonly value: Json | undefined
}

/** What a table says of itself. */
export interface TableFacts {
  readonly logicalName: string
  readonly idColumn: string
  readonly keys: readonly { readonly columns: readonly string[]; readonly state: string }[]
}

interface FactsReading {
  readonly facts: Promise<TableFacts>
  readonly readAt: number
  known: TableFacts | undefined
}

const factsLifeMs = HOUR
/** If-None-Match that keeps proxies from answering out of a cache (Microsoft, "Compose HTTP requests"). */
const noCache = 'null'
const fresh = { 'if-none-match': noCache } as const

/** A client of the Web API of one Dataverse environment. Whatever it asks goes through the gate of the environment. */
export class DataverseClient {
  readonly #options: DataverseClientOptions
  readonly #client: ODataClient
  readonly #facts = new Map<string, FactsReading>()
  #waitingCount = 0

  constructor(options: DataverseClientOptions) {
    const { environment, version, answerBytesMax } = options
    this.#options = options
    this.#client = new ODataClient({
      ...options,
      root: new URL(`/api/data/${version}/`, environment),
      version: 'v4',
      hasRootedBatches: true,
      headers: { 'odata-maxversion': '4.0' },
      failureOf: dataverseFailure,
      doubtOf: dataverseDoubt,
      keepsCookies: false,
      limits: { answerBytes: answerBytesMax },
    })
  }

  get server(): string {
    return this.#options.environment.host
  }

  /** Its requests that wait for a turn; undefined where none does. */
  get waiting(): { readonly count: number; readonly reason: string } | undefined {
    if (this.#waitingCount === 0) return undefined
    return { count: this.#waitingCount, reason: this.#options.gate.reason }
  }

  /** One record, or the result of a function. Throws DATAVERSE_NOT_FOUND. */
  async read(path: string, fields: readonly (readonly [string, string])[], within: Within): Promise<Json> {
    const ask = { path: `${path}${fieldString(fields)}`, headers: fresh, signal: within.signal }
    return (await this.#through(within, () => this.#client.read(ask))).value ?? null
  }

  /** The records of a query; one page of it. */
  async query(
    set: string,
    fields: readonly (readonly [string, string])[],
    within: Within,
  ): Promise<readonly JsonObject[]> {
    const path = `${encodeURIComponent(set)}${fieldString(fields)}`
    const { signal } = within
    const { value } = await this.#through(within, () => this.#client.read({ path, headers: fresh, signal }))
    return isList(value) ? value.filter(isGroup) : []
  }

  async change(change: DataverseChange): Promise<Changed> {
    const { method, body, tell, ifMatch, ifNoneMatch, isRepeatable, within } = change
    const path = tell === undefined ? change.path : `${change.path}${fieldString([['$select', tell]])}`
    const headers = {
      ...change.headers,
      ...(ifMatch === undefined ? { 'if-none-match': ifNoneMatch ?? noCache } : { 'if-match': ifMatch }),
      ...(tell !== undefined && { prefer: 'return=representation' }),
    }
    const sent = {
      method,
      path,
      headers,
      isRepeatable,
      signal: within.signal,
      ...(body !== undefined && { body: JSON.stringify(body) }),
    }
    const reply = await this.#through(within, () => this.#client.change(sent))
    return changedOf(reply, tell)
  }

  /** Several requests in one; each changeset is done whole or not at all. */
  batch(
    parts: readonly BatchPart[],
    how: { readonly within: Within; readonly isRepeatable: boolean; readonly continueOnError: boolean },
  ): Promise<readonly BatchResult[]> {
    const headers = how.continueOnError ? { ...fresh, prefer: 'odata.continue-on-error' } : fresh
    const { isRepeatable, within } = how
    const { signal } = within
    return this.#through(within, () => this.#client.batch(parts, { signal, isRepeatable, headers }))
  }

  /** An answer inside a batch that is no success, in words. */
  failure(answer: BatchAnswer, path: string): HubError {
    const { credential, now } = this.#options
    return dataverseFailure(answer, { server: this.server, credential, path, now: now() })
  }

  /** The id in the headers of a change; undefined where they name only the alternate key. */
  idIn(headers: Readonly<Record<string, string>>): string | undefined {
    return idOf(headers)
  }

  /** What the table behind an entity set says of itself; asked once an hour, and once for callers at the same time. */
  async facts(set: string, within: Within): Promise<TableFacts> {
    const { signal, until } = within
    const reading = this.#sharedFacts(set, until)
    if (reading.known) return reading.known
    // Who asked first may have more time than who asks now.
    this.#options.gate.requireOpen(until)
    let refuse = () => {}
    const interrupted = new Promise<never>((_resolve, reject) => {
      refuse = () => reject(dataverseErrors.INTERRUPTED({ server: this.server }))
      if (signal.aborted) refuse()
      else signal.addEventListener('abort', refuse, { once: true })
    })
    try {
      return await Promise.race([reading.facts, interrupted])
    } finally {
      signal.removeEventListener('abort', refuse)
    }
  }

  #sharedFacts(set: string, until: number): FactsReading {
    const now = this.#options.now()
    const last = this.#facts.get(set)
    if (last && now - last.readAt < factsLifeMs) return last
    const reading: FactsReading = { facts: this.#readFacts(set, until), readAt: now, known: undefined }
    this.#facts.set(set, reading)
    reading.facts.then(
      facts => {
        reading.known = facts
      },
      () => {
        // What failed is asked for again by the next one, not remembered.
        if (this.#facts.get(set) === reading) this.#facts.delete(set)
      },
    )
    return reading
  }

  /** The user that the environment takes this hub for. */
  async whoAmI(within: Within): Promise<string> {
    const answer = await this.read('WhoAmI', [], within)
    const user = isGroup(answer) ? answer['UserId'] : undefined
    return typeof user === 'string' ? user : 'an unnamed user'
  }

  async #readFacts(set: string, until: number): Promise<TableFacts> {
    // Asked for all that wait for it, so the end of one attempt does not end it.
    const within = { signal: new AbortController().signal, until }
    const [definition] = await this.query(
      'EntityDefinitions',
      [
        ['$select', 'LogicalName,PrimaryIdAttribute'],
        ['$filter', `EntitySetName eq '${set.replaceAll("'", "''")}'`],
        ['$expand', 'Keys($select=KeyAttributes,EntityKeyIndexStatus)'],
      ],
      within,
    )
    const logicalName = definition?.['LogicalName']
    const idColumn = definition?.['PrimaryIdAttribute']
    if (typeof logicalName !== 'string' || typeof idColumn !== 'string') {
      const text = 'no table has this name of its entity set'
      throw dataverseErrors.TABLE_UNKNOWN({ server: this.server, path: set, code: 'EntityDefinitions', text })
    }
    const keys = isList(definition?.['Keys']) ? definition['Keys'].filter(isGroup) : []
    return {
      logicalName,
      idColumn,
      keys: keys.map(key => ({
        columns: isList(key['KeyAttributes']) ? key['KeyAttributes'].map(String) : [],
        state: String(key['EntityKeyIndexStatus'] ?? ''),
      })),
    }
  }

  async #turn({ signal, until }: Within): Promise<Turn> {
    const { gate, flow } = this.#options
    this.#waitingCount += 1
    try {
      return await gate.enter(flow, signal, until)
    } finally {
      this.#waitingCount -= 1
    }
  }

  /** Sends when it is its turn, and again when it was turned away: that was no attempt. */
  async #through<T>(within: Within, send: () => Promise<T>): Promise<T> {
    const { gate, now, onThrottled } = this.#options
    for (;;) {
      const turn = await this.#turn(within)
      try {
        const result = await send()
        turn.end()
        return result
      } catch (thrown) {
        const wish = slowerWish(thrown)
        if (!wish) {
          turn.end()
          throw thrown
        }
        const waitMs = turn.turnedAway(wish.retryAfterMs)
        onThrottled?.({ waitMs, concurrent: gate.concurrent, code: String(wish.fields.code ?? '') })
        if (now() + waitMs > within.until) throw thrown
      }
    }
  }
}

/** The errors that ask for a slower pace: 429, and 503 that names a time. Neither was carried out. */
function slowerWish(thrown: unknown): HubError | undefined {
  if (!(thrown instanceof HubError)) return undefined
  if (thrown.isThrottling) return thrown
  const isPause = isFailure(thrown, dataverseErrors.UNAVAILABLE) && thrown.retryAfterMs !== undefined
  return isPause ? thrown : undefined
}

function changedOf({ status, headers, value }: Reply, tell: string | undefined): Changed {
  const told = tell !== undefined && isGroup(value) ? value[tell] : undefined
  return { status, value, id: isGuid(told) ? told : idOf(headers) }
}

function idOf(headers: Readonly<Record<string, string>>): string | undefined {
  const named = /\(([^()]*)\)$/.exec(headers['odata-entityid'] ?? '')?.[1]
  return isGuid(named) ? named : undefined
}

export function isFailure(thrown: unknown, error: { readonly code: string }): thrown is HubError {
  return thrown instanceof HubError && thrown.code === error.code
}
