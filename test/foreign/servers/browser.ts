const redirectsMax = 10

export interface Page {
  readonly url: string
  readonly status: number
  readonly text: string
}

/** Keeps cookies and follows redirects, as the browser of a person does; one browser is one session with each server. */
export class Browser {
  /** By origin, then by name. */
  readonly #cookies = new Map<string, Map<string, string>>()

  /** Opens a page. With `stopAt` it goes no further than to an address that begins so, which is not asked for. */
  async open(startUrl: string, stopAt?: string): Promise<Page> {
    let url = startUrl
    for (let redirectCount = 0; redirectCount < redirectsMax; redirectCount++) {
      if (stopAt !== undefined && url.startsWith(stopAt)) return { url, status: 0, text: '' }
      const response = await fetch(url, { redirect: 'manual', headers: { cookie: this.#cookieLine(url) } })
      this.#keep(url, response.headers.getSetCookie())
      const location = response.headers.get('location')
      const text = await response.text()
      if (location === null) return { url, status: response.status, text }
      url = new URL(location, url).href
    }
    throw new Error(`The page went round in circles: more than ${redirectsMax} redirects.`)
  }

  #cookieLine(url: string): string {
    const cookies = this.#cookies.get(new URL(url).origin) ?? new Map<string, string>()
    return [...cookies].map(([name, value]) => `${name}=${value}`).join('; ')
  }

  #keep(url: string, lines: readonly string[]): void {
    const { origin } = new URL(url)
    const cookies = this.#cookies.get(origin) ?? new Map<string, string>()
    this.#cookies.set(origin, cookies)
    for (const line of lines) {
      const [, name = '', value = ''] = /^([^=]+)=([^;]*)/.exec(line) ?? []
      if (value === '') cookies.delete(name)
      else cookies.set(name, value)
    }
  }
}
