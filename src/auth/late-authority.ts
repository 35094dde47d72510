import { asHubError } from '../kernel/error.ts'
import type { Log } from '../kernel/log.ts'
import { type Clock, SECOND } from '../kernel/time.ts'
import type { CertificateAuthority, CertificateAuthorityOptions } from './certificate-authority.ts'

/**
 * The authority of the hub, opened when somebody needs it: its libraries take a third of a second to load, which a hub
 * without certificates need not spend. Before it is open nothing was ever issued by it as far as its users know.
 */
export interface LateAuthority extends Pick<CertificateAuthority, 'issue' | 'isRevoked' | 'revoke'> {
  load(): Promise<CertificateAuthority>
  /** True once somebody asked for it. */
  readonly isLoaded: boolean
  close(): Promise<void>
}

/** How often it looks for what other nodes revoked, and whether a successor is due. */
const refreshMs = 10 * SECOND

export interface LateAuthorityOptions extends CertificateAuthorityOptions {
  readonly clock: Clock
  readonly log: Log
}

export function createLateAuthority(options: LateAuthorityOptions): LateAuthority {
  const { clock, log } = options
  let authority: CertificateAuthority | undefined
  let loading: Promise<CertificateAuthority> | undefined
  let refreshing: Promise<void> = Promise.resolve()
  let cancel = () => {}
  let isClosed = false

  function load(): Promise<CertificateAuthority> {
    loading ??= open().catch((thrown: unknown) => {
      // The next one who needs it tries again.
      loading = undefined
      throw thrown
    })
    return loading
  }

  async function open(): Promise<CertificateAuthority> {
    const { openCertificateAuthority } = await import('./certificate-authority.ts')
    authority = await openCertificateAuthority(options)
    refreshLater(authority)
    return authority
  }

  function refreshLater(opened: CertificateAuthority): void {
    if (isClosed) return
    cancel = clock.after(refreshMs, () => {
      refreshing = opened
        .refresh()
        .catch((thrown: unknown) => log.warn('certificate.not-refreshed', { text: asHubError(thrown).message }))
        .then(() => refreshLater(opened))
    })
  }

  return {
    load,
    get isLoaded() {
      return loading !== undefined
    },
    issue: async request => (await load()).issue(request),
    revoke: async (serial, reason) => (await load()).revoke(serial, reason),
    // Whoever keeps certificates loads it first; until then none counts.
    isRevoked: serial => authority?.isRevoked(serial) ?? true,
    async close() {
      isClosed = true
      cancel()
      await loading?.catch(() => undefined)
      await refreshing
    },
  }
}
