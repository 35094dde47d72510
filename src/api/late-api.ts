import { once } from 'node:events'
import type { RequestListener } from 'node:http'
import type { AddressInfo } from 'node:net'
import { asHubError } from '../kernel/error.ts'
import { createHttpServer } from './http-server.ts'
import type { ApiParts } from './parts.ts'
import { guarded, hardenedOptions, httpLimits, refuse } from './request-guard.ts'
import type { Api } from './server.ts'

/**
 * The admin API, listening at once and loaded with its first call: a third of the time in which a hub starts would
 * otherwise pass before the first message is fetched, with the building of routes that nobody may ask for.
 */
export function createLateApi(parts: ApiParts): Pick<Api, 'listen' | 'close'> {
  let loading: Promise<{ readonly api: Api; readonly listener: RequestListener }> | undefined
  const server = createHttpServer(
    hardenedOptions(),
    guarded((request, response) => {
      loading ??= load()
      loading.then(
        ({ listener }) => listener(request, response),
        (thrown: unknown) => {
          const error = asHubError(thrown)
          parts.logBook.log.error('admin.not-loaded', { code: error.code, text: error.message, next: error.next })
          refuse(request, response, error)
        },
      )
    }),
  )
  server.timeout = httpLimits.idleMs
  server.maxConnections = httpLimits.connections

  async function load() {
    const { createApi } = await import('./server.ts')
    const api = createApi(parts, {}, server)
    return { api, listener: await api.listener() }
  }

  return {
    async listen({ host, port }) {
      server.listen(port, host)
      await once(server, 'listening')
      const { address, family, port: taken } = server.address() as AddressInfo
      return `http://${family === 'IPv6' ? `[${address}]` : address}:${taken}`
    },
    async close() {
      const loaded = await loading?.catch(() => undefined)
      await loaded?.api.close()
      if (!server.listening) return
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}
