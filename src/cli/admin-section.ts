import { z } from 'zod'
import { adminRoles } from '../auth/administrators/admin-roles.ts'
import type { OidcSettings } from '../auth/administrators/oidc-log-in.ts'

const roleNames = [...adminRoles.keys()]

/** Log-in of administrators at an identity provider, in isthmus.yaml under admin. */
export const adminSignIn = z
  .strictObject({
    issuer: z.url({ protocol: /^https?$/ }).meta({
      description: 'Issuer of the provider, whose discovery document lies below it.',
      examples: ['https://login.microsoftonline.com/0a1b2c3d-0000-0000-0000-000000000000/v2.0'],
    }),
    'client-id': z
      .string()
      .min(1)
      .meta({ description: 'As registered; its redirect URI is <admin.url>/oauth/administrator.' }),
    credential: z
      .string()
      .optional()
      .meta({
        description: 'Credential of the kind secret with the secret of the client.',
        examples: ['sign-in-entra'],
      }),
    scopes: z.array(z.string()).default([]).meta({ description: 'Asked for beside openid and profile.' }),
    name: z.string().default('preferred_username').meta({ description: 'Claim that says who it is.' }),
    groups: z
      .string()
      .default('roles')
      .meta({ description: 'Claim that holds the groups.', examples: ['groups'] }),
    roles: z
      .record(z.string(), z.array(z.enum(roleNames)).min(1))
      .meta({ description: 'What comes with each group.', examples: [{ 'Isthmus.Operators': ['Operator'] }] }),
  })
  .meta({ description: 'Lets administrators log in at an identity provider (OpenID Connect).' })

export function signInSettings(section: z.output<typeof adminSignIn> | undefined): OidcSettings | undefined {
  if (!section) return undefined
  const { issuer, credential, scopes, roles } = section
  return {
    issuer,
    clientId: section['client-id'],
    credential,
    scopes,
    nameClaim: section.name,
    groupsClaim: section.groups,
    roles,
  }
}
