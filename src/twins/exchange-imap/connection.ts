import type { Clock } from '../../kernel/time.ts'
import type { Claims } from '../sign-in/token.ts'
import type { CommandReader } from './command-reader.ts'
import type { ImapFaults } from './faults.ts'
import type { Mailbox, MailboxLimits } from './mailbox.ts'
import type { View } from './view.ts'
import type { Wire } from './wire.ts'

/** Whoever can tell a good token: the sign-in twin, or a stand-in of a test. */
export interface TokenVerifier {
  verify(token: string): Claims | undefined
}

export interface ImapLimits extends MailboxLimits {
  /** Octets of a command without literals; Exchange refuses longer ones. */
  readonly commandBytes: number
  /** Octets of an appended mail. */
  readonly appendBytes: number
  /** A connection that says nothing for so long is closed. */
  readonly inactiveMs: number
}

/** What all connections of the twin share. */
export interface ImapWorld {
  readonly clock: Clock
  readonly signIn: TokenVerifier
  /** LOGIN and AUTHENTICATE PLAIN with the mailbox's password, for clients that know no OAuth. */
  readonly isPasswordAllowed: boolean
  readonly limits: ImapLimits
  /** By address in lower case. */
  readonly mailboxes: ReadonlyMap<string, Mailbox>
  faults(): ImapFaults
  /** Connections that are logged in to this mailbox. */
  connectionCount(mailbox: Mailbox): number
}

/** One client. */
export interface Connection {
  readonly id: number
  readonly world: ImapWorld
  readonly wire: Wire
  readonly reader: CommandReader
  /** `unconnected`: the token was good, the mailbox stays closed ("authenticated but not connected"). */
  state: 'greeted' | 'in' | 'unconnected'
  mailbox: Mailbox | undefined
  /** Who signed in: a user, or an app's client id. */
  user: string | undefined
  token: string | undefined
  isTokenExpired: boolean
  refusedCount: number
  view: View | undefined
  /** Called when the view has news or the token has ended; IDLE listens. */
  wake: () => void
}

/** Thrown to end a connection from within a command; the socket is closed already or about to be. */
export class ConnectionOver extends Error {}
