import { SharedAnswer } from '../../kernel/shared-answer.ts'
import { odataLimits } from './limits.ts'

/** Cookies and CSRF token that a service gave out for one log-in; both are worthless with another. */
export class ODataSession {
  readonly #cookies = new Map<string, string>()
  #token: string | undefined
  #fetching: SharedAnswer<string | undefined> | undefined

  get token(): string | undefined {
    return this.#token
  }

  /** The Cookie header, or undefined. */
  get cookie(): string | undefined {
    if (this.#cookies.size === 0) return undefined
    return [...this.#cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  /** Takes the Set-Cookie headers of an answer. All requests go to one origin, so domain and path decide nothing. */
  keep(setCookie: string | readonly string[] | undefined): void {
    const lines = setCookie === undefined ? [] : typeof setCookie === 'string' ? [setCookie] : setCookie
    for (const line of lines) {
      const [, name, value = ''] = /^\s*([!#$%&'*+.^_`|~0-9A-Za-z-]+)\s*=\s*([^;]*)/.exec(line) ?? []
      if (name === undefined || line.length > odataLimits.cookieLetters || /[^\x20-\x7e]/.test(value)) continue
      if (isOver(line)) this.#cookies.delete(name)
      else if (this.#cookies.has(name) || this.#cookies.size < odataLimits.cookies)
        this.#cookies.set(name, value.trim())
    }
  }

  /**
   * A token other than the `refused` one. Callers at the same time share one request; undefined when the service gives
   * none.
   */
  async renewToken(
    refused: string | undefined,
    signal: AbortSignal,
    fetchToken: () => Promise<string | undefined>,
  ): Promise<string | undefined> {
    if (this.#token !== undefined && this.#token !== refused) return this.#token
    this.#fetching ??= new SharedAnswer(
      fetchToken().finally(() => {
        this.#fetching = undefined
      }),
      signal,
    )
    this.#token = await this.#fetching.waitFor(signal, () => this.renewToken(refused, signal, fetchToken))
    return this.#token
  }
}

function isOver(line: string): boolean {
  const maxAge = /;\s*max-age\s*=\s*(-?\d+)/i.exec(line)?.[1]
  if (maxAge !== undefined) return Number(maxAge) <= 0
  const expires = /;\s*expires\s*=\s*([^;]+)/i.exec(line)?.[1]
  const at = expires === undefined ? Number.NaN : Date.parse(expires)
  // Cookies are ended with a date long past; the clocks of two machines differ by less.
  return at < Date.UTC(2000, 0, 1)
}
