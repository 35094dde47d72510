import type { HubError } from '../../kernel/error.ts'
import { HOUR, MINUTE, SECOND } from '../../kernel/time.ts'
import { imapErrors } from './errors.ts'
import { readableLine, type StatusLine } from './response.ts'

/** Names for the sentences of errors. */
export interface ImapNames {
  /** The mailbox. */
  readonly user: string
  readonly credential: string
}

const backOffMs = {
  /** A refused mailbox needs a person; asking often makes Exchange lock the account. */
  notAuthorised: 15 * MINUTE,
  /** Throttled without a hint. */
  throttled: 5 * MINUTE,
  busy: 30 * SECOND,
  /** No server's wish keeps a mailbox silent for longer. */
  max: 2 * HOUR,
}

/**
 * The error behind a NO, BAD or BYE. The texts of Exchange decide before the command does, so that a throttled log-in
 * is not taken for a refused credential. `folder`: the folder the command named.
 */
export function explainRefusal(line: StatusLine, command: string, names: ImapNames, folder?: string): HubError {
  const answer = readableLine(`${line.status} ${line.code === '' ? '' : `[${line.code}] `}${line.text}`)
  const { user, credential } = names
  if (/throttled|backoff time/i.test(answer)) {
    return imapErrors.THROTTLED({ user, answer }, { retryAfterMs: throttleMs(answer) })
  }
  if (/authenticated but not connected/i.test(answer)) {
    return imapErrors.CONNECTED_NOT_AUTHORISED({ user }, { retryAfterMs: backOffMs.notAuthorised })
  }
  if (/AccessTokenExpired|session invalidated/i.test(answer)) return imapErrors.TOKEN_EXPIRED({ user })
  if (
    /^UNAVAILABLE|^INUSE|^LIMIT/i.test(line.code) ||
    /server unavailable|server busy|too many|maximum number of/i.test(answer)
  ) {
    return imapErrors.SERVER_BUSY({ answer }, { retryAfterMs: backOffMs.busy })
  }
  if (line.status === 'BYE') return imapErrors.CONNECTION_LOST({ user, text: answer })
  if (
    /^(AUTHENTICATIONFAILED|AUTHORIZATIONFAILED|EXPIRED)/i.test(line.code) ||
    (isLogIn(command) && line.status === 'NO')
  ) {
    return imapErrors.AUTH_REFUSED({ user, credential, answer })
  }
  if (folder !== undefined && saysMissing(line)) return imapErrors.FOLDER_MISSING({ user, folder, answer })
  return imapErrors.COMMAND_REFUSED({ command, answer })
}

function isLogIn(command: string): boolean {
  return command === 'AUTHENTICATE' || command === 'LOGIN'
}

function saysMissing(line: StatusLine): boolean {
  if (/^(TRYCREATE|NONEXISTENT)/i.test(line.code)) return true
  // The mail may be what is missing: somebody else moved it away.
  if (/\bmessages?\b/i.test(line.text)) return false
  return /n['o]t exist|not (be )?found|no such|unknown (mailbox|folder)|nonexistent/i.test(line.text)
}

function throttleMs(answer: string): number {
  const hint = /Backoff Time:?\s*(\d{1,12})\s*(milliseconds|seconds)?/i.exec(answer)
  if (!hint) return backOffMs.throttled
  const ms = Number(hint[1]) * (hint[2]?.toLowerCase() === 'seconds' ? SECOND : 1)
  return Math.min(ms, backOffMs.max)
}
