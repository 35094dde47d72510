import { randomBytes } from 'node:crypto'
import type { IncomingMessage } from 'node:http'
import { TLSSocket } from 'node:tls'

/** Who may call. */
export interface Callers {
  readonly users: Readonly<Record<string, string>>
  /** Clients of the token endpoint: id and secret. */
  readonly clients: Readonly<Record<string, string>>
  /** Certificates by SHA-256 fingerprint (`AB:CD:…`) and the users they stand for. */
  readonly certificates: Readonly<Record<string, string>>
  /** Tokens of another sign-in server; returns the user. */
  readonly verify?: ((token: string) => string | undefined) | undefined
}

interface Session {
  readonly user: string
  readonly token: string
}

const sessionsMax = 1000
const logInsKept = 1000
const cookieName = 'SAP_SESSIONID_S4H_100'

/** Log-in, sessions and CSRF tokens as the gateway keeps them: a token is worth something with its cookie only. */
export class Guard {
  readonly #callers: Callers
  readonly #sessions = new Map<string, Session>()
  readonly #tokens = new Map<string, string>()
  readonly #logIns: string[] = []

  constructor(callers: Callers) {
    this.#callers = callers
  }

  /** The ways in which callers showed who they are, oldest first. */
  get logIns(): readonly string[] {
    return this.#logIns
  }

  issueToken(user: string): string {
    const token = `s4.${randomBytes(24).toString('base64url')}`
    this.#tokens.set(token, user)
    return token
  }

  client(id: string, secret: string): boolean {
    return this.#callers.clients[id] !== undefined && this.#callers.clients[id] === secret
  }

  /** The user behind a request, or undefined. */
  userOf(request: IncomingMessage): string | undefined {
    const header = request.headers.authorization ?? ''
    const [, scheme = '', value = ''] = /^(Basic|Bearer) (\S+)$/i.exec(header) ?? []
    const user =
      this.#byHeader(scheme.toLowerCase(), value) ?? (header === '' ? this.#byCertificate(request) : undefined)
    if (this.#logIns.length > logInsKept) this.#logIns.shift()
    if (user !== undefined) this.#logIns.push(`${scheme === '' ? 'certificate' : scheme.toLowerCase()} ${user}`)
    return user
  }

  /** Opens a session where there is none; its CSRF token and the cookies to set. */
  openSession(request: IncomingMessage, user: string): { readonly token: string; readonly cookies: readonly string[] } {
    const known = this.#sessionOf(request, user)
    if (known) return { token: known.token, cookies: [] }
    const id = randomBytes(16).toString('base64url')
    const session = { user, token: randomBytes(18).toString('base64') }
    if (this.#sessions.size >= sessionsMax) this.#sessions.clear()
    this.#sessions.set(id, session)
    return {
      token: session.token,
      cookies: [`${cookieName}=${id}; path=/; secure; HttpOnly`, 'sap-usercontext=sap-client=100; path=/'],
    }
  }

  hasToken(request: IncomingMessage, user: string): boolean {
    const session = this.#sessionOf(request, user)
    return session !== undefined && request.headers['x-csrf-token'] === session.token
  }

  forgetSessions(): void {
    this.#sessions.clear()
  }

  refuseTokens(): void {
    this.#tokens.clear()
  }

  #byHeader(scheme: string, value: string): string | undefined {
    if (scheme === 'bearer') return this.#tokens.get(value) ?? this.#callers.verify?.(value)
    if (scheme !== 'basic') return undefined
    const [user, password] = splitBasic(value)
    return user !== '' && this.#callers.users[user] === password ? user : undefined
  }

  #byCertificate({ socket }: IncomingMessage): string | undefined {
    // Known by its fingerprint; that the caller has its key, the handshake proved.
    if (!(socket instanceof TLSSocket)) return undefined
    return this.#callers.certificates[socket.getPeerCertificate().fingerprint256]
  }

  #sessionOf(request: IncomingMessage, user: string): Session | undefined {
    const id = new RegExp(`(?:^|;\\s*)${cookieName}=([^;]+)`).exec(request.headers.cookie ?? '')?.[1]
    const session = id === undefined ? undefined : this.#sessions.get(id)
    return session?.user === user ? session : undefined
  }
}

export function splitBasic(value: string): readonly [user: string, password: string] {
  const text = Buffer.from(value, 'base64').toString()
  const colon = text.indexOf(':')
  return colon < 0 ? ['', ''] : [text.slice(0, colon), text.slice(colon + 1)]
}
