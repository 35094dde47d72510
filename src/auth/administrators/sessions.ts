import { hash, randomBytes } from 'node:crypto'
import { type Clock, HOUR, MINUTE } from '../../kernel/time.ts'
import type { Records } from '../../store/port.ts'

export const sessionLimits = {
  /** From the log-in on. */
  absoluteMs: 8 * HOUR,
  /** Without a call. */
  idleMs: 30 * MINUTE,
  /** Of one administrator; the oldest ends first. */
  perPerson: 20,
  /** How much of the last use a hub that is killed may forget. */
  flushMs: MINUTE,
}

/** A browser in which an administrator logged in. Times are milliseconds since 1970 UTC. */
export interface Session {
  readonly administrator: string
  readonly beganAt: number
  readonly seenAt: number
  readonly address: string
  /** What the identity provider said of somebody who is no administrator of the hub itself. */
  readonly groups?: readonly string[]
}

/** Sessions by a random id that only the browser has: the hub keeps its digest. They outlive a restart. */
export interface Sessions {
  /** Always a new id, whatever the browser had before. */
  begin(administrator: string, address: string, groups?: readonly string[]): Promise<string>
  /** The session as long as it counts; each use makes it last. */
  use(id: string): Promise<Session | undefined>
  /** The same, without making it last: for what goes on by itself in a browser that nobody may be at. */
  look(id: string): Session | undefined
  end(id: string): Promise<void>
  /** Ends all of an administrator, but the one that is kept. Returns how many. */
  endAllOf(administrator: string, keptId?: string): Promise<number>
  listOf(administrator: string): readonly Session[]
}

const area = 'administrator-session'

interface SessionsOptions {
  readonly records: Pick<Records, 'list' | 'write' | 'remove'>
  readonly clock: Clock
}

export async function openSessions({ records, clock }: SessionsOptions): Promise<Sessions> {
  const sessions = new Map<string, Session & { readonly writtenAt: number }>()
  for (const { id, value } of await records.list(area)) {
    // The shape that `write` gives it; nobody else writes this area.
    const session = value as unknown as Session
    sessions.set(id, { ...session, writtenAt: session.seenAt })
  }
  await endStale()

  async function write(digest: string, session: Session): Promise<void> {
    const { administrator, beganAt, seenAt, address, groups } = session
    sessions.set(digest, { ...session, writtenAt: seenAt })
    await records.write(area, digest, { v: 1, administrator, beganAt, seenAt, address, ...(groups && { groups }) })
  }

  async function remove(digest: string): Promise<void> {
    // Unknown ids come from anywhere and cost the store nothing.
    if (sessions.delete(digest)) await records.remove(area, digest)
  }

  function counts({ beganAt, seenAt }: Session): boolean {
    const now = clock.now()
    return now - beganAt < sessionLimits.absoluteMs && now - seenAt < sessionLimits.idleMs
  }

  async function endStale(): Promise<void> {
    for (const [digest, session] of sessions) if (!counts(session)) await remove(digest)
  }

  const ofPerson = (administrator: string) =>
    [...sessions]
      .filter(([, session]) => session.administrator === administrator && counts(session))
      .toSorted(([, one], [, other]) => one.beganAt - other.beganAt)

  return {
    async begin(administrator, address, groups) {
      await endStale()
      const open = ofPerson(administrator)
      const tooMany = Math.max(0, open.length + 1 - sessionLimits.perPerson)
      for (const [digest] of open.slice(0, tooMany)) await remove(digest)
      const id = randomBytes(32).toString('base64url')
      const now = clock.now()
      await write(digestOf(id), { administrator, beganAt: now, seenAt: now, address, ...(groups && { groups }) })
      return id
    },
    async use(id) {
      const digest = digestOf(id)
      const session = sessions.get(digest)
      if (!session) return undefined
      if (!counts(session)) {
        await remove(digest)
        return undefined
      }
      const seen = { ...session, seenAt: clock.now() }
      if (seen.seenAt - session.writtenAt >= sessionLimits.flushMs) await write(digest, seen)
      else sessions.set(digest, seen)
      return seen
    },
    look(id) {
      const session = sessions.get(digestOf(id))
      return session && counts(session) ? session : undefined
    },
    end: id => remove(digestOf(id)),
    async endAllOf(administrator, keptId) {
      const kept = keptId === undefined ? undefined : digestOf(keptId)
      const ended = ofPerson(administrator).filter(([digest]) => digest !== kept)
      for (const [digest] of ended) await remove(digest)
      return ended.length
    },
    listOf: administrator => ofPerson(administrator).map(([, { writtenAt: _kept, ...session }]) => session),
  }
}

function digestOf(id: string): string {
  return hash('sha256', id, 'base64url')
}
