import { DAY } from '../../kernel/time.ts'
import type { Scope } from '../drivers.ts'
import type { KindRules, SyncRules } from './rules.ts'
import { stampOf } from './stamps.ts'

/** What decides which items of a scope are taken in, as it was when that was last settled. It is kept as JSON. */
export interface Admission {
  readonly direction: KindRules['direction']
  readonly onlyCategory: string | null
  readonly onlyFolder: string | null
  readonly pastMs: number | null
  readonly futureMs: number | null
  /** Stamp of the block list and the company's own domains. */
  readonly lists: string
  readonly markCategory: string
  /** Stamp of how series stand in the CRM. */
  readonly series: string
  /** What belongs to the kind in the CRM (`Abilities.extent`). */
  readonly extent: string
  /** Whose items of the CRM they are. */
  readonly owner: string
  /** End of the window when everything was last listed; null: it has none. */
  readonly listedTo: string | null
}

/** What a change of rules asks of the next round. Rules that became narrower ask for nothing: what is linked stays so. */
export interface AdmissionChange {
  /** Items may come in that were kept out before and that no side tells of again: everything is listed. */
  readonly lists: boolean
  /** Linked items may differ that nobody changed since: all are compared. */
  readonly compares: boolean
  /** The category that showed what is synced, where it is another one now. */
  readonly formerMark: string | undefined
}

export function admissionOf(
  { kinds, blocked, ownDomains, markCategory, series }: SyncRules,
  scope: Scope,
  extent = '',
): Admission {
  const { direction, onlyCategory, onlyFolder, pastMs, futureMs } = kinds[scope.kind]
  return {
    direction,
    onlyCategory: onlyCategory ?? null,
    onlyFolder: onlyFolder ?? null,
    pastMs: pastMs ?? null,
    futureMs: futureMs ?? null,
    lists: stampOf([[...blocked], [...ownDomains]]),
    markCategory,
    series: scope.kind === 'appointment' ? stampOf({ as: series.as, ...series.aheadMs }) : '',
    extent,
    owner: scope.owner,
    listedTo: scope.to,
  }
}

/** `before` is undefined where nothing was settled yet, or nobody wrote it down: then nothing is asked for. */
export function changeOfAdmission(before: Admission | undefined, now: Admission): AdmissionChange {
  if (!before) return { lists: false, compares: false, formerMark: undefined }
  const isDirectionWider = waysOf(now.direction).some(way => !waysOf(before.direction).includes(way))
  const formerMark = before.markCategory === now.markCategory ? undefined : before.markCategory
  return {
    lists:
      isDirectionWider ||
      isOther(before.onlyCategory, now.onlyCategory) ||
      isOther(before.onlyFolder, now.onlyFolder) ||
      isLonger(before.pastMs, now.pastMs) ||
      isLonger(before.futureMs, now.futureMs) ||
      before.lists !== now.lists ||
      before.owner !== now.owner ||
      (now.extent !== '' && before.extent !== now.extent) ||
      hasRolledOn(before, now),
    compares: isDirectionWider || formerMark !== undefined || before.series !== now.series,
    formerMark,
  }
}

/** Same in all but the end of the window, which moves on each day. */
export function isSameAdmission(one: Admission | undefined, other: Admission): boolean {
  const names = Object.keys(other) as (keyof Admission)[]
  return one !== undefined && names.every(name => name === 'listedTo' || one[name] === other[name])
}

const waysOf = (direction: KindRules['direction']): readonly string[] =>
  direction === 'both' ? ['to-crm', 'to-exchange'] : direction === 'off' ? [] : [direction]

/** A limit that was taken away or exchanged lets others in; one that came to be lets in nobody. */
const isOther = (before: string | null, now: string | null) => before !== null && before !== now

const isLonger = (before: number | null, now: number | null) => before !== null && (now === null || now > before)

/** How far the end of the window may move on before what lies in it by now is looked for: a quarter of it, 1 to 7 days. */
function hasRolledOn(before: Admission, { futureMs, listedTo }: Admission): boolean {
  if (futureMs === null || listedTo === null || before.listedTo === null) return false
  const slackMs = Math.min(7 * DAY, Math.max(DAY, futureMs / 4))
  return Date.parse(listedTo) - Date.parse(before.listedTo) > slackMs
}
