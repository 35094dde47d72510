import { DAY, HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { ianaOfClock, ianaOfZone } from '../time-zone/windows-zones.ts'
import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { type WeekDay, weekDays } from './recurrence.ts'

/**
 * The zone of a `t:StartTimeZone`: by its Id, its Name, or the clock that it describes. Meetings that other calendars sent
 * have zones that are not in Windows: Exchange gives them an empty Id and a full description. Undefined where nothing fits.
 */
export function zoneOfDefinition(definition: XmlElement | undefined): string | undefined {
  if (!definition) return undefined
  const { attributes } = definition
  const named = ianaOfZone(attributes.get('Id') ?? '') ?? ianaOfZone(attributes.get('Name') ?? '')
  if (named !== undefined) return named
  const rules = readRules(definition)
  return rules.length === 0 ? undefined : ianaOfClock(ms => offsetAt(rules, ms))
}

/** From when on in each year the clocks are so far ahead of UTC. */
interface Rule {
  readonly offsetMs: number
  readonly beginsIn: (year: number) => number
}

function offsetAt(rules: readonly Rule[], ms: number): number {
  const year = new Date(ms).getUTCFullYear()
  const begun = rules.flatMap(({ offsetMs, beginsIn }) =>
    [year - 1, year].map(each => ({ offsetMs, at: beginsIn(each) })),
  )
  const [last] = begun.filter(({ at }) => at <= ms).toSorted((one, other) => other.at - one.at)
  return (last?.offsetMs ?? 0) / MINUTE
}

function readRules(definition: XmlElement): readonly Rule[] {
  const periods = childOf(definition, 'Periods')?.children ?? []
  const offsets = new Map(
    periods.map(({ attributes }) => [attributes.get('Id') ?? '', -durationMs(attributes.get('Bias') ?? '')]),
  )
  // Rules of former years stand in groups of their own; what holds today is the last one.
  const groups = childOf(definition, 'TransitionsGroups')?.children ?? []
  const current = textOf(childOf(definition, 'Transitions')?.children.at(-1), 'To')
  const group = groups.find(({ attributes }) => attributes.get('Id') === current) ?? groups.at(-1)
  const transitions = group?.children ?? []
  if (transitions.length === 0) return [...offsets.values()].slice(0, 1).map(always)
  return transitions.flatMap(transition => {
    const offsetMs = offsets.get(textOf(transition, 'To') ?? '')
    if (offsetMs === undefined) return []
    const day = dayOfTransition(transition)
    if (!day) return [always(offsetMs)]
    const clockMs = durationMs(textOf(transition, 'TimeOffset') ?? '')
    return [{ offsetMs, beginsIn: (year: number) => day(year) + clockMs - offsetMs }]
  })
}

function always(offsetMs: number): Rule {
  return { offsetMs, beginsIn: year => Date.UTC(year, 0, 1) - DAY }
}

/** The day of a year on which the clocks change; undefined where they change once and for all. */
function dayOfTransition(transition: XmlElement): ((year: number) => number) | undefined {
  const month = Number(textOf(transition, 'Month') ?? 0) - 1
  if (transition.name === 'RecurringDateTransition') {
    const day = Number(textOf(transition, 'Day') ?? 1)
    return year => Date.UTC(year, month, day)
  }
  if (transition.name !== 'RecurringDayTransition') return undefined
  const weekDay = weekDays.indexOf(textOf(transition, 'DayOfWeek') as WeekDay)
  const occurrence = Number(textOf(transition, 'Occurrence') ?? 1)
  return year => {
    const last = new Date(Date.UTC(year, month + 1, 0))
    if (occurrence < 0) return last.getTime() - ((last.getUTCDay() - weekDay + 7) % 7) * DAY
    const first = new Date(Date.UTC(year, month, 1))
    const wanted = first.getTime() + (((weekDay - first.getUTCDay() + 7) % 7) + (occurrence - 1) * 7) * DAY
    // A fifth one that a month lacks is its last.
    return wanted > last.getTime() ? wanted - 7 * DAY : wanted
  }
}

/** xs:duration of days and less: `PT8H`, `-PT1H`, `P0DT5H30M0.0S`. */
function durationMs(text: string): number {
  const [, sign, days, hours, minutes, seconds] =
    /^(-?)P(?:(\d+)D)?(?:T(?:(\d+)H)?(?:(\d+)M)?(?:([\d.]+)S)?)?$/.exec(text.trim()) ?? []
  const ms =
    Number(days ?? 0) * DAY + Number(hours ?? 0) * HOUR + Number(minutes ?? 0) * MINUTE + Number(seconds ?? 0) * SECOND
  return sign === '-' ? -ms : ms
}
