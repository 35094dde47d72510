import type { TableName } from './tables.ts'

/** A segment of an IDoc type and the table rows that become one. */
export interface SegmentLayout {
  readonly segment: string
  readonly table: TableName
  /** Fields in the order of the segment: names of the table, or IDoc field and table field. */
  readonly fields: readonly (string | readonly [idocField: string, tableField: string, as?: 'unit' | 'language'])[]
  readonly children: readonly SegmentLayout[]
}

export interface IdocLayout {
  readonly idocType: string
  readonly objectClass: string
  readonly root: SegmentLayout
}

/** A message type that sends fewer fields of another (BD53): all others leave as `/`, which says "no data". */
export interface ReducedType {
  readonly of: string
  /** Fields by segment; segments not named here are left out, but for the first. */
  readonly fields: Readonly<Record<string, readonly string[]>>
}

function segment(
  name: string,
  table: TableName,
  fields: SegmentLayout['fields'],
  children: readonly SegmentLayout[] = [],
): SegmentLayout {
  return { segment: name, table, fields, children }
}

/** Message types of master data. Fields are those of the tables; units leave by their ISO codes. */
export const layouts: Readonly<Record<string, IdocLayout>> = {
  MATMAS: {
    idocType: 'MATMAS05',
    objectClass: 'MATERIAL',
    root: segment(
      'E1MARAM',
      'MARA',
      [
        'MATNR',
        'MTART',
        'MBRSH',
        'MATKL',
        ['MEINS', 'MEINS', 'unit'],
        'BRGEW',
        'NTGEW',
        ['GEWEI', 'GEWEI', 'unit'],
        'VOLUM',
        ['VOLEH', 'VOLEH', 'unit'],
        'EAN11',
        'LAENG',
        'BREIT',
        'HOEHE',
        ['MEABM', 'MEABM', 'unit'],
        'PRDHA',
        'MSTAE',
        'LVORM',
        ['MATNR_LONG', 'MATNR'],
      ],
      [
        segment('E1MAKTM', 'MAKT', ['SPRAS', 'MAKTX', ['SPRAS_ISO', 'SPRAS', 'language']]),
        segment('E1MARCM', 'MARC', ['WERKS', 'EKGRP', 'DISPO', 'BESKZ', 'MMSTA', 'LVORM']),
        segment('E1MARMM', 'MARM', [['MEINH', 'MEINH', 'unit'], 'UMREZ', 'UMREN', 'EAN11']),
        segment('E1MBEWM', 'MBEW', ['BWKEY', 'VPRSV', 'VERPR', 'STPRS', 'PEINH', 'BKLAS']),
        segment('E1MVKEM', 'MVKE', ['VKORG', 'VTWEG', 'VMSTA', 'MTPOS', 'LVORM']),
      ],
    ),
  },
  DEBMAS: {
    idocType: 'DEBMAS07',
    objectClass: 'DEBI',
    root: segment(
      'E1KNA1M',
      'KNA1',
      [
        'KUNNR',
        'AUFSD',
        'BRSCH',
        'FAKSD',
        'KTOKD',
        'LAND1',
        'LIFSD',
        'LOEVM',
        'NAME1',
        'NAME2',
        'NAME3',
        'NAME4',
        'ORT01',
        'ORT02',
        'PFACH',
        'PSTLZ',
        'REGIO',
        'SPERR',
        'SPRAS',
        'STCEG',
        'STRAS',
        'TELF1',
        'TELFX',
        ['SPRAS_ISO', 'SPRAS', 'language'],
      ],
      [segment('E1KNVVM', 'KNVV', ['VKORG', 'VTWEG', 'SPART', 'KDGRP', 'WAERS', 'ZTERM', 'VSBED', 'INCO1'])],
    ),
  },
}

/** Units as SAP keeps them and their ISO codes (table T006). */
const isoUnits: Readonly<Record<string, string>> = {
  ST: 'PCE',
  KG: 'KGM',
  G: 'GRM',
  TO: 'TNE',
  L: 'LTR',
  M: 'MTR',
  CM: 'CMT',
  MM: 'MMT',
  M3: 'MTQ',
  DM3: 'DMQ',
  KAR: 'CT',
}
/** Languages as SAP keeps them and their ISO codes (table T002). */
const isoLanguages: Readonly<Record<string, string>> = { D: 'DE', E: 'EN', F: 'FR', L: 'PL', S: 'ES', I: 'IT' }

export function leaving(value: string, as: 'unit' | 'language' | undefined): string {
  if (as === 'unit') return isoUnits[value] ?? value
  return as === 'language' ? (isoLanguages[value] ?? value) : value
}
