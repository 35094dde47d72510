import { UnsecuredJWT } from 'jose'
import { expect, test } from 'vitest'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { boundTo } from './bound-token.ts'
import { thumbprint } from './thumbprint.ts'

const { cert: certificate, key: privateKey } = await makeTwinCertificate(['hub'])
const { cert: other } = await makeTwinCertificate(['other'])
const tls = { method: 'tls', certificate, privateKey } as const
const tokenFor = (cnf: unknown) => new UnsecuredJWT({ cnf }).encode()

test('a token that names the certificate of its request is shown with it', () => {
  expect(boundTo(tokenFor({ 'x5t#S256': thumbprint(certificate) }), tls)).toEqual({ certificate, privateKey })
})

test.each([
  ['names another certificate', tokenFor({ 'x5t#S256': thumbprint(other) })],
  ['is bound in another way', tokenFor({ jkt: 'x' })],
  ['is not bound', tokenFor(undefined)],
  ['has something else there', tokenFor('x5t#S256')],
  ['is no JWT', 'opaque'],
])('a token that %s goes alone', (_, token) => {
  expect(boundTo(token, tls)).toBeUndefined()
})

test('a token that was not asked for by certificate goes alone', () => {
  const token = tokenFor({ 'x5t#S256': thumbprint(certificate) })
  expect(boundTo(token, { method: 'certificate', certificate, privateKey })).toBeUndefined()
})
