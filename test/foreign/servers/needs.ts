import { existsSync } from 'node:fs'
import { describe, test } from 'vitest'
import { postgresqlPrograms } from './postgresql-programs.ts'

/** What a foreign test may ask for: programs from Debian packages, and what makes each of them usable. */
const proofs = {
  dovecot: { files: ['/usr/sbin/dovecot', '/usr/lib/dovecot/imap'], asRoot: true },
  'dovecot-auth-lua': { files: ['/usr/lib/dovecot/modules/auth/libauthdb_lua.so'], asRoot: false },
  postfix: { files: ['/usr/sbin/postfix', '/usr/lib/postfix/sbin/master'], asRoot: true },
  'smtp-sink': { files: ['/usr/sbin/smtp-sink'], asRoot: false },
  // Without Net::SSLeay, which it only recommends, swaks speaks no TLS.
  swaks: { files: ['/usr/bin/swaks', '/usr/share/doc/libnet-ssleay-perl/copyright'], asRoot: false },
  fetchmail: { files: ['/usr/bin/fetchmail'], asRoot: false },
  getmail6: { files: ['/usr/bin/getmail'], asRoot: false },
  haproxy: { files: ['/usr/sbin/haproxy'], asRoot: false },
  openssl: { files: ['/usr/bin/openssl'], asRoot: false },
  curl: { files: ['/usr/bin/curl'], asRoot: false },
  apache2: { files: ['/usr/sbin/apache2'], asRoot: true },
  mod_auth_openidc: { files: ['/usr/lib/apache2/modules/mod_auth_openidc.so'], asRoot: false },
  mod_oauth2: { files: ['/usr/lib/apache2/modules/mod_oauth2.so'], asRoot: false },
  'python3-authlib': {
    files: ['/usr/lib/python3/dist-packages/authlib/__init__.py', '/usr/bin/python3'],
    asRoot: false,
  },
  'python3-exchangelib': {
    files: ['/usr/lib/python3/dist-packages/exchangelib/__init__.py', '/usr/bin/python3'],
    asRoot: false,
  },
  davmail: { files: ['/usr/bin/davmail-server'], asRoot: false },
  'python3-zeep': { files: ['/usr/lib/python3/dist-packages/zeep/__init__.py', '/usr/bin/python3'], asRoot: false },
  xmllint: { files: ['/usr/bin/xmllint'], asRoot: false },
  sshd: { files: ['/usr/sbin/sshd', '/usr/bin/ssh'], asRoot: true },
  stunnel: { files: ['/usr/bin/stunnel'], asRoot: false },
  mod_proxy_connect: { files: ['/usr/lib/apache2/modules/mod_proxy_connect.so'], asRoot: false },
  tinyproxy: { files: ['/usr/bin/tinyproxy'], asRoot: false },
  xmlsec1: { files: ['/usr/bin/xmlsec1'], asRoot: false },
  postgresql: { files: [`${postgresqlPrograms}/postgres`], asRoot: true },
  prometheus: { files: ['/usr/bin/prometheus', '/usr/bin/promtool'], asRoot: false },
  systemd: { files: ['/usr/bin/systemd-analyze'], asRoot: false },
  chromium: { files: ['/usr/bin/chromium'], asRoot: false },
} as const

export type Need = keyof typeof proofs

/** The needs that this machine does not meet, each as a person would say it (`postfix`, `dovecot as root`). */
export function missingNeeds(needs: readonly Need[]): string[] {
  return needs.flatMap(need => {
    const proof = proofs[need]
    if (!proof.files.every(file => existsSync(file))) return [need]
    return proof.asRoot && process.getuid?.() !== 0 ? [`${need} as root`] : []
  })
}

/**
 * A group of tests against real servers. Where one is missing, the group is reported as skipped with the name of what
 * is missing; with `ISTHMUS_FORBID_SKIPS=1` it fails instead, so that a complete machine cannot skip by mistake.
 */
export function describeForeign(name: string, needs: readonly Need[], tests: () => void): void {
  const missing = missingNeeds(needs)
  if (missing.length === 0) {
    describe(name, tests)
    return
  }
  const reason = `${missing.join(', ')} missing; run npm run setup:foreign`
  if (process.env['ISTHMUS_FORBID_SKIPS'] === '1') {
    describe(name, () => {
      test('finds what it needs', () => {
        throw new Error(`${reason}; skipping is forbidden here (ISTHMUS_FORBID_SKIPS=1).`)
      })
    })
    return
  }
  describe.skip(`${name} (skipped: ${reason})`, tests)
}
