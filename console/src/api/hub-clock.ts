/** The header is exact to the second, and an answer takes its time. */
const toleratedMs = 5_000

let hubAheadMs = 0

/** Learns from the Date header of an answer how far the clock of this machine is from that of the hub. */
export function learnHubTime(date: string | null, now = Date.now()): void {
  const ahead = Date.parse(date ?? '') - now
  if (!Number.isNaN(ahead)) hubAheadMs = Math.abs(ahead) < toleratedMs ? 0 : ahead
}

/** What time it is at the hub, by whose clock all times that it tells were written. */
export function hubNow(now = Date.now()): number {
  return now + hubAheadMs
}
