import { KiB, MiB } from '../../kernel/size.ts'
import { DAY, MINUTE } from '../../kernel/time.ts'

/** What a server may ask of this client, and what the client asks of a server. */
export const imapLimits = {
  /** One response line. A SEARCH answers a whole folder on one line: 8 MiB are about a million mails. */
  lineBytes: 8 * MiB,
  /** The largest literal that is read at all; RFC 9051 section 9 allows 63 bits. */
  literalBytes: 4 * 1024 * MiB,
  /** Literals inside one response (a FETCH row of ours has one). */
  literalsPerResponse: 64,
  /** A literal that is not the body of a mail (a folder name, a line of text). */
  smallLiteralBytes: 64 * KiB,
  /** Untagged responses during one command. */
  untaggedPerCommand: 1_000_000,
  /** Bodies up to this are handed over as a whole; larger ones are streamed. */
  heldBytes: 1 * MiB,
  /** Bodies handed over and not yet taken by the caller; above it the socket is paused. */
  untakenBytes: 16 * MiB,
  /** Octets of one streamed body that wait for their reader; above it the socket is paused. */
  streamBytes: 512 * KiB,
  /** Octets of a streamed body that its reader gets at once. */
  pieceBytes: 128 * KiB,
  /** A command line: Exchange refuses lines above 10,240 bytes. */
  commandBytes: 8_000,
  /** Firewalls and Exchange drop silent connections long before the 29 minutes of RFC 2177. */
  idleRenewMs: 9 * MINUTE,
} as const

/** How long a server may keep a command going that it does not end, though it is never silent for long. */
export const patienceLimits = {
  /** What a command may take, beside `timeout`, that moves no data; with data, the time in which `termBytes` have to come. */
  termMs: 10 * MINUTE,
  /** 1 KiB a second, an eighth of a line of 64 kbit/s: whatever brings it is given another `termMs`. */
  termBytes: 600 * KiB,
  /** One command, whatever it brings. */
  commandMs: DAY,
} as const
