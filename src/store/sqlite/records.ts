import type { Json } from '../../kernel/json.ts'
import { TransientMap } from '../../kernel/transient-map.ts'
import { jsonOf, numberOf, textOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { Records } from '../port.ts'
import type { StoreParts } from './parts.ts'

/** A record as its row has it: JSON. */
interface StoredRecord {
  readonly text: string
  readonly revision: number
}

/**
 * Small records with optimistic revisions. Those that were asked for stay at hand for a while: who asks for one mostly
 * asks again (the newest delivered message of an object, for each of its messages).
 */
export function openRecords({
  database,
  committer,
  limits: { recordsAtHand, recordLetters },
}: Pick<StoreParts, 'database' | 'committer' | 'limits'>): Pick<Records, 'read' | 'list' | 'write' | 'remove'> {
  const select = database.prepare('select value, revision from record where area = ? and id = ?')
  const selectArea = database.prepare('select id, value, revision from record where area = ? order by id')
  const upsert = database.prepare(`
    insert into record values (?, ?, ?, ?)
    on conflict do update set value = excluded.value, revision = excluded.revision`)
  const overwrite = database.prepare(`
    insert into record values (?, ?, ?, 1)
    on conflict do update set value = excluded.value, revision = record.revision + 1 returning revision`)
  const remove = database.prepare('delete from record where area = ? and id = ?')

  /** By area and id; undefined for one that is known not to be there. */
  const atHand = new TransientMap<string, StoredRecord | undefined>()
  const nameOf = (area: string, id: string) => `${area}\0${id}`

  function keep(name: string, record: StoredRecord | undefined): void {
    atHand.delete(name)
    if (record && record.text.length > recordLetters) return
    atHand.set(name, record)
    if (atHand.size <= recordsAtHand) return
    for (const oldest of atHand.keys()) {
      atHand.delete(oldest)
      return
    }
  }

  function find(area: string, id: string): StoredRecord | undefined {
    const name = nameOf(area, id)
    if (atHand.has(name)) return atHand.get(name)
    const row = select.get(area, id)
    const record = row && { text: textOf(row['value']), revision: numberOf(row['revision']) }
    keep(name, record)
    return record
  }

  function write(area: string, id: string, value: Json, expected?: number): Promise<number> {
    const text = JSON.stringify(value)
    return committer.commit(
      () => {
        if (expected === undefined) return numberOf(overwrite.get(area, id, text)?.['revision'])
        const row = select.get(area, id)
        const revision = row ? numberOf(row['revision']) : 0
        if (expected !== revision) throw storeErrors.CHANGED_MEANWHILE({ area, id })
        upsert.run(area, id, text, revision + 1)
        return revision + 1
      },
      revision => keep(nameOf(area, id), { text, revision }),
    )
  }

  return {
    async read(area, id) {
      const record = find(area, id)
      return record && { value: jsonOf(record.text), revision: record.revision }
    },
    async list(area) {
      return selectArea.all(area).map(row => ({
        id: textOf(row['id']),
        value: jsonOf(row['value']),
        revision: numberOf(row['revision']),
      }))
    },
    write,
    remove: (area, id) =>
      committer.commit(
        () => remove.run(area, id).changes > 0,
        () => keep(nameOf(area, id), undefined),
      ),
  }
}
