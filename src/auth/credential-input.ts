import { z } from 'zod'
import { credentialName, location } from '../kernel/schema.ts'
import { certificateProblem } from '../protocols/oauth/client-authentication.ts'
import { keyPairProblem } from './certificate-facts.ts'
import { credentialErrors } from './errors.ts'
import { readKnownHosts } from './known-hosts.ts'

const secretText = z.string().min(1).max(16_384)
const about = z.string().max(500).optional().meta({ description: 'What it is for.' })
// What is copied out of a service key (JSON) has its line breaks as \n, which is in no PEM text.
const pem = z
  .string()
  .max(65_536)
  .overwrite(text => text.replaceAll(String.raw`\n`, '\n'))
  .regex(/-----BEGIN [A-Z ]+-----/, 'this is not PEM')

const knownHosts = z.string().min(1).max(262_144).meta({ description: 'Lines of a known_hosts file; sealed.' })

const serverUrl = z
  .url({ protocol: /^https?$/ })
  .refine(isSecureOrLocal, 'only https is allowed (plain http only to this machine)')
  .refine(text => new URL(text).username === '' && new URL(text).password === '', 'a URL here carries no user')

/** Where tokens come from. */
const provider = z.union([
  z.strictObject({
    microsoft365: z.strictObject({
      tenant: z
        .string()
        .regex(/^[A-Za-z0-9][A-Za-z0-9.-]{0,253}$/, 'the tenant is its id or one of its domains')
        .meta({ description: 'Tenant id or domain.', examples: ['contoso.onmicrosoft.com'] }),
      authority: serverUrl
        .default('https://login.microsoftonline.com')
        .meta({ description: 'Sign-in server; another one for national clouds and for the twin.' }),
    }),
  }),
  z.strictObject({
    generic: z.strictObject({
      tokenUrl: serverUrl,
      authorizeUrl: serverUrl.optional(),
      issuer: z.string().max(500).optional().meta({ description: 'Checked against iss in the redirect (RFC 9207).' }),
    }),
  }),
])

const reservedParameters = new Set(
  (
    'assertion client_id client_secret client_assertion client_assertion_type grant_type scope code code_verifier redirect_uri ' +
    'refresh_token state code_challenge code_challenge_method response_type'
  ).split(' '),
)
const parameters = z
  .record(z.string().min(1).max(128), z.string().max(1024))
  .refine(given => Object.keys(given).length <= 20, 'at most 20 parameters')
  .refine(given => !Object.keys(given).some(name => reservedParameters.has(name)), 'a parameter the hub sets itself')
  .default({})

const secretPlaces = ['body', 'header', 'header-as-is'] as const
const whereSecret = 'Where the client secret is sent; header-as-is for servers that do not decode it.'

const application = {
  about,
  provider,
  clientId: z.string().min(1).max(255),
  clientSecret: secretText.optional(),
  certificate: pem.optional().meta({
    description:
      'Certificate of the application (PEM); it signs client assertions, or is shown (`authentication: tls`).',
  }),
  privateKey: pem.optional().meta({ description: 'Private key of the certificate (PEM); sealed.' }),
  assertionAudience: z.string().max(500).optional().meta({ description: 'aud of the assertion; default: token URL.' }),
  authentication: z
    .enum([...secretPlaces, 'tls'])
    .default('body')
    .meta({
      description: `${whereSecret} \`tls\`: no secret, the certificate is shown in the TLS handshake (RFC 8705; x509 service keys of SAP BTP).`,
    }),
  scopes: z.array(z.string().min(1).max(500)).max(50).optional(),
  parameters: parameters.meta({ description: 'Further fields of token requests: audience, resource.' }),
  via: location.optional(),
  ca: pem.optional().meta({ description: 'Certificate of the authority of the token server (PEM).' }),
}

/** Letters that XML can carry (XML 1.0 section 2.2), without line breaks. */
const xmlText = z
  .string()
  .min(1)
  .max(500)
  .regex(/^[\x20-\ud7ff\ue000-\ufffd]+$/u, 'no control letters and no line breaks')

