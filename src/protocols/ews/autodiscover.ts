import dns from 'node:dns'
import { HubError } from '../../kernel/error.ts'
import { asNetError } from '../net/errors.ts'
import { childOf, textOf, type XmlElement } from '../xml/xml-element.ts'
import { ewsErrors } from './errors.ts'
import { isExchangeOnline } from './exchange.ts'
import { ewsLimits } from './limits.ts'
import type { WireAnswer, WireRequest } from './ntlm-lines.ts'
import { readEwsXml } from './read-xml.ts'
import { EwsWire, type WireOptions } from './wire.ts'
import { element, textElement } from './write-xml.ts'

export interface DiscoverOptions extends WireOptions {
  /** Primary mail address of a mailbox of the organization. */
  readonly mailbox: string
  readonly signal: AbortSignal
  /** SRV records of a name; the system's name servers where it is left out. */
  readonly resolveSrv?: (name: string) => Promise<readonly { readonly name: string; readonly port: number }[]>
}

export interface Discovered {
  readonly url: URL
  /** Which way led there, for people: `POX at autodiscover.x.example`. */
  readonly by: string
  /** What groups mailboxes on one server, where the answer says it. */
  readonly grouping: string | undefined
}

interface Host {
  readonly name: string
  /** With the port, where it is another than 443. */
  readonly authority: string
  /** Of the mailbox's own domain: it may be shown credentials. */
  readonly isOwn: boolean
  /** Found by a way that anybody on the line can bend (plain HTTP, DNS): its word alone leads nowhere foreign. */
  readonly isVouched: boolean
}

/** What a candidate said: an address, another mailbox to ask for, another host to ask, or nothing of use. */
type Said =
  | { readonly url: string; readonly grouping?: string | undefined }
  | { readonly mailbox: string }
  | { readonly host: string }
  | { readonly nothing: string }

/**
 * Finds the EWS address of a mailbox. Each host is asked the anonymous JSON form first; the two forms with log-in only at
 * hosts of the mailbox's own domain, over HTTPS with a certificate that holds. What a redirect of plain HTTP or an SRV
 * record led to counts only if it ends in the own domain or in Exchange Online: credentials will be sent there.
 * Throws EWS_NOT_FOUND_BY_AUTODISCOVER, which lists what was tried, or EWS_LOGIN_REFUSED.
 */
export async function discoverEws(options: DiscoverOptions): Promise<Discovered> {
  const search = new Search(options)
  try {
    return await search.run()
  } finally {
    await search.close()
  }
}

class Search {
  readonly #options: DiscoverOptions
  readonly #wire: EwsWire
  readonly #domain: string
  readonly #tried: string[] = []
  readonly #asked = new Set<string>()
  #mailbox: string
  #hops = 0
  #refusal: HubError | undefined

  constructor(options: DiscoverOptions) {
    this.#options = options
    this.#wire = new EwsWire(options)
    this.#mailbox = options.mailbox
    this.#domain = domainOf(options.mailbox)
  }

  close(): Promise<void> {
    return this.#wire.close()
  }

