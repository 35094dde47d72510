import { join, type TextRule } from 'isthmus/mapping'

/**
 * Keys of stock, the same for reports and calls: `4711-1710-B1-W-1001`. Numbers of materials and batches may hold the hyphen
 * between the parts (`A-1710` in plant 1720, batch 1720 of `A` in plant 1710), so inside a part it is `_2D`.
 */

/** Key of special stock at a customer; without the batch where there is none. */
export function customerStockKey(of: {
  readonly material: TextRule
  readonly plant: TextRule
  readonly batch: TextRule
  readonly kind: TextRule
  readonly customer: TextRule
}): TextRule {
  const { material, plant, batch, kind, customer } = of
  return join(
    '-',
    part(material).required(),
    part(plant).required(),
    part(batch),
    part(kind).required(),
    part(customer).required(),
  )
}

/** Key of the stock of a plant, of no customer. */
export function plantStockKey(material: TextRule, plant: TextRule): TextRule {
  return join('-', part(material).required(), part(plant).required())
}

function part(rule: TextRule) {
  return rule.escaped().to('hyphens as _2D', text => text.replaceAll('-', '_2D'))
}
