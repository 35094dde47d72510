import type { TargetState, TargetStatus } from '../wire.ts'
import { Ejection, type EjectionRules } from './ejection.ts'
import { balanceLimits } from './limits.ts'
import { type ProbeRules, ProbeState } from './probe-state.ts'
import { ResponseTime } from './response-time.ts'

/** What connector.yaml says of a target. */
export interface TargetSetting {
  /** Internal host:port. */
  readonly address: string
  /** 1 to 100. */
  readonly weight: number
  readonly openMax: number
  readonly probe: ProbeRules
  readonly ejection: EjectionRules
  readonly slowStartMs: number
}

/**
 * One internal server in the books of the balancer: its health, its load and its response time. No I/O; times are
 * milliseconds that the caller passes in.
 */
export class Target {
  setting: TargetSetting
  /** Streams that stand or are being opened. */
  open = 0
  isDrained = false
  #probes = new ProbeState()
  readonly #ejection = new Ejection()
  /** Until a connection is usable. */
  readonly #opening = new ResponseTime()
  /** Slowest answer of each piece of work on a connection that stands (smtp: of each mail). */
  readonly #answering = new ResponseTime()
  #opened = 0
  #failed = 0
  #rampSince: number | undefined
  #lastFailure = ''
  #lastProbe: { readonly at: number; readonly text: string } | undefined
  /** What the last probe said that failed. */
  #lastBadProbe = ''

  constructor(setting: TargetSetting) {
    this.setting = setting
  }

  get address(): string {
    return this.setting.address
  }

  state(now: number): TargetState {
    if (this.isDrained) return 'drained'
    if (this.#probes.state === 'down') return 'down'
    if (this.#ejection.isOut(now)) return 'ejected'
    return this.#probes.state
  }

  isUsable(now: number): boolean {
    const state = this.state(now)
    return state === 'up' || state === 'unknown'
  }

  get isFull(): boolean {
    return this.open >= this.setting.openMax
  }

  /** The configured weight, ramped up after the target came back. */
  effectiveWeight(now: number): number {
    const { weight, slowStartMs } = this.setting
    const since = Math.max(this.#rampSince ?? -Infinity, this.#ejection.until ?? -Infinity)
    if (slowStartMs <= 0 || now - since >= slowStartMs) return weight
    return weight * Math.max(balanceLimits.slowStartShare, (now - since) / slowStartMs)
  }

  /** How long this target takes for its next work, as far as is known; undefined before the first answer. */
  responseMs(now: number): number | undefined {
    const opening = this.#opening.at(now)
    const answering = this.#answering.at(now)
    return opening === undefined && answering === undefined ? undefined : (opening ?? 0) + (answering ?? 0)
  }

  /** How many times dearer it is for recent failures. */
  penalty(now: number): number {
    return this.#ejection.penalty(now)
  }

  /** A connection became usable. It says nothing yet about the server's work, so failures in a row stay. */
  opened(ms: number, now: number): void {
    this.#opened++
    this.#opening.add(ms, now)
  }

  /** The server did on an open connection what it is there for, or ended it in good order. */
  served(now: number): void {
    this.#ejection.succeeded(now)
  }

  answered(ms: number, now: number): void {
    this.#answering.add(ms, now)
  }

  /** A connection could not be opened, or broke by the target's doing. True when the target is ejected with it. */
  failed(reason: string, now: number, mayEject: boolean): boolean {
    this.#failed++
    this.#lastFailure = reason
    return this.#ejection.failed(now, this.setting.ejection, mayEject)
  }

  /** True when the state of the target changed with this probe. */
  probed(isGood: boolean, text: string, ms: number, now: number): boolean {
    this.#lastProbe = { at: now, text }
    if (isGood) this.#opening.add(ms, now)
    else this.#lastBadProbe = text
    const wasDown = this.#probes.state === 'down'
    const isChange = this.#probes.took(isGood, this.setting.probe)
    if (isChange && wasDown) this.#rampSince = now
    return isChange
  }

  /** Nobody probes it any more, so what probes said must not hold for ever. */
  forgetProbes(): void {
    this.#probes = new ProbeState()
    this.#lastProbe = undefined
  }

  drain(isDrained: boolean, now: number): void {
    if (this.isDrained && !isDrained) this.#rampSince = now
    this.isDrained = isDrained
  }

  /** Milliseconds until an ejection ends; 0 where there is none. */
  ejectedForMs(now: number): number {
    return this.#ejection.isOut(now) ? (this.#ejection.until ?? now) - now : 0
  }

  /** Why it is not up, in words. */
  reason(now: number): string | undefined {
    switch (this.state(now)) {
      case 'drained':
        return 'taken out by an operator'
      case 'down':
        return this.#lastBadProbe
      case 'ejected':
        return `left out for ${Math.ceil(this.ejectedForMs(now) / 1000)} s after failures: ${this.#lastFailure}`
      case 'up':
      case 'unknown':
        return undefined
    }
  }

  /** `date`: what the calendar says now; milliseconds since 1970 UTC. */
  status(now: number, date: number): TargetStatus {
    const reason = this.reason(now)
    const responseMs = this.responseMs(now)
    return {
      address: this.address,
      state: this.state(now),
      ...(reason !== undefined && { reason }),
      weight: this.setting.weight,
      effectiveWeight: this.effectiveWeight(now),
      open: this.open,
      openMax: this.setting.openMax,
      ...(responseMs !== undefined && { responseMs }),
      opened: this.#opened,
      failed: this.#failed,
      ...(this.#lastProbe && { lastProbeAt: date - (now - this.#lastProbe.at), lastProbe: this.#lastProbe.text }),
    }
  }
}
