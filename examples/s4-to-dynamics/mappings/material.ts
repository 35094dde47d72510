import { compute, constant, defineMapping, field, firstOf, join, number, pick, setting } from 'isthmus/mapping'
import { product } from './dynamics-tables.ts'

const materialNumber = firstOf(field('E1MARAM/MATNR_LONG'), field('E1MARAM/MATNR')).alpha()
/** An original or a whole object; an IDoc out of change pointers (004, 018) has only the segments in which something changed. */
const isWhole = field('E1MARAM/MSGFN').is('005', '009')
const text = pick('E1MARAM/E1MAKTM', { where: ['SPRAS_ISO', setting('language')], else: isWhole })
/** The price of another valuation area is no price of this one, and may be in another currency. */
const valuation = pick('E1MARAM/E1MBEWM', { where: ['BWKEY', setting('valuation-area')], else: 'none' })

/** MATMAS05 → product. */
export default defineMapping({
  name: 'material to product',
  source: 'idoc',
  target: product,
  fields: {
    productnumber: materialNumber.required(),
    new_sapkey: materialNumber.escaped(),
    // Not required: an IDoc out of change pointers has the texts only when one of them changed.
    name: text.field('MAKTX').trim(),
    producttypecode: field('E1MARAM/MTART').choose({
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
    defaultuomid: field('E1MARAM/MEINS').replace({ PCE: 'Each', EA: 'Each', KGM: 'kg', LTR: 'l', MTR: 'm' }).key(),
    defaultuomscheduleid: setting('unit-group').key().onCreate(),
    quantitydecimal: field('E1MARAM/MEINS').choose({ PCE: 0, EA: 0, H87: 0 }, { default: 3 }),
    stockweight: field('E1MARAM/NTGEW').decimal().toUnit('KGM', field('E1MARAM/GEWEI')).round(5),
    stockvolume: field('E1MARAM/VOLUM').decimal().toUnit('MTQ', field('E1MARAM/VOLEH')).round(5),
    standardcost: valuation.field('STPRS').decimal().per(valuation.field('PEINH').decimal()).round(4),
    size: compute(
      [join(' x ', field('E1MARAM/LAENG'), field('E1MARAM/BREIT'), field('E1MARAM/HOEHE')), field('E1MARAM/MEABM')],
      'length x width x height and their unit',
      (sides, unit) => (sides && unit ? `${sides} ${unit}` : sides),
    ),
    new_gtin: field('E1MARAM/EAN11'),
    new_producthierarchy: field('E1MARAM/PRDHA'),
    // 003: the object itself is gone from SAP; the product stays, with its history.
    new_sapretired: constant(true).when(field('E1MARAM/MSGFN').is('003')).or(field('E1MARAM/LVORM').flag()),
  },
})
