import { type AddressInfo, connect, createServer, type Socket } from 'node:net'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { ImapConnection } from './connection.ts'
import { readCapabilities } from './login.ts'

/** A greeted client of a scripted server, with its capabilities read. */
export async function openClient(port: number, timeoutMs = 2_000, clock: Clock = systemClock): Promise<ImapConnection> {
  const names = { user: 'orders@contoso.com', credential: 'm365-mail' }
  const connection = new ImapConnection(connect(port, '127.0.0.1'), { clock, timeoutMs, names })
  await connection.greet()
  await readCapabilities(connection)
  return connection
}

/** A mail as the scripted server keeps it. */
interface KeptMail {
  uid: number
  bytes: Buffer
  flags: Set<string>
}

export interface KeptFolder {
  uidValidity: number
  uidNext: number
  mails: KeptMail[]
}

/** Answers a command in its own way; undefined leaves it to the server. `send` writes octets as Latin-1 letters. */
export type Answer = (tag: string, line: string, send: (octets: string | Buffer) => void) => string | undefined

/**
 * A small IMAP server for tests: it speaks over a real socket, keeps mails in memory, and answers any command as a test
 * wants (`when`). It is polite; the habits of Exchange are the business of the twin.
 */
export class ScriptedServer {
  readonly folders = new Map<string, KeptFolder>()
  /** Command lines without their tags, in the order of arrival. */
  readonly lines: string[] = []
  capabilities = 'IMAP4rev1 SASL-IR AUTH=PLAIN AUTH=XOAUTH2 UIDPLUS MOVE IDLE'
  greeting = '* OK ready'
  /** Cuts what is sent into pieces of so many octets, each a packet of its own. */
  pieceBytes = 0
  readonly #server = createServer(socket => this.#serve(socket))
  readonly #sockets = new Set<Socket>()
  #answers: { readonly pattern: RegExp; readonly answer: Answer; left: number }[] = []

  constructor() {
    this.folders.set('INBOX', { uidValidity: 1, uidNext: 1, mails: [] })
  }

