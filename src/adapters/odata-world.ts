import type { ReceiverContext } from '../flow/adapter.ts'
import type { CredentialLookup } from '../kernel/credential.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import { systemClock } from '../kernel/time.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { s4User } from '../twins/s4-odata/s4-odata.ts'
import { type ODataConfig, odataConfig } from './odata-config.ts'

/** The log-in that the twin of S/4HANA knows. For tests. */
export const basicLookup: CredentialLookup = async () => ({ kind: 'basic', ...s4User })

/** The surroundings of an OData receiver in a test. */
export function odataContext(config: object, credential: CredentialLookup = basicLookup): ReceiverContext<ODataConfig> {
  return {
    config: odataConfig.parse(config),
    flow: 'cost-centres',
    folder: '.',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect(),
    credential,
  }
}

/** The key of a cost centre of the twin; 0 is the first. */
export function costCentreKey(index: number): Readonly<Record<string, string>> {
  const prefix = index % 2 === 0 ? '1010' : '1710'
  return { ControllingArea: 'A000', CostCenter: `${prefix}${1001 + index}`, ValidityEndDate: '9999-12-31' }
}
