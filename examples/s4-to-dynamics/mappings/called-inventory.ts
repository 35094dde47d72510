import { defineMapping, field, join } from 'isthmus/mapping'
import { inventory } from './dynamics-tables.ts'
import { calledStockKey } from './keys.ts'

const at = (name: string) => field(`Inventory/${name}`)

/** The fields of a call of Set Inventory → new_inventory. */
export default defineMapping({
  name: 'call to inventory',
  source: 'document',
  target: inventory,
  fields: {
    new_sapkey: calledStockKey.required(),
    new_name: join(' / ', at('Customer').alpha(), at('Material').alpha()),
    new_product: at('Material').alpha().escaped().key().required(),
    new_account: at('Customer').alpha().key().required(),
    new_plant: at('Plant').required(),
    new_specialstock: at('SpecialStockType').choose({ W: 1, V: 2 }),
    new_quantity: at('Quantity').decimal(),
    new_qinspection: at('QuantityInInspection').decimal(),
    new_restricted: at('QuantityRestricted').decimal(),
    new_uom: at('Unit'),
  },
})
