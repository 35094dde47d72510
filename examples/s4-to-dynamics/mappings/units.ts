import { join, type TextRule } from 'isthmus/mapping'

/**
 * Units of materials. What a unit is worth stands in the material (a carton of twelve of this, of ten of that), so each
 * material has a unit group of its own, under the key of the material, with its base unit and its other units below.
 */

/** Key of a unit: `4711-PCE`. */
export function unitKey(material: TextRule, unit: TextRule): TextRule {
  return join('-', material, unit).escaped()
}

/** The unit as products refer to it; nothing where the unit is not told. */
export function unitReference(material: TextRule, unit: TextRule) {
  return unitKey(material, unit).key().when(isTold(unit))
}

/** The unit group as products refer to it; nothing where the unit is not told. */
export function unitGroupReference(material: TextRule, unit: TextRule) {
  return material.escaped().key().when(isTold(unit))
}

function isTold(unit: TextRule) {
  return unit.to('is told', code => code !== '')
}

/** What people read instead of the ISO code; others are called by their code. */
export const unitNames = {
  PCE: 'Each',
  EA: 'Each',
  KGM: 'kg',
  GRM: 'g',
  TNE: 't',
  LTR: 'l',
  MTR: 'm',
  CT: 'Carton',
  BX: 'Box',
  PF: 'Pallet',
} as const
