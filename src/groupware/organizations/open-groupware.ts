import { GraphEndpoint } from './graph-endpoint.ts'
import { Groupware } from './groupware.ts'
import type { LateGroupwareOptions } from './late-groupware.ts'
import { makeOpenDrivers } from './open-drivers.ts'
import { resolveRules } from './rules-input.ts'

/** The groupware sync with its real sides, and where Graph tells of changes when it can reach this hub. */
export async function openGroupware(
  options: LateGroupwareOptions,
): Promise<{ readonly groupware: Groupware; readonly endpoint: GraphEndpoint | undefined }> {
  const { records, clock, log, dataFolder, connect, credential, endpointsUrl } = options
  const endpoint = endpointsUrl?.startsWith('https:') ? new GraphEndpoint(endpointsUrl) : undefined
  const openDrivers = makeOpenDrivers({
    connect,
    credential,
    clock,
    inbox: endpoint?.inbox,
    rulesOf: ({ profile }) => resolveRules(groupware.profile(profile).rules),
  })
  const groupware = await Groupware.open({ records, clock, log, dataFolder, openDrivers })
  return { groupware, endpoint }
}
