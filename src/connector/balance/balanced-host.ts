import { asHubError, type HubError } from '../../kernel/error.ts'
import { isAway } from '../../protocols/net/other-server.ts'
import type { VirtualHost } from '../agent/connector-config.ts'
import { connectorErrors } from '../agent/errors.ts'
import type { OpenedTarget, OpenOptions } from '../agent/targets.ts'
import type { CheckAnswer, VirtualHostStatus } from '../wire.ts'
import { chooseTarget, mayEject } from './choose.ts'
import { balanceLimits } from './limits.ts'
import { openTarget } from './opening.ts'
import { probeTarget } from './probe.ts'
import { Prober, type ProberParts } from './prober.ts'
import type { ServiceReport } from './service.ts'
import { SmtpStream } from './smtp-stream.ts'
import { Target, type TargetSetting } from './target.ts'

/** A check that several may wait for: it ends when the last of them has gone. */
interface Look {
  readonly answer: Promise<CheckAnswer>
  readonly askers: Set<AbortSignal>
  readonly stop: AbortController
}

/** One virtual host: its targets, their probes, and the way to one of them. */
export class BalancedHost {
  readonly #parts: ProberParts
  #setting: VirtualHost
  #targets: readonly Target[] = []
  #probers = new Map<Target, Prober>()
  #look: Look | undefined

  constructor(setting: VirtualHost, parts: ProberParts) {
    this.#setting = setting
    this.#parts = parts
    this.apply(setting)
  }

