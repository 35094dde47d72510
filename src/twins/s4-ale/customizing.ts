import type { PointerSettings } from './change-pointers.ts'
import { layouts, type ReducedType } from './idoc-layout.ts'
import { type TableName, tables } from './tables.ts'

/** A message type of the company's own with weights and texts of materials only. */
export const reducedTypes: Readonly<Record<string, ReducedType>> = {
  ZMATSMD: {
    of: 'MATMAS',
    fields: { E1MARAM: ['NTGEW', 'BRGEW', 'GEWEI', 'MATNR_LONG'], E1MAKTM: ['MAKTX', 'SPRAS_ISO'] },
  },
}

const ownFields = (table: TableName, fields: readonly string[]) => fields.map(field => `${table}-${field}`)

/**
 * Active fields as the twin begins with them. Not all fields of a table: a change of the purchasing group, for example, is
 * nothing that anybody outside wants to hear of.
 */
export function initialPointerSettings(): PointerSettings {
  const matmas = [
    ...ownFields('MARA', ['KEY', ...Object.keys(tables.MARA.fields).filter(field => field !== 'MATKL')]),
    ...ownFields('MAKT', ['KEY', 'MAKTX']),
    ...ownFields('MARM', ['KEY', 'UMREZ', 'UMREN', 'EAN11']),
    ...ownFields('MBEW', ['KEY', 'STPRS', 'PEINH']),
    ...ownFields('MVKE', ['KEY', 'VMSTA', 'LVORM']),
    ...ownFields('MARC', ['KEY', 'MMSTA', 'LVORM']),
  ]
  const debmas = [
    ...ownFields('KNA1', ['KEY', ...Object.keys(tables.KNA1.fields).filter(field => field !== 'ADRNR')]),
    ...ownFields('KNVV', ['KEY', 'WAERS', 'ZTERM', 'KDGRP']),
  ]
  const adrmas = ownFields('ADRC', ['KEY', ...Object.keys(tables.ADRC.fields)])
  const lessOfMaterials = [...ownFields('MARA', ['NTGEW', 'BRGEW']), ...ownFields('MAKT', ['KEY', 'MAKTX'])]
  return {
    isActive: true,
    messageTypes: new Set(['MATMAS', 'DEBMAS', 'ADRMAS']),
    fields: new Map([
      ['MATMAS', new Set(matmas)],
      ['DEBMAS', new Set(debmas)],
      ['ADRMAS', new Set(adrmas)],
      ['ZMATSMD', new Set(lessOfMaterials)],
    ]),
  }
}

/** Message types whose IDocs come from change pointers. */
export const pointerTypes: readonly string[] = [...Object.keys(layouts), 'ADRMAS', ...Object.keys(reducedTypes)]
