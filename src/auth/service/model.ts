/** What a service instance is for: calling flows, or calling the admin API. */
export type Plan = 'integration-flow' | 'api'

/** How a service instance may come to a token; `client_x509` is no token request but a certificate on the endpoint. */
export type GrantType =
  | 'client_credentials'
  | 'authorization_code'
  | 'refresh_token'
  | 'password'
  | 'urn:ietf:params:oauth:grant-type:saml2-bearer'
  | 'urn:ietf:params:oauth:grant-type:jwt-bearer'
  | 'user_token'
  | 'client_x509'

/** An OAuth client with roles. Times are milliseconds since 1970 UTC. */
export interface ServiceInstance {
  /** 16 hex digits; stays the same for good. */
  readonly id: string
  /** What callers send: letters and digits only. */
  readonly clientId: string
  /** Unique within its space. */
  readonly name: string
  readonly space: string
  readonly plan: Plan
  /** As given; what counts is `effectiveRoles`. */
  readonly roles: readonly string[]
  readonly grantTypes: readonly GrantType[]
  /** Compared letter by letter. */
  readonly redirectUris: readonly string[]
  readonly tokenValiditySeconds: number
  readonly refreshTokenValiditySeconds: number
  readonly createdAt: number
  readonly changedAt: number
  /** While it is set nobody gets in with this instance. */
  readonly disabledAt: number | undefined
  /** Grows by one at each change of the instance or its keys. */
  readonly revision: number
}

export type KeyKind = 'secret' | 'certificate' | 'certificate_external'

/** One proof of an instance, with an end and a life of its own. It never holds a secret. */
export interface ServiceKey {
  /** 12 hex digits. */
  readonly id: string
  readonly instanceId: string
  /** Unique among the keys of the instance that nothing has replaced. */
  readonly name: string
  readonly kind: KeyKind
  readonly createdAt: number
  readonly expiresAt: number | undefined
  readonly revokedAt: number | undefined
  /** The key that a rotation put in its place. */
  readonly replacedBy: string | undefined
  /** Of certificate keys. */
  readonly certificate: KeyCertificate | undefined
}

export interface KeyCertificate {
  /** RFC 2253 names, as Node prints them. */
  readonly subject: string
  readonly issuer: string
  readonly serialNumber: string
  readonly notBefore: number
  readonly notAfter: number
  /** base64url of the SHA-256 of the DER form (`x5t#S256`, RFC 8705 section 3.1). */
  readonly thumbprint: string
  /** Length of its key where that is RSA. */
  readonly rsaBits?: number | undefined
  /** True: this very certificate. False: any with the same subject and issuer that is not older. */
  readonly isPinned: boolean
}

/** `not-yet-valid`: its certificate counts from a later time on. */
export type KeyState = 'active' | 'not-yet-valid' | 'expired' | 'revoked'

/** When and from where a key was used the last time; up to `useFlushMs` of it are lost when the hub is killed. */
export interface KeyUse {
  readonly at: number
  readonly address: string
}

/** A right that flows ask for and instances have. */
export interface Role {
  readonly name: string
  readonly about: string
  readonly plan: Plan
  /** Comes with the hub; cannot be deleted. */
  readonly isPredefined: boolean
}

/** A place for instances, with how many of each plan it may hold. */
export interface Space {
  readonly name: string
  readonly about: string
  /** A plan that is not named has the quota of the hub. */
  readonly quotas: { readonly [plan in Plan]?: number }
}

/** What a caller gets to keep, in the shape of SAP's service keys. It is shown once. */
export interface CredentialDocument {
  readonly oauth: {
    readonly clientid: string
    readonly clientsecret?: string
    readonly url: string
    readonly tokenurl: string
    readonly createdate: string
    readonly certificate?: string
    readonly key?: string
    readonly expirationdate?: string
    readonly certificatedetails?: {
      readonly issuerdn: string
      readonly subjectdn: string
      readonly validuntil: string
      readonly serialnumber: string
    }
  }
  readonly keyId: string
  readonly expiresAt?: string
}

