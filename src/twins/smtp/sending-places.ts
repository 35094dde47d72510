import type { SmtpServerOptions } from './options.ts'

type Policy = NonNullable<SmtpServerOptions['policy']>
type Session = Parameters<NonNullable<Policy['onSending']>>[0]

/**
 * Who may send at the same time: a mail that begins while `countMax` others of the same `owner` are on their way finds no
 * place, and is refused at its end.
 */
export function sendingPlaces(countMax: number, owner: (session: Pick<Session, 'user'>) => string) {
  const places = new Map<string, Set<number>>()
  return {
    enter(session: Session): () => void {
      const taken = places.get(owner(session)) ?? new Set()
      places.set(owner(session), taken)
      if (taken.size < countMax) taken.add(session.connection)
      return () => void taken.delete(session.connection)
    },
    isInside: (session: Pick<Session, 'user' | 'connection'>): boolean =>
      places.get(owner(session))?.has(session.connection) === true,
  }
}
