import net, { type Socket } from 'node:net'
import tls from 'node:tls'
import type { Json } from '../../kernel/json.ts'
import { GiB, MiB } from '../../kernel/size.ts'
import { type Clock, MINUTE, systemClock } from '../../kernel/time.ts'
import { type Listener, listenOnLoopback } from '../listen.ts'
import { type MailboxTwin, readFaults, twinErrors } from '../twin.ts'
import { makeCommandReader } from './command-reader.ts'
import type { Connection, ImapLimits, ImapWorld, TokenVerifier } from './connection.ts'
import { type ImapFaultDocument, type ImapFaults, imapFaults } from './faults.ts'
import { type Content, type Mail, type Mailbox, type MailboxSeed, makeMailbox } from './mailbox.ts'
import { serve } from './session.ts'
import { makeWire } from './wire.ts'

const defaultImapLimits: ImapLimits = {
  commandBytes: 10_240,
  appendBytes: 150 * MiB,
  inactiveMs: 30 * MINUTE,
  foldersPerMailbox: 1_000,
  mailsPerFolder: 200_000,
  mailboxBytes: 2 * GiB,
}

export interface ExchangeImapOptions {
  readonly signIn: TokenVerifier
  /** By address: `{ 'orders@contoso.com': { fullAccess: ['svc@contoso.com'], folders: ['Processed'] } }`. */
  readonly mailboxes: Readonly<Record<string, MailboxSeed>>
  /** PEM; with it the twin speaks IMAPS on `port` and plain IMAP on a port of its own. */
  readonly tls?: { readonly cert: string; readonly key: string }
  readonly port?: number
  /** LOGIN with a mailbox's password, for clients that know no OAuth; off, as in Exchange Online. */
  readonly isPasswordAllowed?: boolean
  readonly clock?: Clock
  readonly limits?: Partial<ImapLimits>
}

/** A connection as tests and the admin endpoint see it. */
interface ConnectionState {
  readonly id: number
  readonly mailbox: string | undefined
  readonly user: string | undefined
  readonly folder: string | undefined
}

/** A command that came, without credentials and literals. */
interface SeenCommand {
  readonly connection: number
  readonly line: string
}

export interface ExchangeImapTwin extends MailboxTwin {
  /** IMAPS with `tls`, plain IMAP without. */
  readonly port: number
  deliver(
    mailbox: string,
    mail: Content,
    place?: { readonly folder?: string; readonly flags?: readonly string[]; readonly receivedAt?: number },
  ): number
  readonly mailboxes: ReadonlyMap<string, Mailbox>
  /** The mails of a folder (INBOX where it is left out), by UID; throws TWIN_NO_SUCH_FOLDER. */
  list(mailbox: string, folder?: string): readonly Mail[]
  /** The faults that are set now. */
  readonly faults: ImapFaults
  setFaults(document: ImapFaultDocument): void
  readonly connections: readonly ConnectionState[]
  /** The last commands, oldest first. */
  readonly commands: readonly SeenCommand[]
  /** Cuts every connection, as a restart of the server does. */
  dropConnections(): void
}

const commandsKept = 10_000