/** What the hub says, and signs, in an assertion (RFC 7522 section 3). */
const assertion = z.strictObject({
  issuer: xmlText.meta({ description: 'Name of the hub, as the other side trusts it.' }),
  subject: xmlText.meta({ description: 'The user that the hub acts as (NameID).' }),
  audience: xmlText.meta({ description: 'Name of the other side.', examples: ['https://my300123.crm.ondemand.com'] }),
  recipient: xmlText.optional().meta({ description: 'Address that may take it; default: the token URL.' }),
  nameIdFormat: xmlText
    .default('urn:oasis:names:tc:SAML:1.1:nameid-format:unspecified')
    .meta({ description: 'What kind of name the subject is.' }),
  attributes: z
    .record(xmlText, xmlText)
    .refine(given => Object.keys(given).length <= 20, 'at most 20 attributes')
    .default({})
    .meta({ description: 'Further statements about the subject.' }),
  lifeSeconds: z.coerce.number().int().min(30).max(3600).default(300),
})

const { assertionAudience: _clientAssertions, ...bearer } = application
const bearerApplication = {
  ...bearer,
  certificate: pem.optional().meta({ description: 'Certificate that the assertions are signed with (PEM).' }),
  authentication: z.enum(secretPlaces).default('body').meta({ description: whereSecret }),
}

/** A credential as a person enters it. Secrets may be left out in a change: the kept ones stay. */
export const credentialInput = z.discriminatedUnion('kind', [
  z.strictObject({
    kind: z.literal('basic'),
    about,
    user: z.string().min(1).max(255),
    password: secretText.optional(),
  }),
  z
    .strictObject({ kind: z.literal('secret'), about, secret: secretText.optional() })
    .meta({ description: 'One secret value: an API key, a token. SAP calls it a secure parameter.' }),
  z
    .strictObject({
      kind: z.literal('certificate'),
      about,
      certificate: pem.meta({ description: 'The certificate, then those that lead to its authority (PEM).' }),
      privateKey: pem.optional().meta({ description: 'Private key of the certificate (PEM, no passphrase); sealed.' }),
    })
    .meta({ description: 'A key pair: shown in TLS handshakes.' }),
  z
    .strictObject({
      kind: z.literal('known-hosts'),
      about,
      knownHosts: knownHosts.optional(),
    })
    .meta({ description: 'Host keys of SSH servers.' }),
  z.strictObject({ kind: z.literal('oauth2-saml-bearer'), ...bearerApplication, assertion }),
  z.strictObject({ kind: z.literal('oauth2-client-credentials'), ...application }),
  z.strictObject({
    kind: z.literal('oauth2-authorization-code'),
    ...application,
    loginHint: z.string().max(255).optional().meta({ description: 'The account the sign-in page proposes.' }),
    authorizeParameters: parameters.meta({ description: 'Further fields of the sign-in URL: prompt, access_type.' }),
  }),
])

/** New secrets in the place of old ones; a certificate comes with its key. The settings stay. */
export const secretRenewal = z
  .strictObject({
    password: secretText.optional(),
    secret: secretText.optional(),
    clientSecret: secretText.optional(),
    certificate: pem.optional().meta({ description: 'The new certificate (PEM), with its private key.' }),
    privateKey: pem.optional(),
    knownHosts: knownHosts.optional(),
  })
  .refine(given => Object.keys(given).length > 0, 'at least one secret')
  .refine(given => given.certificate === undefined || given.privateKey !== undefined, {
    path: ['privateKey'],
    error: 'a new certificate comes with its private key',
  })

export type SecretRenewal = z.input<typeof secretRenewal>
export type CredentialInput = z.input<typeof credentialInput>
export type CredentialSettings = z.output<typeof credentialInput>
export type CredentialKind = CredentialSettings['kind']
export type ApplicationSettings = Extract<CredentialSettings, { clientId: string }>

export const secretFields = ['password', 'secret', 'clientSecret', 'privateKey', 'knownHosts'] as const
export type SecretField = (typeof secretFields)[number]
export type Secrets = { readonly [field in SecretField]?: string }

