import type { GrantType } from './model.ts'

const samlBearer = 'urn:ietf:params:oauth:grant-type:saml2-bearer'

/** Every grant type an instance may list, with its other spellings. */
const spellings: ReadonlyMap<string, GrantType> = new Map<string, GrantType>([
  ['client_credentials', 'client_credentials'],
  ['authorization_code', 'authorization_code'],
  ['refresh_token', 'refresh_token'],
  ['password', 'password'],
  ['user_token', 'user_token'],
  ['client_x509', 'client_x509'],
  [samlBearer, samlBearer],
  // As it stands in documents about SAP Cloud Integration; RFC 7522 writes it with a hyphen.
  ['urn:ietf:params:oauth:grant-type:saml2bearer', samlBearer],
  ['urn:ietf:params:oauth:grant-type:jwt-bearer', 'urn:ietf:params:oauth:grant-type:jwt-bearer'],
])

/** A grant type by any of its spellings. */
export function readGrantType(text: string): GrantType | undefined {
  return spellings.get(text)
}

export const grantTypeNames: readonly string[] = [...new Set(spellings.values())]
