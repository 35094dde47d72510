import type { JsonObject } from '../kernel/json.ts'
import { controlField, type Idoc, idocNames, type Segment } from '../protocols/idoc/idoc.ts'

/** Control fields that every message carries as attributes, in small letters; empty where the IDoc has none. */
const controlAttributes = (
  [
    'MANDT',
    'DIRECT',
    'IDOCTYP',
    'CIMTYP',
    'MESTYP',
    'MESCOD',
    'MESFCT',
    'SNDPOR',
    'SNDPRT',
    'SNDPRN',
    'RCVPOR',
    'RCVPRT',
    'RCVPRN',
    'CREDAT',
    'CRETIM',
    'SERIAL',
    'ARCKEY',
  ] as const
).map(field => [field, field.toLowerCase()] as const)

/** Names of the attributes of a message that holds an IDoc. */
export const idocAttributes: readonly string[] = [
  'docnum',
  ...controlAttributes.map(([, attribute]) => attribute),
  'objectKey',
  'orderKey',
  'caller',
]

/**
 * Where the key of the object stands, by message type: paths of which the first with a value counts. `A + B` joins the
 * values of several with a slash.
 */
export type ObjectKeys = Readonly<Record<string, readonly string[]>>

/** Keys of the master data that SAP sends by change pointers. */
export const usualObjectKeys: ObjectKeys = {
  MATMAS: ['E1MARAM/MATNR_LONG', 'E1MARAM/MATNR'],
  DEBMAS: ['E1KNA1M/KUNNR'],
  CREMAS: ['E1LFA1M/LIFNR'],
  // The type too: customer 1001 (KNA1) and supplier 1001 (LFA1) are two objects.
  ADRMAS: ['E1ADRMAS/OBJ_TYPE + E1ADRMAS/OBJ_ID'],
  LOISTD: ['E1MDSTL/MATNR + E1MDSTL/WERKS'],
}

/** What a flow sees of an IDoc beside its body. Where there is no object key, there is no order key either. */
export function factsOf(idoc: Idoc, objectKeys: ObjectKeys): JsonObject {
  const facts: Record<string, string> = { docnum: copyOf(documentNumber(idoc)) }
  for (const [field, attribute] of controlAttributes) facts[attribute] = copyOf(controlField(idoc, field))
  const objectKey = copyOf(objectKeyOf(idoc, objectKeys[facts['mestyp'] ?? ''] ?? []))
  facts['objectKey'] = objectKey
  // Numbers of two systems cannot be compared, so each has its own order.
  facts['orderKey'] = objectKey === '' ? '' : `${facts['mestyp']}/${facts['sndprn']}/${objectKey}`
  return facts
}

/** Attributes live longer than the document, and a longer piece of a text keeps the whole text in memory. */
function copyOf(text = ''): string {
  return text.length <= pieceLengthMax ? text : Buffer.from(text).toString()
}

/** V8 copies pieces up to this length anyway. */
const pieceLengthMax = 12

/** DOCNUM with its 16 digits, however it was written; undefined where the IDoc has none. */
export function documentNumber(idoc: Pick<Idoc, 'control'>): string | undefined {
  const given = controlField(idoc, 'DOCNUM')
  if (given === undefined || !/^\d+$/.test(given)) return given
  const digits = given.replace(/^0+/, '')
  return digits === '' ? undefined : digits.padStart(16, '0')
}

/**
 * What an IDoc is recognised by when it comes again: its number and the control fields that say whose number it is. An
 * IDoc without a number is recognised by nothing of its own.
 */
export function identityOf(idoc: Pick<Idoc, 'control'>, fields: readonly string[]): string | undefined {
  const number = documentNumber(idoc)
  if (number === undefined) return undefined
  return `idoc/${[...fields.map(field => controlField(idoc, field) ?? ''), number].map(encodeURIComponent).join('/')}`
}

function objectKeyOf(idoc: Idoc, paths: readonly string[]): string | undefined {
  for (const path of paths) {
    const values = path.split(/\s*\+\s*/).map(part => valueAt(idoc, part))
    if (values.every(value => value !== undefined)) return values.join('/')
  }
  return undefined
}

/** The first value at the path, without leading zeros where it is a number (ALPHA); `/` alone means no data in ALE. */
function valueAt(idoc: Idoc, path: string): string | undefined {
  const names = path.split('/')
  const field = names.pop() ?? ''
  const isControl = names.length === 1 && names[0] === idocNames.control
  const value = isControl ? idoc.control.get(field) : fieldAt(idoc.data, names, field)
  const text = value?.trim()
  if (text === undefined || text === '' || text === '/') return undefined
  return /^\d+$/.test(text) ? text.replace(/^0+(?=\d)/, '') : text
}

function fieldAt(segment: Segment, [name, ...rest]: readonly string[], field: string): string | undefined {
  if (name === undefined) return segment.fields.get(field)
  for (const child of segment.children) {
    const value = child.name === name ? fieldAt(child, rest, field) : undefined
    if (value !== undefined) return value
  }
  return undefined
}
