/** A decimal number as it stands in a document: no binary fraction, no lost digit. Its value is digits / 10^scale. */
export interface Decimal {
  readonly digits: bigint
  readonly scale: number
}

/** More digits than any SAP field has; keeps a hostile number from costing time. */
const digitsMax = 60

/**
 * SAP writes `12.50`, `12.50-`, ` 1234.000 `, and floating point fields (FLTP) with an exponent: `1.2500000000000000E+02`
 * in IDocs, `1.25E2` in messages of proxies. Undefined for anything that is no such number.
 */
export function parseDecimal(value: string): Decimal | undefined {
  // Blanks go first: a pattern for them at both ends would try each split of a long run of them.
  const match = /^([+-]?)(\d*)(?:\.(\d*))?(?:[Ee]([+-]?\d{1,3})|(-))?$/.exec(value.trim())
  if (!match) return undefined
  const [, sign = '', whole = '', fraction = '', exponent = '0', trailing = ''] = match
  if (whole.length + fraction.length === 0 || whole.length + fraction.length > digitsMax) return undefined
  if (sign !== '' && trailing !== '') return undefined
  // Cut as text: SAP fills up with zeros, and each division of a bigint costs more than all of this.
  const needed = fraction.endsWith('0') ? fraction.replace(/0+$/, '') : fraction
  const digits = BigInt(`${whole}${needed}`)
  const written = { digits: sign === '-' || trailing === '-' ? -digits : digits, scale: needed.length }
  const places = Number(exponent)
  if (places === 0 || digits === 0n) return written
  return Math.abs(places) > digitsMax ? undefined : shiftPoint(written, places)
}

export function decimalOf(value: number): Decimal {
  const parsed = parseDecimal(String(value))
  if (!parsed) throw new RangeError(`${value} is no decimal number`)
  return parsed
}

export function times(left: Decimal, right: Decimal): Decimal {
  return shorten({ digits: left.digits * right.digits, scale: left.scale + right.scale })
}

export function plus(left: Decimal, right: Decimal): Decimal {
  const scale = Math.max(left.scale, right.scale)
  return shorten({ digits: raise(left, scale) + raise(right, scale), scale })
}

export function compare(left: Decimal, right: Decimal): number {
  const scale = Math.max(left.scale, right.scale)
  const difference = raise(left, scale) - raise(right, scale)
  return difference < 0n ? -1 : difference > 0n ? 1 : 0
}

/** Half away from zero, as SAP and Dataverse round; undefined when divided by zero. */
export function divide(left: Decimal, right: Decimal, scale: number): Decimal | undefined {
  if (right.digits === 0n) return undefined
  // One digit more than wanted would not do: 0.5 - tiny must not round up. So the exact remainder decides.
  const shift = scale + right.scale - left.scale
  const dividend = shift >= 0 ? left.digits * 10n ** BigInt(shift) : left.digits
  const divisor = shift >= 0 ? right.digits : right.digits * 10n ** BigInt(-shift)
  return shorten({ digits: divideHalfUp(dividend, divisor), scale })
}

export function round(value: Decimal, scale: number): Decimal {
  if (value.scale <= scale) return value
  return shorten({ digits: divideHalfUp(value.digits, 10n ** BigInt(value.scale - scale)), scale })
}

/** Moves the point: 1234 shifted by 2 is 123400, by -2 is 12.34. */
export function shiftPoint(value: Decimal, places: number): Decimal {
  const scale = value.scale - places
  return scale >= 0
    ? shorten({ digits: value.digits, scale })
    : { digits: value.digits * 10n ** BigInt(-scale), scale: 0 }
}

export function formatDecimal({ digits, scale }: Decimal): string {
  const sign = digits < 0n ? '-' : ''
  const plain = (digits < 0n ? -digits : digits).toString().padStart(scale + 1, '0')
  return scale === 0 ? `${sign}${plain}` : `${sign}${plain.slice(0, -scale)}.${plain.slice(-scale)}`
}

/** The JSON number, or undefined when a double would change it (more than 15 significant digits). */
export function toNumber(value: Decimal): number | undefined {
  const significant = (value.digits < 0n ? -value.digits : value.digits).toString().replace(/0+$/, '').length
  return significant > 15 ? undefined : Number(formatDecimal(value))
}

function raise(value: Decimal, scale: number): bigint {
  return value.digits * 10n ** BigInt(scale - value.scale)
}

function shorten(value: Decimal): Decimal {
  let { digits, scale } = value
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale -= 1
  }
  return { digits, scale }
}

function divideHalfUp(dividend: bigint, divisor: bigint): bigint {
  const isNegative = dividend < 0n !== divisor < 0n
  const left = dividend < 0n ? -dividend : dividend
  const right = divisor < 0n ? -divisor : divisor
  const quotient = (left * 2n + right) / (right * 2n)
  return isNegative ? -quotient : quotient
}
