import { defineMapping, field, number, setting } from 'isthmus/mapping'
import { product } from './dynamics-tables.ts'

const at = (name: string) => field(`Product/${name}`)

/** The fields of a call of Set Product → product. */
export default defineMapping({
  name: 'call to product',
  source: 'document',
  target: product,
  fields: {
    productnumber: at('Material').alpha().required(),
    new_sapkey: at('Material').alpha().escaped().required(),
    name: at('Name').trim(),
    producttypecode: at('MaterialType').choose({
      FERT: 1,
      HALB: 1,
      HAWA: 1,
      ROH: 1,
      VERP: 2,
      NLAG: 2,
      DIEN: 3,
      LEIS: 3,
    }),
    productstructure: number(1).onCreate(),
    defaultuomid: at('Unit').replace({ PCE: 'Each', EA: 'Each', KGM: 'kg', LTR: 'l', MTR: 'm' }).key(),
    defaultuomscheduleid: setting('unit-group').key().onCreate(),
    stockweight: at('NetWeight').decimal().toUnit('KGM', at('WeightUnit')).round(5),
    standardcost: at('StandardPrice').decimal().per(at('PriceUnit').decimal()).round(4),
    new_gtin: at('Gtin'),
  },
})
