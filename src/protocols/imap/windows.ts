import { MiB } from '../../kernel/size.ts'

export const windowLimits = {
  /** Mails and octets of one FETCH: enough to fill the line, little enough to hold two of them in memory. */
  uids: 100,
  bytes: 4 * MiB,
  /** Windows asked for before the first is answered. */
  inFlight: 2,
  /** What a mail counts whose size the server did not tell. */
  unknownSizeBytes: 64 * 1024,
} as const

/** A set of mails that is fetched with one command. A lone mail may be streamed: its UID is known beforehand. */
export interface FetchWindow {
  readonly uids: readonly number[]
  readonly isLone: boolean
}

/**
 * Cuts UIDs into windows, in the given order. Sizes are only estimates (Exchange rounds them freely), so they decide
 * about windows and about nothing else. `isAlone` names further mails that get a window of their own.
 */
export function cutWindows(
  uids: readonly number[],
  sizes: ReadonlyMap<number, number>,
  loneAboveBytes: number,
  isAlone: (uid: number) => boolean = () => false,
): FetchWindow[] {
  const windows: FetchWindow[] = []
  let open: number[] = []
  let openBytes = 0
  const close = () => {
    if (open.length > 0) windows.push({ uids: open, isLone: open.length === 1 })
    open = []
    openBytes = 0
  }
  for (const uid of uids) {
    const bytes = sizes.get(uid) ?? windowLimits.unknownSizeBytes
    if (bytes > loneAboveBytes || isAlone(uid)) {
      close()
      windows.push({ uids: [uid], isLone: true })
      continue
    }
    if (open.length >= windowLimits.uids || openBytes + bytes > windowLimits.bytes) close()
    open.push(uid)
    openBytes += bytes
  }
  close()
  return windows
}
