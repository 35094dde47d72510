/** A table of S/4HANA as far as the twin knows it: fields with their lengths, all values as text, as IDocs have them. */
export interface Table {
  readonly key: readonly string[]
  readonly fields: Readonly<Record<string, number>>
  /** Class of the change documents that a change writes; none: changes leave no trace, and no change pointers. */
  readonly changes?: { readonly objectClass: 'DEBI' | 'MATERIAL' | 'ADRESSE'; readonly objectId: string }
}

const debi = (objectId: string) => ({ objectClass: 'DEBI', objectId }) as const
const material = { objectClass: 'MATERIAL', objectId: 'MATNR' } as const

export const tables = {
  /** Customers, general data. */
  KNA1: {
    key: ['KUNNR'],
    changes: debi('KUNNR'),
    fields: {
      KUNNR: 10,
      ADRNR: 10,
      AUFSD: 2,
      BRSCH: 4,
      FAKSD: 2,
      KTOKD: 4,
      LAND1: 3,
      LIFSD: 2,
      LOEVM: 1,
      NAME1: 35,
      NAME2: 35,
      NAME3: 35,
      NAME4: 35,
      ORT01: 35,
      ORT02: 35,
      PFACH: 10,
      PSTLZ: 10,
      REGIO: 3,
      SPERR: 1,
      SPRAS: 1,
      STCEG: 20,
      STRAS: 35,
      TELF1: 16,
      TELFX: 31,
    },
  },
  /** Customers, sales areas. */
  KNVV: {
    key: ['KUNNR', 'VKORG', 'VTWEG', 'SPART'],
    changes: debi('KUNNR'),
    fields: { KUNNR: 10, VKORG: 4, VTWEG: 2, SPART: 2, KDGRP: 2, WAERS: 5, ZTERM: 4, VSBED: 2, INCO1: 3 },
  },
  /** Addresses of central address management. */
  ADRC: {
    key: ['ADDRNUMBER'],
    changes: { objectClass: 'ADRESSE', objectId: 'ADDRNUMBER' },
    fields: {
      ADDRNUMBER: 10,
      NAME1: 40,
      CITY1: 40,
      CITY2: 40,
      POST_CODE1: 10,
      PO_BOX: 10,
      STREET: 60,
      HOUSE_NUM1: 10,
      COUNTRY: 3,
      REGION: 3,
      TEL_NUMBER: 30,
      FAX_NUMBER: 30,
      SMTP_ADDR: 241,
    },
  },
  /** Materials, general data. MATNR has 40 letters in S/4HANA. */
  MARA: {
    key: ['MATNR'],
    changes: material,
    fields: {
      MATNR: 40,
      MTART: 4,
      MBRSH: 1,
      MATKL: 9,
      MEINS: 3,
      BRGEW: 13,
      NTGEW: 13,
      GEWEI: 3,
      VOLUM: 13,
      VOLEH: 3,
      EAN11: 18,
      LAENG: 13,
      BREIT: 13,
      HOEHE: 13,
      MEABM: 3,
      PRDHA: 18,
      MSTAE: 2,
      LVORM: 1,
    },
  },
  MAKT: { key: ['MATNR', 'SPRAS'], changes: material, fields: { MATNR: 40, SPRAS: 1, MAKTX: 40 } },
  MARC: {
    key: ['MATNR', 'WERKS'],
    changes: material,
    fields: { MATNR: 40, WERKS: 4, EKGRP: 3, DISPO: 3, BESKZ: 1, MMSTA: 2, LVORM: 1 },
  },
  MARM: {
    key: ['MATNR', 'MEINH'],
    changes: material,
    fields: { MATNR: 40, MEINH: 3, UMREZ: 5, UMREN: 5, EAN11: 18 },
  },
  MBEW: {
    key: ['MATNR', 'BWKEY'],
    changes: material,
    fields: { MATNR: 40, BWKEY: 4, VPRSV: 1, VERPR: 11, STPRS: 11, PEINH: 5, BKLAS: 4 },
  },
  MVKE: {
    key: ['MATNR', 'VKORG', 'VTWEG'],
    changes: material,
    fields: { MATNR: 40, VKORG: 4, VTWEG: 2, VMSTA: 2, MTPOS: 4, LVORM: 1 },
  },
  /** Special stock at customers: SOBKZ W consignment, V returnable packaging. Goods movements write no change documents. */
  MSKU: {
    key: ['MATNR', 'WERKS', 'CHARG', 'SOBKZ', 'KUNNR'],
    fields: { MATNR: 40, WERKS: 4, CHARG: 10, SOBKZ: 1, KUNNR: 10, KULAB: 15, KUINS: 15, KUEIN: 15, MEINS: 3 },
  },
  /** Credit segments of business partners (SAP Credit Management). */
  UKMBP_CMS_SGM: {
    key: ['PARTNER', 'CREDIT_SGMNT'],
    fields: {
      PARTNER: 10,
      CREDIT_SGMNT: 10,
      CREDIT_LIMIT: 16,
      CURRENCY: 5,
      XBLOCKED: 1,
      EXPOSURE: 16,
      BLOCK_REASON: 2,
      RISK_CLASS: 3,
      CREDIT_SCORE: 10,
      LIMIT_VALID_DATE: 8,
    },
  },
  /**
   * Billing documents. BUCHK: A open, B partly cleared, C cleared, X cancelled. VBTYP: M invoice, N its cancellation, O credit
   * memo, S its cancellation; FKSTO: it was cancelled; SFAKN: the document that it cancels.
   */
  VBRK: {
    key: ['VBELN'],
    fields: {
      VBELN: 10,
      FKART: 4,
      KUNAG: 10,
      FKDAT: 8,
      NETDT: 8,
      NETWR: 16,
      MWSBK: 16,
      WAERK: 5,
      ZTERM: 4,
      BUCHK: 1,
      BSTNK: 35,
      XBLNR: 16,
      VBTYP: 4,
      FKSTO: 1,
      SFAKN: 10,
    },
  },
  VBRP: {
    key: ['VBELN', 'POSNR'],
    fields: { VBELN: 10, POSNR: 6, MATNR: 40, ARKTX: 40, FKIMG: 15, VRKME: 3, NETWR: 16, MWSBP: 16, WAERK: 5 },
  },
} as const satisfies Readonly<Record<string, Table>>

export type TableName = keyof typeof tables

/** Fields that SAP keeps with leading zeros when they are digits only, and the length it fills them to (ALPHA). */
const alphaLengths: Readonly<Record<string, number>> = {
  KUNNR: 10,
  KUNAG: 10,
  PARTNER: 10,
  VBELN: 10,
  POSNR: 6,
  ADRNR: 10,
  ADDRNUMBER: 10,
  // Numbers of digits keep the 18 places they had before S/4HANA.
  MATNR: 18,
}

/** A value as the table keeps it. */
export function internal(field: string, value: string): string {
  const length = alphaLengths[field]
  return length !== undefined && /^\d+$/.test(value) ? value.padStart(length, '0') : value
}
