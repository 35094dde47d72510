import { HubError } from '../../kernel/error.ts'
import type { JsonObject } from '../../kernel/json.ts'
import { DAY } from '../../kernel/time.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { localTimeAt } from '../../protocols/time-zone/local-time.ts'
import { ianaOfZone, windowsZones } from '../../protocols/time-zone/windows-zones.ts'
import { userPath } from './places.ts'
import { instantAt, objectAt, textAt } from './row.ts'

/** In so long the clocks of every zone are changed that has them changed. */
const lookedAtMs = 400 * DAY
const inUtc = ['outlook.timezone="UTC"']

/**
 * An event with the zone in which it keeps its hour. Graph does not name the zone of a series that another calendar has
 * sent (`tzone://Microsoft/Custom`), nor its rules; but it tells when the occurrences begin.
 */
export async function withZone(
  client: GraphClient,
  mailbox: string,
  event: JsonObject,
  signal: AbortSignal,
): Promise<JsonObject> {
  const range = objectAt(objectAt(event, 'recurrence'), 'range')
  const isSeries = Object.keys(range).length > 0 && event['isAllDay'] !== true
  if (!isSeries || ianaOfZone(textAt(event, 'originalStartTimeZone')) !== undefined) return event
  const named = ianaOfZone(textAt(range, 'recurrenceTimeZone'))
  const zone = named ?? (await zoneOfStarts(client, mailbox, event, textAt(range, 'startDate'), signal))
  return { ...event, originalStartTimeZone: zone }
}

async function zoneOfStarts(
  client: GraphClient,
  mailbox: string,
  event: JsonObject,
  firstDay: string,
  signal: AbortSignal,
): Promise<string> {
  const first = Date.parse(`${textAt(objectAt(event, 'start'), 'dateTime').slice(0, 19)}Z`)
  const starts = [first, ...(await startsFrom(client, mailbox, textAt(event, 'id'), first, signal))]
  const own = await zoneOfMailbox(client, mailbox, signal)
  const fits = (zone: string) => {
    const [begin = '', ...others] = starts.map(at => localTimeAt(at, zone))
    return begin.slice(0, 10) === firstDay && others.every(other => other.slice(11) === begin.slice(11))
  }
  if (own !== undefined && fits(own)) return own
  // Its hour is the same in UTC all through the year: no clock is changed.
  if (starts.every(at => (at - first) % DAY === 0)) return 'UTC'
  const fitting = windowsZones.map(name => ianaOfZone(name) ?? 'UTC').filter(fits)
  // Of zones whose clocks are changed on the same days any one will do; people meet by day.
  const fromNoon = (zone: string) => Math.abs(Number(localTimeAt(first, zone).slice(11, 13)) - 12)
  return fitting.toSorted((one, other) => fromNoon(one) - fromNoon(other))[0] ?? 'UTC'
}

/** When the occurrences of a series begin by its pattern. */
async function startsFrom(
  client: GraphClient,
  mailbox: string,
  id: string,
  from: number,
  signal: AbortSignal,
): Promise<readonly number[]> {
  const [start, end] = [from, from + lookedAtMs].map(at => encodeURIComponent(new Date(at).toISOString()))
  const query = `startDateTime=${start}&endDateTime=${end}&$select=id,start,originalStart`
  const path = `${userPath(mailbox)}/events/${encodeURIComponent(id)}/instances?${query}`
  const starts: number[] = []
  for await (const row of client.list(path, inUtc, signal)) {
    const at = Date.parse(instantAt(row, 'originalStart') ?? '')
    if (!Number.isNaN(at)) starts.push(at)
  }
  return starts
}

/** The zone that somebody has chosen for a mailbox; most who write to it live in the same. */
async function zoneOfMailbox(client: GraphClient, mailbox: string, signal: AbortSignal): Promise<string | undefined> {
  try {
    const path = `${userPath(mailbox)}/mailboxSettings?$select=timeZone`
    return ianaOfZone(textAt(await client.object({ method: 'GET', path }, signal), 'timeZone'))
  } catch (thrown) {
    // It is only a good guess: an application without the right to it guesses from all zones.
    if (!(thrown instanceof HubError) || thrown.retry === 'soon') throw thrown
    return undefined
  }
}