/** Starts a look-alike of the IMAP side of Exchange Online on loopback. */
export async function startExchangeImap(options: ExchangeImapOptions): Promise<ExchangeImapTwin> {
  const clock = options.clock ?? systemClock
  const limits = { ...defaultImapLimits, ...options.limits }
  const mailboxes = new Map(
    Object.entries(options.mailboxes).map(([address, seed]) => [
      address.toLowerCase(),
      makeMailbox(address, seed, limits),
    ]),
  )
  const connections = new Map<Connection, Socket>()
  const commands: SeenCommand[] = []
  let faults: ImapFaults = {}
  let connectionCount = 0

  const world: ImapWorld = {
    clock,
    signIn: options.signIn,
    isPasswordAllowed: options.isPasswordAllowed ?? false,
    limits,
    mailboxes,
    faults: () => faults,
    connectionCount: mailbox => [...connections.keys()].filter(other => other.mailbox === mailbox).length,
  }

  function accept(socket: Socket): void {
    socket.setNoDelay(true)
    socket.setTimeout(limits.inactiveMs, () => socket.destroy())
    // A client that goes away in the middle is no news to a server.
    socket.on('error', () => socket.destroy())
    connectionCount += 1
    const connection: Connection = {
      id: connectionCount,
      world,
      wire: makeWire(socket, clock, () => faults.slowWrite?.bytesPerSecond),
      reader: makeCommandReader(readChunks(socket), line => {
        commands.push({ connection: connection.id, line })
        if (commands.length > commandsKept) commands.shift()
      }),
      state: 'greeted',
      mailbox: undefined,
      user: undefined,
      token: undefined,
      isTokenExpired: false,
      refusedCount: 0,
      view: undefined,
      wake() {},
    }
    connections.set(connection, socket)
    socket.once('close', () => connections.delete(connection))
    serve(connection)
      .catch(() => {
        // The socket broke under a command; the client sees the same.
      })
      // Sends what is left, says good-bye in TLS, and lets go.
      .finally(() => socket.destroySoon())
  }

  async function* readChunks(socket: Socket): AsyncGenerator<Buffer, undefined> {
    for await (const chunk of socket as AsyncIterable<Buffer>) {
      const speed = faults.slowRead?.bytesPerSecond
      if (speed !== undefined) await clock.sleep((chunk.length * 1000) / speed)
      yield chunk
    }
    return undefined
  }

  const plain = await listenOnLoopback(net.createServer(accept), options.tls ? 0 : options.port)
  const secure = options.tls ? await listenOnLoopback(tls.createServer(options.tls, accept), options.port) : undefined
  const listeners: readonly Listener[] = secure ? [plain, secure] : [plain]

  function folderOf(address: string, name = 'INBOX') {
    const folder = mailboxes.get(address.toLowerCase())?.folder(name)
    if (!folder) throw twinErrors.NO_SUCH_FOLDER({ mailbox: address, folder: name })
    return folder
  }

  const twin: ExchangeImapTwin = {
    name: 'exchange-imap',
    about: 'The IMAP side of Exchange Online: XOAUTH2, own and shared mailboxes, faults on request.',
    port: (secure ?? plain).port,
    ports: secure ? { imaps: secure.port, imap: plain.port } : { imap: plain.port },
    mailboxes,
    deliver: (mailbox, content, place = {}) =>
      folderOf(mailbox, place.folder).add(content, place.flags ?? [], place.receivedAt ?? clock.now()).uid,
    list: (mailbox, folder) => folderOf(mailbox, folder).mails(),
    faultSchema: imapFaults,
    get faults() {
      return faults
    },
    setFaults(document) {
      const next = readFaults('exchange-imap', imapFaults, document)
      const { uidValidityChanged, tokenExpired } = next
      if (uidValidityChanged) folderOf(uidValidityChanged.mailbox, uidValidityChanged.folder).renumber()
      faults = next
      if (!tokenExpired) return
      for (const connection of connections.keys()) {
        connection.isTokenExpired = connection.token !== undefined
        connection.wake()
      }
    },
    clearFaults() {
      faults = {}
    },
    get connections() {
      return [...connections.keys()].map(({ id, mailbox, user, view }) => ({
        id,
        mailbox: mailbox?.address,
        user,
        folder: view?.folder.name,
      }))
    },
    commands,
    dropConnections() {
      for (const socket of connections.values()) socket.destroy()
    },
    state: (): Json => ({
      faults: JSON.parse(JSON.stringify(faults)),
      mailboxes: [...mailboxes.values()].map(mailbox => ({
        address: mailbox.address,
        fullAccess: [...mailbox.fullAccess],
        folders: [...mailbox.folders.values()].map(folder => ({
          name: folder.name,
          mails: folder.uids.length,
          unseen: folder.mails().filter(mail => !mail.flags.has('\\Seen')).length,
          uidValidity: folder.uidValidity,
        })),
      })),
      connections: twin.connections.map(({ id, mailbox, user, folder }) => ({
        id,
        mailbox: mailbox ?? null,
        user: user ?? null,
        folder: folder ?? null,
      })),
    }),
    async stop() {
      await Promise.all(listeners.map(listener => listener.stop()))
    },
  }
  return twin
}
