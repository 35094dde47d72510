import { defineMapping, field, join, setting } from 'isthmus/mapping'
import { inventory } from './dynamics-tables.ts'
import { plantStockKey } from './stock-key.ts'

const at = (name: string) => field(`E1MDSTL/${name}`)

/** LOISTD01 → new_inventory: the stock of a material in a plant, of no customer. */
export default defineMapping({
  name: 'plant stock to inventory',
  source: 'idoc',
  one: 'E1MDSTL',
  target: inventory,
  fields: {
    new_sapkey: plantStockKey(at('MATNR').alpha(), at('WERKS')).required(),
    new_name: join(' / ', at('WERKS'), at('MATNR').alpha()),
    new_product: at('MATNR').alpha().escaped().key().required(),
    new_plant: at('WERKS'),
    new_quantity: at('LABST').decimal(),
    new_qinspection: at('INSME').decimal(),
    new_restricted: at('EINME').decimal(),
    new_blocked: at('SPEME').decimal(),
    new_consignment: at('KLABS').decimal(),
    new_uom: at('MEINS'),
    new_sapasof: field('EDI_DC40/CREDAT').dateTime(field('EDI_DC40/CRETIM'), { timeZone: setting('time-zone') }),
    new_sapdoc: field('EDI_DC40/DOCNUM'),
  },
})
