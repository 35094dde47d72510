import { defineMapping, field, join, setting } from 'isthmus/mapping'
import { inventory } from './dynamics-tables.ts'
import { customerStockKey } from './stock-key.ts'

const at = (name: string) => field(`ZE1CUSTSTOCK/${name}`)

/**
 * ZCUSTSTOCK01 → new_inventory. No standard IDoc carries the special stock of a customer (table MSKU, SOBKZ W and V), so
 * SAP's side has a segment of its own with the fields of that table.
 */
export default defineMapping({
  name: 'customer stock to inventory',
  source: 'idoc',
  one: 'ZE1CUSTSTOCK',
  target: inventory,
  fields: {
    new_sapkey: customerStockKey({
      material: at('MATNR').alpha(),
      plant: at('WERKS'),
      batch: at('CHARG'),
      kind: at('SOBKZ'),
      customer: at('KUNNR').alpha(),
    }).required(),
    new_name: join(' / ', at('KUNNR').alpha(), at('MATNR').alpha()),
    new_product: at('MATNR').alpha().escaped().key().required(),
    new_account: at('KUNNR').alpha().key().required(),
    new_plant: at('WERKS'),
    new_specialstock: at('SOBKZ').choose({ W: 1, V: 2 }),
    new_quantity: at('KULAB').decimal(),
    new_qinspection: at('KUINS').decimal(),
    new_restricted: at('KUEIN').decimal(),
    new_uom: at('MEINS'),
    new_sapasof: field('EDI_DC40/CREDAT').dateTime(field('EDI_DC40/CRETIM'), { timeZone: setting('time-zone') }),
    new_sapdoc: field('EDI_DC40/DOCNUM'),
  },
})
