import type { Folder, FolderWatcher } from './mailbox.ts'
import { lowerBound } from './sequence-set.ts'

/** What one connection knows of its selected folder. Its sequence numbers change only when it has been told. */
export interface View {
  readonly folder: Folder
  readonly isReadOnly: boolean
  /** Known UIDs, rising; the sequence number is the index plus one. */
  readonly uids: readonly number[]
  /** Sequence number of a UID, or 0 when the connection does not know it. */
  sequence(uid: number): number
  /** True once the folder was deleted or numbered anew. */
  readonly isInvalid: boolean
  /**
   * Untagged lines (without `* `) for what others have done since; the view moves on by them. Without `mayExpunge` the
   * sequence numbers stay, and mails that are gone are told another time.
   */
  catchUp(mayExpunge: boolean): string[]
  /** Forgets that flags of this mail changed: the connection has just been told, or has asked for silence. */
  forgetFlags(uid: number): void
  close(): void
}

/** Opens a view; `wake` is called when there is something to tell (for IDLE). */
export function openView(folder: Folder, isReadOnly: boolean, wake: () => void): View {
  const uids = [...folder.uids]
  const arrived: number[] = []
  const expunged = new Set<number>()
  const changed = new Set<number>()
  let isInvalid = false

  const watcher: FolderWatcher = {
    arrived(uid) {
      arrived.push(uid)
      wake()
    },
    expunged(uid) {
      expunged.add(uid)
      wake()
    },
    flagsChanged(uid) {
      changed.add(uid)
      wake()
    },
    invalidated() {
      isInvalid = true
      wake()
    },
  }
  folder.watchers.add(watcher)

  function sequence(uid: number): number {
    const index = lowerBound(uids, uid)
    return uids[index] === uid ? index + 1 : 0
  }

  return {
    folder,
    isReadOnly,
    uids,
    sequence,
    get isInvalid() {
      return isInvalid
    },
    catchUp(mayExpunge) {
      const lines: string[] = []
      const gone = mayExpunge ? [...expunged].toSorted((a, b) => b - a) : []
      // Highest first, so that the numbers of those still to be told stay what they are.
      for (const uid of gone) {
        const number = sequence(uid)
        if (number > 0) {
          uids.splice(number - 1, 1)
          lines.push(`${number} EXPUNGE`)
        }
        changed.delete(uid)
      }
      const newcomers = arrived.splice(0).filter(uid => !expunged.has(uid))
      if (mayExpunge) expunged.clear()
      if (newcomers.length > 0) {
        for (const uid of newcomers) uids.push(uid)
        lines.push(`${uids.length} EXISTS`)
      }
      for (const uid of changed) {
        const mail = folder.mail(uid)
        const number = sequence(uid)
        if (mail && number > 0) lines.push(`${number} FETCH (FLAGS (${[...mail.flags].join(' ')}) UID ${uid})`)
      }
      changed.clear()
      return lines
    },
    forgetFlags: uid => void changed.delete(uid),
    close: () => void folder.watchers.delete(watcher),
  }
}
