import { DAY, MINUTE, SECOND } from '../../kernel/time.ts'

/** Limits of what the hub keeps of its callers. */
export const serviceLimits = {
  /** Instances of one plan in a space without a quota of its own. */
  instancesPerPlan: 1000,
  spaces: 100,
  roles: 1000,
  rolesPerInstance: 100,
  redirectUrisPerInstance: 20,
  /** Keys of one instance that can be used. */
  keysPerInstance: 50,
  /** Keys of one instance that ended or were revoked and are still listed; the oldest go first. */
  endedKeysKept: 50,
  /** Longest time that an old key stays beside the new one. */
  overlapMs: 90 * DAY,
  certificateDays: 365,
  /** Life of a secret that is given an end. */
  secretDays: 3650,
  /** Letters of a secret that are looked at. */
  secretLetters: 256,
} as const

/** How often the times of last use are written; so much of them is lost when the hub is killed. */
export const useFlushMs = MINUTE

/** A token is valid for this long when the instance does not say; SAP's values. */
export const tokenValiditySeconds = {
  min: MINUTE / SECOND,
  max: DAY / SECOND,
  byPlan: { 'integration-flow': 3600, api: 43_200 },
  refreshMin: 60,
  refreshMax: 31_536_000,
  refresh: 604_800,
} as const
