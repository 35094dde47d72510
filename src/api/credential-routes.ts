import { z } from 'zod'
import { credentialInput, secretRenewal } from '../auth/credential-input.ts'
import type { CredentialView } from '../auth/credentials.ts'
import { credentialErrors } from '../auth/errors.ts'
import { type ApiParts, type App, auditChange } from './parts.ts'
import type { SignInTickets } from './sign-in-tickets.ts'
import { iso, isoMaybe } from './views.ts'

const named = z.strictObject({ name: z.string() })
const ifUnchanged = z.strictObject({
  revision: z.coerce.number().int().optional().meta({ description: 'Refuse when it is another one by now.' }),
})
const tags = ['credentials']

const statusView = z.object({
  state: z.enum(['ready', 'needs-authorisation', 'consent-missing', 'refused']),
  user: z.string().optional(),
  expiresAt: z.string().optional(),
  authorisedAt: z.string().optional(),
  lastRefreshAt: z.string().optional(),
  certificate: z
    .object({
      subject: z.string(),
      issuer: z.string(),
      notBefore: z.string(),
      endsAt: z.string(),
      thumbprint: z.string().meta({ description: 'base64url of the SHA-256 of its DER form (x5t#S256).' }),
    })
    .optional(),
  hosts: z
    .array(
      z.object({
        hosts: z.string(),
        keyType: z.string(),
        fingerprint: z.string(),
        marker: z.enum(['revoked', 'cert-authority']).optional(),
      }),
    )
    .optional()
    .meta({ description: 'Of kind known-hosts.' }),
  error: z.object({ code: z.string(), message: z.string(), next: z.string(), at: z.string().optional() }).optional(),
})

export const credentialView = z.object({
  name: z.string(),
  kind: z.string(),
  revision: z.number(),
  changedAt: z.string(),
  settings: z.unknown().meta({ description: 'Without secrets.' }),
  secrets: z.array(z.string()).meta({ description: 'Names of the secrets that are kept.' }),
  status: statusView,
})

/** Credentials: list, show, create, change, delete, sign in. */
export function credentialRoutes(app: App, parts: ApiParts, tickets: SignInTickets): void {
  const { credentials } = parts

  function view(credential: CredentialView): z.output<typeof credentialView> {
    const { error, certificate, hosts, ...status } = credential.status
    return {
      ...credential,
      changedAt: iso(credential.changedAt),
      // The view holds no secrets; the mask is the second lock.
      settings: mapTexts(credential.settings, text => parts.logBook.mask.text(text)),
      secrets: [...credential.secrets],
      status: {
        ...status,
        expiresAt: isoMaybe(status.expiresAt),
        authorisedAt: isoMaybe(status.authorisedAt),
        lastRefreshAt: isoMaybe(status.lastRefreshAt),
        certificate: certificate && {
          ...certificate,
          notBefore: iso(certificate.notBefore),
          endsAt: iso(certificate.endsAt),
        },
        hosts: hosts && [...hosts],
        error: error && { ...error, at: isoMaybe(error.at) },
      },
    }
  }

  app.get(
    '/api/credentials',
    {
      schema: {
        tags,
        summary: 'All credentials',
        response: { 200: z.object({ credentials: z.array(credentialView) }) },
      },
    },
    async () => ({ credentials: (await credentials.list()).map(view) }),
  )

  app.get(
    '/api/credentials/:name',
    { schema: { tags, summary: 'One credential and its status', params: named, response: { 200: credentialView } } },
    async request => view(await credentials.get(request.params.name)),
  )

  app.post(
    '/api/credentials/:name',
    {
      schema: {
        tags,
        summary: 'Creates a credential',
        params: named,
        body: credentialInput,
        response: { 201: credentialView },
      },
    },
    async (request, reply) => {
      const { name } = request.params
      const created = await credentials.create(name, request.body)
      await auditChange(parts, request, 'credential.create', { credential: name, kind: created.kind })
      return reply.status(201).send(view(created))
    },
  )

  app.put(
    '/api/credentials/:name',
    {
      schema: {
        tags,
        summary: 'Replaces the settings; secrets that are left out stay as they are',
        params: named,
        querystring: ifUnchanged,
        body: credentialInput,
        response: { 200: credentialView },
      },
    },
    async request => {
      const { name } = request.params
      const before = await credentials.get(name)
      const changed = await credentials.update(name, request.body, request.query.revision)
      await auditChange(parts, request, 'credential.update', {
        credential: name,
        before: before.settings,
        after: changed.settings,
      })
      return view(changed)
    },
  )

  app.post(
    '/api/credentials/:name/renew',
    {
      schema: {
        tags,
        summary: 'Puts new secrets in the place of old ones; the settings stay, and so does a sign-in',
        params: named,
        querystring: ifUnchanged,
        body: secretRenewal,
        response: { 200: credentialView },
      },
    },
    async request => {
      const { name } = request.params
      const renewed = await credentials.renew(name, request.body, request.query.revision)
      await auditChange(parts, request, 'credential.renew', { credential: name, changed: Object.keys(request.body) })
      return view(renewed)
    },
  )

  app.delete(
    '/api/credentials/:name',
    { schema: { tags, summary: 'Deletes a credential', params: named, response: { 204: z.null() } } },
    async (request, reply) => {
      const { name } = request.params
      await credentials.delete(name)
      await auditChange(parts, request, 'credential.delete', { credential: name })
      return reply.status(204).send(null)
    },
  )

  app.post(
    '/api/credentials/:name/authorise',
    {
      schema: {
        tags,
        summary: 'Begins a sign-in; open the URL in a browser',
        params: named,
        response: { 200: z.object({ url: z.string(), redirectUri: z.string(), expiresAt: z.string() }) },
      },
    },
    async request => {
      const { name } = request.params
      // Says at once what speaks against it, and not only in the browser.
      const { kind } = await credentials.get(name)
      if (kind !== 'oauth2-authorization-code') throw credentialErrors.NOT_BY_SIGN_IN({ credential: name, kind })
      const ticket = tickets.issue(name)
      await auditChange(parts, request, 'credential.authorise', { credential: name })
      return ticket
    },
  )
}

/** Every text in it changed, keys included, and nothing cut: what is shown may be sent back (a chain of certificates is long). */
function mapTexts(value: unknown, change: (text: string) => string): unknown {
  if (typeof value === 'string') return change(value)
  if (Array.isArray(value)) return value.map(each => mapTexts(each, change))
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([key, each]) => [change(key), mapTexts(each, change)]))
}