/** Settings without secrets, and the secrets; throws CREDENTIAL_INVALID. `kept` fills in secrets that were left out. */
export function parseCredential(
  name: string,
  input: unknown,
  kept: Secrets = {},
): { readonly settings: CredentialSettings; readonly secrets: Secrets } {
  const named = credentialName.safeParse(name)
  if (!named.success) throw credentialErrors.INVALID({ credential: name, reason: z.prettifyError(named.error) })
  const parsed = credentialInput.safeParse(input)
  if (!parsed.success) throw credentialErrors.INVALID({ credential: name, reason: z.prettifyError(parsed.error) })
  const settings: Record<string, unknown> = { ...parsed.data }
  const secrets: { [field in SecretField]?: string } = {}
  for (const field of secretFields) {
    const value = settings[field] ?? kept[field]
    if (typeof value === 'string') secrets[field] = value
    delete settings[field]
  }
  const problem = whatIsMissing(parsed.data, secrets)
  if (problem) throw credentialErrors.INVALID({ credential: name, reason: problem })
  return { settings: settings as CredentialSettings, secrets }
}

export function hasSecret(given: CredentialInput | Secrets): boolean {
  return secretFields.some(field => Object(given)[field] !== undefined)
}

function whatIsMissing(given: CredentialSettings, secrets: Secrets): string | undefined {
  if (given.kind === 'basic') return secrets.password === undefined ? 'the password is missing' : undefined
  if (given.kind === 'secret') return secrets.secret === undefined ? 'the secret is missing' : undefined
  if (given.kind === 'known-hosts') return hostsProblem(secrets.knownHosts)
  if (given.kind === 'certificate') {
    if (secrets.privateKey === undefined) return 'the private key of the certificate is missing'
    return keyPairProblem(given.certificate, secrets.privateKey)
  }
  const problem = given.authentication === 'tls' ? tlsProblem(given, secrets) : proofProblem(given, secrets)
  if (problem !== undefined || given.kind !== 'oauth2-authorization-code') return problem
  return 'generic' in given.provider && given.provider.generic.authorizeUrl === undefined
    ? 'provider.generic.authorizeUrl is missing: people sign in there'
    : undefined
}

function proofProblem({ kind, certificate }: ApplicationSettings, secrets: Secrets): string | undefined {
  if (certificate !== undefined) {
    if (secrets.privateKey === undefined) return 'the private key of the certificate is missing'
    return certificateProblem(certificate, secrets.privateKey)
  }
  if (kind === 'oauth2-saml-bearer') {
    return 'certificate and private key are missing: the hub signs its assertions with them'
  }
  return kind === 'oauth2-client-credentials' && secrets.clientSecret === undefined
    ? 'a client secret or a certificate is missing'
    : undefined
}

/** Why an application cannot show its certificate in the handshake with its token server. */
function tlsProblem({ provider, certificate }: ApplicationSettings, { privateKey }: Secrets): string | undefined {
  if (!('generic' in provider)) {
    return 'Microsoft takes no certificate in the TLS handshake; without authentication: tls the hub signs with it'
  }
  if (new URL(provider.generic.tokenUrl).protocol !== 'https:') {
    return 'authentication: tls needs a token URL with https, where the certificate can be shown'
  }
  if (certificate === undefined || privateKey === undefined) {
    return 'certificate and private key are missing: authentication: tls shows them in the TLS handshake'
  }
  return keyPairProblem(certificate, privateKey)
}

function hostsProblem(text: string | undefined): string | undefined {
  if (text === undefined) return 'the known hosts are missing'
  try {
    readKnownHosts(text)
    return undefined
  } catch (thrown) {
    return `known hosts, ${thrown instanceof Error ? thrown.message : String(thrown)}`
  }
}

function isSecureOrLocal(text: string): boolean {
  const { protocol, hostname } = new URL(text)
  return protocol === 'https:' || /^(localhost|127\.\d+\.\d+\.\d+|\[::1\])$/.test(hostname)
}
