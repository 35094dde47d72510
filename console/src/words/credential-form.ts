import { type FormField, isGroup } from './form.ts'

export interface CredentialKind {
  readonly kind: string
  readonly label: string
  readonly fields: readonly FormField[]
}

const provider = 'provider'
const more = 'More settings'

/** Where tokens come from; each has fields of its own. */
export const providers = [
  ['microsoft365', 'Microsoft 365'],
  ['generic', 'Another token server'],
] as const
export type Provider = (typeof providers)[number][0]

const signInUrl = 'provider.generic.authorizeUrl'
const signIn: FormField = { path: signInUrl, label: 'Sign-in URL', hint: 'Where people sign in.' }
const about: FormField = { path: 'about', label: 'What it is for' }
const certificate: FormField = {
  path: 'certificate',
  label: 'Certificate (PEM)',
  type: 'text',
  hint: 'Then those that lead to its authority.',
}
const privateKey: FormField = {
  path: 'privateKey',
  label: 'Private key (PEM)',
  type: 'text',
  isSecret: true,
  hint: 'Without a passphrase.',
}
const clientSecret: FormField = { path: 'clientSecret', label: 'Client secret', isSecret: true }
const audienceOfAssertion: FormField = {
  path: 'assertionAudience',
  label: 'Audience of the client assertion',
  fold: more,
  hint: 'The token URL when it is empty.',
}

const application: readonly FormField[] = [
  { path: 'provider.microsoft365.tenant', label: 'Tenant', isRequired: true, hint: 'Its id or one of its domains.' },
  {
    path: 'provider.microsoft365.authority',
    label: 'Sign-in server',
    fold: more,
    hint: 'https://login.microsoftonline.com when it is empty; national clouds have others.',
  },
  { path: 'provider.generic.tokenUrl', label: 'Token URL', isRequired: true },
  { ...signIn, fold: more },
  { path: 'provider.generic.issuer', label: 'Issuer', fold: more, hint: 'Checked in the redirect (RFC 9207).' },
  { path: 'clientId', label: 'Client id', isRequired: true },
  { path: 'scopes', label: 'Scopes', type: 'list', hint: 'With blanks between them.' },
  {
    path: 'authentication',
    label: 'How the application proves itself',
    options: ['body', 'header', 'header-as-is', 'tls'],
    fold: more,
    hint: 'Where the client secret is sent; tls shows the certificate instead (x509 service keys of SAP BTP).',
  },
  {
    path: 'parameters',
    label: 'Further fields of token requests',
    type: 'pairs',
    fold: more,
    hint: 'One in each line: name=value.',
  },
  {
    path: 'via',
    label: 'Location of the connector',
    fold: more,
    hint: 'Where the server is only reached from there.',
  },
  { path: 'ca', label: 'Certificate of the server’s authority (PEM)', type: 'text', fold: more },
]
const secretPlace: FormField = {
  path: 'authentication',
  label: 'Where the client secret is sent',
  options: ['body', 'header', 'header-as-is'],
  fold: more,
}
/** How the application proves itself: by a secret, or a certificate with its key. */
const proof: readonly FormField[] = [
  { ...clientSecret, hint: 'Or a certificate with its key.' },
  { ...certificate, fold: more },
  { ...privateKey, fold: more },
]

/** All kinds, the most usual first; `credential-form.test.ts` holds them against what the hub takes. */
export const credentialKinds: readonly CredentialKind[] = [
  {
    kind: 'basic',
    label: 'User and password',
    fields: [
      { path: 'user', label: 'User', isRequired: true },
      { path: 'password', label: 'Password', isSecret: true, isRequired: true },
      about,
    ],
  },
  {
    kind: 'oauth2-client-credentials',
    label: 'OAuth 2.0, client credentials',
    fields: [...application, ...proof, audienceOfAssertion, about],
  },
  {
    kind: 'oauth2-authorization-code',
    label: 'OAuth 2.0, sign-in by a person',
    fields: [
      ...application.map(field => (field.path === signInUrl ? { ...field, isSeldom: false, isRequired: true } : field)),
      ...proof,
      audienceOfAssertion,
      { path: 'loginHint', label: 'Account that the sign-in page proposes', fold: more },
      {
        path: 'authorizeParameters',
        label: 'Further fields of the sign-in URL',
        type: 'pairs',
        fold: more,
        hint: 'One in each line: name=value.',
      },
      about,
    ],
  },
  {
    kind: 'oauth2-saml-bearer',
    label: 'OAuth 2.0, SAML bearer assertion',
    fields: [
      ...application.map(field => (field.path === 'authentication' ? secretPlace : field)),
      {
        path: 'assertion.issuer',
        label: 'Issuer of the assertion',
        isRequired: true,
        hint: 'The hub, as the other side trusts it.',
      },
      { path: 'assertion.subject', label: 'User that the hub acts as', isRequired: true },
      { path: 'assertion.audience', label: 'Audience', isRequired: true, hint: 'The name of the other side.' },
      { path: 'assertion.recipient', label: 'Recipient', fold: more, hint: 'The token URL when it is empty.' },
      { path: 'assertion.nameIdFormat', label: 'Format of the user’s name', fold: more },
      {
        path: 'assertion.attributes',
        label: 'Further statements about the user',
        type: 'pairs',
        fold: more,
        hint: 'One in each line: name=value.',
      },
      { path: 'assertion.lifeSeconds', label: 'Life of an assertion, in seconds', fold: more },
      { ...certificate, isRequired: true },
      { ...privateKey, isRequired: true },
      { ...clientSecret, fold: more },
      about,
    ],
  },
  {
    kind: 'secret',
    label: 'Secret value (secure parameter)',
    fields: [{ path: 'secret', label: 'Secret', isSecret: true, isRequired: true }, about],
  },
  {
    kind: 'certificate',
    label: 'Certificate with its key',
    fields: [{ ...certificate, isRequired: true }, { ...privateKey, isRequired: true }, about],
  },
  {
    kind: 'known-hosts',
    label: 'Known hosts of SSH',
    fields: [
      { path: 'knownHosts', label: 'Lines of known_hosts', type: 'text', isSecret: true, isRequired: true },
      about,
    ],
  },
]

/** The fields of a kind as they stand in the form, those of the other provider left out. */
export function fieldsOf({ fields }: CredentialKind, chosen: Provider): readonly FormField[] {
  return fields.filter(({ path }) => !path.startsWith(`${provider}.`) || path.startsWith(`${provider}.${chosen}.`))
}

export function hasProvider({ fields }: CredentialKind): boolean {
  return fields.some(({ path }) => path.startsWith(`${provider}.`))
}

/** The provider that settings name; Microsoft 365 where they name none. */
export function providerOf(settings: unknown): Provider {
  const named = isGroup(settings) ? settings[provider] : undefined
  return isGroup(named) && 'generic' in named ? 'generic' : 'microsoft365'
}
