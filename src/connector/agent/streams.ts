import type { IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2'
import { constants } from 'node:http2'
import type { Duplex } from 'node:stream'
import { asHubError, type HubError } from '../../kernel/error.ts'
import type { Log } from '../../kernel/log.ts'
import { type Clock, MINUTE, SECOND } from '../../kernel/time.ts'
import { type PassedOnAnswer, type PassedOnRequest, refusals, wireHeaders, wireLimits } from '../wire.ts'
import type { AuditLog } from './audit-log.ts'
import type { ConnectorConfig, VirtualHost } from './connector-config.ts'
import { refusalHeaders } from './control-paths.ts'
import { connectorErrors } from './errors.ts'
import { gateHttp } from './http-gate.ts'
import { MailWatch } from './mail-watch.ts'
import { PassedOn } from './passed-on.ts'
import { refusalBook } from './refusal-book.ts'
import { type Splice, type SpliceEnd, splice } from './splice.ts'
import type { OpenedTarget, TargetPool } from './targets.ts'

export const streamLimits = {
  /** How often idle streams and bytes in flight are looked at. */
  lookEveryMs: SECOND,
  lookCloselyMs: 100,
  /** How long a mail server may take to answer a mail whose hub is gone (RFC 5321 section 4.5.3.2.6). */
  stayMs: 10 * MINUTE,
  /** Letters of the hub's words that are kept. */
  purposeLetters: 200,
} as const

export interface StreamParts {
  readonly pool: TargetPool
  readonly audit: AuditLog
  readonly clock: Clock
  readonly log: Log
  readonly config: () => ConnectorConfig
}

/** The CONNECT streams of all tunnels: whether one may be opened, and its way to the target. */
export interface Streams {
  /** Takes a CONNECT request of a tunnel; answers it in any case. */
  take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, node: string): void
  readonly openCount: () => number
  /** What became of a stream that the hub lost; its target gets no more of it. Empty: nothing is known of it. */
  passedOn(request: PassedOnRequest, signal: AbortSignal): Promise<PassedOnAnswer>
  /** Resets what the list in force no longer allows. */
  enforce(): void
  /** Refuses new streams from now on. */
  stop(): void
  /** Resolves when no stream is open any more, or after `ms`; then cuts the rest. */
  close(ms: number): Promise<void>
}

interface OpenStream {
  /** By which the hub asks for it; empty: not at all. */
  readonly name: string
  readonly virtualHost: string
  readonly protocol: VirtualHost['protocol']
  readonly begun: number
  target?: string
  splice?: Splice
  /** Of a mail server. */
  watch?: MailWatch | undefined
  cut(): void
  /** Called when it is over. */
  readonly onOver: Set<() => void>
}

