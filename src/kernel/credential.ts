/** What an adapter receives for the name of a credential. Values are never logged: the log masks them. */
export type CredentialValue =
  | BasicCredential
  | SecretCredential
  | TokenCredential
  | CertificateCredential
  | KnownHostsCredential

export interface BasicCredential {
  readonly kind: 'basic'
  readonly user: string
  readonly password: string
}

/** A single secret value: an API key, a bearer token that does not expire. */
export interface SecretCredential {
  readonly kind: 'secret'
  readonly secret: string
}

/** OAuth 2.0, whatever the grant: the hub gets, caches and renews the token. */
export interface TokenCredential {
  readonly kind: 'oauth2'
  /** Who signed in (user name of an authorization code credential), undefined for app-only tokens. */
  readonly user: string | undefined
  /**
   * A token that is valid now. Concurrent callers share one request. `refused` names a token the server would not
   * take; if the cached one is that token, a new one is fetched.
   */
  token(refused?: string): Promise<AccessToken>
}

/** A certificate with its private key: shown in TLS handshakes, or signing. */
export interface CertificateCredential {
  readonly kind: 'certificate'
  /** PEM; the certificate itself first, then those that lead to its authority. */
  readonly certificate: string
  /** PEM, not encrypted. */
  readonly privateKey: string
}

/** Host keys of SSH servers, by which the hub knows that it talks to the right one. */
export interface KnownHostsCredential {
  readonly kind: 'known-hosts'
  /** Lines of an OpenSSH known_hosts file (sshd(8), "SSH_KNOWN_HOSTS FILE FORMAT"). */
  readonly knownHosts: string
}

export interface AccessToken {
  readonly value: string
  /** When it ends, milliseconds since 1970 UTC. */
  readonly expiresAt: number
  /** Shown in the TLS handshake with whoever is given the token, since it counts with it alone; PEM texts. */
  readonly boundTo?: Pick<CertificateCredential, 'certificate' | 'privateKey'> | undefined
}

/** Looks a credential up by name, at each use, so that a change acts without a restart. Throws CREDENTIAL_… errors. */
export type CredentialLookup = (name: string) => Promise<CredentialValue>