  async run(): Promise<Discovered> {
    const own = [this.#domain, `autodiscover.${this.#domain}`].map(name => this.#host(name, true))
    const found =
      (await this.#askAll(own, host => this.#askHost(host))) ??
      (await this.#askAll(await this.#redirected(), host => this.#askHost(host))) ??
      (await this.#askAll(await this.#srvHosts(), host => this.#askHost(host)))
    if (found) return found
    // One host that knows us but not our password explains more than all the silent ones.
    if (this.#refusal) throw this.#refusal
    const tried = this.#tried.join('; ') || 'no host answers'
    throw ewsErrors.NOT_FOUND_BY_AUTODISCOVER({ mailbox: this.#options.mailbox, domain: this.#domain, tried })
  }

  async #askAll(hosts: readonly Host[], ask: (host: Host) => Promise<Discovered | undefined>) {
    for (const host of hosts) {
      const found = await ask(host)
      if (found) return found
    }
    return undefined
  }

  async #askHost(host: Host): Promise<Discovered | undefined> {
    const forms = host.isOwn ? (['JSON', 'POX', 'SOAP'] as const) : (['JSON'] as const)
    for (const form of forms) {
      const key = `${form} ${host.authority} ${this.#mailbox}`
      if (this.#asked.has(key) || this.#asked.size >= ewsLimits.autodiscoverHops * 4) continue
      this.#asked.add(key)
      const said = await this.#ask(form, host)
      const by = `${form} at ${host.authority}`
      if ('url' in said) {
        const url = this.#checked(said.url, host)
        if (url) return { url, by, grouping: said.grouping }
        this.#tried.push(`${by}: it names ${said.url.slice(0, 100)}, where no credentials may be sent`)
        continue
      }
      if ('nothing' in said) {
        this.#tried.push(`${by}: ${said.nothing}`)
        // A host that is not there is not there for the other forms either.
        if (said.nothing.startsWith('NET_')) return undefined
        continue
      }
      if (this.#hops >= ewsLimits.autodiscoverHops) continue
      this.#hops += 1
      if ('mailbox' in said) {
        this.#mailbox = said.mailbox
        return this.#askHost(host)
      }
      const next = this.#host(said.host, host.isVouched)
      this.#tried.push(`${by}: sends to ${next.authority}`)
      const found = await this.#askHost(next)
      if (found) return found
    }
    return undefined
  }

  #host(authority: string, isVouched: boolean): Host {
    const name = authority.replace(/:\d+$/, '').toLowerCase()
    return { name, authority, isOwn: isWithin(name, this.#domain), isVouched }
  }

  #checked(text: string, host: Host): URL | undefined {
    if (!URL.canParse(text)) return undefined
    const url = new URL(text)
    if (url.protocol !== 'https:' || url.username !== '') return undefined
    const isKnown = isWithin(url.hostname, this.#domain) || isExchangeOnline(url.hostname)
    return isKnown || (host.isOwn && host.isVouched) ? url : undefined
  }

  async #ask(form: 'JSON' | 'POX' | 'SOAP', host: Host): Promise<Said> {
    try {
      if (form === 'JSON') return readJson(await this.#text(this.#jsonRequest(host), false))
      const body = form === 'POX' ? poxBody(this.#mailbox) : soapBody(this.#mailbox, host.authority)
      const path = form === 'POX' ? '/autodiscover/autodiscover.xml' : '/autodiscover/autodiscover.svc'
      const headers = { 'content-type': 'text/xml; charset=utf-8', accept: 'text/xml', 'user-agent': 'Isthmus' }
      const answer = await this.#text({ ...this.#request(host, path), method: 'POST', headers, body }, true)
      if (answer.status !== 200) return this.#statusSaid(answer, host)
      const root = readEwsXml(answer.text)
      return form === 'POX' ? readPox(root) : readSoap(root)
    } catch (thrown) {
      if (this.#options.signal.aborted) throw thrown
      const error = thrown instanceof HubError ? thrown : asNetError(thrown, { host: host.name, port: 443 })
      if (error.code.startsWith('CREDENTIAL_') || error.code === ewsErrors.CREDENTIAL_UNFIT.code) throw error
      return { nothing: `${error.code} ${error.message}` }
    }
  }

  #statusSaid({ status, headers }: Whole, host: Host): Said {
    const location = headers['location']
    if (status >= 300 && status < 400 && typeof location === 'string' && URL.canParse(location)) {
      const url = new URL(location)
      if (url.protocol === 'https:') return { host: url.host }
    }
    // Says nothing about the next candidate, but is the best explanation if none of them knows more.
    if (status === 401) {
      this.#refusal = ewsErrors.LOGIN_REFUSED({ server: host.authority, credential: this.#options.credential })
    }
    return { nothing: `it answers ${status}` }
  }

  /** Plain HTTP is asked for one thing only: where the host wants to be asked by HTTPS. */
  async #redirected(): Promise<readonly Host[]> {
    const origin = `http://autodiscover.${this.#domain}`
    const request = { ...this.#requestOf(origin, '/autodiscover/autodiscover.xml'), method: 'GET' as const }
    try {
      const { status, headers } = await this.#text(request, false)
      const location = String(headers['location'] ?? '')
      if (status < 300 || status >= 400 || !URL.canParse(location)) {
        this.#tried.push(`${origin}: no redirect (${status})`)
        return []
      }
      const url = new URL(location)
      return url.protocol === 'https:' ? [this.#host(url.host, false)] : []
    } catch (thrown) {
      if (this.#options.signal.aborted) throw thrown
      this.#tried.push(`${origin}: no answer`)
      return []
    }
  }

  async #srvHosts(): Promise<readonly Host[]> {
    const resolve = this.#options.resolveSrv ?? (name => dns.promises.resolveSrv(name))
    try {
      const records = await resolve(`_autodiscover._tcp.${this.#domain}`)
      return records.slice(0, 4).map(({ name, port }) => this.#host(port === 443 ? name : `${name}:${port}`, false))
    } catch {
      // No record, or no name server: most domains have none.
      this.#tried.push(`_autodiscover._tcp.${this.#domain}: no SRV record`)
      return []
    }
  }

  #jsonRequest(host: Host): WireRequest {
    const path = `/autodiscover/autodiscover.json/v1.0/${encodeURIComponent(this.#mailbox)}?Protocol=EWS`
    return this.#request(host, path)
  }

  #request(host: Host, path: string): WireRequest {
    return this.#requestOf(`https://${host.authority}`, path)
  }

  #requestOf(origin: string, path: string): WireRequest {
    const { signal, timeoutMs } = this.#options
    const limited = AbortSignal.any([signal, AbortSignal.timeout(timeoutMs)])
    return { origin, path, method: 'GET', headers: { 'user-agent': 'Isthmus' }, signal: limited }
  }

  async #text(request: WireRequest, asAccount: boolean): Promise<Whole> {
    const answer = asAccount ? await this.#wire.send(request) : await this.#wire.ask(request)
    return readWhole(answer)
  }
}

interface Whole {
  readonly status: number
  readonly headers: WireAnswer['headers']
  readonly text: string
}

async function readWhole({ status, headers, body, release }: WireAnswer): Promise<Whole> {
  const chunks: Uint8Array[] = []
  let bytes = 0
  body.on('error', () => {})
  try {
    for await (const chunk of body as AsyncIterable<Uint8Array>) {
      bytes += chunk.length
      chunks.push(chunk)
      if (bytes > ewsLimits.errorBytes) break
    }
  } finally {
    body.destroy()
    release()
  }
  return { status, headers, text: Buffer.concat(chunks).toString() }
}

function readJson({ status, headers, text }: Whole): Said {
  const location = headers['location']
  if (status >= 300 && status < 400 && typeof location === 'string' && URL.canParse(location)) {
    const url = new URL(location)
    return url.protocol === 'https:' ? { host: url.host } : { nothing: 'it sends to plain HTTP' }
  }
  if (status !== 200) return { nothing: `it answers ${status}` }
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch {
    // A web page: the host is a web server that has nothing to do with mail.
    return { nothing: 'its answer is no JSON' }
  }
  const url = typeof document === 'object' && document !== null && 'Url' in document ? document.Url : undefined
  return typeof url === 'string' ? { url } : { nothing: 'its answer has no Url' }
}

const poxRequest = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/requestschema/2006'
const poxResponse = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'

function poxBody(mailbox: string): string {
  const request = element(
    'Request',
    {},
    textElement('EMailAddress', mailbox),
    textElement('AcceptableResponseSchema', poxResponse),
  )
  return `<?xml version="1.0" encoding="utf-8"?>${element('Autodiscover', { xmlns: poxRequest }, request)}`
}

/** The best of several protocols: EXHTTP and EXPR are reached from outside, EXCH from inside. */
function readPox(root: XmlElement): Said {
  const response = childOf(root, 'Response')
  const account = childOf(response, 'Account')
  const action = textOf(account, 'Action')?.toLowerCase()
  const address = textOf(account, 'RedirectAddr')
  if (action === 'redirectaddr' && address !== undefined) return { mailbox: address.toLowerCase() }
  const target = textOf(account, 'RedirectUrl')
  if (action === 'redirecturl' && target !== undefined && URL.canParse(target)) return { host: new URL(target).host }
  const protocols = (account?.children ?? []).filter(child => child.name === 'Protocol')
  for (const type of ['EXHTTP', 'EXPR', 'EXCH']) {
    for (const protocol of protocols) {
      const url = textOf(protocol, 'EwsUrl')
      if (textOf(protocol, 'Type') === type && url !== undefined) return { url }
    }
  }
  const error = childOf(response, 'Error')
  const code = textOf(error, 'ErrorCode')
  return {
    nothing: code === undefined ? 'its answer has no EwsUrl' : `error ${code} ${textOf(error, 'Message') ?? ''}`.trim(),
  }
}

function soapBody(mailbox: string, authority: string): string {
  const action = 'http://schemas.microsoft.com/exchange/2010/Autodiscover/Autodiscover/GetUserSettings'
  const to = `https://${authority}/autodiscover/autodiscover.svc`
  const settings = ['ExternalEwsUrl', 'InternalEwsUrl', 'GroupingInformation'].map(name =>
    textElement('a:Setting', name),
  )
  const request = element(
    'a:Request',
    {},
    element('a:Users', {}, element('a:User', {}, textElement('a:Mailbox', mailbox))),
    element('a:RequestedSettings', {}, ...settings),
  )
  return (
    '<?xml version="1.0" encoding="utf-8"?><soap:Envelope xmlns:soap="http://schemas.xmlsoap.org/soap/envelope/" ' +
    'xmlns:wsa="http://www.w3.org/2005/08/addressing" xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover">' +
    `<soap:Header><a:RequestedServerVersion>Exchange2016</a:RequestedServerVersion>${textElement('wsa:Action', action)}` +
    `${textElement('wsa:To', to)}</soap:Header><soap:Body>${element('a:GetUserSettingsRequestMessage', {}, request)}</soap:Body></soap:Envelope>`
  )
}

function readSoap(root: XmlElement): Said {
  const response = childOf(childOf(childOf(root, 'Body'), 'GetUserSettingsResponseMessage'), 'Response')
  const [user] = childOf(response, 'UserResponses')?.children ?? []
  const code = textOf(user, 'ErrorCode') ?? textOf(response, 'ErrorCode')
  const target = textOf(user, 'RedirectTarget')
  if (code === 'RedirectAddress' && target !== undefined) return { mailbox: target.toLowerCase() }
  if (code === 'RedirectUrl' && target !== undefined && URL.canParse(target)) return { host: new URL(target).host }
  const settings = new Map(
    (childOf(user, 'UserSettings')?.children ?? []).map(each => [textOf(each, 'Name'), textOf(each, 'Value')]),
  )
  const url = settings.get('ExternalEwsUrl') ?? settings.get('InternalEwsUrl')
  if (url !== undefined) return { url, grouping: settings.get('GroupingInformation') }
  return { nothing: code === undefined || code === 'NoError' ? 'its answer has no EWS address' : `error ${code}` }
}

function domainOf(mailbox: string): string {
  return mailbox.slice(mailbox.lastIndexOf('@') + 1).toLowerCase()
}

function isWithin(host: string, domain: string): boolean {
  const name = host.toLowerCase().replace(/\.$/, '')
  return name === domain || name.endsWith(`.${domain}`)
}
