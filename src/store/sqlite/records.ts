import type { Json } from '../../kernel/json.ts'
import { storeErrors } from '../errors.ts'
import type { Records } from '../port.ts'
import { jsonOf, numberOf, textOf } from './columns.ts'
import type { StoreParts } from './parts.ts'

/** Small records with optimistic revisions. */
export function openRecords({
  database,
  committer,
}: Pick<StoreParts, 'database' | 'committer'>): Pick<Records, 'read' | 'list' | 'write' | 'remove'> {
  const select = database.prepare('select value, revision from record where area = ? and id = ?')
  const selectArea = database.prepare('select id, value, revision from record where area = ? order by id')
  const upsert = database.prepare(`
    insert into record values (?, ?, ?, ?)
    on conflict do update set value = excluded.value, revision = excluded.revision`)
  const overwrite = database.prepare(`
    insert into record values (?, ?, ?, 1)
    on conflict do update set value = excluded.value, revision = record.revision + 1 returning revision`)
  const remove = database.prepare('delete from record where area = ? and id = ?')

  function write(area: string, id: string, value: Json, expected?: number): Promise<number> {
    const text = JSON.stringify(value)
    return committer.commit(() => {
      if (expected === undefined) return numberOf(overwrite.get(area, id, text)?.['revision'])
      const row = select.get(area, id)
      const revision = row ? numberOf(row['revision']) : 0
      if (expected !== revision) throw storeErrors.CHANGED_MEANWHILE({ area, id })
      upsert.run(area, id, text, revision + 1)
      return revision + 1
    })
  }

  return {
    async read(area, id) {
      const row = select.get(area, id)
      return row && { value: jsonOf(row['value']), revision: numberOf(row['revision']) }
    },
    async list(area) {
      return selectArea.all(area).map(row => ({
        id: textOf(row['id']),
        value: jsonOf(row['value']),
        revision: numberOf(row['revision']),
      }))
    },
    write,
    remove: (area, id) => committer.commit(() => remove.run(area, id).changes > 0),
  }
}
