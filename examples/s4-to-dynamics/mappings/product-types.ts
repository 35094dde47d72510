/** The type of a product by the type of the material: goods, packaging and what is not stocked, services. */
export const productTypes = {
  FERT: 1,
  HALB: 1,
  HAWA: 1,
  ROH: 1,
  VERP: 2,
  NLAG: 2,
  DIEN: 3,
  LEIS: 3,
} as const
