import { expect, test } from 'vitest'
import { readServiceKey, renewalFrom } from './service-key-file.ts'

const read = (key: unknown) => readServiceKey('key.json', JSON.stringify(key, null, '\t'))
const xsuaa = 'https://contoso.authentication.eu10.hana.ondemand.com'
const certurl = 'https://contoso.authentication.cert.eu10.hana.ondemand.com'
const pair = { certificate: '-----BEGIN CERTIFICATE-----\n', key: '-----BEGIN RSA PRIVATE KEY-----\n' }
const tokensAt = (tokenUrl: string) => ({ generic: { tokenUrl } })

test.each([
  [
    'Cloud Integration',
    { oauth: { clientid: 'c', clientsecret: 's', url: 'https://x.it-cpi.example', tokenurl: `${xsuaa}/oauth/token` } },
  ],
  ['Destination service', { clientid: 'c', clientsecret: 's', url: xsuaa, uri: 'https://destinations.example' }],
  [
    'a service with XSUAA beside it',
    { url: 'https://api.example', uaa: { clientid: 'c', clientsecret: 's', url: xsuaa } },
  ],
  ['as cf prints it', { credentials: { clientid: 'c', clientsecret: 's', url: `${xsuaa}/`, certurl } }],
])('a service key with a secret: %s', (_, key) => {
  expect(read(key)).toEqual({
    kind: 'oauth2-client-credentials',
    clientId: 'c',
    clientSecret: 's',
    provider: tokensAt(`${xsuaa}/oauth/token`),
  })
})

test('a certificate is shown to the host that asks for one', () => {
  const { certificate, key: privateKey } = pair
  const byTls = { clientId: 'c', authentication: 'tls', certificate, privateKey }
  expect(read({ clientid: 'c', ...pair, url: xsuaa, certurl, 'credential-type': 'x509' })).toMatchObject({
    ...byTls,
    provider: tokensAt(`${certurl}/oauth/token`),
  })
  expect(read({ oauth: { clientid: 'c', ...pair, tokenurl: `${certurl}/oauth/token` } })).toMatchObject(byTls)
})

test("the key of a certificate of one's own is not in the service key", () => {
  expect(read({ clientid: 'c', certificate: pair.certificate, url: xsuaa, certurl })).not.toHaveProperty('privateKey')
})

test.each([
  ['https://contoso.accounts.ondemand.com', '/oauth2/token'],
  ['https://contoso.accounts400.ondemand.com', '/oauth2/token'],
  ['https://contoso.accounts.cloud.sap', '/oauth2/token'],
  ['https://accounts.example.com', '/oauth/token'],
])('tokens of %s are at %s', (url, path) => {
  expect(read({ clientid: 'c', clientsecret: 's', url })).toMatchObject({ provider: tokensAt(url + path) })
})

test('what cf prints above the key is passed over, and places of mistakes stay', () => {
  const heading = 'Getting key hub for service instance orders as admin@contoso.com...\n\n'
  expect(readServiceKey('k', `${heading}{ "clientid": "c", "url": "${xsuaa}" }\n`)).toMatchObject({ clientId: 'c' })
  expect(() => readServiceKey('k', `${heading}{\n  "clientid": "c"\n  "clientsecret": "hidden"\n}`)).toThrow(
    expect.objectContaining({
      code: 'CLI_INPUT_WRONG',
      message: expect.stringMatching(/^k does not hold YAML or JSON: 5:\d+:(?!.*hidden)/s),
    }),
  )
})

test.each([
  ['', /no clientid/],
  ['no key at all', /no clientid/],
  ['null', /no clientid/],
  ['{"clientid": 7}', /no clientid/],
  ['{"clientid": "c", "clientsecret": "s", "url": 7}', /neither tokenurl nor url/],
  ['{"clientid": "c", "clientsecret": "s", "url": "contoso"}', /neither tokenurl nor url/],
])('%j is no service key', (text, message) => {
  const wrong = expect.objectContaining({ code: 'CLI_INPUT_WRONG', message: expect.stringMatching(message) })
  expect(() => readServiceKey('key.json', text)).toThrow(wrong)
})

test('a newer key renews what an older one of the same client made', () => {
  const older = read({ clientid: 'c', clientsecret: 's', url: xsuaa })
  const newer = read({ clientid: 'c', clientsecret: 't', url: xsuaa })
  expect(JSON.parse(JSON.stringify(renewalFrom(newer, older)))).toEqual({ clientSecret: 't' })
  const other = expect.objectContaining({ code: 'CLI_ARGUMENT_WRONG' })
  expect(() => renewalFrom(read({ clientid: 'd', clientsecret: 't', url: xsuaa }), older)).toThrow(other)
  expect(() => renewalFrom(read({ clientid: 'c', ...pair, url: xsuaa }), older)).toThrow(other)
})
