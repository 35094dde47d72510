import { execFileSync } from 'node:child_process'
import { chownSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type MaildirOwner, readMails } from './maildir.ts'
import { type Delivered, readDeliveries } from './postfix-log.ts'
import { type ServerProcess, startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'
import { makeWorkFolder } from './work-folder.ts'

const startMs = 15_000
const startTries = 3
const daemonFolder = '/usr/lib/postfix/sbin'

/** Mailboxes of another server on this machine, by address, each with its maildir; the mails become the owner's. */
export interface MaildirTargets {
  readonly maildirs: Readonly<Record<string, string>>
  readonly owner: MaildirOwner
}

export interface PostfixOptions {
  /**
   * What becomes of accepted mail for `*@s4.local`: `discard` (default) queues it with fsync and drops it;
   * `maildir` keeps it, so that its bytes can be compared (`received`).
   */
  readonly keep?: 'discard' | 'maildir'
  /** Delivers mail for these addresses as well, as the mail server in front of the mailboxes does. */
  readonly deliverTo?: MaildirTargets
  readonly messageBytesMax?: number
  /** Lets every client wait so many seconds between the end of a mail and the answer; the mail is queued after that. */
  readonly answerAfterSeconds?: number
}

interface Received {
  readonly queueId: string
  /** The mail as it came: Postfix's own headers taken off again, its line ends back to CRLF. */
  readonly bytes: Uint8Array
}

export interface Postfix {
  readonly port: number
  /** Everything it accepted so far, one entry per queue id, from its log. */
  delivered(): Delivered[]
  /** Waits until so many mails were delivered; throws with the log's end when they do not come. */
  waitForDelivered(count: number, timeoutMs: number): Promise<Delivered[]>
  /** The mails themselves (`keep: 'maildir'`); one queue id twice means that Postfix itself delivered twice, after a kill. */
  received(): Received[]
  log(): string
  kill9(): Promise<void>
  /** Starts it again, on the same port and queue. */
  restart(): Promise<void>
  stop(): Promise<void>
}

/** Starts a Postfix of our own on a free port of 127.0.0.1; needs root. It takes mail for `*@s4.local`. */
export async function startPostfix(options: PostfixOptions = {}): Promise<Postfix> {
  const folder = makeWorkFolder('pfx')
  const { path } = folder
  const conf = join(path, 'conf')
  const logFile = join(path, 'maillog')
  const mailFolder = join(path, 'mail')
  const postfixUser = { uid: idOf('-u', 'postfix'), gid: idOf('-g', 'postfix') }
  for (const name of ['conf', 'queue', 'data', 'mail']) mkdirSync(join(path, name))
  for (const name of ['data', 'mail']) chownSync(join(path, name), postfixUser.uid, postfixUser.gid)
  writeFileSync(join(conf, 'main.cf'), mainConfig(path, postfixUser, options))

  let port = 0
  let isChecked = false
  const logText = () => (existsSync(logFile) ? readFileSync(logFile, 'latin1') : '')
  const start = async () => {
    // Makes the queue folders at the first time, and says what is wrong with the configuration.
    // Not again after a kill: what it then finds in the queue it wants to log, and may not write to root's log file.
    if (!isChecked) execFileSync('/usr/sbin/postfix', ['-c', conf, 'check'], { stdio: 'pipe' })
    isChecked = true
    const server = startProcess(join(daemonFolder, 'master'), ['-c', conf, '-s'])
    try {
      await waitFor('Postfix to listen', startMs, async () => {
        if (!server.isRunning()) throw new Error('Postfix ended at once.')
        return isListening(port)
      })
      return server
    } catch (cause) {
      await server.kill9()
      throw new Error(`Postfix did not start:\n${server.output()}${logText()}`, { cause })
    }
  }

  let server: ServerProcess
  try {
    server = await withFreshPorts(startTries, async () => {
      port = (await freePorts(1))[0] ?? 0
      writeFileSync(join(conf, 'master.cf'), masterConfig(port))
      return start()
    })
  } catch (error) {
    folder.remove()
    throw error
  }

  return {
    port,
    delivered: () => readDeliveries(logText()),
    waitForDelivered(count, timeoutMs) {
      return waitFor(`${count} mails in Postfix`, timeoutMs, () => {
        const sent = readDeliveries(logText()).filter(mail => mail.sentCount > 0)
        return sent.length >= count ? sent : undefined
      }).catch(cause => {
        throw new Error(`${String(cause)} The log ends:\n${logText().slice(-3_000)}`, { cause })
      })
    },
    received: () => readMails(join(mailFolder, 'inbox')).map(mail => asItCame(mail.bytes)),
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

function mainConfig(path: string, user: { uid: number; gid: number }, options: PostfixOptions): string {
  const { deliverTo } = options
  if (deliverTo) return baseConfig(path, options) + mailboxConfig(deliverTo)
  const isKept = options.keep === 'maildir'
  const keeping = isKept
    ? `
virtual_mailbox_domains = s4.local
virtual_mailbox_base = ${path}/mail
virtual_mailbox_maps = static:inbox/
virtual_minimum_uid = 1
virtual_uid_maps = static:${user.uid}
virtual_gid_maps = static:${user.gid}
virtual_mailbox_limit = 0`
    : `
relay_domains = s4.local`
  return baseConfig(path, options) + keeping
}

function mailboxConfig({ maildirs, owner }: MaildirTargets): string {
  const domains = new Set(Object.keys(maildirs).map(address => address.split('@')[1]))
  const entries = Object.entries(maildirs).map(([address, maildir]) => `{ ${address} = .${maildir}/ }`)
  return `
virtual_mailbox_domains = ${[...domains].join(' ')}
virtual_mailbox_base = /
virtual_mailbox_maps = inline:{ ${entries.join(' ')} }
virtual_minimum_uid = 1
virtual_uid_maps = static:${owner.uid}
virtual_gid_maps = static:${owner.gid}
virtual_mailbox_limit = 0
`
}

function baseConfig(path: string, options: PostfixOptions): string {
  return `
compatibility_level = 3.6
queue_directory = ${path}/queue
data_directory = ${path}/data
command_directory = /usr/sbin
daemon_directory = ${daemonFolder}
mail_owner = postfix
setgid_group = postdrop
inet_interfaces = 127.0.0.1
inet_protocols = ipv4
myhostname = mx.s4.local
mydestination =
mynetworks = 127.0.0.0/8
default_transport = discard:
relay_transport = discard:
local_transport = error:none
message_size_limit = ${options.messageBytesMax ?? 157_286_400}
smtpd_recipient_restrictions = permit_mynetworks, reject
smtpd_end_of_data_restrictions = ${options.answerAfterSeconds ? `sleep ${options.answerAfterSeconds}` : ''}
smtpd_client_connection_count_limit = 200
alias_maps =
# The queue id names a mail for ever: short ones are given out again.
enable_long_queue_ids = yes
# Nobody's headers are completed or rewritten, so that the bytes stay what they were.
local_header_rewrite_clients =
header_size_limit = 2097152
message_drop_headers =
# A mail may have 50 Received lines before it comes here.
hopcount_limit = 100
maillog_file = ${path}/maillog
maillog_file_prefixes = ${path}
`
}

function masterConfig(port: number): string {
  return `
127.0.0.1:${port} inet n - n - - smtpd
pickup     unix  n  -  n  60     1  pickup
cleanup    unix  n  -  n  -      0  cleanup
qmgr       unix  n  -  n  300    1  qmgr
tlsmgr     unix  -  -  n  1000?  1  tlsmgr
rewrite    unix  -  -  n  -      -  trivial-rewrite
bounce     unix  -  -  n  -      0  bounce
defer      unix  -  -  n  -      0  bounce
trace      unix  -  -  n  -      0  bounce
verify     unix  -  -  n  -      1  verify
flush      unix  n  -  n  1000?  0  flush
proxymap   unix  -  -  n  -      -  proxymap
proxywrite unix  -  -  n  -      1  proxymap
showq      unix  n  -  n  -      -  showq
error      unix  -  -  n  -      -  error
retry      unix  -  -  n  -      -  error
discard    unix  -  -  n  -      -  discard
virtual    unix  -  n  n  -      -  virtual
anvil      unix  -  -  n  -      1  anvil
scache     unix  -  -  n  -      1  scache
postlog    unix-dgram n - n -    1  postlogd
`
}

function idOf(which: '-u' | '-g', user: string): number {
  return Number(execFileSync('id', [which, user], { encoding: 'utf8' }))
}

/** Takes off what Postfix put on top (Return-Path, X-Original-To, Delivered-To, one Received) and restores CRLF. */
function asItCame(kept: Uint8Array): Received {
  const text = Buffer.from(kept).toString('latin1')
  const own = /^(?:(?:Return-Path|X-Original-To|Delivered-To): .*\n)*Received: from .*\n(?:[ \t].*\n)*/.exec(text)?.[0]
  const queueId = own === undefined ? undefined : /\bid (\w+)/.exec(own)?.[1]
  if (own === undefined || queueId === undefined) throw new Error(`Not written by Postfix:\n${text.slice(0, 500)}`)
  const rest = text.slice(own.length).replaceAll('\n', '\r\n')
  return { queueId, bytes: Buffer.from(rest, 'latin1') }
}
