import type { Log } from '../kernel/log.ts'
import type { Watched } from './watched.ts'

/**
 * Writes to the log how messages come and go and how links change; the returned function ends it. Flows that start
 * and stop, failed attempts and set-aside deliveries are left out: the engine writes those itself, with more detail.
 */
export function logEvents(watched: Watched, log: Log): () => void {
  return watched.on(event => {
    const { flow } = event
    switch (event.type) {
      case 'delivery.accepted':
        return log.debug(event.type, { flow, delivery: event.delivery, bytes: event.bytes, isProbe: event.isProbe })
      case 'delivery.refused-duplicate':
        return log.debug(event.type, { flow, delivery: event.delivery })
      case 'delivery.ended': {
        if (event.state === 'set-aside') return
        const { delivery, summary, tookMs } = event
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
      case 'delivery.failed':
      case 'flow.started':
      case 'flow.stopped':
        return
    }
  })
}
