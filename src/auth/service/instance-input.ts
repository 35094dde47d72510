import { z } from 'zod'
import { grantTypeNames, readGrantType } from './grant-types.ts'
import type { GrantType, InstanceParameters, Plan, ServiceInstance } from './model.ts'
import { defaultRoles, roleNamePattern } from './roles.ts'
import { serviceErrors } from './service-errors.ts'
import { serviceLimits, tokenValiditySeconds as validity } from './service-limits.ts'

/** As Cloud Foundry takes names on the command line. */
export const instanceNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,31}$/
export const spaceNamePattern = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/
export const plans = ['integration-flow', 'api'] as const satisfies readonly Plan[]

const grantType = z.string().transform((text, context): GrantType => {
  const known = readGrantType(text)
  if (known) return known
  context.addIssue(`"${text.slice(0, 80)}" is no grant type; there are ${grantTypeNames.join(', ')}`)
  return z.NEVER
})

const grantTypes = z
  .array(grantType)
  .min(1, 'name at least one grant type')
  .transform(given => [...new Set(given)])
  .refine(given => given.length === 1 || !given.includes('client_x509'), 'client_x509 stands alone')
  .meta({ description: 'How callers may come to a token.', examples: [['client_credentials']] })

const redirectUri = z
  .string()
  .max(500)
  .refine(isRedirectUri, 'a redirect URI is https (http only to this machine), without * and #')

/** The JSON of SAP's service instances; `grant-type` is understood beside `grant-types`. */
export const instanceParameters = z.preprocess(
  renameGrantType,
  z.strictObject({
    roles: z
      .array(z.string().regex(roleNamePattern, 'a role is letters, digits, underscores and dots'))
      .max(serviceLimits.rolesPerInstance)
      .optional()
      .meta({ description: 'Roles; for flows ESBMessaging.send when left out.', examples: [['ESBMessaging.send']] }),
    'grant-types': grantTypes.optional(),
    'redirect-uris': z.array(redirectUri).max(serviceLimits.redirectUrisPerInstance).optional(),
    'token-validity': z
      .number()
      .int()
      .min(validity.min)
      .max(validity.max)
      .optional()
      .meta({ description: 'Seconds; 3600 for flows and 43200 for the API when left out.' }),
    'refresh-token-validity': z
      .number()
      .int()
      .min(validity.refreshMin)
      .max(validity.refreshMax)
      .optional()
      .meta({ description: 'Seconds; 604800 when left out.' }),
  }),
)

export type Settings = Pick<
  ServiceInstance,
  'roles' | 'grantTypes' | 'redirectUris' | 'tokenValiditySeconds' | 'refreshTokenValiditySeconds'
>

/** Reads parameters; what they leave out stays as `before` has it. Throws SERVICE_INSTANCE_INVALID. */
export function readParameters(instance: string, plan: Plan, given: unknown, before?: Settings): Settings {
  const parsed = instanceParameters.safeParse(given ?? {})
  if (!parsed.success) throw serviceErrors.INSTANCE_INVALID({ instance, reason: z.prettifyError(parsed.error) })
  const wanted = parsed.data
  return {
    roles: [...new Set(wanted.roles ?? before?.roles ?? defaultRoles[plan])],
    grantTypes: wanted['grant-types'] ?? before?.grantTypes ?? ['client_credentials'],
    redirectUris: wanted['redirect-uris'] ?? before?.redirectUris ?? [],
    tokenValiditySeconds: wanted['token-validity'] ?? before?.tokenValiditySeconds ?? validity.byPlan[plan],
    refreshTokenValiditySeconds:
      wanted['refresh-token-validity'] ?? before?.refreshTokenValiditySeconds ?? validity.refresh,
  }
}

/** The parameters of an instance, all of them, as the document writes them. */
export function parametersOf(instance: ServiceInstance): Required<InstanceParameters> {
  return {
    roles: instance.roles,
    'grant-types': instance.grantTypes,
    'redirect-uris': instance.redirectUris,
    'token-validity': instance.tokenValiditySeconds,
    'refresh-token-validity': instance.refreshTokenValiditySeconds,
  }
}

/** The name `grant-type` is in SAP's own examples, and JSON.stringify of a single one is easily no list. */
function renameGrantType(given: unknown): unknown {
  if (typeof given !== 'object' || given === null || !('grant-type' in given) || 'grant-types' in given) return given
  const { 'grant-type': single, ...rest } = given
  return { ...rest, 'grant-types': typeof single === 'string' ? [single] : single }
}

function isRedirectUri(text: string): boolean {
  if (!URL.canParse(text) || /[*#\s]/.test(text)) return false
  const { protocol, hostname, username, password } = new URL(text)
  const isLocal = /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
  return username === '' && password === '' && (protocol === 'https:' || (protocol === 'http:' && isLocal))
}