  async start(): Promise<number> {
    await new Promise<void>(resolve => {
      this.#server.listen(0, '127.0.0.1', resolve)
    })
    return (this.#server.address() as AddressInfo).port
  }

  async stop(): Promise<void> {
    this.hangUp()
    await new Promise(resolve => {
      this.#server.close(resolve)
    })
  }

  /** Answers commands that fit, so many times (for ever). Later answers come first. */
  when(pattern: RegExp, answer: Answer | string, times = Number.POSITIVE_INFINITY): void {
    const fixed: Answer = typeof answer === 'string' ? tag => `${tag} ${answer}` : answer
    this.#answers.unshift({ pattern, answer: fixed, left: times })
  }

  receive(bytes: string | Buffer, folder = 'INBOX'): number {
    const kept = this.folder(folder)
    const uid = kept.uidNext++
    kept.mails.push({ uid, bytes: Buffer.from(bytes), flags: new Set() })
    for (const socket of this.#sockets) socket.emit('isthmus-news')
    return uid
  }

  folder(name: string): KeptFolder {
    const kept = this.folders.get(name)
    if (!kept) throw new Error(`no folder ${name}`)
    return kept
  }

  /** Says something on every connection that nobody asked for. */
  say(line: string): void {
    for (const socket of this.#sockets) socket.write(`${line}\r\n`, 'latin1')
  }

  hangUp(): void {
    for (const socket of this.#sockets) socket.destroy()
  }

  get connectionCount(): number {
    return this.#sockets.size
  }

  #serve(socket: Socket): void {
    const session = new Session(this, octets => this.#send(socket, octets))
    this.#sockets.add(socket)
    socket.setNoDelay(true)
    socket.on('close', () => this.#sockets.delete(socket))
    socket.on('error', () => socket.destroy())
    socket.on('isthmus-news', () => session.tellNews())
    socket.on('data', chunk => {
      if (session.take(chunk) === 'bye') socket.end()
    })
    this.#send(socket, `${this.greeting}\r\n`)
  }

  #send(socket: Socket, octets: string | Buffer): void {
    const bytes = typeof octets === 'string' ? Buffer.from(octets, 'latin1') : octets
    if (this.pieceBytes === 0) socket.write(bytes)
    else
      for (let at = 0; at < bytes.length; at += this.pieceBytes) socket.write(bytes.subarray(at, at + this.pieceBytes))
  }

  /** What a test wants a command to be answered with. */
  scripted(tag: string, line: string, send: (octets: string | Buffer) => void): string | undefined {
    for (const entry of this.#answers) {
      if (entry.left <= 0 || !entry.pattern.test(line)) continue
      const answer = entry.answer(tag, line, send)
      if (answer === undefined) continue
      entry.left--
      return answer
    }
    return undefined
  }
}

class Session {
  readonly #server: ScriptedServer
  readonly #send: (octets: string | Buffer) => void
  #rest = Buffer.alloc(0)
  #folder: KeptFolder | undefined
  #toldCount = 0
  #awaits: ((line: string) => string | undefined) | undefined
  #idleTag: string | undefined
  #append: { tag: string; folder: string; bytes: number } | undefined

  constructor(server: ScriptedServer, send: (octets: string | Buffer) => void) {
    this.#server = server
    this.#send = send
  }

  tellNews(): void {
    if (this.#idleTag === undefined || !this.#folder) return
    this.#toldCount = this.#folder.mails.length
    this.#send(`* ${this.#toldCount} EXISTS\r\n`)
  }

  take(chunk: Buffer): 'bye' | undefined {
    this.#rest = Buffer.concat([this.#rest, chunk])
    for (;;) {
      if (this.#append) {
        const { tag, folder, bytes } = this.#append
        if (this.#rest.length < bytes + 2) return undefined
        this.#server.receive(this.#rest.subarray(0, bytes), folder)
        this.#rest = this.#rest.subarray(bytes + 2)
        this.#append = undefined
        this.#send(`${tag} OK APPEND completed\r\n`)
        continue
      }
      const end = this.#rest.indexOf('\r\n')
      if (end < 0) return undefined
      const line = this.#rest.toString('latin1', 0, end)
      this.#rest = this.#rest.subarray(end + 2)
      const answer = this.#answer(line)
      if (answer !== undefined && answer !== '') this.#send(`${answer}\r\n`)
      if (/ LOGOUT$/i.test(line)) return 'bye'
    }
  }

  #answer(line: string): string | undefined {
    if (this.#awaits) {
      const next = this.#awaits
      this.#awaits = undefined
      return next(line)
    }
    if (this.#idleTag !== undefined && line === 'DONE') {
      const tag = this.#idleTag
      this.#idleTag = undefined
      this.#server.lines.push('DONE')
      return this.#server.scripted(tag, 'DONE', this.#send) ?? `${tag} OK IDLE completed`
    }
    const [tag = '', ...words] = line.split(' ')
    const command = words.join(' ')
    this.#server.lines.push(command)
    return this.#server.scripted(tag, command, this.#send) ?? this.#usual(tag, command)
  }

  #usual(tag: string, line: string): string {
    const [first = '', second = ''] = line.toUpperCase().split(' ')
    const verb = first === 'UID' ? `UID ${second}` : first
    switch (verb) {
      case 'CAPABILITY':
        return `* CAPABILITY ${this.#server.capabilities}\r\n${tag} OK done`
      case 'AUTHENTICATE':
        return this.#authenticate(tag, line)
      case 'SELECT':
      case 'EXAMINE':
        return this.#select(tag, line)
      case 'UID SEARCH':
        return `* SEARCH${this.#search(line)
          .map(mail => ` ${mail.uid}`)
          .join('')}\r\n${tag} OK done`
      case 'UID FETCH':
        this.#fetch(line)
        return `${tag} OK done`
      case 'UID STORE':
        for (const mail of this.#named(line)) for (const flag of line.match(/\\\w+/g) ?? []) mail.flags.add(flag)
        return `${tag} OK done`
      case 'UID MOVE':
      case 'UID COPY':
        return this.#copy(tag, line, verb === 'UID MOVE')
      case 'UID EXPUNGE':
        this.#remove(this.#named(line).filter(mail => mail.flags.has('\\Deleted')))
        return `${tag} OK done`
      case 'LIST':
        return this.#list(tag, line)
      case 'CREATE':
        this.#server.folders.set(lastName(line), { uidValidity: 1, uidNext: 1, mails: [] })
        return `${tag} OK done`
      case 'APPEND': {
        const bytes = Number(/\{(\d+)\}$/.exec(line)?.[1])
        this.#append = { tag, folder: lastName(line.replace(/ \{\d+\}$/, '')), bytes }
        return '+ go on'
      }
      case 'IDLE':
        this.#idleTag = tag
        this.#send('+ idling\r\n')
        if (this.#folder && this.#folder.mails.length > this.#toldCount) this.tellNews()
        return ''
      default:
        return `${tag} OK done`
    }
  }

  #authenticate(tag: string, line: string): string {
    if (line.split(' ').length > 2) return `${tag} OK welcome`
    this.#awaits = () => `${tag} OK welcome`
    return '+ '
  }

  #select(tag: string, line: string): string {
    const folder = this.#server.folders.get(lastName(line))
    if (!folder) return `${tag} NO [NONEXISTENT] no such folder`
    this.#folder = folder
    this.#toldCount = folder.mails.length
    return [
      `* ${folder.mails.length} EXISTS`,
      `* OK [UIDVALIDITY ${folder.uidValidity}] valid`,
      `* OK [UIDNEXT ${folder.uidNext}] next`,
      `${tag} OK [READ-WRITE] done`,
    ].join('\r\n')
  }

  #search(line: string): KeptMail[] {
    return (this.#folder?.mails ?? []).filter(
      mail =>
        (!/UNSEEN/.test(line) || !mail.flags.has('\\Seen')) &&
        (!/UNDELETED/.test(line) || !mail.flags.has('\\Deleted')),
    )
  }

  #fetch(line: string): void {
    const wantsBody = line.includes('BODY.PEEK[]')
    for (const mail of this.#named(line)) {
      const number = (this.#folder?.mails.indexOf(mail) ?? 0) + 1
      if (!wantsBody) this.#send(`* ${number} FETCH (UID ${mail.uid} RFC822.SIZE ${mail.bytes.length})\r\n`)
      else {
        const head = Buffer.from(`* ${number} FETCH (UID ${mail.uid} BODY[] {${mail.bytes.length}}\r\n`)
        this.#send(Buffer.concat([head, mail.bytes, Buffer.from(')\r\n')]))
      }
    }
  }

  #copy(tag: string, line: string, isMove: boolean): string {
    const target = this.#server.folders.get(lastName(line))
    if (!target) return `${tag} NO [TRYCREATE] no such folder`
    const mails = this.#named(line)
    const to = mails.map(() => target.uidNext++)
    for (const [index, mail] of mails.entries())
      target.mails.push({ ...mail, uid: to[index] ?? 0, flags: new Set(mail.flags) })
    const says = mails.length > 0 && this.#server.capabilities.includes('UIDPLUS')
    const code = says ? `[COPYUID ${target.uidValidity} ${mails.map(({ uid }) => uid).join(',')} ${to.join(',')}] ` : ''
    if (!isMove) return `${tag} OK ${code}done`
    if (says) this.#send(`* OK ${code}moved\r\n`)
    this.#remove(mails)
    return `${tag} OK done`
  }

  #remove(mails: readonly KeptMail[]): void {
    const folder = this.#folder
    if (!folder) return
    for (const mail of mails) {
      const at = folder.mails.indexOf(mail)
      folder.mails.splice(at, 1)
      this.#send(`* ${at + 1} EXPUNGE\r\n`)
    }
    this.#toldCount = folder.mails.length
  }

  #list(tag: string, line: string): string {
    const name = lastName(line)
    const row = this.#server.folders.has(name) ? `* LIST () "/" "${name}"\r\n` : ''
    return `${row}${tag} OK done`
  }

  #named(line: string): KeptMail[] {
    const set = line.split(' ')[2] ?? ''
    const uids = new Set<number>()
    for (const range of set.split(',')) {
      const [from = 0, to = from] = range.split(':').map(Number)
      for (let uid = from; uid <= to; uid++) uids.add(uid)
    }
    return (this.#folder?.mails ?? []).filter(mail => uids.has(mail.uid))
  }
}

/** The quoted string at the end of a command. */
function lastName(line: string): string {
  return /"((?:[^"\\]|\\.)*)"$/.exec(line)?.[1]?.replace(/\\(.)/g, '$1') ?? ''
}