export function createStreams({ pool, audit, clock, log, config }: StreamParts): Streams {
  const open = new Set<OpenStream>()
  const openPerHost = new Map<string, number>()
  const ended = new PassedOn()
  const refused = refusalBook(audit, clock)
  const emptied: (() => void)[] = []
  let isStopping = false
  let endLook = () => {}
  lookAgain()

  function take(stream: ServerHttp2Stream, headers: IncomingHttpHeaders, node: string): void {
    const authority = (headers[':authority'] ?? '').toLowerCase()
    const purpose = textOf(headers[wireHeaders.purpose])
    // A stream that the hub takes back while it is refused or opened is over; nobody is left to tell.
    stream.on('error', () => {})
    const host = hostOf(authority)
    const refusal = refusalOf(authority, host)
    if (refusal || !host) {
      const error =
        refusal ?? connectorErrors.NOT_ALLOWED({ virtualHost: authority.slice(0, streamLimits.purposeLetters) })
      refused.note(error.code, { virtualHost: textOf(authority), purpose, node })
      answerRefusal(stream, error)
      return
    }
    openStream(stream, host, textOf(headers[wireHeaders.stream]), { purpose, node }).catch((thrown: unknown) => {
      const error = asHubError(thrown)
      log.error('stream.failed', { virtualHost: authority, code: error.code, text: error.message })
      stream.close(constants.NGHTTP2_INTERNAL_ERROR)
    })
  }

  function refusalOf(authority: string, host: VirtualHost | undefined): HubError | undefined {
    if (isStopping) return connectorErrors.STOPPING()
    if (!host) return undefined
    const { streams } = config().limits
    if (open.size >= streams) {
      return connectorErrors.TOO_MANY_STREAMS({ scope: 'The connector', streamsMax: streams, limit: 'limits.streams' })
    }
    const streamsMax = host['streams-max']
    if ((openPerHost.get(authority) ?? 0) < streamsMax) return undefined
    return connectorErrors.TOO_MANY_STREAMS({ scope: authority, streamsMax, limit: 'streams-max' })
  }

  async function openStream(
    stream: ServerHttp2Stream,
    host: VirtualHost,
    name: string,
    from: { readonly purpose: string; readonly node: string },
  ): Promise<void> {
    const { address } = host
    const gone = new AbortController()
    const entry: OpenStream = {
      name,
      virtualHost: address,
      protocol: host.protocol,
      begun: performance.now(),
      cut: () => cutEarly(),
      onOver: new Set(),
    }
    function cutEarly() {
      gone.abort()
      if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
    }
    const onGone = () => gone.abort()
    stream.once('close', onGone)
    count(entry, 1)
    try {
      const { socket, target, hubLeft, answered } = await pool.open(address, {
        signal: gone.signal,
        timeoutMs: host.timeout,
      })
      stream.off('close', onGone)
      entry.target = target
      // The list may have changed, and the hub may have given up, while the target was opened.
      if (gone.signal.aborted || stream.closed || stream.destroyed || !isListed(entry)) {
        socket.destroy()
        if (!stream.closed) stream.close(constants.NGHTTP2_CANCEL)
        return count(entry, -1)
      }
      audit.write('stream.opened', { virtualHost: address, target, ...from })
      stream.respond({ ':status': 200, [wireHeaders.target]: target })
      const near =
        host.protocol === 'http'
          ? gateHttp(
              stream,
              () => ({ address, paths: hostOf(address)?.allow ?? [] }),
              noteHttp(address, from),
              answered,
            )
          : stream
      connectEnds(entry, stream, near, { socket, hubLeft })
    } catch (thrown) {
      stream.off('close', onGone)
      count(entry, -1)
      if (gone.signal.aborted) return
      const error = asHubError(thrown)
      log.warn('stream.not-opened', { virtualHost: address, code: error.code, text: error.message, ...from })
      refused.note(error.code, { virtualHost: address, ...from })
      answerRefusal(stream, error)
    }
  }

  function connectEnds(
    entry: OpenStream,
    stream: ServerHttp2Stream,
    near: Duplex,
    { socket, hubLeft }: Pick<OpenedTarget, 'socket' | 'hubLeft'>,
  ): void {
    const { virtualHost, target = '' } = entry
    entry.watch = entry.protocol === 'smtp' ? new MailWatch() : undefined
    const ends = splice({
      near,
      below: stream,
      far: socket,
      watch: entry.watch,
      onStay: hubLeft,
      isReset: () => stream.rstCode !== constants.NGHTTP2_NO_ERROR,
      resetNear: because => {
        resetStream(stream, resetCodes[because])
        if (near !== stream) near.destroy()
      },
      onEnd: how => {
        noteEnd(entry, ends)
        count(entry, -1)
        const ms = Math.round(performance.now() - entry.begun)
        audit.write('stream.closed', { virtualHost, target, how, ms, up: ends.upBytes(), down: ends.downBytes() })
      },
    })
    entry.splice = ends
    entry.cut = () => ends.cut()
  }

  /** What an HTTP gate lets pass is not what came in, so it says nothing about it. */
  function noteEnd({ name, protocol, watch }: OpenStream, ends: Splice): void {
    if (name !== '' && protocol !== 'http') ended.note(name, { bytes: ends.upBytes(), answers: watch?.answers() ?? [] })
  }

  async function passedOn(request: PassedOnRequest, signal: AbortSignal): Promise<PassedOnAnswer> {
    const { stream: name, mailAt, written, waitMs } = request
    const entry = [...open].find(each => each.name === name)
    if (entry) loseHub(entry, written)
    const tell = (): PassedOnAnswer => {
      const known = entry
        ? { bytes: entry.splice?.upBytes() ?? 0, answers: entry.watch?.answers() ?? [] }
        : ended.find(name)
      if (!known || entry?.protocol === 'http') return {}
      const reply = known.answers.find(({ at }) => at === mailAt)?.answer
      if (reply !== undefined) return { bytes: known.bytes, reply: Buffer.from(reply, 'latin1').toString('base64') }
      return { bytes: known.bytes, ...(entry?.splice?.stayedSince() !== undefined && { isDue: true as const }) }
    }
    const now = tell()
    if (!now.isDue || !entry) return now
    await until(entry, Math.min(waitMs, wireLimits.passedOnWaitMs), signal)
    return tell()
  }

  /** What is under way to here must not arrive any more; a connection that has less than a mail is of no use. */
  function loseHub(entry: OpenStream, written: number): void {
    const { virtualHost, target = '', splice } = entry
    splice?.leave()
    if (splice && splice.stayedSince() !== undefined && splice.upBytes() >= written) return
    audit.write('stream.cut', { virtualHost, target, because: 'the hub lost it' })
    entry.cut()
  }

  /** Resolves when the stream is over, or after `ms`, or at the signal. */
  async function until(entry: OpenStream, ms: number, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    const end = () => resolve()
    const cancel = clock.after(ms, end)
    entry.onOver.add(end)
    signal.addEventListener('abort', end, { once: true })
    await promise
    cancel()
    entry.onOver.delete(end)
    signal.removeEventListener('abort', end)
  }

  const noteHttp = (virtualHost: string, from: { readonly purpose: string; readonly node: string }) => (what: string) =>
    refused.note('CONNECTOR_HTTP_REFUSED', { virtualHost, request: textOf(what), ...from })

  function count(entry: OpenStream, change: 1 | -1): void {
    if (change === 1) open.add(entry)
    else if (!open.delete(entry)) return
    else for (const done of entry.onOver) done()
    const now = (openPerHost.get(entry.virtualHost) ?? 0) + change
    if (now === 0) openPerHost.delete(entry.virtualHost)
    else openPerHost.set(entry.virtualHost, now)
    if (open.size === 0) for (const done of emptied.splice(0)) done()
  }

  function hostOf(address: string): VirtualHost | undefined {
    return config().virtualHosts.find(each => each.address === address)
  }

  function isListed({
    virtualHost,
    protocol,
    target,
  }: Pick<OpenStream, 'virtualHost' | 'protocol' | 'target'>): boolean {
    const host = hostOf(virtualHost)
    if (host?.protocol !== protocol) return false
    return target === undefined || host.targets.some(each => each.address === target)
  }

  function enforce(): void {
    for (const entry of Array.from(open)) {
      if (isListed(entry)) continue
      audit.write('stream.cut', { virtualHost: entry.virtualHost, target: entry.target ?? '', because: 'not listed' })
      entry.cut()
    }
  }

  function lookAgain(): void {
    const inFlight = look()
    const ms = inFlight > config().limits.bytesInFlight / 4 ? streamLimits.lookCloselyMs : streamLimits.lookEveryMs
    endLook = clock.after(ms, lookAgain)
  }

  /** Cuts idle streams, and the slowest ones while too many bytes wait. Returns how many do. */
  function look(): number {
    const now = performance.now()
    const idleMs = new Map(config().virtualHosts.map(host => [host.address, host.idle]))
    const waiting: { readonly entry: OpenStream; readonly bytes: number }[] = []
    for (const entry of open) {
      if (!entry.splice) continue
      const stayedSince = entry.splice.stayedSince()
      const [since, ms, because] =
        stayedSince === undefined
          ? [entry.splice.lastByteAt(), idleMs.get(entry.virtualHost) ?? 0, 'idle']
          : [stayedSince, streamLimits.stayMs, 'no answer']
      if (now - since > ms) {
        audit.write('stream.cut', { virtualHost: entry.virtualHost, target: entry.target ?? '', because })
        entry.cut()
        continue
      }
      const bytes = entry.splice.bytesInFlight()
      if (bytes > 0) waiting.push({ entry, bytes })
    }
    let total = waiting.reduce((sum, { bytes }) => sum + bytes, 0)
    const { bytesInFlight } = config().limits
    if (total <= bytesInFlight) return total
    for (const { entry, bytes } of waiting.toSorted((one, other) => other.bytes - one.bytes)) {
      if (total <= bytesInFlight) break
      const { virtualHost, target = '' } = entry
      log.warn('stream.cut', { virtualHost, target, limit: 'bytesInFlight', bytes, bytesMax: bytesInFlight })
      audit.write('stream.cut', { virtualHost, target, because: 'bytesInFlight' })
      entry.splice?.cut('shed')
      total -= bytes
    }
    return total
  }

  return {
    take,
    openCount: () => open.size,
    passedOn,
    enforce,
    stop() {
      isStopping = true
    },
    async close(ms) {
      isStopping = true
      if (open.size > 0) {
        await new Promise<void>(resolve => {
          const cancel = clock.after(ms, resolve)
          emptied.push(() => {
            cancel()
            resolve()
          })
        })
      }
      for (const entry of Array.from(open)) entry.cut()
      endLook()
      refused.close()
    },
  }
}

