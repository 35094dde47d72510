import { createHash, randomBytes } from 'node:crypto'

/** A page as a browser shows it. */
interface Shown {
  readonly url: string
  readonly status: number
  readonly headers: Headers
  readonly text: string
}

interface Sending {
  readonly method: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: URLSearchParams
}

interface Cookie {
  readonly value: string
  readonly path: string
}

/** A browser without scripts: keeps cookies by path, follows redirects, fills in forms. */
export class FormBrowser {
  readonly #cookies = new Map<string, Cookie>()
  readonly #origin: string

  constructor(origin: string) {
    this.#origin = origin
  }

  /** Opens an address; a redirect to another origin is not followed, its address is what the page is. */
  async open(url: string): Promise<Shown> {
    return this.#follow(new URL(url, this.#origin).href, { method: 'GET' })
  }

  /** Sends the form of a page. `answer` names the button. */
  async send(page: Shown, fields: Readonly<Record<string, string>>, headers: Readonly<Record<string, string>> = {}) {
    const action = /<form method="post" action="([^"]+)"/.exec(page.text)?.[1]
    if (action === undefined) throw new Error(`There is no form on ${page.url}: ${page.text}`)
    const csrf = /name="csrf" value="([^"]*)"/.exec(page.text)?.[1] ?? ''
    return this.#follow(new URL(action, page.url).href, {
      method: 'POST',
      headers: { origin: this.#origin, 'sec-fetch-site': 'same-origin', ...headers },
      body: new URLSearchParams({ csrf, answer: 'go', ...fields }),
    })
  }

  cookieNames(): readonly string[] {
    return [...this.#cookies.keys()]
  }

  async #follow(start: string, first: Sending): Promise<Shown> {
    let url = start
    let init: Sending = first
    for (let redirects = 0; redirects < 10; redirects++) {
      const response = await fetch(url, {
        ...init,
        redirect: 'manual',
        headers: { accept: 'text/html', ...init.headers, cookie: this.#cookiesFor(url) },
      })
      this.#keep(response.headers.getSetCookie())
      const text = await response.text()
      const location = response.headers.get('location')
      if (location === null) return { url, status: response.status, headers: response.headers, text }
      url = new URL(location, url).href
      init = { method: 'GET' }
      if (!url.startsWith(`${this.#origin}/`)) return { url, status: response.status, headers: response.headers, text }
    }
    throw new Error('The pages go round in circles.')
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
