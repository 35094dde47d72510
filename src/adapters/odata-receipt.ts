import type { Effect, Receipt } from '../flow/adapter.ts'
import type { Json } from '../kernel/json.ts'
import { odataErrors } from '../protocols/odata/errors.ts'
import type { Surroundings } from './odata-operation.ts'

/** The answer of a step or an endpoint: plain JSON. */
export function answerOf(value: Json, headers: Readonly<Record<string, string>> = {}): NonNullable<Receipt['answer']> {
  return { headers, type: 'application/json', body: Buffer.from(JSON.stringify(value)) }
}

/**
 * Whether a change may be sent again after an attempt whose end nobody knows; throws ODATA_OUTCOME_UNKNOWN when there
 * was such an attempt and it may not. `isHarmless`: doing it twice leaves the same.
 */
export function refuseDoubtful({ config, naming }: Surroundings, effect: Effect, isHarmless: boolean): boolean {
  const onUnknown = config['on-unknown'] ?? (isHarmless ? 'send-again' : 'set-aside')
  if (effect.isUnknown && onUnknown === 'set-aside') {
    const reason = 'an earlier attempt ended without an answer'
    throw odataErrors.OUTCOME_UNKNOWN({ server: naming.server, reason })
  }
  return onUnknown === 'send-again'
}
