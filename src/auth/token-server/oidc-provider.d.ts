/** The part of oidc-provider 9 that is used here and by the mail tests; the package itself brings no types. */
declare module 'oidc-provider' {
  import type { X509Certificate } from 'node:crypto'
  import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http'

  export interface Client {
    readonly clientId: string
    readonly clientName?: string
    readonly redirectUris: readonly string[]
    readonly clientAuthMethod: string
    readonly tlsClientCertificateBoundAccessTokens?: boolean
    grantTypeAllowed(type: string): boolean
  }

  interface OidcContext {
    readonly route: string
    readonly params: Record<string, string | undefined>
    readonly client: Client
    readonly account: { readonly accountId: string } | undefined
    readonly session: { readonly loginTs?: number } | undefined
    readonly result: { readonly consent?: { readonly grantId?: string } } | undefined
    readonly requestParamScopes: ReadonlySet<string>
    entity(name: string, value: unknown): void
  }

  export interface KoaContext {
    readonly path: string
    readonly method: string
    readonly query: Readonly<Record<string, string | string[] | undefined>>
    readonly headers: IncomingMessage['headers']
    readonly req: IncomingMessage
    readonly res: ServerResponse
    readonly oidc: OidcContext
    readonly state: Record<string, unknown>
    status: number
    type: string
    body: unknown
    respond: boolean
    set(name: string, value: string): void
    redirect(url: string): void
  }

  export interface Interaction {
    readonly jti: string
    readonly uid: string
    readonly prompt: {
      readonly name: string
      readonly details: {
        readonly missingOIDCScope?: readonly string[]
        readonly missingResourceScopes?: Readonly<Record<string, readonly string[]>>
      }
    }
    readonly params: Readonly<Record<string, string | undefined>>
    readonly session?: { readonly accountId: string }
    readonly grantId?: string
  }

  export interface Grant {
    readonly accountId: string
    readonly clientId: string
    readonly jti: string
    addOIDCScope(scope: string): void
    addResourceScope(resource: string, scope: string): void
    rejectResourceScope(resource: string, scope: string): void
    save(): Promise<string>
  }

  interface TokenFields {
    readonly client: Client
    readonly accountId?: string
    readonly grantId?: string
    readonly gty?: string
    readonly scope?: string | undefined
    readonly resource?: string
  }

  export interface Token {
    readonly kind: string
    readonly clientId: string
    readonly accountId?: string
    readonly grantId?: string
    readonly gty?: string
    readonly expiration: number
    readonly tokenType: string
    scope: string | undefined
    resourceServer: ResourceServer
    setThumbprint(kind: 'x5t', certificate: X509Certificate): void
    save(): Promise<string>
  }

  export interface ResourceServerInfo {
    readonly scope: string
    readonly audience: string
    readonly accessTokenTTL: number
    readonly accessTokenFormat: 'jwt'
    readonly jwt: { readonly sign: { readonly alg: string; readonly kid: string } }
  }

  interface ResourceServer {
    readonly accessTokenTTL: number
  }

  type TokenClass = new (fields: TokenFields) => Token

  export class Provider {
    constructor(issuer: string, configuration: object)
    static readonly ctx: KoaContext | undefined
    proxy: boolean
    readonly issuer: string
    readonly Grant: {
      new (fields: { accountId: string; clientId: string }): Grant
      find(id: string): Promise<Grant | undefined>
    }
    readonly Client: {
      readonly prototype: { compareClientSecret(this: Client, secret: string): boolean }
      find(id: string): Promise<Client | undefined>
    }
    readonly AccessToken: TokenClass
    readonly RefreshToken: TokenClass
    readonly ClientCredentials: TokenClass
    readonly ResourceServer: new (
      identifier: string,
      info: ResourceServerInfo,
    ) => ResourceServer
    use(middleware: (context: KoaContext, next: () => Promise<void>) => Promise<void>): void
    on(event: string, listener: (...values: never[]) => void): this
    callback(): RequestListener
    registerGrantType(
      name: string,
      handler: (context: KoaContext) => Promise<void>,
      parameters: readonly string[],
      duplicates?: readonly string[],
    ): void
    interactionDetails(request: IncomingMessage, response: ServerResponse): Promise<Interaction>
    interactionFinished(
      request: IncomingMessage,
      response: ServerResponse,
      result: object,
      options?: { mergeWithLastSubmission: boolean },
    ): Promise<void>
  }

  interface Check {
    readonly reason: string
  }

  export const interactionPolicy: {
    base(): { get(name: string): { readonly checks: { add(check: Check): void } } | undefined }
    readonly Check: new (reason: string, description: string, check: (context: KoaContext) => boolean) => Check
  }

  export class OIDCProviderError extends Error {
    statusCode: number
    status: number
    error: string
    error_description?: string
    error_detail?: string
    readonly expose: boolean
  }

  type Refusal = new (description?: string) => OIDCProviderError
  export const errors: {
    readonly InvalidGrant: Refusal
    readonly InvalidRequest: Refusal
    readonly InvalidScope: new (description: string, scope?: string) => OIDCProviderError
    readonly InvalidTarget: Refusal
    readonly InvalidClientAuth: Refusal
    readonly UnauthorizedClient: Refusal
    readonly CustomOIDCProviderError: new (error: string, description: string) => OIDCProviderError
  }
}
