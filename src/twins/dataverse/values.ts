import type { Json } from '../../kernel/json.ts'
import { refusals } from './dataverse-error.ts'
import type { Column, Table } from './model.ts'

/** A value of a request as the column keeps it. Throws what Dataverse answers when it does not fit. */
export function checkValue(table: Table, name: string, column: Column, value: Json): Json {
  if (value === null) return null
  switch (column.kind) {
    case 'text':
    case 'memo':
      return checkText(table, name, column.lengthMax, value)
    case 'integer':
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name, value, 'Edm.Int32')
      return inRange(table, name, column, value)
    case 'decimal':
    case 'money':
    case 'double':
      if (typeof value !== 'number')
        throw wrongType(name, value, column.kind === 'double' ? 'Edm.Double' : 'Edm.Decimal')
      return inRange(table, name, column, withScale(table, name, column.scale, value))
    case 'boolean':
      if (typeof value !== 'boolean') throw wrongType(name, value, 'Edm.Boolean')
      return value
    case 'choice':
      if (typeof value !== 'number' || !Number.isInteger(value)) throw wrongType(name, value, 'Edm.Int32')
      if (column.options.includes(value)) return value
      throw refusals.value(
        '0x80048408',
        `A validation error occurred. The value ${value} of '${name}' on record of type '${table.logicalName}' is outside the valid range.`,
      )
    case 'date':
      if (typeof value !== 'string' || !isDate(value)) throw wrongType(name, value, 'Edm.Date')
      return value
    case 'date-time': {
      const isTime =
        typeof value === 'string' &&
        /^\d{4}-\d{2}-\d{2}T\d{2}:\d{2}(:\d{2}(\.\d{1,7})?)?(Z|[+-]\d{2}:\d{2})$/.test(value)
      if (!isTime || Number.isNaN(Date.parse(value))) throw wrongType(name, value, 'Edm.DateTimeOffset')
      return new Date(value).toISOString().replace('.000Z', 'Z')
    }
    case 'guid':
      if (typeof value !== 'string' || !isGuid(value)) throw wrongType(name, value, 'Edm.Guid')
      return value.toLowerCase()
    case 'lookup':
      throw refusals.payload(
        `A 'PrimitiveValue' node with non-null value was found when trying to read the value of the property '${name}'; however, a 'StartArray' node, a 'StartObject' node, or a 'PrimitiveValue' node with null value was expected.`,
      )
  }
}

export function isGuid(text: string): boolean {
  return /^[0-9a-f]{8}-([0-9a-f]{4}-){3}[0-9a-f]{12}$/i.test(text)
}

function checkText(table: Table, name: string, lengthMax: number, value: Json): string {
  if (typeof value !== 'string') throw wrongType(name, value, 'Edm.String')
  if (value.length <= lengthMax) return value
  throw refusals.value(
    '0x80044331',
    `A validation error occurred. The length of the '${name}' attribute of the '${table.logicalName}' entity exceeded the maximum allowed length of '${lengthMax}'.`,
  )
}

function inRange(
  table: Table,
  name: string,
  { min, max }: { readonly min: number; readonly max: number },
  value: number,
) {
  if (value >= min && value <= max) return value
  throw refusals.value(
    '0x80044330',
    `A validation error occurred. The value ${value} of '${name}' on record of type '${table.logicalName}' is outside the valid range. Accepted Values: ${min} to ${max}`,
  )
}

/** Dataverse keeps so many digits after the point; the twin refuses what would be lost, so that nobody loses it unseen. */
function withScale(table: Table, name: string, scale: number, value: number): number {
  const digits = /\.(\d+)/.exec(/e/i.test(String(value)) ? value.toFixed(15).replace(/0+$/, '') : String(value))?.[1]
  if ((digits ?? '').length <= scale) return value
  throw refusals.value(
    '0x80044330',
    `A validation error occurred. The value ${value} of '${name}' on record of type '${table.logicalName}' has more than ${scale} digits after the point.`,
  )
}

function isDate(text: string): boolean {
  const at = new Date(`${text}T00:00:00Z`)
  return /^\d{4}-\d{2}-\d{2}$/.test(text) && !Number.isNaN(at.getTime()) && at.toISOString().startsWith(text)
}

function wrongType(name: string, value: Json, type: string) {
  return refusals.payload(
    `Cannot convert the literal '${JSON.stringify(value)}' of '${name}' to the expected type '${type}'.`,
  )
}
