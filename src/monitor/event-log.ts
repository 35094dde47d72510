import type { Log } from '../kernel/log.ts'
import { formatDuration } from '../kernel/time.ts'
import type { Watched } from './watched.ts'

/** Writes every event of the engine to the log, one line each; the returned function ends it. */
export function logEvents(watched: Watched, log: Log): () => void {
  return watched.on(event => {
    const { flow } = event
    switch (event.type) {
      case 'flow.started':
        return log.info(event.type, { flow, revision: event.revision, waiting: event.waiting })
      case 'flow.stopped':
        return log.info(event.type, { flow })
      case 'delivery.accepted':
        return log.debug(event.type, { flow, delivery: event.delivery, bytes: event.bytes, isProbe: event.isProbe })
      case 'delivery.refused-duplicate':
        return log.debug(event.type, { flow, delivery: event.delivery })
      case 'delivery.failed': {
        const { delivery, attempt, error, at, dueAt } = event
        const { code, side, message, next } = error
        const againIn = formatDuration(dueAt - at)
        return log.warn(event.type, { flow, delivery, attempt, code, side, error: message, next, againIn })
      }
      case 'delivery.ended': {
        const { delivery, summary, tookMs, error } = event
        if (event.state === 'set-aside' || event.state === 'rejected') {
          const { code, side, next } = error ?? {}
          return log.error(`delivery.${event.state}`, { flow, delivery, code, side, error: summary, next })
        }
        // A probe is the hub's own traffic; its alert speaks when it does not come through.
        const level = event.isProbe ? 'debug' : 'info'
        return log[level](`delivery.${event.state}`, { flow, delivery, summary, tookMs })
      }
      case 'link.up':
        return log.info(event.type, { flow, link: event.link, detail: event.detail })
      case 'link.down':
      case 'link.trouble': {
        const { code, side, message, next } = event.error
        return log.warn(event.type, { flow, link: event.link, code, side, error: message, next })
      }
    }
  })
}
