import { createHash } from 'node:crypto'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMapWrite } from '../kernel/key-map.ts'
import { isGroup, isList } from '../protocols/odata/json.ts'
import type { Job } from './dataverse-job.ts'

/** What the key map knows of a record: its id, and a hash of the values that were sent last. */
export class RecordMemory {
  readonly id: string | undefined
  /** True when the flow skips what has not changed, and this has not. */
  readonly isUnchanged: boolean
  readonly #map: string
  readonly #key: string
  readonly #sent: string | undefined
  readonly #known: JsonObject

  private constructor(map: string, key: string, known: JsonObject, sent: string | undefined) {
    this.#map = map
    this.#key = key
    this.#sent = sent
    this.#known = known
    this.id = typeof known['id'] === 'string' ? known['id'] : undefined
    this.isUnchanged = sent !== undefined && known['sent'] === sent
  }

  /** Undefined where the flow keeps nothing of its records. */
  static async of({ config, client, keyMap }: Job, key: string, body: JsonObject): Promise<RecordMemory | undefined> {
    const keeps = config['key-map'] !== undefined || config['skip-unchanged'] || config.operation === 'check-then-write'
    if (!keeps || !keyMap) return undefined
    const map = config['key-map'] ?? `${config.set ?? ''}@${client.server}`
    const entry = await keyMap.get(map, key)
    const known = isGroup(entry?.value) ? entry.value : {}
    return new RecordMemory(map, key, known, config['skip-unchanged'] ? fingerprint(body) : undefined)
  }

  writes(id: string | undefined): readonly KeyMapWrite[] {
    const value = {
      ...((id ?? this.id) !== undefined && { id: id ?? this.id ?? null }),
      ...(this.#sent !== undefined && { sent: this.#sent }),
    }
    const isNews = Object.entries(value).some(([name, each]) => this.#known[name] !== each)
    return isNews ? [{ map: this.#map, key: this.#key, value }] : []
  }
}

/** The same for the same values, in whatever order they stand. */
function fingerprint(value: JsonObject): string {
  return createHash('sha256')
    .update(JSON.stringify(ordered(value)))
    .digest('base64url')
    .slice(0, 22)
}

function ordered(value: Json): Json {
  if (isList(value)) return value.map(ordered)
  if (!isGroup(value) || Object.getPrototypeOf(value) === null) return value
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, each]) => [name, ordered(each)]),
  )
}
