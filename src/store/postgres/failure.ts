import { asHubError, HubError } from '../../kernel/error.ts'
import { storeErrors } from '../errors.ts'

// Classes and codes of https://www.postgresql.org/docs/current/errcodes-appendix.html.
const damaged = /^XX00[12]$/
// No room, memory or connections left, a disk that fails, a server that may only be read.
const takesNothing = /^(53|58030|25006)/
const endOfConnection = /^(08|57P0)/
/** Codes of Node's sockets; PostgreSQL's own have five letters and a digit among them. */
const ofSocket = /^E[A-Z_]+$/

/** Whatever the driver threw, as the error that says whose turn it is. */
export function asStoreError(thrown: unknown): HubError {
  if (thrown instanceof HubError) return thrown
  const text = textOf(thrown)
  const code = codeOf(thrown)
  if (damaged.test(code)) return storeErrors.DAMAGED({ text }, { cause: thrown })
  if (takesNothing.test(code)) return storeErrors.DATABASE_REFUSES({ text }, { cause: thrown })
  if (isConnectionEnd(thrown)) return storeErrors.CONNECTION_LOST({ text }, { cause: thrown })
  return asHubError(thrown)
}

function isConnectionEnd(thrown: unknown): boolean {
  const code = codeOf(thrown)
  // The driver has no code of its own for a connection that ended under a query, or did not answer it.
  return endOfConnection.test(code) || ofSocket.test(code) || /connect|timeout/i.test(code === '' ? textOf(thrown) : '')
}

/** What went wrong, in words; an address that answers on no protocol throws several errors in one without a text. */
export function textOf(thrown: unknown): string {
  if (thrown instanceof AggregateError) return thrown.errors.map(textOf).join(', ')
  return thrown instanceof Error ? thrown.message : String(thrown)
}

function codeOf(thrown: unknown): string {
  return thrown instanceof Error && 'code' in thrown && typeof thrown.code === 'string' ? thrown.code : ''
}
