import { createServer, type RequestListener, type Server } from 'node:http'
import swagger from '@fastify/swagger'
import Fastify, { type FastifyReply, type FastifyRequest } from 'fastify'
import {
  hasZodFastifySchemaValidationErrors,
  jsonSchemaTransform,
  serializerCompiler,
  validatorCompiler,
  type ZodTypeProvider,
} from 'fastify-type-provider-zod'
import { createOidcLogIn } from '../auth/administrators/oidc-log-in.ts'
import { believeProxies, callerAddress } from '../kernel/caller-address.ts'
import { asHubError, HubError } from '../kernel/error.ts'
import { MiB } from '../kernel/size.ts'
import { type AdminCaller, createCallerCheck } from './admin-caller.ts'
import { administratorRoutes } from './administrator-routes.ts'
import { alertRoutes } from './alert-routes.ts'
import { apiErrors } from './api-errors.ts'
import { auditRoutes } from './audit-routes.ts'
import { connectorRoutes } from './connector-routes.ts'
import { consoleRoutes } from './console-routes.ts'
import { credentialRoutes } from './credential-routes.ts'
import { flowRoutes } from './flow-routes.ts'
import { healthRoutes } from './health-routes.ts'
import { instanceRoutes } from './instance-routes.ts'
import { keyMapRoutes } from './key-map-routes.ts'
import { keyRoutes } from './key-routes.ts'
import { logRoutes } from './log-routes.ts'
import { mailboxRoutes } from './mailbox-routes.ts'
import { messageRoutes } from './message-routes.ts'
import { oidcCallbackPath, oidcRoutes } from './oidc-routes.ts'
import { operationIdOf } from './operation-id.ts'
import { organizationRoutes } from './organization-routes.ts'
import type { ApiParts, App } from './parts.ts'
import { type Asked, askedOf } from './permissions.ts'
import { problemOf, problemSchema, problemType, retryAfterOf } from './problem.ts'
import { guarded, hardenedOptions, httpLimits } from './request-guard.ts'
import { roleRoutes } from './role-routes.ts'
import { sessionCookie } from './session-cookie.ts'
import { sessionRoutes } from './session-routes.ts'
import { setAsideRoutes } from './set-aside-routes.ts'
import { signInRoutes } from './sign-in-routes.ts'
import { createSignInTickets } from './sign-in-tickets.ts'
import { tokenRoutes } from './token-routes.ts'
import { userRoutes } from './user-routes.ts'
import { vaultRoutes } from './vault-routes.ts'

export const apiLimits = {
  /** Bodies of admin calls; a repair may bring more (repairBytesMax, and messageBytes where the body comes alone). */
  bodyBytes: MiB,
}

/** What every call may be answered with instead. */
const problems = {
  description: 'What happened, whose turn it is and what to do next.',
  content: { [problemType]: { schema: problemSchema } },
}

/** The admin API: HTTP on loopback unless told otherwise, every call by somebody who may make it. */
export interface Api {
  /** Resolves with the address once it listens. */
  listen(address: { readonly host: string; readonly port: number }): Promise<string>
  /** Answers calls of a server that listens already. */
  listener(): Promise<RequestListener>
  /** The OpenAPI document. */
  openapi(): Promise<object>
  close(): Promise<void>
}

