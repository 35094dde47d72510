import type { Segment } from '../../protocols/idoc/idoc.ts'
import type { MasterData, Row } from './master-data.ts'

/** ADRMAS02: the address of a customer, which DEBMAS does not carry. Undefined for an address that no customer has. */
export function addressSegments(data: MasterData, addressNumber: string): Segment | undefined {
  const [address] = data.find('ADRC', { ADDRNUMBER: addressNumber })
  const [customer] = data.find('KNA1', { ADRNR: addressNumber })
  if (!address || !customer) return undefined
  const of = (name: string) => address[name] ?? ''
  const main = segment('E1BPAD1VL', {
    ADDR_VERS: '',
    NAME: of('NAME1'),
    CITY: of('CITY1'),
    DISTRICT: of('CITY2'),
    POSTL_COD1: of('POST_CODE1'),
    PO_BOX: of('PO_BOX'),
    STREET: of('STREET'),
    HOUSE_NO: of('HOUSE_NUM1'),
    COUNTRY: of('COUNTRY'),
    REGION: of('REGION'),
  })
  const ways = [
    ['E1BPADTEL', 'TELEPHONE', of('TEL_NUMBER')],
    ['E1BPADFAX', 'FAX', of('FAX_NUMBER')],
    ['E1BPADSMTP', 'E_MAIL', of('SMTP_ADDR')],
  ] as const
  return segment('E1ADRMAS', { OBJ_TYPE: 'KNA1', OBJ_ID: customer['KUNNR'] ?? '', CONTEXT: '0001' }, [
    main,
    ...ways.flatMap(([name, field, value]) => (value === '' ? [] : [segment(name, { STD_NO: 'X', [field]: value })])),
  ])
}

/** ZCUSTSTOCK01: one row of the special stock at a customer (table MSKU), as the report of the company sends it. */
export function stockSegments(row: Row): Segment {
  const of = (name: string) => row[name] ?? ''
  return segment('ZE1CUSTSTOCK', {
    MATNR: of('MATNR'),
    WERKS: of('WERKS'),
    CHARG: of('CHARG'),
    SOBKZ: of('SOBKZ'),
    KUNNR: of('KUNNR'),
    KULAB: of('KULAB'),
    KUINS: of('KUINS'),
    KUEIN: of('KUEIN'),
    MEINS: of('MEINS'),
  })
}

export function segment(
  name: string,
  fields: Readonly<Record<string, string>>,
  children: readonly Segment[] = [],
): Segment {
  return { name, fields: new Map(Object.entries(fields)), children }
}
