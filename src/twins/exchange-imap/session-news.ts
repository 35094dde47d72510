import type { Connection } from './connection.ts'

/**
 * Writes what others have done to the selected folder since the connection was last told. Without `mayExpunge` nothing
 * is said that would change sequence numbers.
 */
export function tellNews(connection: Connection, mayExpunge: boolean): void {
  for (const line of connection.view?.catchUp(mayExpunge) ?? []) connection.wire.line(`* ${line}`)
}

/** True when the token of the log-in is no longer good: Exchange then ends the session with a BYE. */
export function isTokenOver(connection: Connection): boolean {
  const { token, world } = connection
  if (token === undefined) return false
  return connection.isTokenExpired || world.signIn.verify(token) === undefined
}
