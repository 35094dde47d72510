import type { ClientHttp2Session } from 'node:http2'
import type { Clock } from '../../kernel/time.ts'
import { missesUntilDead, wireLimits } from '../wire.ts'
import { hubLimits } from './limits.ts'

export interface LivenessOptions {
  readonly session: Pick<ClientHttp2Session, 'ping' | 'destroyed'>
  readonly clock: Pick<Clock, 'after'>
  /** True while streams are open: then silence is found within seconds. */
  readonly isBusy: () => boolean
  /** Bytes that came in so far; a tunnel that brings bytes lives, even when its answers queue behind them. */
  readonly bytesRead: () => number
  readonly onRoundTrip: (ms: number) => void
  readonly onDead: (reason: string) => void
}

export interface Liveness {
  /** A stream opens: looks now, and each second from now on. */
  hurry(): void
  /** True while an answer is overdue: another tunnel is the better choice. */
  isSuspect(): boolean
  stop(): void
}

/** Pings a tunnel and says when it is dead (so many looks in a row without a sign of life). */
export function watchLiveness(options: LivenessOptions): Liveness {
  const { session, clock } = options
  let misses = 0
  let awaited = 0
  let bytesAtLook = options.bytesRead()
  let roundTripMs: number | undefined
  let isStopped = false
  let paceMs = 0
  let dueAt = 0
  let cancel = () => {}

  function look(): void {
    if (isStopped) return
    // A hub that stood still itself (a slow disk, a suspended machine) has not read what came meanwhile.
    const wasAsleep = performance.now() - dueAt > paceMs / 2
    const bytes = options.bytesRead()
    // A session that ended in good order answers nothing more: left is a connection that the other side has to close.
    const isAwaiting = awaited > 0 || session.destroyed
    if (!isAwaiting || bytes > bytesAtLook || wasAsleep) misses = 0
    else misses++
    bytesAtLook = bytes
    if (misses >= missesUntilDead(paceMs, roundTripMs)) {
      stop()
      options.onDead(`no sign of life for ${misses} pings in a row`)
      return
    }
    ping()
    schedule()
  }

  function ping(): void {
    if (session.destroyed || awaited > wireLimits.missesMin) return
    awaited++
    session.ping((error, tookMs) => {
      awaited = Math.max(0, awaited - 1)
      if (error) return
      misses = 0
      roundTripMs = tookMs
      options.onRoundTrip(tookMs)
    })
  }

  function schedule(): void {
    paceMs = options.isBusy() ? hubLimits.busyPingMs : hubLimits.idlePingMs
    dueAt = performance.now() + paceMs
    cancel = clock.after(paceMs, look)
  }

  function stop(): void {
    isStopped = true
    cancel()
  }

  ping()
  schedule()
  return {
    hurry() {
      if (isStopped || paceMs === hubLimits.busyPingMs) return
      cancel()
      ping()
      paceMs = hubLimits.busyPingMs
      dueAt = performance.now() + paceMs
      cancel = clock.after(paceMs, look)
    },
    isSuspect: () => misses > 0,
    stop,
  }
}