  /** Targets that are still named keep what is known of them. */
  apply(setting: VirtualHost): void {
    const isSameWay = setting.protocol === this.#setting.protocol
    const before = new Map(this.#targets.map(target => [target.address, target]))
    this.#setting = setting
    this.#targets = settingsOf(setting).map(each => {
      const known = isSameWay ? before.get(each.address) : undefined
      if (!known) return new Target(each)
      known.setting = each
      return known
    })
    for (const [target, prober] of this.#probers) {
      if (this.#targets.includes(target)) prober.reschedule()
      else {
        this.#probers.delete(target)
        void prober.close()
      }
    }
    for (const target of this.#targets) {
      if (!this.#probers.has(target)) this.#probers.set(target, new Prober(this.#parts, target, () => this.#setting))
    }
  }

  async open({ signal, timeoutMs }: OpenOptions): Promise<OpenedTarget> {
    const { clock, connect } = this.#parts
    const endsAt = clock.now() + timeoutMs
    const tried = new Set<Target>()
    const reasons: string[] = []
    while (tried.size < balanceLimits.triesPerStream) {
      const now = clock.now()
      const choice = chooseTarget(this.#targets, now, this.#parts.random, tried)
      if (!choice.target || now >= endsAt) {
        if (reasons.length === 0) throw this.#noChoice(choice.target ? 'none' : choice.because, now)
        break
      }
      const { target } = choice
      // Each one gets its share of the time, so that a silent first one leaves some for the others.
      const others = Math.min(balanceLimits.triesPerStream, this.#targets.length) - tried.size
      const shareMs = Math.min(this.#setting.timeout, (endsAt - now) / Math.max(1, others))
      tried.add(target)
      target.open++
      const since = performance.now()
      try {
        const report = this.#reportOn(target)
        const socket = await openTarget(
          this.#setting,
          target.address,
          { connect, clock, signal, timeoutMs: Math.max(1, Math.ceil(shareMs)) },
          report,
        )
        target.opened(performance.now() - since, clock.now())
        if (socket.closed) target.open--
        else socket.once('close', () => target.open--)
        return {
          socket,
          target: target.address,
          answered: status => this.#answered(target, report, status),
          ...(socket instanceof SmtpStream && { hubLeft: () => socket.hubLeft() }),
        }
      } catch (thrown) {
        target.open--
        const error = asHubError(thrown)
        if (signal.aborted) throw error
        this.#failed(target, error.message)
        reasons.push(`${target.address}: ${error.message}`)
      }
    }
    throw connectorErrors.NO_TARGET({ virtualHost: this.#setting.address, text: reasons.join(' ') })
  }

  status(): VirtualHostStatus {
    const { clock, calendar } = this.#parts
    const now = clock.now()
    const date = calendar.now()
    const targets = this.#targets.map(target => target.status(now, date))
    return {
      address: this.#setting.address,
      protocol: this.#setting.protocol,
      open: targets.reduce((sum, { open }) => sum + open, 0),
      openMax: this.#setting['streams-max'],
      targets,
    }
  }

  drain(address: string, isDrained: boolean): void {
    const virtualHost = this.#setting.address
    const target = this.#targets.find(each => each.address === address.toLowerCase())
    if (!target) throw connectorErrors.TARGET_UNKNOWN({ virtualHost, target: address })
    target.drain(isDrained, this.#parts.clock.now())
    this.#parts.log.info(isDrained ? 'target.drained' : 'target.undrained', { virtualHost, target: address })
  }

  /**
   * The way works when at least one target can be reached. Who asks while it is gone hears the same: a hub that asks in a
   * loop must not put more connections on a server than it may have.
   */
  async check(signal: AbortSignal): Promise<CheckAnswer> {
    const look = this.#look ?? this.#beginLook()
    look.askers.add(signal)
    const leave = () => {
      look.askers.delete(signal)
      if (look.askers.size > 0) return
      this.#forget(look)
      look.stop.abort()
    }
    signal.addEventListener('abort', leave, { once: true })
    try {
      return await look.answer
    } finally {
      signal.removeEventListener('abort', leave)
    }
  }

  #beginLook(): Look {
    const stop = new AbortController()
    const look: Look = {
      askers: new Set(),
      stop,
      answer: this.#checkNow(stop.signal).finally(() => this.#forget(look)),
    }
    this.#look = look
    return look
  }

  #forget(look: Look): void {
    if (this.#look === look) this.#look = undefined
  }

  async #checkNow(signal: AbortSignal): Promise<CheckAnswer> {
    const { connect, clock } = this.#parts
    const options = { connect, clock, signal, timeoutMs: this.#setting.health.timeout }
    const targets = await Promise.all(
      this.#targets.map(async target => {
        const since = performance.now()
        const { isGood, steps } = await probeTarget(this.#setting, target.address, options)
        const reason = target.reason(clock.now())
        const detail = [...steps, ...(reason === undefined ? [] : [`${target.state(clock.now())}: ${reason}`])].join(
          '\n',
        )
        return { address: target.address, ok: isGood, detail, ms: performance.now() - since }
      }),
    )
    return { ok: targets.some(({ ok }) => ok), targets }
  }

  async close(): Promise<void> {
    await Promise.all([...this.#probers.values()].map(prober => prober.close()))
  }

  #reportOn(target: Target): ServiceReport {
    const { clock } = this.#parts
    let hasFailed = false
    return {
      answered: ms => target.answered(ms, clock.now()),
      served: () => target.served(clock.now()),
      failed: reason => {
        if (!hasFailed) this.#failed(target, reason)
        hasFailed = true
      },
    }
  }

  #answered(target: Target, report: ServiceReport, status: number): boolean {
    if (!isAway(status)) {
      report.served()
      return false
    }
    report.failed(`it answered ${status}`)
    const now = this.#parts.clock.now()
    return this.#targets.some(other => other !== target && other.isUsable(now) && !other.isFull)
  }

  #failed(target: Target, reason: string): void {
    const { clock, log } = this.#parts
    const now = clock.now()
    const isEjected = target.failed(reason, now, mayEject(this.#targets, now, this.#setting.ejection['at-most']))
    const fields = { virtualHost: this.#setting.address, target: target.address, text: reason }
    if (isEjected) log.warn('target.ejected', { ...fields, forMs: target.ejectedForMs(now) })
    else log.debug('target.failed', fields)
  }

  #noChoice(because: 'full' | 'none', now: number): HubError {
    const virtualHost = this.#setting.address
    if (because === 'full') return connectorErrors.TARGETS_FULL({ virtualHost })
    const words = this.#targets.map(target => {
      const reason = target.reason(now)
      return `${target.address} is ${target.state(now)}${reason === undefined ? '' : ` (${reason})`}`
    })
    return connectorErrors.NONE_HEALTHY({ virtualHost, text: words.join(', ') })
  }
}

function settingsOf(host: VirtualHost): TargetSetting[] {
  const probe = { downAfter: host.health['down-after'], upAfter: host.health['up-after'] }
  const { after, first, 'up-to': upTo } = host.ejection
  return host.targets.map(target => ({
    address: target.address,
    weight: target.weight,
    openMax: target['connections-max'],
    probe,
    ejection: { after, firstMs: first, upToMs: upTo },
    slowStartMs: host['slow-start'],
  }))
}
