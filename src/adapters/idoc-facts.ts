import { controlField, type Idoc, idocNames, type Segment } from '../protocols/idoc/idoc.ts'

/**
 * Where the key of the object stands, by message type: paths of which the first with a value counts. `A + B` joins the
 * values of several with a slash; a slash inside one of them is `%2F` in the order key.
 */
export type ObjectKeyPaths = Readonly<Record<string, readonly string[]>>

/** Keys of the master data that SAP sends by change pointers. */
const usualObjectKeys: ObjectKeyPaths = {
  MATMAS: ['E1MARAM/MATNR_LONG', 'E1MARAM/MATNR'],
  DEBMAS: ['E1KNA1M/KUNNR'],
  CREMAS: ['E1LFA1M/LIFNR'],
  // The type too: customer 1001 (KNA1) and supplier 1001 (LFA1) are two objects.
  ADRMAS: ['E1ADRMAS/OBJ_TYPE + E1ADRMAS/OBJ_ID'],
  LOISTD: ['E1MDSTL/MATNR + E1MDSTL/WERKS'],
}

interface ValuePath {
  readonly isControl: boolean
  readonly names: readonly string[]
  readonly field: string
}

/** The same, taken apart once for all IDocs. */
export type ObjectKeys = ReadonlyMap<string, readonly (readonly ValuePath[])[]>

/** The usual keys and those of a flow, which win. */
export function objectKeysOf(own: ObjectKeyPaths): ObjectKeys {
  const all = Object.entries({ ...usualObjectKeys, ...own })
  return new Map(all.map(([type, paths]) => [type, paths.map(path => path.split(/\s*\+\s*/).map(readPath))]))
}

function readPath(path: string): ValuePath {
  const names = path.split('/')
  const field = names.pop() ?? ''
  return { isControl: names.length === 1 && names[0] === idocNames.control, names, field }
}

/** What a flow sees of an IDoc beside its body. Where there is no object key, there is no order key either. */
export function factsOf(idoc: Idoc, objectKeys: ObjectKeys) {
  const field = (name: Parameters<typeof controlField>[1]) => copyOf(controlField(idoc, name))
  const mestyp = field('MESTYP')
  const sndprn = field('SNDPRN')
  const idoctyp = field('IDOCTYP')
  // A reduced message type (BD53) has a name of the company's own, and the basic type that it was made of: MATMAS05.
  const keys = objectKeys.get(mestyp) ?? objectKeys.get(idoctyp.replace(/\d\d$/, '')) ?? []
  const parts = keyPartsOf(idoc, keys)
  const objectKey = copyOf(parts.join('/'))
  // One literal: the same shape for each message is what keeps V8 fast.
  return {
    docnum: copyOf(documentNumber(idoc)),
    mandt: field('MANDT'),
    direct: field('DIRECT'),
    idoctyp,
    cimtyp: field('CIMTYP'),
    mestyp,
    mescod: field('MESCOD'),
    mesfct: field('MESFCT'),
    sndpor: field('SNDPOR'),
    sndprt: field('SNDPRT'),
    sndpfc: field('SNDPFC'),
    sndprn,
    rcvpor: field('RCVPOR'),
    rcvprt: field('RCVPRT'),
    rcvpfc: field('RCVPFC'),
    rcvprn: field('RCVPRN'),
    credat: field('CREDAT'),
    cretim: field('CRETIM'),
    serial: field('SERIAL'),
    arckey: field('ARCKEY'),
    objectKey,
    // Numbers of two systems cannot be compared, so each has its own order.
    orderKey:
      objectKey === ''
        ? ''
        : `${mestyp}/${sndprn}/${keys.some(paths => paths.length > 1) ? copyOf(severalOf(parts)) : objectKey}`,
  }
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

function keyPartsOf(idoc: Idoc, keys: readonly (readonly ValuePath[])[]): readonly string[] {
  for (const paths of keys) {
    const values = paths.map(path => valueAt(idoc, path))
    if (values.every(value => value !== undefined)) return values
  }
  return []
}

/**
 * Where a key may have several parts, a slash inside one of them is `%2F`: material `A/1` in plant 2 is not batch 2 of `A` in
 * plant 1, and the newer one of two objects must not let the other be skipped.
 */
function severalOf(parts: readonly string[]): string {
  return parts.map(part => part.replace(/[%/]/g, encodeURIComponent)).join('/')
}

/** The first value at the path, without leading zeros where it is a number (ALPHA); `/` alone means no data in ALE. */
function valueAt(idoc: Idoc, { isControl, names, field }: ValuePath): string | undefined {
  const value = isControl ? idoc.control.get(field) : fieldAt(idoc.data, names, 0, field)
  const text = value?.trim()
  if (text === undefined || text === '' || text === '/') return undefined
  return /^\d+$/.test(text) ? text.replace(/^0+(?=\d)/, '') : text
}

function fieldAt(segment: Segment, names: readonly string[], depth: number, field: string): string | undefined {
  if (depth === names.length) return segment.fields.get(field)
  for (const child of segment.children) {
    const value = child.name === names[depth] ? fieldAt(child, names, depth + 1, field) : undefined
    if (value !== undefined) return value
  }
  return undefined
}

const noIdoc: Idoc = {
  type: '',
  control: new Map(),
  data: { name: idocNames.record, fields: new Map(), children: [] },
  line: 0,
}

/** Names of the attributes of a message that holds an IDoc. */
export const idocAttributes: readonly string[] = [...Object.keys(factsOf(noIdoc, new Map())), 'caller']
