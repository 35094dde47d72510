import { jsonOf, numberOf, textOf } from '../columns.ts'
import { storeErrors } from '../errors.ts'
import type { Records } from '../port.ts'
import type { Committer } from './committer.ts'
import type { Sql } from './connection.ts'

const select = { name: 'record', text: 'select value, revision from record where area = $1 and id = $2' }
const selectArea = { name: 'records', text: 'select id, value, revision from record where area = $1 order by id' }
const overwrite = {
  name: 'record-overwrite',
  text: `
    insert into record values ($1, $2, $3, 1)
    on conflict (area, id) do update set value = excluded.value, revision = record.revision + 1 returning revision`,
}
const insert = {
  name: 'record-insert',
  text: 'insert into record values ($1, $2, $3, 1) on conflict do nothing returning revision',
}
const update = {
  name: 'record-update',
  text: `
    update record set value = $3, revision = revision + 1 where area = $1 and id = $2 and revision = $4
    returning revision`,
}
const remove = { name: 'record-remove', text: 'delete from record where area = $1 and id = $2 returning id' }

/** Small records with optimistic revisions. */
export function openRecords(reads: Sql, committer: Committer): Pick<Records, 'read' | 'list' | 'write' | 'remove'> {
  return {
    async read(area, id) {
      const [row] = await reads.query(select, [area, id])
      return row && { value: jsonOf(row['value']), revision: numberOf(row['revision']) }
    },
    async list(area) {
      const rows = await reads.query(selectArea, [area])
      return rows.map(row => ({
        id: textOf(row['id']),
        value: jsonOf(row['value']),
        revision: numberOf(row['revision']),
      }))
    },
    write(area, id, value, expected) {
      const text = JSON.stringify(value)
      return committer.commit(async sql => {
        const [row] = await (expected === undefined
          ? sql.query(overwrite, [area, id, text])
          : expected === 0
            ? sql.query(insert, [area, id, text])
            : sql.query(update, [area, id, text, expected]))
        if (!row) throw storeErrors.CHANGED_MEANWHILE({ area, id })
        return numberOf(row['revision'])
      })
    },
    remove: (area, id) => committer.commit(async sql => (await sql.query(remove, [area, id])).length > 0),
  }
}