/** `listening`: a server that listens already, hardened and guarded; whoever made it closes it. */
export function createApi(parts: ApiParts, limits: Partial<typeof httpLimits> = {}, listening?: Server): Api {
  const app = makeApp(limits, listening)
  const publicUrl = () => parts.publicUrl ?? `http://localhost:${portOf(app.server)}`
  const tickets = createSignInTickets(parts.clock, publicUrl)
  const findCaller = createCallerCheck(parts)
  const mask = parts.logBook.mask.text
  const { log } = parts.logBook
  const believe = believeProxies(parts.proxies ?? [])

  app.addHook('onRequest', async (request, reply) => {
    believe(request.raw)
    reply.headers({
      'cache-control': 'no-store',
      'content-security-policy': "default-src 'none'; frame-ancestors 'none'",
      'referrer-policy': 'no-referrer',
      'x-content-type-options': 'nosniff',
    })
    // An unknown path asks for a proof too, so that nobody learns which paths there are.
    const { isPublic, asked = 'AdministratorsEdit' } = request.routeOptions.config
    if (isPublic) return
    const caller = await findCaller(request)
    const refused = caller instanceof HubError ? caller : findMissing(caller, asked, request.is404)
    if (!refused && !(caller instanceof HubError)) request.admin = caller
    if (!refused) return
    const who = caller instanceof HubError ? {} : { who: caller.who, asked }
    log.warn('admin.refused', {
      code: refused.code,
      address: callerAddress(request.raw),
      path: request.url.split('?')[0],
      ...who,
    })
    throw refused
  })
  // While the hub works on an answer nothing moves on the socket; that is no idle caller.
  app.addHook('preHandler', async request => void request.raw.socket.setTimeout(0))
  app.addHook('onSend', async request => void request.raw.socket.setTimeout(limits.idleMs ?? httpLimits.idleMs))

  /** Whether somebody who was let in would be let in now. */
  async function mayStill(request: FastifyRequest): Promise<boolean> {
    const { asked = 'AdministratorsEdit' } = request.routeOptions.config
    const caller = await findCaller(request, 'look')
    return !(caller instanceof HubError) && findMissing(caller, asked, false) === undefined
  }

  app.setNotFoundHandler(request => {
    throw apiErrors.ROUTE_UNKNOWN({ method: request.method, path: request.url.split('?')[0] ?? '' })
  })
  app.setErrorHandler((thrown, request, reply) => {
    const error = asApiError(thrown, request.routeOptions.bodyLimit ?? apiLimits.bodyBytes)
    if (error.code === 'API_BODY_TOO_LARGE') parts.monitor.metrics.limitReached('apiBodyBytes')
    if (error.code === 'HUB_UNEXPECTED') log.error('admin.failed', { path: request.url.split('?')[0], error })
    return sendProblem(request, reply, error, mask)
  })

  app.addHook('onRoute', route => {
    const [method = ''] = [route.method].flat()
    const asked = askedOf(method, route.url)
    if (asked) route.config = { ...route.config, asked }
    if (route.schema && asked)
      route.schema = {
        ...route.schema,
        description: [route.schema.description, `Asks for ${asked}.`].filter(Boolean).join(' '),
      }
    if (route.schema && !route.schema.hide) {
      route.schema = {
        ...route.schema,
        operationId: operationIdOf(method, route.url),
        response: { ...Object(route.schema.response), '4xx': problems, '5xx': problems },
      }
    }
  })
  app.register(async scope => {
    const routes: App = scope.withTypeProvider<ZodTypeProvider>()
    for (const add of [flowRoutes, messageRoutes, setAsideRoutes, healthRoutes, alertRoutes, auditRoutes, keyMapRoutes])
      add(routes, parts)
    logRoutes(routes, parts, mayStill)
    for (const add of [instanceRoutes, keyRoutes, roleRoutes, userRoutes, tokenRoutes]) add(routes, parts)
    for (const add of [credentialRoutes, signInRoutes]) add(routes, parts, tickets)
    connectorRoutes(routes, parts)
    organizationRoutes(routes, parts)
    mailboxRoutes(routes, parts)
    vaultRoutes(routes, parts)
    administratorRoutes(routes, parts)
    sessionRoutes(routes, parts)
    if (parts.signIn) {
      const redirectUri = () => `${publicUrl()}${oidcCallbackPath}`
      oidcRoutes(routes, parts, createOidcLogIn({ ...parts.signIn, clock: parts.clock, redirectUri }))
    }
    if (parts.console !== undefined) consoleRoutes(routes, parts.console)
    routes.get('/api/openapi.json', { schema: { hide: true } }, async () => app.swagger())
  })

  return {
    listen: address => app.listen(address),
    async listener() {
      await app.ready()
      return app.routing
    },
    async openapi() {
      await app.ready()
      return app.swagger()
    },
    close: () => app.close(),
  }
}

