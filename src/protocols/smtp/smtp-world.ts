import { createServer, type Socket } from 'node:net'
import { type Body, heldBody } from '../../kernel/body.ts'
import { HubError } from '../../kernel/error.ts'
import { systemClock } from '../../kernel/time.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import type { SmtpServerOptions } from '../../twins/smtp/options.ts'
import { type SmtpTwinServer, startSmtpServer } from '../../twins/smtp/server.ts'
import { makeConnect } from '../net/connect.ts'
import { parseAddress } from './address.ts'
import type { SmtpConnection } from './connection.ts'
import { inspectContent } from './content.ts'
import { SmtpPool, type SmtpPoolOptions } from './pool.ts'
import { defaultTimeouts, openSession, type SmtpServer } from './session.ts'
import type { Mail } from './transaction.ts'

/** What the tests of the SMTP client share: servers that are stopped afterwards, sessions, mails. */
export const order = 'From: buyer@contoso.example\r\nMessage-ID: <1@contoso.example>\r\n\r\nFive pumps, please.\r\n'

export const surroundings = { connect: makeConnect(), clock: systemClock }
export const quickTimeouts = {
  ...defaultTimeouts,
  greetingMs: 5000,
  commandMs: 5000,
  dataStartMs: 5000,
  dataBlockMs: 5000,
  dataEndMs: 5000,
}

const closing: (() => Promise<unknown>)[] = []
export function closeLater(close: () => Promise<unknown>): void {
  closing.push(close)
}

export async function closeWorld(): Promise<void> {
  for (const close of closing.splice(0).toReversed()) await close()
}

export async function twin(options: Partial<SmtpServerOptions> = {}): Promise<SmtpTwinServer> {
  const server = await startSmtpServer({ name: 'twin.example', ...options })
  closing.push(() => server.stop())
  return server
}

export function serverAt(port: number, options: Partial<SmtpServer> = {}): SmtpServer {
  return { host: '127.0.0.1', port, security: 'none', timeouts: quickTimeouts, ...options }
}

export async function session(port: number, options: Partial<SmtpServer> = {}): Promise<SmtpConnection> {
  const connection = await openSession(serverAt(port, options), surroundings)
  closing.push(() => connection.quit(100))
  return connection
}

/** A pool of four connections, unless said otherwise. */
export function poolAt(port: number, options: Partial<SmtpPoolOptions> = {}): SmtpPool {
  const pool = new SmtpPool({
    server: `127.0.0.1:${port}`,
    connectionsMax: 4,
    idleMs: 5000,
    mailsPerConnectionMax: 1000,
    timeouts: quickTimeouts,
    clock: systemClock,
    open: signal => openSession(serverAt(port), surroundings, signal),
    ...options,
  })
  closing.push(() => pool.close())
  return pool
}

export async function mail(body: Body | string = order, options: Partial<Mail> = {}): Promise<Mail> {
  return {
    name: '<1@contoso.example>',
    from: parseAddress('buyer@contoso.example'),
    to: [parseAddress('orders@s4.example')],
    content: await inspectContent(typeof body === 'string' ? heldBody(body, 'message/rfc822') : body),
    someRefused: 'deliver',
    whenUnknown: 'never',
    beforeCommit: async () => {},
    ...options,
  }
}

/** The HubError that something ended with. */
export async function failure(running: Promise<unknown>): Promise<HubError> {
  const thrown = await running.then(
    value => value,
    (error: unknown) => error,
  )
  if (thrown instanceof HubError) return thrown
  throw new Error(`no HubError: ${JSON.stringify(thrown) ?? String(thrown)}`)
}

/** A server that says its lines whatever it hears: one answer to each line, the last one for ever. */
export async function scripted(
  answers: readonly string[],
  onLine: (line: string, socket: Socket) => void = () => {},
): Promise<{ readonly port: number; readonly heard: string[] }> {
  const heard: string[] = []
  const server = createServer({ noDelay: true }, socket => {
    socket.on('error', () => {})
    let at = 0
    const say = () => {
      const answer = answers[Math.min(at++, answers.length - 1)]
      if (answer) socket.write(answer)
    }
    say()
    let rest = ''
    socket.on('data', chunk => {
      const lines = (rest + chunk.toString('latin1')).split('\r\n')
      rest = lines.pop() ?? ''
      for (const line of lines) {
        heard.push(line)
        onLine(line, socket)
        say()
      }
    })
  })
  const listener = await listenOnLoopback(server)
  closing.push(() => listener.stop())
  return { port: listener.port, heard }
}
