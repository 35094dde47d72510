import type { ReceiverContext } from '../flow/adapter.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import type { Json, JsonObject } from '../kernel/json.ts'
import type { KeyMap, KeyMapEntry, KeyMapWrite } from '../kernel/key-map.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { dataverseToken } from '../twins/dataverse/dataverse.ts'
import { type DataverseConfig, dataverseConfig } from './dataverse-config.ts'

/** The token that a twin on its own knows. For tests. */
export const tokenLookup: CredentialLookup = async () => ({
  kind: 'oauth2',
  user: undefined,
  token: async () => ({ value: dataverseToken, expiresAt: Number.POSITIVE_INFINITY }),
})

/** A key map in memory. For tests; the one of the hub lies in its store. */
export class HeldKeyMap implements KeyMap {
  readonly entries = new Map<string, KeyMapEntry>()

  async get(map: string, key: string): Promise<KeyMapEntry | undefined> {
    return this.entries.get(`${map}\n${key}`)
  }

  apply(writes: readonly KeyMapWrite[] = []): void {
    for (const { map, key, value } of writes) {
      const name = `${map}\n${key}`
      if (value === undefined) this.entries.delete(name)
      else this.entries.set(name, { value, revision: (this.entries.get(name)?.revision ?? 0) + 1, at: 0 })
    }
  }
}

/** The surroundings of a Dataverse receiver in a test. */
export function dataverseContext(
  config: object,
  more: Partial<Pick<ReceiverContext<DataverseConfig>, 'credential' | 'keyMap' | 'clock' | 'log' | 'signal'>> = {},
): ReceiverContext<DataverseConfig> {
  return {
    config: dataverseConfig.parse({ auth: 'dynamics', ...config }),
    flow: 's4-to-dynamics',
    folder: '.',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect(),
    credential: tokenLookup,
    ...more,
  }
}

/** The body of a request that a twin saw. */
export function bodyOf({ body }: { readonly body: string }): JsonObject {
  return JSON.parse(body) as { readonly [name: string]: Json }
}
