import type { Finding } from './alerts/alert-book.ts'

/** What the monitor sees of a certificate that the hub shows to its callers. Times are milliseconds since 1970 UTC. */
export interface WatchedCertificate {
  readonly file: string
  readonly beganAt: number
  readonly endsAt: number
}

/** When the end of a certificate is warned of: one that lives for days is renewed when a third of its life is left, or later. */
export function warnAt({ beganAt, endsAt }: Omit<WatchedCertificate, 'file'>, warnMs: number): number {
  return endsAt - Math.min(warnMs, (endsAt - beganAt) / 4)
}

/** The certificate of the flow endpoints ends soon: with it ends every call of those who check it. */
export function findCertificate({ file, beganAt, endsAt }: WatchedCertificate, warnMs: number, now: number): Finding {
  const dueAt = warnAt({ beganAt, endsAt }, warnMs)
  const ends = now < endsAt ? 'ends on' : 'has ended on'
  return {
    id: `certificate:${file}`,
    kind: 'certificate',
    channels: [],
    trouble:
      now < dueAt
        ? undefined
        : {
            since: dueAt,
            what: `The certificate of the flow endpoints ${ends} ${new Date(endsAt).toISOString()}: ${file}`,
            turn: 'Whoever runs this hub.',
            next: 'Renew it in the same file, its key with it; the hub takes it within a minute, without a restart.',
            command: 'isthmus health',
          },
  }
}
