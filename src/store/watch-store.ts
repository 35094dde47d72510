import { asHubError, type HubError } from '../kernel/error.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import { storeErrors } from './errors.ts'
import type { Store } from './port.ts'

const everyMs = 5 * SECOND
/** After these the store takes nothing more until the process starts anew. */
const fatal: ReadonlySet<string> = new Set([
  storeErrors.CLOSED.code,
  storeErrors.NOT_DURABLE.code,
  storeErrors.CONNECTION_LOST.code,
])

export interface StoreWatch {
  /** Why nothing can be written, and since when; undefined while the store takes what it is given. */
  failure(): { readonly since: number; readonly error: HubError } | undefined
  end(): void
}

/** Writes a little now and then, to learn soon that the store takes nothing: for a while, or any more (`onLost`). */
export function watchStore(store: Pick<Store, 'write'>, clock: Clock, onLost: (error: HubError) => void): StoreWatch {
  let isOver = false
  let cancel = () => {}
  let failure: ReturnType<StoreWatch['failure']>
  const later = () => {
    cancel = clock.after(everyMs, () => {
      store.write('hub', 'alive', clock.now()).then(
        () => {
          failure = undefined
          if (!isOver) later()
        },
        (thrown: unknown) => {
          if (isOver) return
          const error = asHubError(thrown)
          failure = { since: failure?.since ?? clock.now(), error }
          if (fatal.has(error.code)) onLost(error)
          else later()
        },
      )
    })
  }
  later()
  return {
    failure: () => failure,
    end() {
      isOver = true
      cancel()
    },
  }
}
