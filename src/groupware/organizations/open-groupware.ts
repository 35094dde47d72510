import { Groupware } from './groupware.ts'
import type { LateGroupwareOptions } from './late-groupware.ts'
import { makeOpenDrivers } from './open-drivers.ts'
import { resolveRules } from './rules-input.ts'

/** The groupware sync with its real sides. */
export async function openGroupware(options: LateGroupwareOptions): Promise<Groupware> {
  const { records, clock, log, dataFolder, connect, credential } = options
  const openDrivers = makeOpenDrivers({
    connect,
    credential,
    clock,
    rulesOf: ({ profile }) => resolveRules(groupware.profile(profile).rules),
  })
  const groupware = await Groupware.open({ records, clock, log, dataFolder, openDrivers })
  return groupware
}
