import { asHubError, type HubError } from '../../kernel/error.ts'
import { MINUTE } from '../../kernel/time.ts'
import type { C4CClient } from '../../protocols/c4c/client.ts'
import type { C4CEntity } from '../../protocols/c4c/types.ts'
import type { Concern, Scope, ScopeCheck } from '../drivers.ts'
import { entitiesOf, type VisitsOf } from './kinds.ts'
import type { People } from './people.ts'

/** That the technical user may read a set is the same for everybody, so it is asked once for so long. */
export const readableMs = 10 * MINUTE

/** Failures of the one technical user and its server. What Exchange says of a mailbox is not among them. */
const ofAccount = /^(?:C4C_(?!EMPLOYEE_)|ODATA_|NET_|CREDENTIAL_|BODY_)/

/** Whom a failure stops: an employee that is not known only itself, a refused log-in everybody. */
export function concernOf(error: HubError): Concern {
  if (error.isAboutMessage) return 'item'
  return ofAccount.test(error.code) ? 'account' : 'mailbox'
}

/** Whether the technical user gets at what is to be synced. */
export class Access {
  readonly #client: C4CClient
  readonly #people: People
  readonly #visits: VisitsOf
  readonly #now: () => number
  /** Sets that the technical user was seen to read, and when. */
  readonly #readable = new Map<C4CEntity, number>()

  constructor(client: C4CClient, people: People, visits: VisitsOf, now: () => number) {
    this.#client = client
    this.#people = people
    this.#visits = visits
    this.#now = now
  }

  /** The employee of each owner, and that the technical user may read the sets. */
  async check(scopes: readonly Scope[], signal: AbortSignal): Promise<readonly ScopeCheck[]> {
    const checks: ScopeCheck[] = []
    try {
      for (const { owner } of scopes) await this.#people.employee(owner, signal)
      const isKnown = (entity: C4CEntity) =>
        this.#now() - (this.#readable.get(entity) ?? Number.NEGATIVE_INFINITY) < readableMs
      const unseen = scopes.flatMap(({ kind }) => entitiesOf(kind, this.#visits)).filter(entity => !isKnown(entity))
      const asked = unseen.map(entity => ({ entity, query: { select: ['ObjectID'], top: 1 } }))
      await this.#client.findEach(asked, signal)
      for (const entity of unseen) this.#readable.set(entity, this.#now())
      for (const _ of scopes) checks.push({ itemCount: undefined })
    } catch (thrown) {
      checks.push({ error: asHubError(thrown) })
    }
    return checks
  }
}
