import type { IncomingMessage, ServerResponse } from 'node:http'
import { gzipSync } from 'node:zlib'
import { asHubError } from '../../kernel/error.ts'
import { MiB } from '../../kernel/size.ts'
import type { Clock } from '../../kernel/time.ts'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { namespaces } from '../../protocols/ews/write-xml.ts'
import { childOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { strike } from '../twin.ts'
import { type AutodiscoverOptions, answerAutodiscover, isAutodiscover } from './autodiscover.ts'
import type { EwsFaults } from './faults.ts'
import {
  convertId,
  createFolder,
  deleteFolder,
  findFolder,
  getFolder,
  getUserConfiguration,
  resolveNames,
  syncFolderItems,
} from './folder-operations.ts'
import type { EwsGuard } from './guard.ts'
import {
  createAttachment,
  createItem,
  deleteAttachment,
  deleteItem,
  getAttachment,
  getItem,
  updateItem,
} from './item-operations.ts'
import type { Notifications } from './notifications.ts'
import { findItem } from './search.ts'
import { busyText, Session, type TwinAccount, type TwinDirectory } from './session.ts'
import { answerEnvelope, EwsError, fault, faultEnvelope, invalid } from './soap.ts'
import type { TwinMailbox } from './world.ts'

/** A request that the twin answered. */
export interface SeenEwsRequest {
  /** `SyncFolderItems`, `CreateItem`, …; the path where it was none of EWS. */
  readonly operation: string
  readonly status: number
  readonly account: string | null
  readonly mailbox: string | null
  /** `basic`, `ntlm`, `bearer`. */
  readonly how: string | null
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

export interface HandlerParts {
  readonly world: TwinDirectory
  readonly guard: EwsGuard
  readonly notifications: Notifications
  readonly clock: Clock
  readonly concurrencyMax: number
  readonly autodiscover: AutodiscoverOptions
  faults(): EwsFaults
}

const isWrite = /<(?:\w+:)?(?:Create|Update|Delete)(?:Item|Attachment)\b/

const bodyBytesMax = 64 * MiB
const requestsKept = 500
const bodyLettersKept = 20_000

const operations: Readonly<Record<string, (session: Session, request: XmlElement) => string>> = {
  GetFolder: getFolder,
  FindFolder: findFolder,
  CreateFolder: createFolder,
  DeleteFolder: deleteFolder,
  ResolveNames: resolveNames,
  ConvertId: convertId,
  GetUserConfiguration: getUserConfiguration,
  SyncFolderItems: syncFolderItems,
  FindItem: findItem,
  GetItem: getItem,
  CreateItem: createItem,
  UpdateItem: updateItem,
  DeleteItem: deleteItem,
  CreateAttachment: createAttachment,
  GetAttachment: getAttachment,
  DeleteAttachment: deleteAttachment,
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | readonly string[]>>
  readonly body: string
}

interface Seen {
  operation: string
  account: string | null
  mailbox: string | null
  how: string | null
}

/** The twin's request listener: log-in, faults, impersonation, and then the operation. */
export function makeHandler(parts: HandlerParts) {
  const requests: SeenEwsRequest[] = []
  const running = new Map<string, number>()
  const byOperation: Record<string, number> = {}
  let requestCount = 0
  return {
    requests: requests as readonly SeenEwsRequest[],
    get requestCount() {
      return requestCount
    },
    byOperation: byOperation as Readonly<Record<string, number>>,
    handle(request: IncomingMessage, response: ServerResponse) {
      requestCount += 1
      respond(request, response).catch(() => {
        // The client is gone: nobody is left to be told.
        response.destroy()
      })
    },
  }

  async function respond(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const body = await readText(request)
    const faults = parts.faults()
    if (faults.slowMs) await parts.clock.sleep(faults.slowMs)
    const strikes = (fault: { times: number; writesOnly: boolean } | undefined) =>
      fault !== undefined && (!fault.writesOnly || isWrite.test(body)) && strike(fault)
    if (strikes(faults.dropBefore)) {
      response.destroy()
      return
    }
    const seen: Seen = { operation: request.url ?? '', account: null, mailbox: null, how: null }
    const answer = answerTo(request, body, seen, response)
    const name = answer?.status === 401 ? 'log-in' : seen.operation
    byOperation[name] = (byOperation[name] ?? 0) + 1
    const headers = Object.fromEntries(Object.entries(request.headers).map(([each, value]) => [each, String(value)]))
    delete headers['authorization']
    requests.push({ ...seen, status: answer?.status ?? 200, headers, body: body.slice(0, bodyLettersKept) })
    if (requests.length > requestsKept) requests.shift()
    if (!answer) return
    if (strikes(faults.dropAfter)) {
      response.destroy()
      return
    }
    send(request, response, answer, strike(faults.truncate))
  }

  function answerTo(request: IncomingMessage, body: string, seen: Seen, response: ServerResponse): Answer | undefined {
    const faults = parts.faults()
    const path = (request.url ?? '/').split('?')[0]?.toLowerCase() ?? ''
    if (strike(faults.status)) {
      const { status = 500, location } = faults.status ?? {}
      return { status, headers: location === undefined ? {} : { location }, body: '' }
    }
    if (strike(faults.html)) {
      return {
        status: 200,
        headers: { 'content-type': 'text/html' },
        body: '<!DOCTYPE html><html><body>Outlook</body></html>',
      }
    }
    const judgement = faults.refuseLogIns
      ? { challenge: ['NTLM', 'Basic realm="mail.contoso.example"'] }
      : parts.guard.judge(request)
    if (isAutodiscover(path)) {
      return answerAutodiscover(
        parts.autodiscover,
        { path, url: request.url ?? '', method: request.method ?? '', body },
        'challenge' in judgement ? judgement.challenge : undefined,
      )
    }
    if (path !== '/ews/exchange.asmx') return { status: 404, headers: {}, body: '' }
    if ('challenge' in judgement) return { status: 401, headers: { 'www-authenticate': judgement.challenge }, body: '' }
    const { account, how } = judgement
    seen.account = account.user
    seen.how = how
    if (request.method === 'GET') {
      return { status: 200, headers: { 'content-type': 'text/html' }, body: '<html><body>Service</body></html>' }
    }
    if (request.method !== 'POST') return { status: 405, headers: {}, body: '' }
    try {
      const text = operate(account, body, seen, response)
      return text === undefined ? undefined : { status: 200, headers: xml, body: text }
    } catch (thrown) {
      if (!(thrown instanceof EwsError)) throw thrown
      if (thrown.code === 'HTTP503') return { status: 503, headers: { 'retry-after': '1' }, body: '' }
      return { status: 500, headers: xml, body: faultEnvelope(thrown) }
    }
  }

  function operate(account: TwinAccount, body: string, seen: Seen, response: ServerResponse): string | undefined {
    const { header, request } = readEnvelope(body)
    seen.operation = request.name
    const mailbox = whoseMailbox(account, header)
    seen.mailbox = mailbox.address
    const faults = parts.faults()
    throttle(faults)
    const { fail } = faults
    if (fail && (fail.mailbox === undefined || fail.mailbox === mailbox.address) && strike(fail))
      throw fault(fail.code, fail.text)
    const session = new Session(parts.world, account, mailbox, faults)
    const { notifications } = parts
    if (request.name === 'GetStreamingEvents') {
      notifications.stream(session, request, response)
      return undefined
    }
    if (request.name === 'Subscribe') return answerEnvelope(notifications.subscribe(session, request))
    if (request.name === 'Unsubscribe') return answerEnvelope(notifications.unsubscribe(session, request))
    const operation = operations[request.name]
    if (!operation)
      throw fault('ErrorInvalidRequest', `The request is invalid: ${request.name} is not known to the twin.`)
    countRunning(account, response)
    return answerEnvelope(operation(session, request))
  }

  function throttle({ busy }: EwsFaults): void {
    if (!busy || busy.as === 'row' || busy.as === 'inside' || !strike(busy)) return
    if (busy.as === '503') throw fault('HTTP503', 'busy')
    if (busy.as === 'concurrency') throw tooMany(parts.concurrencyMax)
    throw fault('ErrorServerBusy', busyText, { BackOffMilliseconds: String(busy.backOffMs) })
  }

  /** Requests of one account that are not answered to their end yet. */
  function countRunning(account: TwinAccount, response: ServerResponse): void {
    const count = running.get(account.user) ?? 0
    if (count >= parts.concurrencyMax) throw tooMany(parts.concurrencyMax)
    // Whoever hung up while this took its time is not seen to do so any more.
    if (response.destroyed) return
    running.set(account.user, count + 1)
    response.once('close', () => running.set(account.user, (running.get(account.user) ?? 1) - 1))
  }

  function whoseMailbox(account: TwinAccount, header: XmlElement | undefined): TwinMailbox {
    const sid = childOf(childOf(header, 'ExchangeImpersonation'), 'ConnectingSID')
    if (!sid) {
      const own = parts.world.mailboxNamed(account.mailbox ?? account.user)
      if (!own)
        throw fault(
          'ErrorMissingEmailAddress',
          'When making a request as an account that does not have a mailbox, you must specify the mailbox primary SMTP address for any distinguished folder Ids.',
        )
      return own
    }
    const [named] = sid.children
    const address = named?.text.trim().toLowerCase() ?? ''
    const mailbox = parts.world.mailboxNamed(address)
    if (!mailbox) throw fault('ErrorNonExistentMailbox', 'The SMTP address has no mailbox associated with it.')
    if (named?.name === 'PrimarySmtpAddress' && mailbox.address !== address) {
      throw fault(
        'ErrorNonPrimarySmtpAddress',
        'The primary SMTP address must be specified when referencing a mailbox.',
        { Primary: mailbox.address },
      )
    }
    const { impersonates } = account
    if (impersonates === 'nobody') {
      throw fault('ErrorImpersonationDenied', 'The account does not have permission to impersonate the requested user.')
    }
    if (impersonates !== 'everybody' && !impersonates.includes(mailbox.address)) {
      throw fault(
        'ErrorImpersonateUserDenied',
        'The account does not have permission to impersonate the requested user.',
      )
    }
    return mailbox
  }
}

const xml = { 'content-type': 'text/xml; charset=utf-8' }

function tooMany(limit: number): EwsError {
  return fault('ErrorServerBusy', busyText, {
    Policy: 'MaxConcurrency',
    MaxConcurrencyLimit: String(limit),
    ErrorMessage: 'This operation exceeds the throttling budget for policy part MaxConcurrency.',
  })
}

function readEnvelope(body: string): { readonly header: XmlElement | undefined; readonly request: XmlElement } {
  let root: XmlElement
  try {
    root = readEwsXml(body)
  } catch (thrown) {
    throw invalid(asHubError(thrown).message)
  }
  const version = childOf(childOf(root, 'Header'), 'RequestServerVersion')?.attributes.get('Version')
  if (version !== undefined && !/^(Exchange20(07|10|13|15|16)(_SP\d)?|V20\d\d_\d\d_\d\d)$/.test(version)) {
    throw fault('ErrorInvalidServerVersion', 'The specified server version is invalid.')
  }
  const request = childOf(root, 'Body', namespaces.soap)?.children[0]
  if (
    root.name !== 'Envelope' ||
    root.namespace !== namespaces.soap ||
    !request ||
    request.namespace !== namespaces.messages
  ) {
    throw invalid('there is no request in a SOAP envelope')
  }
  return { header: childOf(root, 'Header'), request }
}

function send(request: IncomingMessage, response: ServerResponse, answer: Answer, isCut: boolean): void {
  const mayZip = /\bgzip\b/.test(request.headers['accept-encoding'] ?? '') && answer.body.length > 1400
  const bytes = mayZip ? gzipSync(answer.body) : Buffer.from(answer.body)
  const id = request.headers['client-request-id']
  const headers = {
    ...answer.headers,
    'content-length': bytes.length,
    ...(mayZip && { 'content-encoding': 'gzip' }),
    ...(typeof id === 'string' && { 'request-id': id }),
    ...(request.headers['x-preferserveraffinity'] === 'true' && {
      'set-cookie': 'X-BackEndOverrideCookie=mail.contoso.example~1941962753; path=/; secure; HttpOnly',
    }),
  }
  response.writeHead(answer.status, headers as Record<string, string | string[] | number>)
  if (isCut) response.write(bytes.subarray(0, bytes.length / 2), () => response.destroy())
  else response.end(bytes)
}

async function readText(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes <= bodyBytesMax) chunks.push(chunk)
  }
  return Buffer.concat(chunks).toString()
}