function makeApp(limits: Partial<typeof httpLimits>, listening: Server | undefined) {
  const { idleMs, connections } = { ...httpLimits, ...limits }
  const app = Fastify({
    logger: false,
    bodyLimit: apiLimits.bodyBytes,
    forceCloseConnections: true,
    // The address of the connection itself; callerAddress tells who is behind a proxy that is believed.
    trustProxy: false,
    routerOptions: { maxParamLength: 256 },
    serverFactory(handler) {
      if (listening) return listening
      const server = createServer(hardenedOptions(limits), guarded(handler))
      server.timeout = idleMs
      server.maxConnections = connections
      return server
    },
  })
  app.setValidatorCompiler(validatorCompiler)
  app.setSerializerCompiler(serializerCompiler)
  // Only JSON is read, and only when it says so: a form of another site can send neither.
  app.removeContentTypeParser('text/plain')
  app.register(swagger, {
    openapi: {
      openapi: '3.1.0',
      info: {
        title: 'Isthmus admin API',
        description: 'What people and programs can ask of a hub.',
        version: '1',
        license: { name: 'Apache-2.0', identifier: 'Apache-2.0' },
      },
      servers: [{ url: '/', description: 'The hub that serves this document.' }],
      components: {
        securitySchemes: {
          adminToken: { type: 'http', scheme: 'bearer' },
          serviceToken: { type: 'http', scheme: 'bearer', bearerFormat: 'JWT' },
          session: { type: 'apiKey', in: 'cookie', name: sessionCookie },
        },
      },
      security: [{ adminToken: [] }, { serviceToken: [] }, { session: [] }],
    },
    transform: jsonSchemaTransform,
  })
  return app
}

/** What a known caller lacks; undefined: they may. */
function findMissing(caller: AdminCaller, asked: Asked, isUnknownPath: boolean): HubError | undefined {
  if (isUnknownPath) return undefined
  if (asked === 'signed-in') return caller.session ? undefined : apiErrors.SESSION_ONLY({ who: caller.who })
  return caller.permissions.has(asked) ? undefined : apiErrors.FORBIDDEN({ permission: asked, who: caller.who })
}

function sendProblem(request: FastifyRequest, reply: FastifyReply, error: HubError, mask: (text: string) => string) {
  const problem = problemOf(error, request.url.split('?')[0] ?? '', mask)
  const retryAfter = retryAfterOf(error)
  if (retryAfter !== undefined) reply.header('retry-after', retryAfter)
  if (!request.raw.complete) {
    // Whoever still sends would find the connection broken instead of the answer (RFC 9112 section 9.6).
    reply.removeHeader('connection')
    request.raw.resume()
  }
  if (problem.status === 401) reply.header('www-authenticate', 'Bearer realm="isthmus"')
  // Serialized here: the schemas of the routes describe their good answers.
  return reply.status(problem.status).type(problemType).serializer(JSON.stringify).send(problem)
}

function portOf(server: Server): number {
  const address = server.address()
  return typeof address === 'object' && address !== null ? address.port : 0
}

/** Errors of Fastify in the words of the hub. */
function asApiError(thrown: unknown, bodyBytesMax: number): HubError {
  if (thrown instanceof HubError) return thrown
  if (hasZodFastifySchemaValidationErrors(thrown)) {
    const whole = thrown.validationContext ?? 'request'
    const words = thrown.validation.map(({ instancePath, message }) => {
      return `${instancePath.slice(1).replaceAll('/', '.') || whole}: ${message}`
    })
    return apiErrors.REQUEST_INVALID({ text: `${words.join('; ')}.` })
  }
  const code = thrown instanceof Error && 'code' in thrown ? thrown.code : undefined
  const status = thrown instanceof Error && 'statusCode' in thrown ? thrown.statusCode : undefined
  if (code === 'FST_ERR_CTP_INVALID_MEDIA_TYPE') return apiErrors.TYPE_UNSUPPORTED({ type: 'other than JSON' })
  if (code === 'FST_ERR_CTP_BODY_TOO_LARGE') return apiErrors.BODY_TOO_LARGE({ bytesMax: bodyBytesMax })
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  if (typeof status === 'number' && status < 500) return apiErrors.REQUEST_INVALID({ text })
  return asHubError(thrown)
}
