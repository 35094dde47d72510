import { z } from 'zod'
import { parametersOf } from '../auth/service/instance-input.ts'
import type { CreatedKey, ServiceInstance, ServiceKey, ServiceUsers } from '../auth/service/model.ts'
import { iso, isoMaybe } from './views.ts'

export const instanceView = z
  .object({
    id: z.string(),
    clientId: z.string().meta({ description: 'What callers send as user, or as client_id.' }),
    name: z.string(),
    space: z.string(),
    plan: z.enum(['integration-flow', 'api']),
    parameters: z.object({
      roles: z.array(z.string()),
      'grant-types': z.array(z.string()),
      'redirect-uris': z.array(z.string()),
      'token-validity': z.number().meta({ description: 'Seconds.' }),
      'refresh-token-validity': z.number().meta({ description: 'Seconds.' }),
    }),
    effectiveRoles: z.array(z.string()).meta({ description: 'Those of its roles that exist.' }),
    keys: z.number().meta({ description: 'Keys that can be used.' }),
    createdAt: z.string(),
    changedAt: z.string(),
    disabledAt: z.string().optional().meta({ description: 'While it is set nobody gets in.' }),
    revision: z.number(),
  })
  .meta({ title: 'service instance' })

export const keyView = z
  .object({
    id: z.string(),
    instance: z.string().meta({ description: 'Id of its instance.' }),
    name: z.string(),
    kind: z.enum(['secret', 'certificate', 'certificate_external']),
    state: z.enum(['active', 'not-yet-valid', 'expired', 'revoked']),
    createdAt: z.string(),
    expiresAt: z.string().optional(),
    revokedAt: z.string().optional(),
    replacedBy: z.string().optional().meta({ description: 'The key that a rotation put in its place.' }),
    lastUse: z
      .object({ at: z.string(), address: z.string() })
      .optional()
      .meta({ description: 'When and from where it was used the last time.' }),
    certificate: z
      .object({
        subject: z.string(),
        issuer: z.string(),
        serialNumber: z.string(),
        notBefore: z.string(),
        notAfter: z.string(),
        thumbprint: z.string().meta({ description: 'SHA-256, base64url.' }),
        pinned: z.boolean(),
      })
      .optional(),
  })
  .meta({ title: 'service key' })

const credentialDocument = z
  .object({
    oauth: z.object({
      clientid: z.string(),
      clientsecret: z.string().optional(),
      url: z.string(),
      tokenurl: z.string(),
      createdate: z.string(),
      certificate: z.string().optional(),
      key: z.string().optional(),
      expirationdate: z.string().optional(),
      certificatedetails: z
        .object({
          issuerdn: z.string(),
          subjectdn: z.string(),
          validuntil: z.string(),
          serialnumber: z.string(),
        })
        .optional(),
    }),
    keyId: z.string(),
    expiresAt: z.string().optional(),
  })
  .meta({ title: 'credential document', description: 'In the shape of service keys of SAP; shown this once.' })

export const createdKeyView = z.object({ key: keyView, document: credentialDocument })

export function viewInstance(instance: ServiceInstance, users: ServiceUsers): z.output<typeof instanceView> {
  const { id, clientId, name, space, plan, createdAt, changedAt, disabledAt, revision } = instance
  const parameters = parametersOf(instance)
  return {
    id,
    clientId,
    name,
    space,
    plan,
    parameters: {
      ...parameters,
      roles: [...parameters.roles],
      'grant-types': [...parameters['grant-types']],
      'redirect-uris': [...parameters['redirect-uris']],
    },
    effectiveRoles: [...users.effectiveRoles(instance)],
    keys: users.listKeys(id).filter(key => users.stateOf(key) === 'active').length,
    createdAt: iso(createdAt),
    changedAt: iso(changedAt),
    disabledAt: isoMaybe(disabledAt),
    revision,
  }
}

export function viewKey(key: ServiceKey, users: ServiceUsers): z.output<typeof keyView> {
  const { id, instanceId, name, kind, createdAt, expiresAt, revokedAt, replacedBy, certificate } = key
  const use = users.lastUseOf(id)
  return {
    id,
    instance: instanceId,
    name,
    kind,
    state: users.stateOf(key),
    createdAt: iso(createdAt),
    expiresAt: isoMaybe(expiresAt),
    revokedAt: isoMaybe(revokedAt),
    replacedBy,
    lastUse: use && { at: iso(use.at), address: use.address },
    certificate: certificate && {
      subject: certificate.subject,
      issuer: certificate.issuer,
      serialNumber: certificate.serialNumber,
      notBefore: iso(certificate.notBefore),
      notAfter: iso(certificate.notAfter),
      thumbprint: certificate.thumbprint,
      pinned: certificate.isPinned,
    },
  }
}

export function viewCreatedKey({ key, document }: CreatedKey, users: ServiceUsers): z.output<typeof createdKeyView> {
  return { key: viewKey(key, users), document }
}
