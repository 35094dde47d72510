import { execFileSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { basename, join } from 'node:path'
import { makeCertificate } from './certificate.ts'
import { type DovecotLayout, delegateScript, dovecotConfig, oauth2Config } from './dovecot-config.ts'
import { countUnread, type MaildirMail, type MaildirOwner, makeMaildir, readMails, writeMails } from './maildir.ts'
import { type ServerProcess, startProcess } from './server-process.ts'
import { imapScope, type TokenServer } from './token-server.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'
import { makeWorkFolder } from './work-folder.ts'

const startMs = 10_000
const startTries = 3
export const dovecotPassword = 'pw'

export interface DovecotOptions {
  /** Mailboxes that exist, by address. Every one has the password `pw` and the folders INBOX, Processed and Error. */
  readonly users: readonly string[]
  /** Whose tokens open mailboxes, by XOAUTH2 and OAUTHBEARER. */
  readonly tokenServer?: Pick<TokenServer, 'issuer' | 'publicKeyPem' | 'keyId'>
  /** Users with full access to other mailboxes: `{ 'shared@contoso.com': ['svc@contoso.com'] }`. */
  readonly delegates?: Readonly<Record<string, readonly string[]>>
  readonly namespace?: DovecotLayout['namespace']
}

export interface Dovecot {
  readonly imapPort: number
  readonly imapsPort: number
  /** The certificate of 127.0.0.1 and localhost, its own authority (PEM). */
  readonly ca: string
  /** Puts unread mails into a folder (INBOX), bytes untouched on disk; UIDs follow their order. See `asDovecotServes`. */
  seed(mailbox: string, mails: Iterable<Uint8Array>, folder?: string): void
  /** What lies in a folder (INBOX), read from disk: also while the server is down. */
  list(mailbox: string, folder?: string): MaildirMail[]
  /** Where INBOX lies, for a mail server that delivers into it. */
  maildir(mailbox: string): string
  readonly owner: MaildirOwner
  /** How many mails of a folder (INBOX) are not marked as read; looks at names only, so it is cheap to ask often. */
  unreadCount(mailbox: string, folder?: string): number
  /** Makes `target` the same mailbox as `source`, UIDs and index files included; mails are hard links. */
  cloneMailbox(source: string, target: string): void
  /** The server's log, errors first. */
  log(): string
  kill9(): Promise<void>
  /** Starts it again, on the same ports and mail. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts a Dovecot of our own on free ports of 127.0.0.1; needs root. */
export async function startDovecot(options: DovecotOptions): Promise<Dovecot> {
  const folder = makeWorkFolder('dov')
  const { path } = folder
  // Mail must not belong to root; nobody is there on every Debian.
  const owner = { uid: idOf('-u'), gid: idOf('-g') }
  const mailFolder = join(path, 'mail')
  let seededCount = 0
  const maildirOf = (mailbox: string, name = 'INBOX') =>
    join(mailFolder, checkedUser(mailbox), name === 'INBOX' ? '' : `.${name.replaceAll('/', '.')}`)

  makeMaildir(mailFolder, owner)
  for (const user of options.users) makeMaildir(maildirOf(user), owner)
  const users = options.users.map(
    user => `${checkedUser(user)}:{PLAIN}${dovecotPassword}:${owner.uid}:${owner.gid}::${mailFolder}/${user}::\n`,
  )
  writeFileSync(join(path, 'users'), users.join(''), { mode: 0o644 })
  makeCertificate(path)

  let ports: number[] = []
  const render = () => {
    const [imapPort = 0, imapsPort = 0] = ports
    const layout = { folder: path, imapPort, imapsPort, owner, namespace: options.namespace }
    if (!options.tokenServer) {
      writeFileSync(join(path, 'dovecot.conf'), dovecotConfig(layout))
      return
    }
    const { issuer, keyId, publicKeyPem } = options.tokenServer
    const withTokens = { ...layout, tokens: { issuer, scope: imapScope } }
    const keyFolder = join(path, 'keys/default/RS256')
    mkdirSync(keyFolder, { recursive: true })
    writeFileSync(join(keyFolder, keyId), publicKeyPem)
    writeFileSync(join(path, 'oauth2.conf.ext'), oauth2Config(withTokens))
    writeFileSync(join(path, 'delegate.lua'), delegateScript(issuer, options.delegates ?? {}))
    writeFileSync(join(path, 'dovecot.conf'), dovecotConfig(withTokens))
  }
  const logText = () =>
    ['log', 'info.log']
      .map(file => join(path, file))
      .filter(file => existsSync(file))
      .map(file => readFileSync(file, 'latin1'))
      .join('')
  const start = async () => {
    const server = startProcess('/usr/sbin/dovecot', ['-c', join(path, 'dovecot.conf'), '-F'])
    try {
      await waitFor('Dovecot to listen', startMs, async () => {
        if (!server.isRunning()) throw new Error('Dovecot ended at once.')
        return (await isListening(ports[0] ?? 0)) && (await isListening(ports[1] ?? 0))
      })
      return server
    } catch (cause) {
      await server.kill9()
      throw new Error(`Dovecot did not start:\n${server.output()}${logText()}`, { cause })
    }
  }

  let server: ServerProcess
  try {
    server = await withFreshPorts(startTries, async () => {
      ports = await freePorts(2)
      render()
      return start()
    })
  } catch (error) {
    folder.remove()
    throw error
  }

  return {
    imapPort: ports[0] ?? 0,
    imapsPort: ports[1] ?? 0,
    ca: readFileSync(join(path, 'cert.pem'), 'utf8'),
    seed(mailbox, mails, name) {
      seededCount += writeMails(maildirOf(mailbox, name), mails, owner, seededCount)
    },
    maildir: mailbox => maildirOf(mailbox),
    owner,
    list: (mailbox, name) => readMails(maildirOf(mailbox, name)),
    unreadCount: (mailbox, name) => countUnread(maildirOf(mailbox, name)),
    cloneMailbox(source, target) {
      cloneMaildir(maildirOf(source), maildirOf(target))
    },
    log: logText,
    kill9: () => server.kill9(),
    async restart() {
      await server.stop()
      server = await start()
    },
    async stop() {
      await server.stop()
      folder.remove()
    },
  }
}

/** A mail as Dovecot 2.3 serves it: a bare LF comes as CRLF, a NUL as 0x80 (IMAP forbids both); a bare CR stays. */
export function asDovecotServes(bytes: Uint8Array): Uint8Array {
  const text = Buffer.from(bytes).toString('latin1')
  return Buffer.from(text.replaceAll(/(?<!\r)\n/g, '\r\n').replaceAll('\0', '\x80'), 'latin1')
}

function idOf(which: '-u' | '-g'): number {
  return Number(execFileSync('id', [which, 'nobody'], { encoding: 'utf8' }))
}

// The address becomes a folder name and a line of the user list.
function checkedUser(user: string): string {
  if (!/^[\w.+-]+@[\w.-]+$/.test(user)) throw new Error(`"${user}" cannot be a mailbox of the test server.`)
  return user
}

function cloneMaildir(source: string, target: string): void {
  rmSync(target, { recursive: true, force: true })
  // cp keeps owner and times, which Dovecot compares with its index; a mail itself is never rewritten, so a link will do.
  execFileSync('cp', ['-a', '--link', source, target])
  for (const file of readdirSync(source, { recursive: true, encoding: 'utf8' })) {
    // Index files are written in place: these need to be copies.
    if (!basename(file).startsWith('dovecot')) continue
    rmSync(join(target, file))
    execFileSync('cp', ['-a', join(source, file), join(target, file)])
  }
}
