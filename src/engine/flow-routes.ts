import { asHubError, type HubError } from '../kernel/error.ts'
import type { HttpRoute, ServeRoute } from '../kernel/http-exchange.ts'

export interface FlowRoutesOptions {
  readonly serve: ServeRoute
  onServed(path: string): void
  onRefused(path: string, error: HubError): void
}

interface Place {
  readonly route: HttpRoute
  /** Takes the route away; undefined while it waits. */
  remove: (() => void) | undefined
  /** Why it waits. */
  error: HubError | undefined
}

/** The endpoints of one flow: those that are served, and those that wait because another flow has their path. */
export class FlowRoutes {
  readonly #options: FlowRoutesOptions
  readonly #places = new Set<Place>()

  constructor(options: FlowRoutesOptions) {
    this.#options = options
  }

  /** Serves the route now or, when its path is taken, as soon as `retry` finds it free; the result takes it away. */
  add(route: HttpRoute): () => void {
    const place: Place = { route, remove: undefined, error: undefined }
    this.#serve(place)
    this.#places.add(place)
    return () => {
      this.#places.delete(place)
      place.remove?.()
    }
  }

  /** Another flow stopped or changed: what waits may find its path free. */
  retry(): void {
    for (const place of this.#places) if (!place.remove) this.#serve(place)
  }

  /** Why an endpoint of the flow is not served; undefined when all are. */
  get trouble(): HubError | undefined {
    for (const { error } of this.#places) if (error) return error
    return undefined
  }

  removeAll(): void {
    for (const { remove } of this.#places) remove?.()
    this.#places.clear()
  }

  #serve(place: Place): void {
    const { path } = place.route
    try {
      place.remove = this.#options.serve(place.route)
      place.error = undefined
    } catch (thrown) {
      const error = asHubError(thrown)
      if (error.retry !== 'after-change') throw error
      place.error = error
      this.#options.onRefused(path, error)
      return
    }
    this.#options.onServed(path)
  }
}
