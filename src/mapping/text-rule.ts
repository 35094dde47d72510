import { instantOfLocal, isTimeZone } from '../protocols/time-zone/local-time.ts'
import { parseDecimal } from './exact-decimal.ts'
import { NumberRule } from './number-rule.ts'
import { describe, extend, type Outcome, Rule, type RuleScope, refuse } from './rule.ts'
import type { DateText, DateTimeText, KeyText, TimeText } from './target.ts'

/** A value as it stands in the document. An empty one empties the target field. */
export class TextRule extends Rule<string> {
  /**
   * ALPHA conversion: leading zeros go where there are only digits; `0000001001` is 1001, `00A1` stays. Blanks around a key
   * are no part of it: SAP's fields of letters are filled up with them, and some programs send them along.
   */
  alpha(): TextRule {
    return this.#text('without leading zeros', value => {
      const key = value.trim()
      return /^\d+$/.test(key) ? key.replace(/^0+(?=.)/, '') : key
    })
  }

  trim(): TextRule {
    return this.#text('trimmed', value => value.trim())
  }

  upper(): TextRule {
    return this.#text('in capitals', value => value.toUpperCase())
  }

  /** Refuses a value of another form: `like(/^[A-Z]{3}$/, 'an ISO code of a currency (EUR)')`. An empty one passes. */
  like(form: RegExp, words: string): TextRule {
    return this.#text(words, value =>
      value === '' || form.test(value) ? value : refuse(`${JSON.stringify(value)} is not ${words}`),
    )
  }

  /** Cuts what is longer, with a warning; without it a text that the target cannot hold is refused. */
  cut(lengthMax: number): TextRule {
    return this.#text(`cut to ${lengthMax} characters`, (value, scope) => {
      if (value.length <= lengthMax) return value
      scope.warn(`a text of ${value.length} characters was cut to ${lengthMax}`)
      // Half of a surrogate pair is no character.
      return value.slice(0, lengthMax).replace(/[\uD800-\uDBFF]$/, '')
    })
  }

  /** Another value for each value (`FERT` → 1). Values that are not listed: refused, passed on, or one default. */
  choose<const M extends Readonly<Record<string, unknown>>, const D = never>(
    values: M,
    otherwise: { readonly default?: D } = {},
  ): Rule<M[keyof M] | D> {
    const table = new Map(Object.entries(values)) as ReadonlyMap<string, M[keyof M]>
    const hasDefault = 'default' in otherwise
    const words = `by table of ${table.size} values${hasDefault ? `, else ${JSON.stringify(otherwise.default)}` : ''}`
    return new Rule(
      extend(this, words, value => {
        const found = table.get(value)
        if (found !== undefined) return found
        if (hasDefault) return otherwise.default
        if (value === '') return null
        return refuse(`${JSON.stringify(value)} is not in the table (${[...table.keys()].slice(0, 8).join(', ')} …)`)
      }),
    )
  }

  /** Another text for each text; one that is not listed passes. */
  replace(values: Readonly<Record<string, string>>): TextRule {
    const table = new Map(Object.entries(values))
    return this.#text(`by table of ${table.size} values, else as it is`, value => table.get(value) ?? value)
  }

  /**
   * The name of a country by its ISO code, in the language of a setting or a field (`DE` is Germany in EN), as Unicode
   * CLDR has it. A code that is none passes, with a warning: companies have keys of their own in T005.
   */
  countryName(language: Rule<string>): TextRule {
    return new TextRule(
      extend(this, `name of the country in the language of ${describe(language)}`, (code, scope) => {
        if (code === '') return code
        const name = countryNameOf(code, language.read(scope) || 'en')
        if (name === undefined) scope.warn(`${JSON.stringify(code)} is no ISO code of a country and stays as it is`)
        return name ?? code
      }),
    )
  }

  /** `12.50`, `12.50-`, `1.2500000000000000E+01`; empty stays empty. Anything else is refused: nothing is guessed. */
  decimal(): NumberRule {
    return new NumberRule(
      extend(this, 'decimal', value => {
        if (value.trim() === '') return null
        return parseDecimal(value) ?? refuse(`${JSON.stringify(value)} is no decimal number`)
      }),
    )
  }

  /** `20240223`; `00000000` is no date. SAP's end of time `99991231` becomes no date where `isOpenEnd` is set. */
  date(options: { readonly isOpenEnd?: boolean } = {}): Rule<DateText> {
    return new Rule(extend(this, 'date', value => readDate(value, options.isOpenEnd ?? false)))
  }

  /** `143621` */
  time(): Rule<TimeText> {
    return new Rule(extend(this, 'time', readTime))
  }

  /**
   * A date of this field and a time of another. SAP mostly writes both by the clock of its server (or of a plant, a user):
   * name its IANA zone (`Europe/Berlin`, also a rule, such as a setting), else they are read as UTC. An hour that the clocks
   * leave out counts as the one after it, one that comes twice as the first.
   */
  dateTime(timeOfDay: Rule<string>, { timeZone = 'UTC' }: ClockOptions = {}): Rule<DateTimeText> {
    return this.#instant('date and time', timeZone, [timeOfDay], (value, scope) => {
      const day = readDate(value, false)
      return day && { local: `${day}T${readTime(timeOfDay.read(scope) ?? '') ?? '00:00:00'}`, offset: '' }
    })
  }

  /**
   * Date and time in one field: `2026-11-21T14:36:21Z` of proxies (xsd:dateTime), `20261121143621` of tables (TIMESTAMP).
   * One that names no zone is UTC, as SAP's time stamps are, or by the clock of the zone that is named here.
   */
  timeStamp({ timeZone = 'UTC' }: ClockOptions = {}): Rule<DateTimeText> {
    return this.#instant('time stamp', timeZone, [], readTimeStamp)
  }

  #instant(
    words: string,
    timeZone: string | Rule<string>,
    others: readonly Rule<string>[],
    read: (value: string, scope: RuleScope) => Instant | null,
  ): Rule<DateTimeText> {
    if (typeof timeZone === 'string' && !isTimeZone(timeZone)) {
      throw new TypeError(`"${timeZone}" is no time zone such as Europe/Berlin`)
    }
    const zone = typeof timeZone === 'string' ? undefined : timeZone
    const place = zone ? `the zone in ${describe(zone)}` : String(timeZone)
    const parts = extend<string, DateTimeText>(this, `${words} in ${place}`, (value, scope) => {
      const instant = read(value, scope)
      if (instant === null) return null
      const { local, offset } = instant
      // SAP's end of time is the same everywhere, and west of Greenwich it would lie in the year 10000.
      if (local.startsWith('9999-12-31')) return `${local}Z` as DateTimeText
      const ms = offset === '' ? instantOfLocal(local, zoneOf(timeZone, scope)) : Date.parse(`${local}${offset}`)
      return `${new Date(ms).toISOString().slice(0, 19)}Z` as DateTimeText
    })
    const sources = [...others, ...(zone ? [zone] : [])].flatMap(rule => rule.sources)
    return new Rule({ ...parts, sources: [...parts.sources, ...sources] })
  }

  /** SAP's flag: `X` (or `true`, `1`) is true, empty (or `-`, `false`, `0`) is false. */
  flag(): Rule<boolean> {
    return new Rule(
      extend(this, 'flag', value => {
        if (/^(?:X|x|true|1)$/.test(value.trim())) return true
        if (/^(?:|-|false|0)$/.test(value.trim())) return false
        return refuse(`${JSON.stringify(value)} is no flag (X or empty)`)
      }),
    )
  }

  is(...values: readonly string[]): Rule<boolean> {
    return new Rule(extend(this, `is ${values.join(' or ')}`, value => values.includes(value)))
  }

  /** The key by which another table names the row. */
  key(): Rule<KeyText> {
    return new Rule(extend(this, 'key', value => (value === '' ? null : (value as KeyText))))
  }

  /**
   * Characters that cannot stand in alternate keys (`/ < > * % & : \ ? + #`, and control characters), as `_2F`; an
   * underscore itself becomes `_5F`, so that the way back is certain.
   */
  escaped(): TextRule {
    return this.#text('escaped for keys', escapeKey)
  }

  #text(words: string, change: (value: string, scope: { warn(text: string): void }) => Outcome<string>): TextRule {
    return new TextRule(extend(this, words, change))
  }
}