/** Why a proof does not count. For the log and the monitor; callers are never told. */
export type RefusalReason =
  | 'malformed'
  | 'unknown-client'
  | 'unknown-key'
  | 'wrong-secret'
  | 'key-of-other-instance'
  | 'key-revoked'
  | 'key-expired'
  | 'instance-disabled'
  | 'unknown-certificate'
  | 'certificate-not-yet-valid'
  | 'certificate-expired'
  | 'certificate-replaced'
  | 'certificate-ambiguous'
  | 'certificate-untrusted'
  | 'certificate-revoked'

export type Check =
  | { readonly ok: true; readonly instance: ServiceInstance; readonly key: ServiceKey }
  | { readonly ok: false; readonly reason: RefusalReason; readonly keyId?: string; readonly clientId?: string }

/** What a change was; listeners drop what they keep of the client. `clientId` is there for all but roles and spaces. */
export type ServiceEvent =
  | { readonly type: 'instance.created' | 'instance.changed' | 'instance.deleted'; readonly clientId: string }
  | { readonly type: 'key.created' | 'key.rotated' | 'key.revoked'; readonly clientId: string; readonly keyId: string }
  | { readonly type: 'role.changed' | 'role.deleted'; readonly role: string }
  | { readonly type: 'space.changed' | 'space.deleted'; readonly space: string }

/** The parameters of an instance as the document writes them; `grant-type` and `saml2bearer` are understood too. */
export interface InstanceParameters {
  readonly roles?: readonly string[]
  readonly 'grant-types'?: readonly string[]
  readonly 'redirect-uris'?: readonly string[]
  /** Seconds. */
  readonly 'token-validity'?: number
  /** Seconds. */
  readonly 'refresh-token-validity'?: number
}

export interface NewInstance {
  readonly name: string
  readonly space?: string
  readonly plan?: Plan
  readonly parameters?: unknown
}

/** What is changed of an instance; what is left out stays. `revision`: refuse when it is another one by now. */
export interface InstanceChange {
  readonly name?: string
  readonly parameters?: unknown
  readonly disabled?: boolean
  readonly revision?: number
}

export interface NewKey {
  readonly name: string
  /** `{"key-type": "certificate", "validity": 365}`; without it a secret. */
  readonly parameters?: unknown
}

export interface CreatedKey {
  readonly key: ServiceKey
  /** Holds the secret or the private key; the hub cannot show it again. */
  readonly document: CredentialDocument
}

/**
 * Who may call: spaces, roles, service instances and their keys. All of it is in memory, so looking up and checking
 * cost no I/O and see each change at once; a change is durable before its promise resolves. Throws SERVICE_… errors.
 */
export interface ServiceUsers {
  createInstance(input: NewInstance): Promise<ServiceInstance>
  listInstances(space?: string): readonly ServiceInstance[]
  /** By id; throws SERVICE_INSTANCE_UNKNOWN. */
  getInstance(id: string): ServiceInstance
  instanceOfClient(clientId: string): ServiceInstance | undefined
  updateInstance(id: string, change: InstanceChange): Promise<ServiceInstance>
  /** With all its keys. */
  deleteInstance(id: string): Promise<void>

  createKey(instanceId: string, input: NewKey): Promise<CreatedKey>
  /** Replaced and revoked ones too, oldest first. */
  listKeys(instanceId: string): readonly ServiceKey[]
  /** Keys of all instances that are active and end within the time. */
  keysExpiringWithin(ms: number): readonly ServiceKey[]
  getKey(keyId: string): ServiceKey
  stateOf(key: ServiceKey): KeyState
  lastUseOf(keyId: string): KeyUse | undefined
  /** A new key now; the old one ends when the overlap is over (0: at once). One key is rotated once only. */
  rotateKey(keyId: string, options: { readonly overlapMs: number; readonly parameters?: unknown }): Promise<CreatedKey>
  revokeKey(keyId: string): Promise<ServiceKey>

