import type { OIDCProviderError } from 'oidc-provider'

/** By its shape: oidc-provider exports its errors one by one and not what they have in common. */
export function isOAuthError(thrown: unknown): thrown is OIDCProviderError {
  return thrown instanceof Error && 'statusCode' in thrown && 'error_description' in thrown
}
