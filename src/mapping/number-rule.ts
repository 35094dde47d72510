import {
  compare,
  type Decimal,
  divide,
  formatDecimal,
  parseDecimal,
  plus,
  round,
  shiftPoint,
  times,
} from './exact-decimal.ts'
import { currencyShift, unitFactors } from './measures.ts'
import { describe, extend, type Outcome, Rule, type RuleScope, refuse } from './rule.ts'

/** Digits after the point that a division keeps before the target rounds. */
const divisionScale = 12

/** A number, exact in every digit until it is written to the target. */
export class NumberRule extends Rule<Decimal> {
  /** Half away from zero, as SAP rounds. Without it a value with more digits than the target keeps is refused. */
  round(scale: number): NumberRule {
    return this.#next(`round to ${scale} digits`, value => round(value, scale))
  }

  times(factor: string): NumberRule {
    const by = parseDecimal(factor)
    if (!by) throw new TypeError(`"${factor}" is no decimal number`)
    return this.#next(`times ${factor}`, value => times(value, by))
  }

  negate(): NumberRule {
    return this.#next('negate', value => ({ ...value, digits: -value.digits }))
  }

  /** Adds the values that are there; the sum is empty only when every one is. */
  plus(...others: readonly Rule<Decimal>[]): NumberRule {
    return new NumberRule({
      sources: [...this.sources, ...others.flatMap(other => other.sources)],
      words: [...this.words, ...others.map(other => `plus ${describe(other)}`)],
      read: scope =>
        [this, ...others]
          .map(rule => rule.read(scope))
          .reduce<Outcome<Decimal>>((sum, value) => {
            if (value === null || value === undefined) return sum
            return sum === null || sum === undefined ? value : plus(sum, value)
          }, undefined),
    })
  }

  /** For prices per unit (`STPRS` per `PEINH`). An absent or zero divisor counts as 1, as SAP does. */
  per(divisor: Rule<Decimal>): NumberRule {
    return this.#with(`per ${describe(divisor)}`, divisor.sources, (value, scope) => {
      const by = divisor.read(scope)
      return (by && divide(value, by, divisionScale)) ?? value
    })
  }

  /**
   * To another unit of measure, both by ISO code (`KGM`). A unit that is unknown or of another dimension is refused, and so is
   * none, unless the value is zero: SAP writes 0.000 without a unit for a material that has no weight.
   */
  toUnit(target: string, unit: Rule<string>): NumberRule {
    return this.#with(`from the unit in ${describe(unit)} to ${target}`, unit.sources, (value, scope) => {
      const from = unit.read(scope)
      if (!from) return value.digits === 0n ? value : refuse(`the unit (${describe(unit)}) is empty`)
      if (from === target) return value
      const factors = unitFactors(from, target) ?? refuse(`${from} cannot be converted to ${target}`)
      return divide(times(value, factors.from), factors.to, divisionScale)
    })
  }

  /**
   * An amount as SAP stores it, always with two digits, to the amount it means (`12.34` JPY is 1234 yen). `digits`: those
   * after the point of currencies that table TCURX of the system has otherwise than SAP delivers it (`{ HUF: 2 }`). Zero
   * needs no currency.
   */
  amountIn(currency: Rule<string>, digits: Readonly<Record<string, number>> = {}): NumberRule {
    const own = new Map(Object.entries(digits))
    const others = [...own].map(([code, count]) => `, ${code} with ${count} digits`).join('')
    const words = `as stored for the currency in ${describe(currency)}${others}`
    return this.#with(words, currency.sources, (value, scope) => {
      const code = currency.read(scope)
      if (!code) return value.digits === 0n ? value : refuse(`the currency (${describe(currency)}) is empty`)
      return shiftPoint(value, currencyShift(code, own))
    })
  }

  /** The sign from SAP's debit/credit indicator: S (debit) stays, H (credit) becomes negative. */
  signedBy(indicator: Rule<string>): NumberRule {
    return this.#with(`sign by ${describe(indicator)}`, indicator.sources, (value, scope) => {
      const mark = indicator.read(scope)
      if (mark === 'S') return value
      if (mark === 'H') return { ...value, digits: -value.digits }
      return refuse(`${describe(indicator)} is ${JSON.stringify(mark ?? '')}, neither S nor H`)
    })
  }

  atLeast(least: string): NumberRule {
    const bound = parseDecimal(least)
    if (!bound) throw new TypeError(`"${least}" is no decimal number`)
    return this.#next(`at least ${least}`, value =>
      compare(value, bound) >= 0 ? value : refuse(`${formatDecimal(value)} is below ${least}`),
    )
  }

  #next(words: string, change: (value: Decimal) => Decimal): NumberRule {
    return new NumberRule(extend(this, words, change))
  }

  #with(
    words: string,
    sources: readonly string[],
    change: (value: Decimal, scope: RuleScope) => Outcome<Decimal>,
  ): NumberRule {
    const parts = extend(this, words, change)
    return new NumberRule({ ...parts, sources: [...parts.sources, ...sources] })
  }
}