  createRole(name: string, about: string): Promise<Role>
  updateRole(name: string, about: string): Promise<Role>
  listRoles(): readonly Role[]
  hasRole(name: string): boolean
  /** Throws SERVICE_ROLE_IN_USE unless forced; instances and users that have it lose it. */
  deleteRole(name: string, force: boolean): Promise<void>

  listSpaces(): readonly Space[]
  writeSpace(space: Space): Promise<Space>
  deleteSpace(name: string): Promise<void>

  /** Takes the same time whether the client is known or not. */
  checkSecret(clientId: string, secret: string): Check
  /** Whose certificate it is; the caller's proof that it has the key is the TLS handshake. */
  checkCertificate(der: Uint8Array): Check
  /** Whether what was proven earlier (a cached call, a token) still counts. */
  checkKey(clientId: string, keyId: string): Check
  /** Roles of the instance that exist, now. */
  effectiveRoles(instance: ServiceInstance): readonly string[]
  /** Remembers a use; written in batches. */
  noteUse(keyId: string, address: string): void

  on(listener: (event: ServiceEvent) => void): () => void
  /** Seals what it keeps anew with the first master key of the ring. Returns how many records. */
  reseal(): Promise<number>
  close(): Promise<void>
}

// ---- tokens --------------------------------------------------------------------------------------------------------

/** An access token that was found genuine (RFC 9068): signature, typ, issuer, audience and times are right. */
export interface AccessTokenClaims {
  readonly clientId: string
  /** The key that asked for the token; a token ends with its key. */
  readonly keyId: string
  /** The client id, or the user for whom the client acts. */
  readonly subject: string
  /** Name of the trusted issuer whose user that is; undefined: a user of the hub, or the client. */
  readonly trustedIssuer?: string | undefined
  readonly scope: readonly string[]
  readonly jti: string
  /** Milliseconds since 1970 UTC. */
  readonly expiresAt: number
  /** `cnf.x5t#S256`: counts only together with this certificate (RFC 8705). */
  readonly thumbprint: string | undefined
}

/** What the guard asks of the token server. */
export interface AccessTokens {
  /**
   * Undefined for anything but a genuine access token of this hub for its flows. The guard keeps the claims for at most
   * `tokenCacheMs` and never past `expiresAt`.
   */
  verifyAccessToken(token: string): Promise<AccessTokenClaims | undefined>
  /** Whether it was genuine until its time was over: its caller needs a new one, and guesses nothing. */
  hasExpired(token: string): Promise<boolean>
  /** Asked at every call, cached or not, so it must cost nothing. */
  isRevoked(claims: AccessTokenClaims): boolean
}

// ---- guard ---------------------------------------------------------------------------------------------------------

/** Who calls, once the guard let them in. */
export interface Caller {
  readonly clientId: string
  readonly instance: string
  readonly keyId: string
  readonly subject: string
  readonly idp?: string | undefined
  readonly by: 'basic' | 'bearer' | 'certificate'
}

/** What the guard looks at of a request. */
export interface GuardedRequest {
  readonly authorization: string | undefined
  /** DER form of the client certificate of the connection, where one was shown; asked for only where it matters. */
  certificate(): Uint8Array | undefined
  readonly address: string
  /** For the log. */
  readonly path: string
}

/** Why a call was refused. For the log and the monitor; callers are never told. */
export type GuardReason =
  | RefusalReason
  | 'no-credential'
  | 'unknown-scheme'
  | 'token-not-genuine'
  | 'token-expired'
  | 'token-revoked'
  | 'token-without-its-certificate'
  | 'plan-of-the-api'
  | 'grant-not-listed'
  | 'role-missing'
  | 'role-not-in-token'

export interface Refusal {
  readonly status: 401 | 403 | 429
  /** Stands in the answer and in the log line. */
  readonly correlationId: string
  readonly retryAfterMs: number | undefined
  /** Values for WWW-Authenticate. */
  readonly challenges: readonly string[]
}

export type Admission = Caller | { readonly refusal: Refusal }

/** Decides who may call an endpoint that asks for a role. Answers at once where it can. */
export interface Guard {
  admit(request: GuardedRequest, role: string): Admission | Promise<Admission>
}
