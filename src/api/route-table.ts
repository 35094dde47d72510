import type { HttpRoute } from '../kernel/http-exchange.ts'
import { flowEndpointErrors } from './flow-endpoint-errors.ts'

/** The routes of the flows that run, by path; `/orders/*` takes everything below `/orders/`. */
export class RouteTable {
  /** The first of a path is the one that is called; more than one only where they share it. */
  readonly #routes = new Map<string, readonly HttpRoute[]>()

  /** Adds a route; the returned function takes it away again. Throws ENDPOINT_PATH_TAKEN, ENDPOINT_PATH_UNLIKE. */
  add(route: HttpRoute): () => void {
    const { path } = route
    const standing = this.#routes.get(path) ?? []
    const [first] = standing
    const taken = standing.find(other => !mayStandBeside(other, route))
    if (taken) throw flowEndpointErrors.PATH_TAKEN({ path, other: taken.flow })
    // Who may call, and how much may come, is decided before anybody knows whose request it is.
    if (first && (first.role !== route.role || first.bodyBytesMax !== route.bodyBytesMax)) {
      throw flowEndpointErrors.PATH_UNLIKE({ path, other: first.flow })
    }
    this.#routes.set(path, [...standing, route])
    return () => {
      const left = this.#routes.get(path)?.filter(other => other !== route) ?? []
      if (left.length > 0) this.#routes.set(path, left)
      else this.#routes.delete(path)
    }
  }

  /** The routes that share the path of this one. */
  othersOf(route: HttpRoute): readonly HttpRoute[] {
    return this.#routes.get(route.path)?.filter(other => other !== route) ?? []
  }

  /**
   * The route of a path: the exact one, or else the longest `/*` above it. A path that could be read in two ways (dot
   * segments, escaped or doubled slashes) has none.
   */
  find(path: string): HttpRoute | undefined {
    const isAmbiguous = /\/\.{1,2}(\/|$)|\/\/|\\|%2e|%2f|%5c|%00/i.test(path)
    if (isAmbiguous) return undefined
    const exact = this.#routes.get(path)?.[0]
    if (exact) return exact
    for (let end = path.lastIndexOf('/'); end >= 0; end = end === 0 ? -1 : path.lastIndexOf('/', end - 1)) {
      const below = this.#routes.get(`${path.slice(0, end)}/*`)?.[0]
      if (below) return below
    }
    return undefined
  }
}

function mayStandBeside({ shared: one }: HttpRoute, { shared: other }: HttpRoute): boolean {
  if (!one || !other || one.kind !== other.kind) return false
  return !one.parts.some(part => other.parts.includes(part))
}
