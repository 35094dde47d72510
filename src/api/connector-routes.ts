import { z } from 'zod'
import type { Connectors } from '../connector/hub/connectors.ts'
import { locationErrors } from '../connector/hub/errors.ts'
import type { ConnectorView } from '../connector/hub/views.ts'
import { type ConnectorStatus, drainRequest, virtualHostStatus } from '../connector/wire.ts'
import { connectorView, enrolmentView, pathCheckView } from './connector-views.ts'
import { type ApiParts, type App, auditChange, whoOf } from './parts.ts'
import { iso, isoMaybe } from './views.ts'

const tags = ['connectors']
const named = z.strictObject({ id: z.string().max(100) })

/** On-premise connectors: enrol, list, show, revoke, their virtual hosts, drain, and the check of a path. */
export function connectorRoutes(app: App, parts: ApiParts): void {
  function connectors(): Connectors {
    if (!parts.connectors) throw locationErrors.LISTENER_OFF()
    return parts.connectors
  }

  app.get(
    '/api/connectors',
    {
      schema: {
        tags,
        summary: 'All connectors, and whether they are connected to this node',
        response: { 200: z.object({ connectors: z.array(connectorView) }) },
      },
    },
    async () => ({ connectors: (parts.connectors?.list() ?? []).map(view) }),
  )

  app.post(
    '/api/connectors/enrol',
    {
      schema: {
        tags,
        summary: 'Makes a one-time token with which a connector enrols; it is shown once',
        body: z.strictObject({
          location: z.string().max(100),
          name: z.string().min(1).max(100).optional().meta({ description: 'Instead of the name it gives itself.' }),
        }),
        response: { 201: enrolmentView },
      },
    },
    async (request, reply) => {
      const { location, name } = request.body
      const { id, text, endsAt, nodes } = await connectors().makeToken(location, name)
      await auditChange(parts, request, 'connector.enrol-token', { location, token: id, ...(name && { name }) })
      return reply.status(201).send({ location, token: text, endsAt: iso(endsAt), nodes: [...nodes] })
    },
  )

  app.get(
    '/api/connectors/:id',
    { schema: { tags, summary: 'One connector', params: named, response: { 200: connectorView } } },
    async request => view(connectors().get(request.params.id)),
  )

  app.post(
    '/api/connectors/:id/revoke',
    {
      schema: {
        tags,
        summary: 'Cuts its tunnels at once and refuses its certificates from now on',
        params: named,
        body: z.strictObject({ reason: z.string().min(1).max(500).default('revoked by an administrator') }),
        response: { 200: connectorView },
      },
    },
    async request => {
      const { id } = request.params
      const { reason } = request.body
      const revoked = await connectors().revoke(id, reason, whoOf(request))
      await auditChange(parts, request, 'connector.revoke', { connector: id, location: revoked.location, reason })
      return view(revoked)
    },
  )

  app.get(
    '/api/connectors/:id/virtual-hosts',
    {
      schema: {
        tags,
        summary: 'Its virtual hosts and their targets with health and load, asked now',
        params: named,
        response: { 200: z.object({ virtualHosts: z.array(virtualHostStatus) }) },
      },
    },
    async request => hosts(await connectors().status(request.params.id)),
  )

  app.post(
    '/api/connectors/:id/drain',
    {
      schema: {
        tags,
        summary: 'Takes a target out of the choice until the connector starts anew, or back in',
        params: named,
        body: drainRequest,
        response: { 200: z.object({ virtualHosts: z.array(virtualHostStatus) }) },
      },
    },
    async request => {
      const { id } = request.params
      const status = await connectors().drain(id, request.body)
      const { drained, virtualHost, target } = request.body
      const action = drained ? 'connector.drain' : 'connector.undrain'
      await auditChange(parts, request, action, { connector: id, virtualHost, target })
      return hosts(status)
    },
  )

  app.post(
    '/api/locations/:location/check',
    {
      schema: {
        tags,
        summary: 'Walks the way to a virtual host, or to all of a location, and says at which step it ends',
        params: z.strictObject({ location: z.string().max(100) }),
        body: z.strictObject({ virtualHost: z.string().min(1).max(300).optional() }),
        response: { 200: pathCheckView },
      },
    },
    async request => {
      const { ok, steps } = await connectors().check(request.params.location, request.body.virtualHost)
      return { ok, steps: steps.map(step => ({ ...step })) }
    },
  )
}

function hosts({ virtualHosts }: ConnectorStatus) {
  return { virtualHosts }
}

function view(connector: ConnectorView): z.output<typeof connectorView> {
  const { revoked, tunnels, virtualHosts, enrolledAt, certificateEndsAt, connectedAt, lastSeenAt, ...rest } = connector
  return {
    ...rest,
    enrolledAt: iso(enrolledAt),
    certificateEndsAt: iso(certificateEndsAt),
    connectedAt: isoMaybe(connectedAt),
    lastSeenAt: isoMaybe(lastSeenAt),
    tunnels: tunnels.map(tunnel => ({ ...tunnel, connectedAt: iso(tunnel.connectedAt) })),
    virtualHosts: [...virtualHosts],
    revoked: revoked && { ...revoked, at: iso(revoked.at) },
  }
}
