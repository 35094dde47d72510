import { DAY, formatDuration, MINUTE } from '../kernel/time.ts'
import type { Finding } from './alerts/alert-book.ts'
import type { WatchedConnector, WatchedLocation } from './watched.ts'

/** A connector that starts anew is back within this time. */
const awayGraceMs = MINUTE
/** A connector renews its certificate 30 days before it ends; one that has not by then cannot. */
const certificateWarnMs = 20 * DAY

/** A location that flows use and that has no connected connector. `location` is undefined where none is enrolled. */
export function findLocation(
  name: string,
  location: WatchedLocation | undefined,
  flows: readonly string[],
  now: number,
): Finding {
  const id = `location:${name}`
  const awaySince = location ? location.awaySince : now - awayGraceMs
  const isAway = awaySince !== undefined && now - awaySince >= awayGraceMs
  if (!isAway) return { id, kind: 'location', channels: [], trouble: undefined }
  const used = `${flows.length === 1 ? 'flow' : 'flows'} ${flows.join(', ')}`
  const away = formatDuration(now - awaySince)
  return {
    id,
    kind: 'location',
    channels: [],
    trouble: {
      since: awaySince,
      what: location
        ? `No connector of location ${name} has been connected for ${away}; it is used by ${used}.`
        : `No connector is enrolled for location ${name}, which is used by ${used}.`,
      turn: 'Whoever runs the connector over there.',
      next: location
        ? 'Look whether isthmus-connector runs there, and at its log; it dials out to the hub by itself.'
        : 'Enrol a connector for the location, or correct via in the flow.',
      command: location ? `isthmus connector check ${name}` : `isthmus connector enrol ${name}`,
    },
  }
}

/** A connector whose certificate ends soon, although it renews by itself. */
export function findConnector(connector: WatchedConnector, now: number): Finding {
  const { id, name, location, state, certificateEndsAt } = connector
  const isShort = state !== 'revoked' && certificateEndsAt - now <= certificateWarnMs
  return {
    id: `connector:${id}`,
    kind: 'connector',
    channels: [],
    trouble: isShort
      ? {
          since: certificateEndsAt - certificateWarnMs,
          what: `The certificate of connector ${name} (${id}) of ${location} ends on ${new Date(certificateEndsAt).toISOString()}.`,
          turn: 'Whoever runs the connector over there.',
          next: 'It renews by itself while it runs: start it, look at its log, enrol it again, or revoke it if it is gone.',
          command: `isthmus connector show ${id}`,
        }
      : undefined,
  }
}
