import http, { type IncomingMessage } from 'node:http'
import { z } from 'zod'
import { asHubError, defineErrors, HubError } from '../kernel/error.ts'
import type { Json } from '../kernel/json.ts'
import { MiB } from '../kernel/size.ts'
import { listenOnLoopback } from './listen.ts'
import { type MailboxTwin, readFaults, type Twin } from './twin.ts'

/** Limits of the endpoint; they protect the machine from a mistaken upload, not from an attacker: it is loopback. */
const twinAdminLimits = { faultBytes: 1 * MiB, mailBytes: 150 * MiB }

const twinAdminErrors = defineErrors('TWINADMIN', {
  NO_SUCH_TWIN: {
    side: 'caller',
    retry: 'never',
    means: 'There is no twin {twin}; these run: {names}.',
    next: 'Ask GET /twins for the names.',
  },
  NO_SUCH_PATH: {
    side: 'caller',
    retry: 'never',
    means: '{method} {path} does not exist here.',
    next: 'Use GET /twins, GET /twins/:name, POST or DELETE /twins/:name/faults, POST /twins/:name/mails.',
  },
  NOT_JSON: {
    side: 'caller',
    retry: 'never',
    means: 'The fault document is not JSON: {text}',
    next: 'Send a JSON document with Content-Type application/json.',
  },
  WRONG_TYPE: {
    side: 'caller',
    retry: 'never',
    means: '{path} takes {wanted}, and the request carries {type}.',
    next: 'Set the Content-Type header of the request.',
  },
  NO_MAILBOXES: {
    side: 'caller',
    retry: 'never',
    means: 'The twin {twin} holds no mailboxes.',
    next: 'Deliver to a twin that does, for example exchange-imap.',
  },
  NO_MAILBOX_NAMED: {
    side: 'caller',
    retry: 'never',
    means: 'The request does not say for which mailbox the mail is.',
    next: 'Add ?mailbox=orders@contoso.com, and &folder=… where it is not INBOX.',
  },
  TOO_LARGE: {
    side: 'caller',
    retry: 'never',
    means: 'The request is larger than {bytesMax} bytes.',
    next: 'Send less; the limits stand in twinAdminLimits.',
  },
  NOT_LOCAL: {
    side: 'caller',
    retry: 'never',
    means: 'The endpoint answers only to its loopback address, and the request names {host}.',
    next: 'Call it by 127.0.0.1 or localhost.',
  },
})

export interface TwinAdmin {
  readonly port: number
  /** `http://127.0.0.1:40080` */
  readonly origin: string
  /** Stops the endpoint; the twins go on. */
  stop(): Promise<void>
}

interface Answer {
  readonly status: number
  readonly document: unknown
}

/** One HTTP endpoint on loopback from which all twins are watched, disturbed and fed with mail. */
export async function startTwinAdmin(twins: readonly Twin[], port = 0): Promise<TwinAdmin> {
  const server = http.createServer((request, response) => {
    answer(twins, request)
      .catch(explain)
      .then(({ status, document }) => {
        response.writeHead(status, { 'Content-Type': 'application/json; charset=utf-8', 'Cache-Control': 'no-store' })
        response.end(`${JSON.stringify(document, undefined, 2)}\n`)
      })
      .catch(() => {
        // The caller has hung up: nobody is left to be told.
        response.destroy()
      })
  })
  const listener = await listenOnLoopback(server, port)
  return { port: listener.port, origin: `http://127.0.0.1:${listener.port}`, stop: () => listener.stop() }
}

async function answer(twins: readonly Twin[], request: IncomingMessage): Promise<Answer> {
  refuseForeignNames(request)
  const url = new URL(request.url ?? '/', 'http://127.0.0.1')
  // Names of twins need no escaping, so an escaped one is simply unknown.
  const [, root, name, part, ...rest] = url.pathname.split('/')
  const noSuchPath = () => twinAdminErrors.NO_SUCH_PATH({ method: request.method, path: url.pathname })
  if (root !== 'twins' || rest.length > 0) throw noSuchPath()
  if (name === undefined || name === '') {
    if (request.method !== 'GET') throw noSuchPath()
    return { status: 200, document: { twins: twins.map(summarize) } }
  }
  const twin = twins.find(candidate => candidate.name === name)
  if (!twin) throw twinAdminErrors.NO_SUCH_TWIN({ twin: name, names: twins.map(known => known.name).join(', ') })
  switch (`${request.method} ${part ?? ''}`) {
    case 'GET ':
      return {
        status: 200,
        document: { ...summarize(twin), faults: z.toJSONSchema(twin.faultSchema, { io: 'input' }) },
      }
    case 'POST faults':
      twin.setFaults(await readFaultDocument(twin, request))
      return { status: 200, document: summarize(twin) }
    case 'DELETE faults':
      twin.clearFaults()
      return { status: 200, document: summarize(twin) }
    case 'POST mails':
      return { status: 201, document: await deliver(twin, request, url.searchParams) }
    default:
      throw noSuchPath()
  }
}

