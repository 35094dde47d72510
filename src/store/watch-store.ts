import { asHubError, type HubError } from '../kernel/error.ts'
import { type Clock, MINUTE, SECOND } from '../kernel/time.ts'
import { storeErrors } from './errors.ts'
import type { Store } from './port.ts'

const everyMs = 5 * SECOND
/** After these the store takes nothing more until the process starts anew. */
const fatal: ReadonlySet<string> = new Set([
  storeErrors.CLOSED.code,
  storeErrors.NOT_DURABLE.code,
  storeErrors.CONNECTION_LOST.code,
])

/** What may pass by itself. */
const forNow: ReadonlySet<string> = new Set([storeErrors.FULL.code, storeErrors.DATABASE_REFUSES.code])

/** After this long without a refusal messages count as taken again, where nobody brought one. */
const refusedForMs = 10 * MINUTE

export interface StoreWatch<S extends Watched = Store> {
  /** The same store; what it refuses to take in is noticed. */
  readonly store: S
  /** Why nothing can be written, or not every message, and since when; undefined while the store takes what it is given. */
  failure(): StoreFailure | undefined
  end(): void
}

export interface StoreFailure {
  readonly since: number
  readonly error: HubError
  /** Small things can be written: a disk that is nearly full refuses large messages first. */
  readonly isPartial: boolean
}

type Watched = Pick<Store, 'write' | 'accept' | 'acceptAll' | 'bodies'>

/** Writes a little now and then, to learn soon that the store takes nothing: for a while, or any more (`onLost`). */
export function watchStore<S extends Watched>(
  store: S,
  clock: Clock,
  onLost: (error: HubError) => void,
): StoreWatch<S> {
  let isOver = false
  let cancel = () => {}
  let failure: StoreFailure | undefined
  let refusal: StoreFailure | undefined
  let cancelCalm = () => {}
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
          failure = { since: failure?.since ?? clock.now(), error, isPartial: false }
          if (fatal.has(error.code)) onLost(error)
          else later()
        },
      )
    })
  }
  later()

  function notice(thrown: unknown): never {
    const error = asHubError(thrown)
    if (forNow.has(error.code) && !isOver) {
      refusal = { since: refusal?.since ?? clock.now(), error, isPartial: true }
      cancelCalm()
      // A timer, and no comparison of times: the clock of the machine may be set back.
      cancelCalm = clock.after(refusedForMs, () => {
        refusal = undefined
      })
    }
    throw thrown
  }

  return {
    store: {
      ...store,
      accept: (...delivery) => store.accept(...delivery).catch(notice),
      acceptAll: (...deliveries) => store.acceptAll(...deliveries).catch(notice),
      bodies: { ...store.bodies, write: (...body) => store.bodies.write(...body).catch(notice) },
    },
    failure: () => failure ?? refusal,
    end() {
      isOver = true
      cancel()
      cancelCalm()
    },
  }
}
