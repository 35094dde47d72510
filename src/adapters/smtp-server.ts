import { readFile } from 'node:fs/promises'
import { resolve } from 'node:path'
import type { ReceiverContext } from '../flow/adapter.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'
import { SmtpPool } from '../protocols/smtp/pool.ts'
import { openSession, type SmtpServer, type SmtpTimeouts } from '../protocols/smtp/session.ts'
import type { SmtpConfig, SmtpServerConfig } from './smtp-config.ts'

type Surroundings = Pick<ReceiverContext<unknown>, 'connect' | 'clock' | 'credential' | 'folder'>

/** A server from the document, with its certificate read. Throws SMTP_CA_UNREADABLE. */
export async function describeServer(
  config: SmtpServerConfig,
  timeouts: SmtpTimeouts,
  { credential, folder }: Surroundings,
): Promise<SmtpServer> {
  const { auth, ca, user } = config
  return {
    host: config.host,
    port: config.port ?? (config.security === 'tls' ? 465 : auth === undefined ? 25 : 587),
    security: config.security,
    via: config.via,
    helo: config.helo,
    timeouts,
    ...(ca !== undefined && { tls: { ca: await readCertificate(resolve(folder, ca)) } }),
    ...(auth !== undefined && { login: async () => ({ credential: await credential(auth), user }) }),
  }
}

async function readCertificate(file: string): Promise<string> {
  let text: string
  try {
    text = await readFile(file, 'utf8')
  } catch (cause) {
    throw smtpErrors.CA_UNREADABLE({ file, text: cause instanceof Error ? cause.message : String(cause) }, { cause })
  }
  if (!text.includes('-----BEGIN CERTIFICATE-----')) throw smtpErrors.CA_UNREADABLE({ file, text: 'it is not PEM' })
  return text
}

export function readTimeouts({ timeouts }: SmtpConfig): SmtpTimeouts {
  return {
    connectMs: timeouts.connect,
    greetingMs: timeouts.greeting,
    commandMs: timeouts.command,
    dataStartMs: timeouts['data-start'],
    dataBlockMs: timeouts['data-block'],
    dataEndMs: timeouts['data-end'],
  }
}

// A server that is reached directly is the same each time; opening a connection for each mail would gain nothing.
const mailsPerConnection = { direct: 100, through: 1 }

/** Connections to a server, with the limits of the document. */
export function openPool(server: SmtpServer, config: SmtpConfig, surroundings: Surroundings): SmtpPool {
  return new SmtpPool({
    server: `${server.host}:${server.port}`,
    connectionsMax: config.connections,
    mailsPerConnectionMax:
      config['mails-per-connection'] ??
      (server.via === undefined ? mailsPerConnection.direct : mailsPerConnection.through),
    idleMs: config.idle,
    timeouts: server.timeouts,
    clock: surroundings.clock,
    open: signal => openSession(server, surroundings, signal),
  })
}
