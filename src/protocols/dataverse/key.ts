import type { Json } from '../../kernel/json.ts'
import { formatUntyped } from '../odata/literal.ts'
import { dataverseErrors } from './errors.ts'

/** Which record: its id, or the values of an alternate key by column. */
export type RecordKey = { readonly id: string } | { readonly columns: Readonly<Record<string, Json>> }

const guid = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/i

export function isGuid(text: unknown): text is string {
  return typeof text === 'string' && guid.test(text)
}

// Microsoft, "Define alternate keys": with these, GET and PATCH do not work, escaped or not; # ends a URL for proxies.
const refused = /[/<>*%&:\\?+#\p{Cc}]/u

/** The first character of a key value that Dataverse cannot have in a URL; undefined when there is none. */
export function refusedCharacter(value: Json): string | undefined {
  return typeof value === 'string' ? refused.exec(value)?.[0] : undefined
}

/** True when some value of the key cannot stand in a URL. */
export function needsFilter(key: RecordKey): boolean {
  return 'columns' in key && Object.values(key.columns).some(value => refusedCharacter(value) !== undefined)
}

/** `accounts(accountnumber='1001')`, percent-encoded. Throws DATAVERSE_KEY_UNFIT, DATAVERSE_KEY_EMPTY. */
export function recordPath(set: string, key: RecordKey): string {
  if ('id' in key) return `${encodeURIComponent(set)}(${key.id})`
  const parts = Object.entries(key.columns).map(([column, value]) => {
    const character = refusedCharacter(value)
    if (character !== undefined) {
      const shown = JSON.stringify(value).slice(0, 60)
      const reason = `Dataverse does not take ${JSON.stringify(character)} in a URL`
      throw dataverseErrors.KEY_UNFIT({ set, column, value: shown, reason })
    }
    return `${encodeURIComponent(column)}=${encodeURIComponent(keyLiteral(set, column, value))}`
  })
  return `${encodeURIComponent(set)}(${parts.join(',')})`
}

/** `accountnumber eq '1001'`, not yet percent-encoded. Throws DATAVERSE_KEY_EMPTY. */
export function recordFilter(set: string, columns: Readonly<Record<string, Json>>): string {
  return Object.entries(columns)
    .map(([column, value]) => `${column} eq ${keyLiteral(set, column, value)}`)
    .join(' and ')
}

/**
 * The key in one line, for people and for the key map: the values alone, by the order of the columns' names. No two keys of
 * the same columns have the same, so a bar that a value brings is written `\|`.
 */
export function keyText(key: RecordKey): string {
  if ('id' in key) return key.id
  const names = Object.keys(key.columns).toSorted()
  const values = names.map(name => String(key.columns[name]))
  return values.length === 1 ? values.join() : values.map(value => value.replace(/[\\|]/g, '\\$&')).join('|')
}

function keyLiteral(set: string, column: string, value: Json): string {
  if (value === null || value === '') throw dataverseErrors.KEY_EMPTY({ set, column })
  // The id of a row that a lookup column points to.
  if (/^_\w+_value$/.test(column) && isGuid(value)) return value
  if (typeof value === 'object') {
    const shown = JSON.stringify(value).slice(0, 60)
    throw dataverseErrors.KEY_UNFIT({ set, column, value: shown, reason: 'it is a list or a group of names' })
  }
  return formatUntyped('v4', value, column)
}
