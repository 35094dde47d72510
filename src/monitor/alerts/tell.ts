import { asHubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, DAY, formatDuration, MINUTE, SECOND, steadyClock } from '../../kernel/time.ts'
import type { Alert, AlertChannel } from './alert.ts'
import type { AlertBook } from './alert-book.ts'
import { alertErrors } from './alert-errors.ts'

const tellLimits = {
  /** Wait after the first failure of a channel; it doubles. */
  firstWaitMs: 10 * SECOND,
  longestWaitMs: 10 * MINUTE,
  /** After this time a channel is no longer tried for this alert. */
  giveUpMs: DAY,
}

interface Trouble {
  readonly since: number
  readonly waitMs: number
  readonly dueAt: number
}

/** Tells every channel of each alert once per state; a channel that fails is tried again after a growing wait. */
export function createTeller(book: AlertBook, channels: ReadonlyMap<string, AlertChannel>, wallClock: Clock, log: Log) {
  const clock = steadyClock(wallClock)
  const troubles = new Map<string, Trouble>()

  async function tell(alert: Alert, name: string): Promise<void> {
    const key = JSON.stringify([alert.id, name, alert.state, alert.raisedAt])
    const trouble = troubles.get(key)
    if (trouble && trouble.dueAt > clock.now()) return
    try {
      const channel = channels.get(name)
      if (!channel) throw alertErrors.CHANNEL_UNKNOWN({ channel: name })
      await channel.send(alert)
      troubles.delete(key)
      await book.told(alert, name)
    } catch (thrown) {
      // Carries on, because the next round tries again and the other channels must still be told.
      const error = asHubError(thrown)
      log.warn('alert.not-sent', { alert: alert.id, channel: name, code: error.code, error: error.message })
      await postpone(key, alert, name, trouble, error.retry === 'never')
    }
  }

  async function postpone(key: string, alert: Alert, name: string, before: Trouble | undefined, isFinal: boolean) {
    const now = clock.now()
    const since = before?.since ?? now
    if (isFinal || now - since >= tellLimits.giveUpMs) {
      const error = alertErrors.CHANNEL_SILENT({
        channel: name,
        time: formatDuration(now - since),
        alert: alert.id,
        id: alert.id,
      })
      log.error('alert.given-up', { alert: alert.id, channel: name, code: error.code, error: error.message })
      troubles.delete(key)
      return book.told(alert, name)
    }
    const waitMs = Math.min(before ? before.waitMs * 2 : tellLimits.firstWaitMs, tellLimits.longestWaitMs)
    troubles.set(key, { since, waitMs, dueAt: now + waitMs })
  }

  /** Tells what is untold and due. */
  async function tellAll(): Promise<void> {
    const open = new Set<string>()
    const work: Promise<void>[] = []
    for (const alert of book.untold()) {
      for (const name of alert.untold) {
        open.add(JSON.stringify([alert.id, name, alert.state, alert.raisedAt]))
        work.push(tell(alert, name))
      }
    }
    for (const key of troubles.keys()) if (!open.has(key)) troubles.delete(key)
    await Promise.all(work)
  }

  return { tellAll }
}
