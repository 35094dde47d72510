import {
  boolean,
  compute,
  constant,
  defineMapping,
  documentField,
  each,
  field,
  firstOf,
  join,
  list,
  number,
  pick,
  setting,
} from 'isthmus/mapping'
import { baseUnit, product, unit, unitGroup } from './dynamics-tables.ts'
import { productTypes } from './product-types.ts'
import { unitGroupReference, unitKey, unitNames, unitReference } from './units.ts'

/** Rules inside lists read the whole document too: the number and the base unit stand at its top. */
const materialNumber = firstOf(documentField('E1MARAM/MATNR_LONG'), documentField('E1MARAM/MATNR')).alpha()
const baseUnitCode = documentField('E1MARAM/MEINS')
/** An original or a whole object; an IDoc out of change pointers (004, 018) has only the segments in which something changed. */
const isWhole = field('E1MARAM/MSGFN').is('005', '009')
const text = pick('E1MARAM/E1MAKTM', { where: ['SPRAS_ISO', setting('language')], else: isWhole })
/**
 * The price of another valuation area is no price of this one, and may be in another currency. With split valuation each
 * kind of stock (BWTAR) has a price, too; the one of all of it has no kind.
 */
const valuation = pick('E1MARAM/E1MBEWM', { where: { BWKEY: setting('valuation-area'), BWTAR: '' }, else: 'none' })
const sales = pick('E1MARAM/E1MVKEM', {
  where: { VKORG: setting('sales-organization'), VTWEG: setting('distribution-channel') },
  else: 'none',
})

/**
 * 1 retired, 0 active: gone from SAP (003), flagged for deletion, or with a status of all plants that says obsolete. The
 * product stays, with its history. Where the flag is not told the state stays too.
 */
const isRetired = compute(
  [field('E1MARAM/MSGFN'), field('E1MARAM/LVORM'), field('E1MARAM/MSTAE').choose({ OB: true }, { default: false })],
  '1 when gone (003), flagged or obsolete, else 0',
  (msgfn, flag, isObsolete) =>
    msgfn === '003' || flag === 'X' || isObsolete === true ? 1 : flag === undefined ? flag : 0,
)

const productFields = {
  productnumber: materialNumber.required(),
  new_sapkey: materialNumber.escaped(),
  // Not required: an IDoc out of change pointers has the texts only when one of them changed.
  name: text.field('MAKTX').trim(),
  producttypecode: field('E1MARAM/MTART').choose(productTypes),
  productstructure: number(1).onCreate(),
  defaultuomid: unitReference(materialNumber, baseUnitCode).onCreate(),
  defaultuomscheduleid: unitGroupReference(materialNumber, baseUnitCode).onCreate(),
  quantitydecimal: field('E1MARAM/MEINS').choose({ PCE: 0, EA: 0, H87: 0 }, { default: 3 }),
  stockweight: field('E1MARAM/NTGEW').decimal().toUnit('KGM', field('E1MARAM/GEWEI')).round(5),
  stockvolume: field('E1MARAM/VOLUM').decimal().toUnit('MTQ', field('E1MARAM/VOLEH')).round(5),
  standardcost: valuation.field('STPRS').decimal().per(valuation.field('PEINH').decimal()).round(4),
  // The price by which the material is valued now: S standard, V moving average.
  currentcost: firstOf(valuation.field('VERPR').when(valuation.field('VPRSV').is('V')), valuation.field('STPRS'))
    .decimal()
    .per(valuation.field('PEINH').decimal())
    .round(4),
  // An amount without its currency is one in the currency of the application user. MATMAS does not name that of the prices.
  transactioncurrencyid: setting('valuation-currency')
    .key()
    .when(valuation.field('BWKEY').to('is told', () => true)),
  size: compute(
    [join(' x ', field('E1MARAM/LAENG'), field('E1MARAM/BREIT'), field('E1MARAM/HOEHE')), field('E1MARAM/MEABM')],
    'length x width x height and their unit',
    (sides, measure) => (measure === undefined ? undefined : sides && measure ? `${sides} ${measure}` : sides),
  ),
  new_gtin: field('E1MARAM/EAN11'),
  new_producthierarchy: field('E1MARAM/PRDHA'),
  new_salesstatus: sales.field('VMSTA'),
  statecode: isRetired,
  statuscode: isRetired.to('its reason', state => (state === 1 ? 2 : 1)),
}

/** MATMAS05 → product. */
export default defineMapping({
  name: 'material to product',
  source: 'idoc',
  absent: 'empty',
  one: 'E1MARAM',
  target: product,
  fields: productFields,
})

/**
 * Whoever refers to the base unit brings it along: a change may come before the whole material, which then waits behind it.
 * A whole material without one is refused.
 */
const tellsUnits = compute(
  [isWhole, field('E1MARAM/MEINS'), field('E1MARAM/E1MARMM/MEINH')],
  'a whole material, or one with a base unit or units',
  (whole, base, code) => whole === true || (typeof base === 'string' && base !== '') || code !== undefined,
)
/** The base unit has a row of its own in table MARM; units that are gone stay, since lines of invoices name them. */
const isOtherUnit = compute(
  [field('MEINH'), baseUnitCode, field('MSGFN')],
  'another unit than the base unit, and not deleted (003)',
  (code, base, msgfn) => typeof code === 'string' && code !== '' && code !== base && msgfn !== '003',
)

/**
 * MATMAS05 → the unit group of the material, its base unit, its other units, and the product that refers to them; and whether
 * the material is gone from SAP: a product that is not there is not made for that.
 */
export const withUnits = defineMapping({
  name: 'material to product and units',
  source: 'idoc',
  absent: 'empty',
  one: 'E1MARAM',
  target: {
    isGone: boolean(),
    unitGroups: list(unitGroup),
    baseUnits: list(baseUnit),
    units: list(unit),
    products: list(product),
  },
  fields: {
    isGone: field('E1MARAM/MSGFN').is('003').or(constant(false)),
    unitGroups: each(
      '.',
      unitGroup,
      {
        new_sapkey: materialNumber.escaped().required(),
        name: join(' ', materialNumber, text.field('MAKTX').trim()).onCreate(),
        // Dynamics 365 makes the base unit of this name with the group.
        baseuomname: baseUnitCode.replace(unitNames).onCreate(),
      },
      { only: tellsUnits },
    ),
    baseUnits: each(
      '.',
      baseUnit,
      {
        name: baseUnitCode.replace(unitNames).required(),
        new_sapkey: unitKey(materialNumber, baseUnitCode),
      },
      { only: tellsUnits },
    ),
    units: each(
      'E1MARAM/E1MARMM',
      unit,
      {
        new_sapkey: unitKey(materialNumber, field('MEINH')),
        name: field('MEINH').replace(unitNames).onCreate(),
        quantity: field('UMREZ').decimal().per(field('UMREN').decimal()).round(10),
        uomscheduleid: materialNumber.escaped().key().onCreate(),
        baseuom: unitReference(materialNumber, baseUnitCode).onCreate(),
        new_gtin: field('EAN11'),
      },
      { only: isOtherUnit },
    ),
    products: each('.', product, productFields),
  },
})
