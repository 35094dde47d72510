import { createHash } from 'node:crypto'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMapWrite } from '../kernel/key-map.ts'
import { isGroup, isList } from '../protocols/odata/json.ts'
import type { Job } from './dataverse-job.ts'

/** What the key map knows of a record: its id, and hashes of the values that were sent last. */
export class RecordMemory {
  readonly id: string | undefined
  /** True when the flow skips what has not changed, and this has not. */
  readonly isUnchanged: boolean
  /** The values that differ from those sent last; undefined where all are to be sent. */
  readonly changes: JsonObject | undefined
  readonly #map: string
  readonly #key: string
  readonly #known: JsonObject
  readonly #sent: string | undefined
  readonly #columns: Readonly<Record<string, string>> | undefined

  private constructor(map: string, key: string, known: JsonObject, { config }: Job, values: JsonObject) {
    this.#map = map
    this.#key = key
    this.#known = known
    this.id = typeof known['id'] === 'string' ? known['id'] : undefined
    const columns = config['only-changes'] ? hashesOf(values) : undefined
    const sent = config['skip-unchanged'] ? fingerprint(values) : undefined
    this.#columns = columns
    this.#sent = sent
    this.changes =
      columns && this.id !== undefined && isGroup(known['columns']) ? changed(values, columns, known) : undefined
    const isSame = this.changes !== undefined && Object.keys(this.changes).length === 0
    this.isUnchanged = isSame || (sent !== undefined && known['sent'] === sent)
  }

  /** Undefined where the flow keeps nothing of its records. */
  static async of(job: Job, key: string, values: JsonObject): Promise<RecordMemory | undefined> {
    const { config, client, keyMap } = job
    const named = config['key-map']
    const keeps =
      named ?? (config['skip-unchanged'] || config['only-changes'] || config.operation === 'check-then-write')
    if (!keeps || !keyMap) return undefined
    const map = named ?? `${config.set ?? ''}@${client.server}`
    const entry = await keyMap.get(map, key)
    return new RecordMemory(map, key, isGroup(entry?.value) ? entry.value : {}, job, values)
  }

  /**
   * What the key map is to remember. `wasThere`: the record was changed, so columns that this message leaves out still have
   * what was sent before; in a new one they are empty.
   */
  writes(id: string | undefined, wasThere: boolean): readonly KeyMapWrite[] {
    const kept = id ?? this.id
    const isSame = wasThere && kept === this.id
    const columns = this.#columns && { ...(isSame ? before(this.#known) : {}), ...this.#columns }
    const value = {
      ...(kept !== undefined && { id: kept }),
      ...(this.#sent !== undefined && { sent: this.#sent }),
      ...(columns && { columns }),
    }
    const isNews = JSON.stringify(ordered(value)) !== JSON.stringify(ordered(this.#known))
    return isNews ? [{ map: this.#map, key: this.#key, value }] : []
  }

  /** The same when nobody knows what the record has now: what was sent last must not keep it from being sent again. */
  doubts(): readonly KeyMapWrite[] {
    const { sent, columns, ...others } = this.#known
    return sent === undefined && columns === undefined ? [] : [{ map: this.#map, key: this.#key, value: others }]
  }
}

function before(known: JsonObject): JsonObject {
  return isGroup(known['columns']) ? known['columns'] : {}
}

function changed(values: JsonObject, hashes: Readonly<Record<string, string>>, known: JsonObject): JsonObject {
  const last = before(known)
  const isChanged = (name: string) => hashes[name] !== undefined && hashes[name] !== last[name]
  // A state and its reason belong together, whichever of them changed.
  const isState = isChanged('statecode') || isChanged('statuscode')
  const isSent = (name: string) => isChanged(name) || (isState && (name === 'statecode' || name === 'statuscode'))
  return Object.fromEntries(Object.entries(values).filter(([name]) => isSent(name)))
}

function hashesOf(values: JsonObject): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(values).map(([name, value]) => [name, fingerprint(value).slice(0, 12)]))
}

/** The same for the same values, in whatever order they stand. */
function fingerprint(value: Json): string {
  return createHash('sha256')
    .update(JSON.stringify(ordered(value)))
    .digest('base64url')
    .slice(0, 22)
}

function ordered(value: Json): Json {
  if (isList(value)) return value.map(ordered)
  // A number that keeps its digits (JSON.rawJSON) is a frozen group without a prototype.
  if (!isGroup(value) || Object.getPrototypeOf(value) === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, each]) => [name, ordered(each)]),
  )
}
