import { createHash } from 'node:crypto'

/** A line of a known_hosts file. */
export interface KnownHost {
  /** Names and addresses as they stand there; `hashed` where the file hides them. */
  readonly hosts: string
  readonly keyType: string
  /** As ssh-keygen -l shows it: `SHA256:…`. */
  readonly fingerprint: string
  /** `@revoked` keys are never accepted, `@cert-authority` signs keys of hosts. */
  readonly marker: 'revoked' | 'cert-authority' | undefined
}

/** Lines that one credential may hold. */
export const knownHostsMax = 1000

/**
 * Reads the lines of a known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). Throws an Error that names the line
 * and says what is wrong with it: a line that is skipped in silence would be a server that nobody checks.
 */
export function readKnownHosts(text: string): readonly KnownHost[] {
  const found: KnownHost[] = []
  for (const [index, line] of text.split(/\r?\n/).entries()) {
    if (/^\s*(#|$)/.test(line)) continue
    const problem = (reason: string) => new Error(`line ${index + 1}: ${reason}`)
    if (found.length >= knownHostsMax) throw problem(`more than ${knownHostsMax} hosts`)
    const [, marker, hosts = '', keyType = '', key = ''] =
      /^\s*(?:@(\S+)\s+)?(\S+)\s+(\S+)\s+([A-Za-z0-9+/]+={0,2})(?:\s.*)?$/.exec(line) ?? []
    if (hosts === '') throw problem('it is not host, kind of key and key')
    if (marker !== undefined && marker !== 'revoked' && marker !== 'cert-authority') {
      throw problem(`the marker @${marker.slice(0, 40)} is not known`)
    }
    const bytes = Buffer.from(key, 'base64')
    if (bytes.toString('base64').replace(/=+$/, '') !== key.replace(/=+$/, '')) throw problem('its key is not base64')
    if (keyTypeIn(bytes) !== keyType) throw problem(`its key is not of the kind ${keyType.slice(0, 40)}`)
    found.push({
      hosts: hosts.startsWith('|1|') ? 'hashed' : hosts,
      keyType,
      fingerprint: `SHA256:${createHash('sha256').update(bytes).digest('base64').replace(/=+$/, '')}`,
      marker,
    })
  }
  if (found.length === 0) throw new Error('it names no host')
  return found
}

/** A public key begins with the name of its kind (RFC 4253 section 6.6). */
function keyTypeIn(bytes: Buffer): string | undefined {
  if (bytes.length < 8) return undefined
  const letters = bytes.readUInt32BE(0)
  if (letters > 100 || bytes.length <= 4 + letters) return undefined
  return bytes.subarray(4, 4 + letters).toString('latin1')
}
