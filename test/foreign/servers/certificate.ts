import { execFileSync } from 'node:child_process'
import { join } from 'node:path'

/** Makes `cert.pem` and `key.pem` in a folder: the certificate of 127.0.0.1 and localhost, its own authority. */
export function makeCertificate(folder: string): void {
  const names = 'subjectAltName=DNS:localhost,IP:127.0.0.1'
  const request = ['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1', '-nodes']
  const files = ['-keyout', join(folder, 'key.pem'), '-out', join(folder, 'cert.pem')]
  execFileSync('openssl', [...request, '-days', '30', '-subj', '/CN=localhost', '-addext', names, ...files], {
    stdio: 'pipe',
  })
}
