import { asHubError } from '../../kernel/error.ts'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import type { TwinDirectory } from './session.ts'

export type AutodiscoverForm = 'json' | 'pox' | 'soap'

export interface AutodiscoverOptions {
  readonly world: TwinDirectory
  ewsUrl(): string
  /** Mailboxes that another address stands for: answered with a redirect. */
  readonly redirects: Readonly<Record<string, string>>
  forms(): readonly AutodiscoverForm[]
}

interface Asked {
  /** In lower case, without the query. */
  readonly path: string
  readonly url: string
  readonly method: string
  readonly body: string
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string
}

export function isAutodiscover(path: string): boolean {
  return path.startsWith('/autodiscover/')
}

/** Autodiscover in its three forms: JSON without log-in, and the two of XML with it; `challenge`: nobody has logged in. */
export function answerAutodiscover(
  options: AutodiscoverOptions,
  asked: Asked,
  challenge: readonly string[] | undefined,
): Answer {
  const json = /^\/autodiscover\/autodiscover\.json\/v1\.0\/([^/?]+)/i.exec(asked.url)?.[1]
  const forms = options.forms()
  if (json !== undefined && forms.includes('json')) return answerJson(options, decodeURIComponent(json))
  if (challenge) return { status: 401, headers: { 'www-authenticate': challenge }, body: '' }
  if (asked.method !== 'POST') return { status: 404, headers: {}, body: '' }
  let root: XmlElement
  try {
    root = readEwsXml(asked.body)
  } catch (thrown) {
    return { status: 400, headers: {}, body: asHubError(thrown).message }
  }
  if (asked.path.endsWith('.xml') && forms.includes('pox')) return answerPox(options, root)
  if (asked.path.endsWith('.svc') && forms.includes('soap')) return answerSoap(options, root)
  return { status: 404, headers: {}, body: '' }
}

const xml = { 'content-type': 'text/xml; charset=utf-8' }

function answerJson({ world, ewsUrl }: AutodiscoverOptions, address: string): Answer {
  const headers = { 'content-type': 'application/json' }
  if (world.mailboxNamed(address)) {
    return { status: 200, headers, body: JSON.stringify({ Protocol: 'EWS', Url: ewsUrl() }) }
  }
  const body = JSON.stringify({ ErrorCode: 'MailboxNotFound', ErrorMessage: 'The mailbox was not found.' })
  return { status: 404, headers, body }
}

/** [MS-OXDSCLI] the answer of the form that Outlook asks. */
function answerPox({ world, ewsUrl, redirects }: AutodiscoverOptions, root: XmlElement): Answer {
  const address = textOf(childOf(root, 'Request'), 'EMailAddress')?.toLowerCase() ?? ''
  const wrap = (content: string) =>
    `<?xml version="1.0" encoding="utf-8"?><Autodiscover xmlns="http://schemas.microsoft.com/exchange/autodiscover/responseschema/2006">${content}</Autodiscover>`
  const own = 'http://schemas.microsoft.com/exchange/autodiscover/outlook/responseschema/2006a'
  const redirect = redirects[address]
  if (redirect !== undefined) {
    const account = element('Account', {}, textElement('Action', 'redirectAddr'), textElement('RedirectAddr', redirect))
    return { status: 200, headers: xml, body: wrap(element('Response', { xmlns: own }, account)) }
  }
  const mailbox = world.mailboxNamed(address)
  if (!mailbox) {
    const error = element(
      'Error',
      { Time: '09:00:00.0000000', Id: '1' },
      textElement('ErrorCode', 500),
      textElement('Message', "The email address can't be found."),
      element('DebugData'),
    )
    return { status: 200, headers: xml, body: wrap(element('Response', {}, error)) }
  }
  const protocol = (type: string) => element('Protocol', {}, textElement('Type', type), textElement('EwsUrl', ewsUrl()))
  const user = element(
    'User',
    {},
    textElement('DisplayName', mailbox.name),
    textElement('AutoDiscoverSMTPAddress', mailbox.address),
  )
  const account = element(
    'Account',
    {},
    textElement('AccountType', 'email'),
    textElement('Action', 'settings'),
    protocol('EXCH'),
    protocol('EXPR'),
  )
  return { status: 200, headers: xml, body: wrap(element('Response', { xmlns: own }, user, account)) }
}

/** [MS-OXWSADISC] GetUserSettings. */
function answerSoap({ world, ewsUrl, redirects }: AutodiscoverOptions, root: XmlElement): Answer {
  const request = childOf(childOf(childOf(root, 'Body'), 'GetUserSettingsRequestMessage'), 'Request')
  const users = childOf(request, 'Users')?.children ?? []
  const settings = (childOf(request, 'RequestedSettings')?.children ?? []).map(each => each.text.trim())
  const values: Readonly<Record<string, string>> = {
    ExternalEwsUrl: ewsUrl(),
    InternalEwsUrl: ewsUrl(),
    GroupingInformation: 'EX1',
    EwsSupportedSchemas: 'Exchange2007, Exchange2010, Exchange2013, Exchange2013_SP1, Exchange2016',
  }
  const responses = users.map(user => {
    const address = textOf(user, 'Mailbox')?.toLowerCase() ?? ''
    const redirect = redirects[address]
    const error = (code: string, message: string, target = '') =>
      element(
        'a:UserResponse',
        {},
        textElement('a:ErrorCode', code),
        textElement('a:ErrorMessage', message),
        target,
        element('a:UserSettings'),
      )
    if (redirect !== undefined)
      return error('RedirectAddress', 'Redirection address.', textElement('a:RedirectTarget', redirect))
    if (!world.mailboxNamed(address)) return error('InvalidUser', `Invalid user: '${address}'`)
    const found = settings
      .filter(name => values[name] !== undefined)
      .map(name =>
        element(
          'a:UserSetting',
          { 'i:type': 'a:StringSetting' },
          textElement('a:Name', name),
          textElement('a:Value', values[name] ?? ''),
        ),
      )
    return element(
      'a:UserResponse',
      {},
      textElement('a:ErrorCode', 'NoError'),
      textElement('a:ErrorMessage', 'No error.'),
      element('a:UserSettings', {}, ...found),
    )
  })
  const body = element(
    'a:GetUserSettingsResponseMessage',
    {},
    element(
      'a:Response',
      { 'xmlns:i': 'http://www.w3.org/2001/XMLSchema-instance' },
      textElement('a:ErrorCode', 'NoError'),
      element('a:ErrorMessage'),
      element('a:UserResponses', {}, ...responses),
    ),
  )
  const text =
    '<?xml version="1.0" encoding="utf-8"?><s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/" ' +
    `xmlns:a="http://schemas.microsoft.com/exchange/2010/Autodiscover"><s:Header/><s:Body>${body}</s:Body></s:Envelope>`
  return { status: 200, headers: xml, body: text }
}
