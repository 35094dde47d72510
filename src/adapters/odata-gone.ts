import { HubError } from '../kernel/error.ts'
import type { ODataClient } from '../protocols/odata/client.ts'
import { queryString } from '../protocols/odata/url.ts'
import type { Surroundings } from './odata-operation.ts'

/** True when the set itself answers: an entity that is not there and an address that is wrong look alike. */
export async function answers(
  client: ODataClient,
  at: Surroundings,
  set: string,
  signal: AbortSignal,
): Promise<boolean> {
  const path = `${encodeURIComponent(set)}${queryString(at.naming.version, { top: 1 })}`
  for await (const _page of client.pages({ path, signal })) return true
  return false
}

export function isFailure(thrown: unknown, error: { readonly code: string }): thrown is HubError {
  return thrown instanceof HubError && thrown.code === error.code
}