/** By which clock a date and a time are meant. */
interface ClockOptions {
  readonly timeZone?: string | Rule<string>
}

/** A date and time as it is written, and the offset to UTC (`Z`, `+02:00`), if one stands there. */
interface Instant {
  readonly local: string
  readonly offset: string
}

/** See TextRule.escaped. */
export function escapeKey(value: string): string {
  return value.replace(/[/<>*%&:\\?+#_\p{Cc}]/gu, character =>
    [...Buffer.from(character)].map(byte => `_${byte.toString(16).toUpperCase().padStart(2, '0')}`).join(''),
  )
}

/** The way back from `escapeKey`. */
export function unescapeKey(value: string): string {
  return value.replace(/(?:_[0-9A-F]{2})+/g, run => Buffer.from(run.replaceAll('_', ''), 'hex').toString())
}

const namesByLanguage = new Map<string, Intl.DisplayNames>()

function countryNameOf(code: string, language: string): string | undefined {
  if (!/^[A-Z]{2}$/.test(code)) return undefined
  let names = namesByLanguage.get(language)
  if (!names) {
    if (!/^[A-Za-z]{2,3}(-[A-Za-z0-9]+)*$/.test(language)) {
      return refuse(`${JSON.stringify(language)} is no language (EN, DE)`)
    }
    names = new Intl.DisplayNames(language, { type: 'region', fallback: 'none' })
    namesByLanguage.set(language, names)
  }
  return names.of(code)
}

function readDate(value: string, isOpenEnd: boolean): DateText | null {
  const trimmed = value.trim()
  if (trimmed === '' || /^(?:0+|0000-00-00)$/.test(trimmed)) return null
  if (isOpenEnd && /^9999-?12-?31$/.test(trimmed)) return null
  const match = /^(\d{4})(-?)(\d{2})\2(\d{2})$/.exec(trimmed)
  const text = match ? `${match[1]}-${match[3]}-${match[4]}` : ''
  const parsed = new Date(`${text}T00:00:00Z`)
  // Date takes the 31st of a month with 30 days for the 1st of the next.
  if (Number.isNaN(parsed.getTime()) || parsed.toISOString().slice(0, 10) !== text) {
    refuse(`${JSON.stringify(value)} is no date (YYYYMMDD)`)
  }
  return text as DateText
}

function readTime(value: string): TimeText | null {
  if (value.trim() === '') return null
  const match = /^([01]\d|2[0-3]):?([0-5]\d):?([0-5]\d)$/.exec(value.trim())
  // SAP writes the end of the day as 240000.
  if (!match && /^24:?00:?00$/.test(value.trim())) return '23:59:59' as TimeText
  if (!match) refuse(`${JSON.stringify(value)} is no time (HHMMSS)`)
  return `${match[1]}:${match[2]}:${match[3]}` as TimeText
}

const timeStampForm = /^(\d{4}-?\d{2}-?\d{2})T?(\d{2}:?\d{2}:?\d{2})(?:[.,]\d{1,9})?(Z|[+-](?:0\d|1[0-4]):?[0-5]\d)?$/

function readTimeStamp(value: string): Instant | null {
  const trimmed = value.trim()
  const [, day = '', time = '', offset = ''] = timeStampForm.exec(trimmed) ?? []
  if (/^0*$/.test(trimmed) || /^[0-]+$/.test(day)) return null
  if (day === '') refuse(`${JSON.stringify(value)} is no time stamp (YYYY-MM-DDTHH:MM:SSZ)`)
  const local = `${readDate(day, false)}T${readTime(time)}`
  return { local, offset: offset.replace(/^(...)(\d\d)$/, '$1:$2') }
}

function zoneOf(timeZone: string | Rule<string>, scope: RuleScope): string {
  if (typeof timeZone === 'string') return timeZone
  const zone = timeZone.read(scope) ?? ''
  return isTimeZone(zone) ? zone : refuse(`${JSON.stringify(zone)} is no time zone such as Europe/Berlin`)
}
