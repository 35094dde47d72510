import type { HttpCaller } from '../kernel/http-exchange.ts'
import type { JsonObject } from '../kernel/json.ts'

/** What a flow sees of who called: the client, and the user for whom it acts where there is one. */
export function callerOf({ clientId, instance, subject, idp }: HttpCaller): JsonObject {
  return {
    client: clientId,
    instance,
    // Each identity provider has names of its own, and one may be that of a client.
    ...((subject !== clientId || idp !== undefined) && { user: subject }),
    ...(idp !== undefined && { idp }),
  }
}
