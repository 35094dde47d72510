import { z } from 'zod'
import { duration } from '../../kernel/schema.ts'
import { DAY, formatDuration } from '../../kernel/time.ts'
import type { ItemKind } from '../plan/items.ts'
import { defaultRules, type KindRules, type SyncRules } from '../plan/rules.ts'

const seriesAheadMaxMs = 800 * DAY

const category = z.string().trim().min(1).max(255)
const folder = z.string().trim().min(1).max(1000)
const domainOrAddress = z
  .string()
  .trim()
  .toLowerCase()
  .regex(/^([^\s@]{1,64}@)?[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)+$/, 'a domain or an address')

const kindInput = z.strictObject({
  direction: z.enum(['off', 'both', 'to-crm', 'to-exchange']).optional(),
  conflict: z.enum(['newest', 'exchange', 'crm']).optional(),
  deletions: z
    .enum(['mirror', 'keep'])
    .optional()
    .meta({ description: 'What is deleted on one side is deleted on the other (mirror), or stays there (keep).' }),
  category: z
    .union([category, z.literal(false)])
    .optional()
    .meta({ description: 'Only items of the mailbox with this category come to the CRM; false: all.' }),
  folder: z
    .union([folder, z.literal(false)])
    .optional()
    .meta({ description: 'Only items of this folder come to the CRM; false: all.' }),
  past: z
    .union([duration, z.literal(false)])
    .optional()
    .meta({ description: 'Older items are not taken in; false: all.', examples: ['30d'] }),
  future: z
    .union([duration, z.literal(false)])
    .optional()
    .meta({ description: 'Items further ahead are not taken in; false: all.', examples: ['180d'] }),
})

/** How far ahead occurrences of a series are made. */
const ahead = duration.refine(ms => ms >= DAY && ms <= seriesAheadMaxMs, 'between 1d and 800d')

/** Rules as administrators write them. What is left out stays as the level below has it. */
export const rulesInput = z.strictObject({
  mail: kindInput.optional(),
  appointment: kindInput.optional(),
  contact: kindInput.optional(),
  task: kindInput.optional(),
  markCategory: category.optional().meta({ description: 'The category that shows people which items are synced.' }),
  blocked: z.array(domainOrAddress).max(10_000).optional(),
  ownDomains: z.array(domainOrAddress).max(1_000).optional(),
  series: z
    .strictObject({
      as: z.enum(['occurrences', 'one']).optional(),
      daily: ahead.optional(),
      weekly: ahead.optional(),
      monthly: ahead.optional(),
      yearly: ahead.optional(),
    })
    .optional()
    .meta({ description: 'How a series stands in the CRM: each occurrence so far ahead, or one for all.' }),
  brake: z
    .strictObject({
      freeCount: z.number().int().min(0).max(1_000_000).optional(),
      share: z.number().min(0).max(1).optional(),
    })
    .optional()
    .meta({ description: 'Mass deletions wait for a person above freeCount items and this share of all.' }),
})

export type RulesInput = z.input<typeof rulesInput>
type KindInput = z.output<typeof kindInput>

export const itemKinds = ['mail', 'appointment', 'contact', 'task'] as const satisfies readonly ItemKind[]

/** The rules of one mailbox: the user's own settings win over the profile, the profile over what is usual. */
export function resolveRules(...levels: readonly RulesInput[]): SyncRules {
  return levels.reduce<SyncRules>((rules, level) => overlay(rules, rulesInput.parse(level)), defaultRules)
}

function overlay(rules: SyncRules, level: z.output<typeof rulesInput>): SyncRules {
  const kindOf = (kind: ItemKind) => overlayKind(rules.kinds[kind], level[kind] ?? {})
  return {
    kinds: {
      mail: kindOf('mail'),
      appointment: kindOf('appointment'),
      contact: kindOf('contact'),
      task: kindOf('task'),
    },
    markCategory: level.markCategory ?? rules.markCategory,
    // A user blocks beside the company, never instead of it.
    blocked: [...new Set([...rules.blocked, ...(level.blocked ?? [])])],
    ownDomains: [...new Set([...rules.ownDomains, ...(level.ownDomains ?? [])])],
    series: {
      as: level.series?.as ?? rules.series.as,
      aheadMs: {
        day: level.series?.daily ?? rules.series.aheadMs.day,
        week: level.series?.weekly ?? rules.series.aheadMs.week,
        month: level.series?.monthly ?? rules.series.aheadMs.month,
        year: level.series?.yearly ?? rules.series.aheadMs.year,
      },
    },
    brake: {
      freeCount: level.brake?.freeCount ?? rules.brake.freeCount,
      share: level.brake?.share ?? rules.brake.share,
    },
  }
}

function overlayKind(rules: KindRules, level: KindInput): KindRules {
  return {
    direction: level.direction ?? rules.direction,
    conflict: level.conflict ?? rules.conflict,
    deletions: level.deletions ?? rules.deletions,
    onlyCategory: settled(level.category, rules.onlyCategory),
    onlyFolder: settled(level.folder, rules.onlyFolder),
    pastMs: settled(level.past, rules.pastMs),
    futureMs: settled(level.future, rules.futureMs),
  }
}

/** `false` takes a limit of the level below away. */
function settled<T>(given: T | false | undefined, before: T | undefined): T | undefined {
  return given === false ? undefined : (given ?? before)
}

/** Rules in the words in which they are written, complete. */
export function describeRules(rules: SyncRules): z.input<typeof rulesInput> {
  const kinds = Object.fromEntries(
    itemKinds.map(kind => {
      const { direction, conflict, deletions, onlyCategory, onlyFolder, pastMs, futureMs } = rules.kinds[kind]
      const inWords = (ms: number | undefined) => (ms === undefined ? (false as const) : formatDuration(ms))
      return [
        kind,
        {
          direction,
          conflict,
          deletions,
          category: onlyCategory ?? (false as const),
          folder: onlyFolder ?? (false as const),
          past: inWords(pastMs),
          future: inWords(futureMs),
        },
      ]
    }),
  )
  const { markCategory, blocked, ownDomains, brake } = rules
  const { as, aheadMs } = rules.series
  const series = {
    as,
    daily: formatDuration(aheadMs.day),
    weekly: formatDuration(aheadMs.week),
    monthly: formatDuration(aheadMs.month),
    yearly: formatDuration(aheadMs.year),
  }
  return { ...kinds, markCategory, blocked: [...blocked], ownDomains: [...ownDomains], series, brake }
}
