import type { HttpRoute } from '../kernel/http-exchange.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'

/** The routes of the flows that run, by path; `/orders/*` takes everything below `/orders/`. */
export class RouteTable {
  readonly #routes = new Map<string, HttpRoute>()

  /** Adds a route; the returned function takes it away again. Throws ENDPOINT_PATH_TAKEN. */
  add(route: HttpRoute): () => void {
    const taken = this.#routes.get(route.path)
    if (taken) throw flowEndpointErrors.PATH_TAKEN({ path: route.path, other: taken.flow })
    this.#routes.set(route.path, route)
    return () => {
      if (this.#routes.get(route.path) === route) this.#routes.delete(route.path)
    }
  }

  /**
   * The route of a path: the exact one, or else the longest `/*` above it. A path that could be read in two ways (dot
   * segments, escaped or doubled slashes) has none.
   */
  find(path: string): HttpRoute | undefined {
    const isAmbiguous = /\/\.{1,2}(\/|$)|\/\/|\\|%2e|%2f|%5c|%00/i.test(path)
    if (isAmbiguous) return undefined
    const exact = this.#routes.get(path)
    if (exact) return exact
    for (let end = path.lastIndexOf('/'); end >= 0; end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)) {
      const below = this.#routes.get(`${path.slice(0, end)}/*`)
      if (below) return below
    }
    return undefined
  }
}
