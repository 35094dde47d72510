import { X509Certificate } from 'node:crypto'
import { once } from 'node:events'
import type { AddressInfo } from 'node:net'
import tls from 'node:tls'
import { expect, test } from 'vitest'
import { makeTwinCertificate } from './certificate.ts'

test('a client that trusts the authority connects by name and by address, any other client refuses', async () => {
  const { cert, key, ca } = await makeTwinCertificate()
  const server = tls.createServer({ cert, key }, socket => socket.end('hello'))
  server.on('tlsClientError', () => {})
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    for (const servername of ['localhost', undefined]) {
      const socket = tls.connect({ host: '127.0.0.1', port, ca, ...(servername ? { servername } : {}) })
      const [hello] = await once(socket, 'data')
      expect(String(hello)).toBe('hello')
    }
    const stranger = tls.connect({ host: '127.0.0.1', port })
    const [error] = await once(stranger, 'error')
    expect(String(error)).toMatch(/unable to verify|self.signed/)
  } finally {
    server.close()
  }
})

test('an RSA certificate can sign assertions, and one that has expired says so', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['robot.contoso.com'], { keys: 'rsa', validForMs: -1000 })
  const certificate = new X509Certificate(cert)
  expect(certificate.publicKey.asymmetricKeyType).toBe('rsa')
  expect(certificate.verify(new X509Certificate(ca).publicKey)).toBe(true)
  expect(certificate.subjectAltName).toBe('DNS:robot.contoso.com')
  expect(new Date(certificate.validTo).getTime()).toBeLessThan(Date.now())
  expect(key).toMatch(/^-----BEGIN PRIVATE KEY-----/)
})
