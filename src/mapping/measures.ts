import { type Decimal, parseDecimal } from './exact-decimal.ts'

/**
 * Units of measure by ISO code (UN/ECE Recommendation 20), as IDocs carry them, with their factor to the base unit of
 * their dimension (kg, m, m2, m3, s, piece). The factors are exact by definition.
 */
const units: Readonly<Record<string, readonly [dimension: string, factor: string]>> = {
  KGM: ['mass', '1'],
  GRM: ['mass', '0.001'],
  MGM: ['mass', '0.000001'],
  HGM: ['mass', '0.1'],
  DTN: ['mass', '100'],
  TNE: ['mass', '1000'],
  LBR: ['mass', '0.45359237'],
  ONZ: ['mass', '0.028349523125'],
  CWA: ['mass', '45.359237'],
  CWI: ['mass', '50.80234544'],
  STN: ['mass', '907.18474'],
  LTN: ['mass', '1016.0469088'],
  MTR: ['length', '1'],
  DMT: ['length', '0.1'],
  CMT: ['length', '0.01'],
  MMT: ['length', '0.001'],
  KMT: ['length', '1000'],
  INH: ['length', '0.0254'],
  FOT: ['length', '0.3048'],
  YRD: ['length', '0.9144'],
  SMI: ['length', '1609.344'],
  MTK: ['area', '1'],
  CMK: ['area', '0.0001'],
  MMK: ['area', '0.000001'],
  KMK: ['area', '1000000'],
  HAR: ['area', '10000'],
  INK: ['area', '0.00064516'],
  FTK: ['area', '0.09290304'],
  YDK: ['area', '0.83612736'],
  ACR: ['area', '4046.8564224'],
  MTQ: ['volume', '1'],
  DMQ: ['volume', '0.001'],
  LTR: ['volume', '0.001'],
  CMQ: ['volume', '0.000001'],
  MLT: ['volume', '0.000001'],
  CLT: ['volume', '0.00001'],
  DLT: ['volume', '0.0001'],
  HLT: ['volume', '0.1'],
  MMQ: ['volume', '0.000000001'],
  INQ: ['volume', '0.000016387064'],
  FTQ: ['volume', '0.028316846592'],
  YDQ: ['volume', '0.764554857984'],
  OZA: ['volume', '0.0000295735295625'],
  PTL: ['volume', '0.000473176473'],
  QTL: ['volume', '0.000946352946'],
  GLL: ['volume', '0.003785411784'],
  GLI: ['volume', '0.00454609'],
  SEC: ['time', '1'],
  MIN: ['time', '60'],
  HUR: ['time', '3600'],
  DAY: ['time', '86400'],
}

/** The factors by which a quantity goes to another unit (× from ÷ to), or undefined where the two do not fit. */
export function unitFactors(from: string, to: string): { readonly from: Decimal; readonly to: Decimal } | undefined {
  const source = units[from]
  const target = units[to]
  if (!source || !target || source[0] !== target[0]) return undefined
  const [fromFactor, toFactor] = [parseDecimal(source[1]), parseDecimal(target[1])]
  return fromFactor && toFactor && { from: fromFactor, to: toFactor }
}

/**
 * Digits after the point of currencies that do not have two: table TCURX as SAP delivers it (note 137626), which has more
 * of them than ISO 4217 (HUF, IDR, TWD), and those of ISO 4217 that came later. SAP stores every amount with two, so 1,234
 * yen lie there as 12.34. Each system has a table of its own, see NumberRule.amountIn.
 */
const currencyDigits: ReadonlyMap<string, number> = new Map([
  ...(
    'ADP AFA BEF BIF BYB BYR CLP COP DJF ECS ESP GNF GRD HUF IDR ISK ITL JPY KMF KRW LAK LUF MGF MZM PTE PYG ROL RWF TJR ' +
    'TMM TPE TRL TWD UGX UYI VND VUV XAF XOF XPF'
  )
    .split(' ')
    .map((code): [string, number] => [code, 0]),
  ...'BHD IQD JOD KWD LYD OMR TND'.split(' ').map((code): [string, number] => [code, 3]),
])

/** How far the point of an amount as SAP stores it moves to the right: JPY 2, EUR 0, KWD -1. */
export function currencyShift(currency: string, own: ReadonlyMap<string, number>): number {
  return 2 - (own.get(currency) ?? currencyDigits.get(currency) ?? 2)
}
