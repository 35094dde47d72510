import { describe, expect, test } from 'vitest'
import { z } from 'zod'
import { credentialInput, parseCredential, secretFields } from '../../../src/auth/credential-input.ts'
import { makeTwinCertificate } from '../../../src/twins/certificate.ts'
import { type CredentialKind, credentialKinds, fieldsOf, type Provider, providerOf } from './credential-form.ts'
import { missingField, settingsOf, typedOf } from './form.ts'
import { pathsOf, type Schema } from './form-world.ts'

const schemas = (z.toJSONSchema(credentialInput, { io: 'input' }) as Schema).oneOf ?? []

function kindNamed(name: string): CredentialKind {
  const kind = credentialKinds.find(each => each.kind === name)
  if (!kind) throw new Error(`There is no kind ${name}.`)
  return kind
}

test('the form has every kind that the hub takes, each with all its settings and no other', () => {
  const taken = schemas.map(schema => [
    schema.properties?.['kind']?.const,
    pathsOf(schema)
      .filter(path => path !== 'kind')
      .toSorted(),
  ])
  const shown = credentialKinds.map(({ kind, fields }) => [kind, fields.map(({ path }) => path).toSorted()])
  expect(Object.fromEntries(shown)).toEqual(Object.fromEntries(taken))
  expect(schemas.length).toBeGreaterThan(5)
})

test('a field with choices has those that the hub takes', () => {
  for (const { kind, fields } of credentialKinds) {
    const schema = schemas.find(each => each.properties?.['kind']?.const === kind)
    for (const { path, options } of fields.filter(each => each.options)) {
      expect([kind, path, options]).toEqual([kind, path, schema?.properties?.[path]?.enum])
    }
  }
})

test('what the hub seals is typed as a secret, and nothing else', () => {
  const sealed = credentialKinds.flatMap(({ fields }) =>
    fields.filter(({ isSecret }) => isSecret).map(each => each.path),
  )
  expect(new Set(sealed)).toEqual(new Set(secretFields))
})

describe('what is typed', async () => {
  const { cert, key } = await makeTwinCertificate(['hub'], { keys: 'rsa' })
  const application = { clientId: 'hub-1', scopes: ' a.read\n b.write ', about: 'orders' }
  const microsoft = { 'provider.microsoft365.tenant': 'contoso.com' }
  const generic = { 'provider.generic.tokenUrl': 'https://idp.example.com/token' }
  const cases: readonly [kind: string, provider: Provider, typed: Record<string, string>][] = [
    ['basic', 'generic', { user: ' HUB ', password: ' with blanks ' }],
    ['secret', 'generic', { secret: 'k' }],
    ['certificate', 'generic', { certificate: `\n${cert}\n`, privateKey: key }],
    ['known-hosts', 'generic', { knownHosts: `sftp.example.com ssh-ed25519 ${ed25519Key()}` }],
    ['oauth2-client-credentials', 'microsoft365', { ...application, ...microsoft, certificate: cert, privateKey: key }],
    [
      'oauth2-client-credentials',
      'generic',
      {
        ...application,
        ...generic,
        clientSecret: 's',
        authentication: 'header',
        parameters: 'audience=a=b\nresource = r ',
      },
    ],
    [
      'oauth2-client-credentials',
      'generic',
      { ...application, ...generic, authentication: 'tls', certificate: cert, privateKey: key },
    ],
    [
      'oauth2-authorization-code',
      'generic',
      {
        ...application,
        ...generic,
        'provider.generic.authorizeUrl': 'https://idp.example.com/auth',
        loginHint: 'x@y.z',
      },
    ],
    [
      'oauth2-saml-bearer',
      'generic',
      {
        ...generic,
        clientId: 'hub-1',
        certificate: cert,
        privateKey: key,
        'assertion.issuer': 'hub',
        'assertion.subject': 'COMM_USER',
        'assertion.audience': 'https://my300123.crm.ondemand.com',
        'assertion.lifeSeconds': '120',
        'assertion.attributes': 'group=sales',
      },
    ],
  ]

  test.each(cases)('as %s over %s is taken by the hub, and shown again as it was', (name, provider, typed) => {
    const kind = kindNamed(name)
    const fields = fieldsOf(kind, provider)
    expect(missingField(fields, typed)).toBeUndefined()
    const { settings, secrets } = parseCredential('c', { kind: name, ...settingsOf(fields, typed) })
    expect(secrets).toEqual(
      Object.fromEntries(
        fields
          .filter(({ isSecret, path }) => isSecret && typed[path] !== undefined)
          .map(({ path }) => [path, typed[path]]),
      ),
    )
    const shown = typedOf(fields, settings)
    for (const { path, isSecret } of fields) {
      if (isSecret) expect(shown[path]).toBeUndefined()
      else if (typed[path] !== undefined) expect(squeezed(shown[path])).toBe(squeezed(typed[path]))
    }
    // Sent back as it is shown, nothing changes but secrets, which the hub keeps.
    const again = parseCredential('c', { kind: name, ...settingsOf(fields, shown) }, secrets)
    expect(again).toEqual({ settings, secrets })
    if (name.startsWith('oauth2')) expect(providerOf(settings)).toBe(provider)
  })

  test('pairs and lists reach the hub one by one', () => {
    const fields = fieldsOf(kindNamed('oauth2-client-credentials'), 'generic')
    expect(settingsOf(fields, cases[5]?.[2] ?? {})).toMatchObject({
      scopes: ['a.read', 'b.write'],
      parameters: { audience: 'a=b', resource: 'r' },
      provider: { generic: { tokenUrl: 'https://idp.example.com/token' } },
    })
  })

  test('of the other provider nothing is sent', () => {
    const fields = fieldsOf(kindNamed('oauth2-client-credentials'), 'microsoft365')
    const settings = settingsOf(fields, { ...generic, ...microsoft, clientId: 'c' })
    expect(settings['provider']).toEqual({ microsoft365: { tenant: 'contoso.com' } })
  })

  test('the first field that is missing is named; a secret that is kept is not', () => {
    const fields = fieldsOf(kindNamed('basic'), 'generic')
    expect(missingField(fields, { user: ' ' })).toBe('User')
    expect(missingField(fields, { user: 'HUB' })).toBe('Password')
    expect(missingField(fields, { user: 'HUB' }, ['password'])).toBeUndefined()
  })
})

function squeezed(text = ''): string {
  return text.replaceAll(/\s+/g, ' ').replaceAll(' = ', '=').trim()
}

/** A public key as known_hosts has it (RFC 8709 section 4): its kind and 32 octets, each with its length before it. */
function ed25519Key(): string {
  const counted = (bytes: Buffer) => Buffer.concat([Buffer.from([0, 0, 0, bytes.length]), bytes])
  return Buffer.concat([counted(Buffer.from('ssh-ed25519')), counted(Buffer.alloc(32, 7))]).toString('base64')
}
