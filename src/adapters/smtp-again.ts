import { asHubError, type HubError } from '../kernel/error.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'

/**
 * Whether a mail that failed is worth another connection at once: it was certainly not handed over, and the next one may
 * be better. A server that asks to come back later is believed; but through a connector there may be others that are
 * well (`hasOthers`). What is refused in earnest, or to one recipient, would be refused there as well.
 */
export function isWorthAnother(error: HubError, hasOthers: boolean): boolean {
  if (error.isOutcomeUnknown) return false
  if (error.code === smtpErrors.CONNECTION_LOST.code || error.code === netErrors.CONNECTION_LOST.code) return true
  if (!hasOthers || !asksToComeBack.has(error.code) || error.fields['phase'] === endOfMail) return false
  return error.fields['code'] === 421 || beforeRecipients.has(String(error.fields['phase']))
}

const endOfMail = 'end of mail'
const asksToComeBack: ReadonlySet<string> = new Set([
  smtpErrors.REFUSED_FOR_NOW.code,
  smtpErrors.TOO_MANY_CONNECTIONS.code,
])
const beforeRecipients = new Set(['greeting', 'EHLO', 'HELO', 'MAIL FROM'])

/** The failure, marked where it concerns this mail alone: one recipient or these contents have to wait, the server works. */
export function markAboutMail(thrown: unknown): HubError {
  const error = asHubError(thrown)
  const { code, phase, status, reply } = error.fields
  if (error.code !== smtpErrors.REFUSED_FOR_NOW.code || code === 421) return error
  const isAboutContents = phase === endOfMail && code !== 452 && !String(status).startsWith('4.3.')
  if (phase !== 'RCPT TO' && !isAboutContents) return error
  const { server } = error.fields
  return smtpErrors.REFUSED_FOR_NOW(
    { ...error.fields, server, phase, reply },
    {
      cause: error,
      isAboutMessage: true,
      ...(error.retryAfterMs !== undefined && { retryAfterMs: error.retryAfterMs }),
    },
  )
}
