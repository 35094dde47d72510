/** One field of the form: what a person types for one setting of a credential. */
export interface FormField {
  /** Where it stands in the settings: `provider.microsoft365.tenant`. */
  readonly path: string
  readonly label: string
  /** A line of text when it is not said. `pairs` are lines of `name=value`, `list` words between blanks. */
  readonly type?: 'text' | 'pairs' | 'list'
  /** Goes in and never comes out. */
  readonly isSecret?: true
  readonly isRequired?: boolean
  /** Stands behind a fold, since its default is right for most. */
  readonly isSeldom?: boolean
  readonly options?: readonly string[]
  readonly hint?: string
}

export interface CredentialKind {
  readonly kind: string
  readonly label: string
  readonly fields: readonly FormField[]
}

/** What was typed, by path; a field that was left empty is not there, or empty. */
export type Typed = Readonly<Record<string, string>>

const provider = 'provider'

/** Where tokens come from; each has fields of its own. */
export const providers = [
  ['microsoft365', 'Microsoft 365'],
  ['generic', 'Another token server'],
] as const
export type Provider = (typeof providers)[number][0]

const signInUrl = 'provider.generic.authorizeUrl'
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
  isSeldom: true,
  hint: 'The token URL when it is empty.',
}

const application: readonly FormField[] = [
  { path: 'provider.microsoft365.tenant', label: 'Tenant', isRequired: true, hint: 'Its id or one of its domains.' },
  {
    path: 'provider.microsoft365.authority',
    label: 'Sign-in server',
    isSeldom: true,
    hint: 'https://login.microsoftonline.com when it is empty; national clouds have others.',
  },
  { path: 'provider.generic.tokenUrl', label: 'Token URL', isRequired: true },
  { path: signInUrl, label: 'Sign-in URL', isSeldom: true, hint: 'Where people sign in.' },
  { path: 'provider.generic.issuer', label: 'Issuer', isSeldom: true, hint: 'Checked in the redirect (RFC 9207).' },
  { path: 'clientId', label: 'Client id', isRequired: true },
  { path: 'scopes', label: 'Scopes', type: 'list', hint: 'With blanks between them.' },
  {
    path: 'authentication',
    label: 'Where the client secret is sent',
    options: ['body', 'header', 'header-as-is'],
    isSeldom: true,
  },
  {
    path: 'parameters',
    label: 'Further fields of token requests',
    type: 'pairs',
    isSeldom: true,
    hint: 'One in each line: name=value.',
  },
  {
    path: 'via',
    label: 'Location of the connector',
    isSeldom: true,
    hint: 'Where the server is only reached from there.',
  },
  { path: 'ca', label: 'Certificate of the server’s authority (PEM)', type: 'text', isSeldom: true },
]
/** How the application proves itself: by a secret, or a certificate with its key. */
const proof: readonly FormField[] = [
  { ...clientSecret, hint: 'Or a certificate with its key.' },
  { ...certificate, isSeldom: true },
  { ...privateKey, isSeldom: true },
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
      { path: 'loginHint', label: 'Account that the sign-in page proposes', isSeldom: true },
      {
        path: 'authorizeParameters',
        label: 'Further fields of the sign-in URL',
        type: 'pairs',
        isSeldom: true,
        hint: 'One in each line: name=value.',
      },
      about,
    ],
  },
  {
    kind: 'oauth2-saml-bearer',
    label: 'OAuth 2.0, SAML bearer assertion',
    fields: [
      ...application,
      {
        path: 'assertion.issuer',
        label: 'Issuer of the assertion',
        isRequired: true,
        hint: 'The hub, as the other side trusts it.',
      },
      { path: 'assertion.subject', label: 'User that the hub acts as', isRequired: true },
      { path: 'assertion.audience', label: 'Audience', isRequired: true, hint: 'The name of the other side.' },
      { path: 'assertion.recipient', label: 'Recipient', isSeldom: true, hint: 'The token URL when it is empty.' },
      { path: 'assertion.nameIdFormat', label: 'Format of the user’s name', isSeldom: true },
      {
        path: 'assertion.attributes',
        label: 'Further statements about the user',
        type: 'pairs',
        isSeldom: true,
        hint: 'One in each line: name=value.',
      },
      { path: 'assertion.lifeSeconds', label: 'Life of an assertion, in seconds', isSeldom: true },
      { ...certificate, isRequired: true },
      { ...privateKey, isRequired: true },
      { ...clientSecret, isSeldom: true },
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

/** The label of the first field that has to be filled and is not; a secret that the hub keeps may stay empty. */
export function missingField(
  fields: readonly FormField[],
  typed: Typed,
  kept: readonly string[] = [],
): string | undefined {
  return fields.find(({ path, isRequired }) => isRequired && !kept.includes(path) && (typed[path] ?? '').trim() === '')
    ?.label
}

/** What the API takes: the settings of a kind, without those that were left empty. */
export function settingsOf(kind: string, fields: readonly FormField[], typed: Typed): Record<string, unknown> {
  const settings: Record<string, unknown> = { kind }
  for (const field of fields) {
    const value = settingOf(field, typed[field.path] ?? '')
    if (value !== undefined) put(settings, field.path.split('.'), value)
  }
  return settings
}

/** What the form shows of settings that are there already. */
export function typedOf(fields: readonly FormField[], settings: unknown): Typed {
  return Object.fromEntries(
    fields.flatMap(({ path }) => {
      const value = path.split('.').reduce<unknown>((at, name) => (isGroup(at) ? at[name] : undefined), settings)
      return value === undefined ? [] : [[path, textOf(value)] as const]
    }),
  )
}

/** The provider that settings name; Microsoft 365 where they name none. */
export function providerOf(settings: unknown): Provider {
  const named = isGroup(settings) ? settings[provider] : undefined
  return isGroup(named) && 'generic' in named ? 'generic' : 'microsoft365'
}

function settingOf({ type, isSecret }: FormField, text: string): unknown {
  // Blanks belong to a password.
  if (isSecret && type !== 'text') return text === '' ? undefined : text
  const trimmed = text.trim()
  if (trimmed === '') return undefined
  if (type === 'list') return trimmed.split(/\s+/)
  if (type === 'pairs') return Object.fromEntries(trimmed.split('\n').map(pairOf))
  return type === 'text' ? `${trimmed}\n` : trimmed
}

function pairOf(line: string): readonly [string, string] {
  const at = line.indexOf('=')
  return at < 0 ? [line.trim(), ''] : [line.slice(0, at).trim(), line.slice(at + 1).trim()]
}

function textOf(value: unknown): string {
  if (Array.isArray(value)) return value.join(' ')
  if (!isGroup(value)) return String(value)
  return Object.entries(value)
    .map(([name, each]) => `${name}=${String(each)}`)
    .join('\n')
}

function put(target: Record<string, unknown>, [name = '', ...rest]: readonly string[], value: unknown): void {
  if (rest.length === 0) {
    target[name] = value
    return
  }
  const inner = isGroup(target[name]) ? { ...target[name] } : {}
  put(inner, rest, value)
  target[name] = inner
}

function isGroup(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}
