import { createHash, randomBytes } from 'node:crypto'
import { request } from 'undici'

/** A page as a browser shows it. */
interface Shown {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

interface Sending {
  readonly method: 'GET' | 'HEAD' | 'POST'
  readonly headers?: Readonly<Record<string, string>>
  readonly form?: URLSearchParams
}

interface Cookie {
  readonly value: string
  readonly path: string
}

/** A browser without scripts: keeps cookies by path, follows redirects, fills in forms. */
export class FormBrowser {
  readonly #cookies = new Map<string, Cookie>()
  readonly #origin: string
  readonly #origins: readonly string[]

  /** `others`: origins to which redirects are followed too. */
  constructor(origin: string, others: readonly string[] = []) {
    this.#origin = origin
    this.#origins = [origin, ...others]
  }

  /** Opens an address; a redirect to another origin is not followed, its address is what the page is. */
  async open(url: string): Promise<Shown> {
    return this.#follow(new URL(url, this.#origin).href, { method: 'GET' })
  }

  /** Asks what is behind an address without opening it. */
  async head(url: string): Promise<Shown> {
    return this.#ask(new URL(url, this.#origin).href, { method: 'HEAD' })
  }

  /** Sends the form of a page. `answer` names the button. */
  async send(page: Shown, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
    const action = /<form method="post" action="([^"]+)"/.exec(page.text)?.[1]
    if (action === undefined) throw new Error(`There is no form on ${page.url}: ${page.text}`)
    const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)?.[1] ?? ''
    return this.#follow(new URL(action, page.url).href, {
      method: 'POST',
      headers: { origin: new URL(page.url).origin, 'sec-fetch-site': 'same-origin', ...headers },
      form: new URLSearchParams({ csrf, answer: 'go', ...fields }),
    })
  }

  cookieNames(): readonly string[] {
    return [...this.#cookies.keys()]
  }

  async #follow(start: string, first: Sending): Promise<Shown> {
    let url = start
    let sending: Sending = first
    for (let redirects = 0; redirects < 10; redirects++) {
      const page = await this.#ask(url, sending)
      const location = page.headers.get('location')
      if (location === null) return page
      url = new URL(location, url).href
      if (!this.#origins.includes(new URL(url).origin)) return { ...page, url }
      sending = { method: 'GET' }
    }
    throw new Error('The pages go round in circles.')
  }

  /** Not `fetch`, which says of itself that it is a script and not a person who goes from page to page. */
  async #ask(url: string, { method, headers, form }: Sending): Promise<Shown> {
    const response = await request(url, {
      method,
      headers: {
        accept: 'text/html',
        'sec-fetch-mode': 'navigate',
        'sec-fetch-dest': 'document',
        ...(form && { 'content-type': 'application/x-www-form-urlencoded' }),
        ...headers,
        cookie: this.#cookiesFor(url),
      },
      body: form?.toString() ?? null,
    })
    const lines = Object.entries(response.headers).flatMap(([name, value]) =>
      (Array.isArray(value) ? value : [value ?? '']).map((each): [string, string] => [name, each]),
    )
    const shown = new Headers(lines)
    this.#keep(shown.getSetCookie())
    return { url, status: response.statusCode, headers: shown, text: await response.body.text() }
  }

  #cookiesFor(url: string): string {
    const { pathname } = new URL(url)
    const fitting = [...this.#cookies].filter(
      ([, { path }]) => pathname === path || pathname.startsWith(path.replace(/\/?$/, '/')),
    )
    return fitting.map(([name, { value }]) => `${name}=${value}`).join('; ')
  }

  #keep(lines: readonly string[]): void {
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      const path = /; path=([^;]+)/i.exec(line)?.[1] ?? '/'
      if (value === '' || line.includes('01 Jan 1970')) this.#cookies.delete(name)
      else this.#cookies.set(name, { value, path })
    }
  }
}

/** What a client keeps while its user signs in (RFC 7636). */
export function makePkce() {
  const verifier = randomBytes(32).toString('base64url')
  return { verifier, challenge: createHash('sha256').update(verifier).digest('base64url') }
}
