import { HubError } from '../../kernel/error.ts'
import { DAY } from '../../kernel/time.ts'
import type { GraphClient } from '../../protocols/graph/client.ts'
import { graphErrors } from '../../protocols/graph/errors.ts'
import { endOf } from '../occurrences.ts'
import type { Appointment, Moment } from '../plan/items.ts'
import { momentAt, originalAt, writeAppointment, writeOccurrence } from './appointment.ts'
import { userPath } from './places.ts'
import { textAt } from './row.ts'

const samples = ['outlook.timezone="UTC"']

/**
 * Brings occurrences of a series to what its exceptions say. An exception that is taken back is written like its series;
 * an occurrence that was deleted cannot come back: Graph has no way to undo that.
 */
export async function writeExceptions(
  client: GraphClient,
  mailbox: string,
  id: string,
  { before, after }: { readonly before: Appointment; readonly after: Appointment },
  signal: AbortSignal,
): Promise<void> {
  const originals = new Set([...Object.keys(before.exceptions), ...Object.keys(after.exceptions)])
  for (const original of originals) {
    const [old, wanted] = [before.exceptions[original], after.exceptions[original] ?? {}]
    if (JSON.stringify(old ?? {}) === JSON.stringify(wanted)) continue
    const instance = await findInstance(client, mailbox, id, after, original, signal)
    if (instance === undefined) {
      if (wanted.isDeleted) continue
      const path = `${mailbox}: ${original}`
      throw graphErrors.REFUSED({
        path,
        status: 404,
        code: 'occurrence deleted',
        text: 'an occurrence that was deleted cannot come back',
      })
    }
    const path = `${userPath(mailbox)}/events/${encodeURIComponent(instance)}`
    if (wanted.isDeleted) await removeQuietly(client, path, signal)
    else await client.send({ method: 'PATCH', path, body: writeOccurrence(after, original, wanted, old) }, signal)
  }
}

/** Has occurrences that differ say in these texts what their series says now. */
export async function followTexts(
  client: GraphClient,
  mailbox: string,
  id: string,
  change: { readonly after: Appointment; readonly lagging: ReadonlyMap<Moment, ReadonlySet<string>> },
  signal: AbortSignal,
): Promise<void> {
  const { after, lagging } = change
  for (const [original, names] of lagging) {
    const instance = await findInstance(client, mailbox, id, after, original, signal)
    if (instance === undefined) continue
    const path = `${userPath(mailbox)}/events/${encodeURIComponent(instance)}`
    await client.send({ method: 'PATCH', path, body: writeAppointment(after, names) }, signal)
  }
}

async function removeQuietly(client: GraphClient, path: string, signal: AbortSignal): Promise<void> {
  try {
    await client.send({ method: 'DELETE', path }, signal)
  } catch (thrown) {
    // Gone already: that is what was wanted.
    if (!(thrown instanceof HubError) || thrown.code !== graphErrors.GONE.code) throw thrown
  }
}

/** Id of the occurrence that would begin at `original`; it may have been moved to another day by now. */
async function findInstance(
  client: GraphClient,
  mailbox: string,
  id: string,
  series: Appointment,
  original: Moment,
  signal: AbortSignal,
): Promise<string | undefined> {
  const at = Date.parse(original)
  const near = [at - DAY, Date.parse(endOf(series, original)) + DAY] as const
  const far = [at - 400 * DAY, at + 400 * DAY] as const
  for (const [from, to] of [near, far]) {
    const query = `startDateTime=${iso(from)}&endDateTime=${iso(to)}&$select=id,start,originalStart,isAllDay`
    const path = `${userPath(mailbox)}/events/${encodeURIComponent(id)}/instances?${query}`
    for await (const row of client.list(path, samples, signal)) {
      const begins = originalAt(row, series) ?? momentAt(row, 'start', series.isAllDay)
      if (begins === original) return textAt(row, 'id')
    }
  }
  return undefined
}

function iso(ms: number): string {
  return encodeURIComponent(new Date(ms).toISOString().replace(/\.\d+Z$/, 'Z'))
}
