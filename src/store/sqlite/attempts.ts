import type { DatabaseSync } from 'node:sqlite'
import { errorOf, numberOf } from '../columns.ts'
import type { DeliveryDetail, StoredError } from '../port.ts'

/** Failed attempts of deliveries, the newest few of each. */
export class Attempts {
  readonly #insert
  readonly #prune
  readonly #select
  readonly #delete
  readonly #keptMax: number

  constructor(database: DatabaseSync, keptMax: number) {
    this.#keptMax = keptMax
    this.#insert = database.prepare('insert into attempt (seq, attempt, at, error) values (?, ?, ?, ?)')
    this.#prune = database.prepare(`
      delete from attempt where seq = ? and number <=
        (select number from attempt where seq = ? order by number desc limit 1 offset ?)`)
    this.#select = database.prepare('select attempt, at, error from attempt where seq = ? order by number')
    this.#delete = database.prepare('delete from attempt where seq = ?')
  }

  add(seq: number, attempt: number, at: number, error: StoredError): void {
    this.#insert.run(seq, attempt, Math.round(at), JSON.stringify(error))
    this.#prune.run(seq, seq, this.#keptMax)
  }

  read(seq: number): DeliveryDetail['attempts'] {
    return this.#select.all(seq).flatMap(row => {
      const error = errorOf(row['error'])
      return error ? [{ attempt: numberOf(row['attempt']), at: numberOf(row['at']), error }] : []
    })
  }

  purge(seq: number): void {
    this.#delete.run(seq)
  }
}
