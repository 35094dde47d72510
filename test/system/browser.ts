/** A page as a browser without JavaScript has it. */
export interface Page {
  readonly url: URL
  readonly status: number
  readonly html: string
  /** Without its tags. */
  readonly text: string
}

const redirectsMax = 10

/** Follows links and redirects, keeps cookies and posts forms, as the browser of a person would. */
export class Browser {
  /** Every address it was sent to, oldest first. */
  readonly visited: URL[] = []
  readonly #cookies = new Map<string, string>()

  async open(address: string | URL, form?: URLSearchParams): Promise<Page> {
    let url = new URL(address)
    let body = form
    for (let redirects = 0; redirects <= redirectsMax; redirects++) {
      this.visited.push(url)
      const answer = await this.#send(url, body)
      const location = answer.headers.get('location')
      if (location === null) {
        const html = await answer.text()
        return { url, status: answer.status, html, text: textOf(html) }
      }
      url = new URL(location, url)
      body = undefined
    }
    throw new Error(`too many redirects, the last to ${url.href}`)
  }

  /** Posts the form of a page with what the person typed or pressed beside what stands in it. */
  submit(page: Page, typed: Readonly<Record<string, string>>): Promise<Page> {
    const action = /<form method="post" action="([^"]*)"/.exec(page.html)?.[1]
    if (action === undefined) throw new Error(`there is no form to submit: ${page.text}`)
    const hidden = [...page.html.matchAll(/<input type="hidden" name="([^"]*)" value="([^"]*)">/g)]
    const fields = Object.fromEntries(hidden.map(([, name = '', value = '']) => [name, value]))
    return this.open(new URL(action, page.url), new URLSearchParams({ ...fields, ...typed }))
  }

  async #send(url: URL, form: URLSearchParams | undefined): Promise<Response> {
    // The hub listens on 127.0.0.1 alone, and localhost may mean ::1 first.
    const address = url.href.replace('//localhost:', '//127.0.0.1:')
    const cookie = this.#cookies.get(url.host)
    const answer = await fetch(address, {
      redirect: 'manual',
      headers: { ...(cookie !== undefined && { cookie }) },
      ...(form && { method: 'POST', body: form }),
    })
    const set = answer.headers.get('set-cookie')?.split(';')[0]
    if (set !== undefined) this.#cookies.set(url.host, set)
    return answer
  }
}

function textOf(html: string): string {
  const body = html.slice(html.indexOf('<body'))
  const entities: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', '#39': "'", '#34': '"' }
  return body
    .replace(/<[^>]*>/g, ' ')
    .replace(/&([a-z#0-9]+);/g, (whole, name: string) => entities[name] ?? whole)
    .replace(/\s+/g, ' ')
    .trim()
}
