import { compute, defineMapping, documentField, each, list, number } from 'isthmus/mapping'
import { currencyOf } from './currency.ts'
import { baseUnit, product, unitGroup } from './dynamics-tables.ts'
import { productTypes } from './product-types.ts'
import { unitGroupReference, unitKey, unitNames, unitReference } from './units.ts'

const at = (name: string) => documentField(`Product/${name}`)
const material = at('Material').alpha()

const productFields = {
  productnumber: material.required(),
  new_sapkey: material.escaped().required(),
  name: at('Name').trim(),
  producttypecode: at('MaterialType').choose(productTypes),
  productstructure: number(1).onCreate(),
  defaultuomid: unitReference(material, at('Unit')).onCreate(),
  defaultuomscheduleid: unitGroupReference(material, at('Unit')).onCreate(),
  stockweight: at('NetWeight').decimal().toUnit('KGM', at('WeightUnit')).round(5),
  standardcost: at('StandardPrice').decimal().per(at('PriceUnit').decimal()).round(4),
  currentcost: at('StandardPrice').decimal().per(at('PriceUnit').decimal()).round(4),
  transactioncurrencyid: currencyOf(at('Currency')).key(),
  new_gtin: at('Gtin'),
}

const namesUnit = compute([at('Unit')], 'a call that names the unit', code => code !== undefined && code !== '')

/** The fields of a call of Set Product → the unit group of the product, its base unit, and the product, as lists of one. */
export default defineMapping({
  name: 'call to product',
  source: 'document',
  target: { unitGroups: list(unitGroup), baseUnits: list(baseUnit), products: list(product) },
  fields: {
    unitGroups: each(
      '.',
      unitGroup,
      {
        new_sapkey: material.escaped().required(),
        name: material.onCreate(),
        baseuomname: at('Unit').replace(unitNames).onCreate(),
      },
      { only: namesUnit },
    ),
    baseUnits: each(
      '.',
      baseUnit,
      { name: at('Unit').replace(unitNames), new_sapkey: unitKey(material, at('Unit')) },
      { only: namesUnit },
    ),
    products: each('.', product, productFields),
  },
})
