import type { MasterData } from './master-data.ts'

/** A customer with its address, its sales area and its credit account. */
export function createCustomer(
  data: MasterData,
  number: string,
  given: { readonly name: string; readonly city?: string; readonly industry?: string },
): void {
  const address = String(20_000 + Number(number))
  const city = given.city ?? 'Frankfurt'
  data.create('ADRC', {
    ADDRNUMBER: address,
    NAME1: given.name,
    CITY1: city,
    POST_CODE1: '60311',
    STREET: 'Zeil',
    HOUSE_NUM1: '1a',
    COUNTRY: 'DE',
    REGION: '06',
    TEL_NUMBER: '069 1234',
    SMTP_ADDR: `einkauf@${number}.example`,
  })
  data.create('KNVV', { KUNNR: number, VKORG: '1710', VTWEG: '10', SPART: '00', WAERS: 'EUR', ZTERM: '0001' })
  data.create('KNA1', {
    KUNNR: number,
    ADRNR: address,
    NAME1: given.name,
    BRSCH: given.industry ?? 'MACH',
    KTOKD: 'KUNA',
    LAND1: 'DE',
    ORT01: city,
    PSTLZ: '60311',
    REGIO: '06',
    SPRAS: 'D',
    STCEG: `DE${number.padStart(9, '1')}`,
    STRAS: 'Zeil 1a',
    TELF1: '069 1234',
  })
}

/** A finished product with texts in two languages, a plant, a sales area and a standard price. */
export function createMaterial(data: MasterData, number: string, given: { readonly name: string }): void {
  data.create('MAKT', { MATNR: number, SPRAS: 'D', MAKTX: given.name })
  data.create('MAKT', { MATNR: number, SPRAS: 'E', MAKTX: given.name })
  data.create('MARC', { MATNR: number, WERKS: '1710', EKGRP: '001', BESKZ: 'E' })
  data.create('MVKE', { MATNR: number, VKORG: '1710', VTWEG: '10', MTPOS: 'NORM' })
  data.create('MBEW', { MATNR: number, BWKEY: '1710', VPRSV: 'S', STPRS: '141.25', PEINH: '1' })
  data.create('MARA', {
    MATNR: number,
    MTART: 'FERT',
    MBRSH: 'M',
    MEINS: 'ST',
    BRGEW: '5.555',
    NTGEW: '4.666',
    GEWEI: 'KG',
    VOLUM: '38.333',
    VOLEH: 'DM3',
    EAN11: '4006381333931',
  })
}

export function createCreditAccount(data: MasterData, customer: string, limit: string): void {
  data.create('UKMBP_CMS_SGM', {
    PARTNER: customer,
    CREDIT_SGMNT: '1000',
    CREDIT_LIMIT: limit,
    CURRENCY: 'EUR',
    EXPOSURE: '1234.56',
    RISK_CLASS: 'B',
    LIMIT_VALID_DATE: '99991231',
  })
}

/** A billing document with one item. */
export function createInvoice(data: MasterData, number: string, customer: string, material: string): void {
  data.create('VBRP', {
    VBELN: number,
    POSNR: '10',
    MATNR: material,
    ARKTX: 'Pump',
    FKIMG: '3.000',
    VRKME: 'ST',
    NETWR: '100.10',
    MWSBP: '19.02',
    WAERK: 'EUR',
  })
  data.create('VBRK', {
    VBELN: number,
    FKART: 'F2',
    KUNAG: customer,
    FKDAT: '20261120',
    NETDT: '20261220',
    NETWR: '100.10',
    MWSBK: '19.02',
    WAERK: 'EUR',
    ZTERM: 'Z030',
    BUCHK: 'A',
    BSTNK: 'PO-4711',
  })
}
