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

/** Writes a little now and then, to learn soon that the store is lost. The returned function ends it. */
export function watchStore(store: Pick<Store, 'write'>, clock: Clock, onLost: (error: HubError) => void): () => void {
  let isOver = false
  let cancel = () => {}
  const later = () => {
    cancel = clock.after(everyMs, () => {
      store.write('hub', 'alive', clock.now()).then(
        () => {
          if (!isOver) later()
        },
        (thrown: unknown) => {
          if (isOver) return
          const error = asHubError(thrown)
          if (fatal.has(error.code)) onLost(error)
          else later()
        },
      )
    })
  }
  later()
  return () => {
    isOver = true
    cancel()
  }
}
