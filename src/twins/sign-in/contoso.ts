import type { TenantSeed } from './directory.ts'
import { graphRoles } from './scope.ts'

/** Client id of the app registration that the hub uses towards contoso. */
export const contosoClientId = '6c7d1f0e-2f4b-4b0c-9a55-1d2e3f4a5b6c'
/** A secret of the twin's world only; it opens nothing but the twin on loopback. */
export const contosoSecret = 'contoso-twin-secret'

/** The organization of tests and of the demo: a service user, an administrator and one app registration. */
export function contoso(redirectUris: readonly string[] = [], certificates: readonly string[] = []): TenantSeed {
  return {
    id: '72f988bf-0000-4000-8000-2d7cd011db47',
    domain: 'contoso.com',
    users: [
      { name: 'svc@contoso.com' },
      { name: 'admin@contoso.com', isAdmin: true },
      { name: 'stranger@contoso.com' },
    ],
    apps: [
      {
        clientId: contosoClientId,
        name: 'Isthmus mail',
        redirectUris,
        secrets: [contosoSecret],
        certificates,
        roles: ['IMAP.AccessAsApp', 'SMTP.SendAsApp', ...graphRoles],
      },
    ],
  }
}