function summarize(twin: Twin): { name: string; about: string; ports: Readonly<Record<string, number>>; state: Json } {
  return { name: twin.name, about: twin.about, ports: twin.ports, state: twin.state() }
}

async function readFaultDocument(twin: Twin, request: IncomingMessage): Promise<unknown> {
  requireType(request, ['application/json'])
  const text = (await readBytes(request, twinAdminLimits.faultBytes)).toString()
  let document: unknown
  try {
    document = JSON.parse(text)
  } catch (error) {
    throw twinAdminErrors.NOT_JSON({ text: error instanceof Error ? error.message : String(error) }, { cause: error })
  }
  // Checked here as well, so that no twin has to: a document with a misspelt fault would do nothing without a word.
  readFaults(twin.name, twin.faultSchema, document)
  return document
}

async function deliver(twin: Twin, request: IncomingMessage, query: URLSearchParams): Promise<object> {
  if (!isMailboxTwin(twin)) throw twinAdminErrors.NO_MAILBOXES({ twin: twin.name })
  requireType(request, ['message/rfc822', 'application/octet-stream'])
  const mailbox = query.get('mailbox')
  if (mailbox === null) throw twinAdminErrors.NO_MAILBOX_NAMED()
  const folder = query.get('folder') ?? 'INBOX'
  const mail = await readBytes(request, twinAdminLimits.mailBytes)
  return { mailbox, folder, uid: twin.deliver(mailbox, mail, { folder }), bytes: mail.length }
}

function isMailboxTwin(twin: Twin): twin is MailboxTwin {
  return 'deliver' in twin && typeof twin.deliver === 'function'
}

/** A web page can be made to call loopback under a name of its own (DNS rebinding); browsers send that name. */
function refuseForeignNames(request: IncomingMessage): void {
  const host = request.headers.host ?? ''
  if (!/^(127\.0\.0\.1|localhost)(:\d+)?$/.test(host)) throw twinAdminErrors.NOT_LOCAL({ host })
}

/** The wanted types are none that a form of a foreign web page can send without the browser asking us first. */
function requireType(request: IncomingMessage, wanted: readonly string[]): void {
  const type = (request.headers['content-type'] ?? 'nothing').split(';')[0]?.trim().toLowerCase() ?? ''
  if (!wanted.includes(type)) {
    throw twinAdminErrors.WRONG_TYPE({ path: request.url, wanted: wanted.join(' or '), type })
  }
}

async function readBytes(request: IncomingMessage, bytesMax: number): Promise<Buffer> {
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of request as AsyncIterable<Buffer>) {
    bytes += chunk.length
    // Read to its end, unkept: leaving in the middle would close the connection before the caller hears why.
    if (bytes <= bytesMax) chunks.push(chunk)
  }
  if (bytes > bytesMax) throw twinAdminErrors.TOO_LARGE({ bytesMax })
  return Buffer.concat(chunks)
}

const statusOf: Readonly<Record<string, number>> = {
  [twinAdminErrors.NO_SUCH_TWIN.code]: 404,
  [twinAdminErrors.NO_SUCH_PATH.code]: 404,
  [twinAdminErrors.TOO_LARGE.code]: 413,
  [twinAdminErrors.WRONG_TYPE.code]: 415,
  [twinAdminErrors.NOT_LOCAL.code]: 403,
}

function explain(thrown: unknown): Answer {
  const error = asHubError(thrown)
  const isCallers = thrown instanceof HubError && error.side === 'caller'
  return {
    status: statusOf[error.code] ?? (isCallers ? 400 : 500),
    document: { error: { code: error.code, message: error.message, next: error.next } },
  }
}