const resetCodes: Readonly<Record<SpliceEnd, number>> = {
  done: constants.NGHTTP2_NO_ERROR,
  'target reset': constants.NGHTTP2_CONNECT_ERROR,
  'hub reset': constants.NGHTTP2_CANCEL,
  cut: constants.NGHTTP2_CANCEL,
  shed: constants.NGHTTP2_ENHANCE_YOUR_CALM,
}

/**
 * Not with `close(code)` alone: before the reset node sends the end of the stream, by which half of a file looks like a
 * whole one to the hub, where the reset comes too late or not at all.
 */
function resetStream(stream: ServerHttp2Stream, code: number): void {
  stream._final = done => done()
  stream.close(code)
}

const statusByCode: Readonly<Record<string, number>> = {
  CONNECTOR_NOT_ALLOWED: refusals.notAllowed,
  CONNECTOR_TOO_MANY_STREAMS: refusals.tooMany,
  CONNECTOR_TARGETS_FULL: refusals.tooMany,
  CONNECTOR_NONE_HEALTHY: refusals.noneHealthy,
  CONNECTOR_STOPPING: refusals.stopping,
}

function answerRefusal(stream: ServerHttp2Stream, error: HubError): void {
  if (stream.closed || stream.destroyed) return
  stream.respond(
    {
      ':status': statusByCode[error.code] ?? refusals.noTarget,
      ...refusalHeaders(error),
    },
    { endStream: true },
  )
  // What the hub sent ahead is of no use to anybody.
  stream.resume()
  stream.close(constants.NGHTTP2_NO_ERROR)
}

function textOf(header: string | readonly string[] | undefined): string {
  return String(header ?? '').slice(0, streamLimits.purposeLetters)
}
