import type { ClientAuthentication } from '../protocols/oauth/client-authentication.ts'
import type { TokenClient } from '../protocols/oauth/token-request.ts'
import type { ApplicationSettings, Secrets } from './credential-input.ts'

/** Addresses and scopes of a provider, worked out from a preset. */
export interface Endpoints {
  readonly tokenUrl: string
  readonly authorizeUrl: string | undefined
  readonly adminConsentUrl: string | undefined
  readonly issuer: string | undefined
}

export function endpointsOf({ provider, clientId }: ApplicationSettings): Endpoints {
  if ('generic' in provider) {
    const { tokenUrl, authorizeUrl, issuer } = provider.generic
    return { tokenUrl, authorizeUrl, issuer, adminConsentUrl: undefined }
  }
  const { authority, tenant } = provider.microsoft365
  const base = `${authority.replace(/\/+$/, '')}/${tenant}`
  return {
    tokenUrl: `${base}/oauth2/v2.0/token`,
    authorizeUrl: `${base}/oauth2/v2.0/authorize`,
    adminConsentUrl: `${base}/adminconsent?client_id=${encodeURIComponent(clientId)}`,
    // The issuer holds the tenant's id, which a domain does not tell.
    issuer: undefined,
  }
}

// openid and profile tell who signed in; offline_access gives the refresh token.
const microsoftDelegated = [
  'https://outlook.office.com/IMAP.AccessAsUser.All',
  'https://outlook.office.com/SMTP.Send',
  'offline_access',
  'openid',
  'profile',
]
const microsoftAppOnly = ['https://outlook.office365.com/.default']

export function scopesOf({ kind, provider, scopes }: ApplicationSettings): readonly string[] {
  if (scopes) return scopes
  if ('generic' in provider) return []
  return kind === 'oauth2-client-credentials' ? microsoftAppOnly : microsoftDelegated
}

export function tokenClientOf(credential: string, settings: ApplicationSettings, secrets: Secrets): TokenClient {
  const { tokenUrl, adminConsentUrl } = endpointsOf(settings)
  const authentication = authenticationOf(settings, secrets)
  return {
    credential,
    tokenUrl,
    adminConsentUrl,
    clientId: settings.clientId,
    authentication,
    parameters: settings.parameters,
  }
}

function authenticationOf(settings: ApplicationSettings, secrets: Secrets): ClientAuthentication {
  const { certificate } = settings
  if (settings.authentication === 'tls') {
    return { method: 'tls', certificate: certificate ?? '', privateKey: secrets.privateKey ?? '' }
  }
  // Of a bearer of assertions the key signs those; the application shows itself by its secret.
  if (settings.kind !== 'oauth2-saml-bearer' && certificate !== undefined && secrets.privateKey !== undefined) {
    const audience = settings.assertionAudience
    return { method: 'certificate', certificate, privateKey: secrets.privateKey, audience }
  }
  if (secrets.clientSecret === undefined) return { method: 'none' }
  return { method: settings.authentication, secret: secrets.clientSecret }
}
