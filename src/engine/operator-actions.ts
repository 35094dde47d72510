import type { Outcome } from '../flow/adapter.ts'
import { storeErrors } from '../store/errors.ts'
import type { DeliveryDetail } from '../store/port.ts'
import type { Answers } from './answers.ts'
import type { Engine } from './control.ts'
import type { EngineParts } from './engine.ts'
import { engineErrors } from './errors.ts'
import type { Outcomes } from './outcomes.ts'
import type { RunningFlow } from './running-flow.ts'
import { senderError } from './sender-side.ts'
import { storedErrorOf } from './stored-message.ts'

export interface OperatorOptions {
  readonly parts: EngineParts
  readonly outcomes: Outcomes
  readonly travelling: Set<string>
  readonly answers: Answers
  /** Throws ENGINE_FLOW_UNKNOWN. */
  runningFlow(name: string): RunningFlow
  find(name: string): RunningFlow | undefined
  readonly on: Engine['on']
  poke(): void
}

/** What people do to single deliveries: probe, replay, repair, skip. Each leaves an entry in the audit log. */
export function operatorActions(
  options: OperatorOptions,
): Pick<Engine, 'probe' | 'replay' | 'replayAll' | 'repair' | 'skip' | 'skipAll'> {
  const { parts, outcomes, travelling, answers, runningFlow } = options
  const { store, clock, limits } = parts

  async function detailOf(id: string): Promise<DeliveryDetail> {
    const detail = await store.get(id)
    if (!detail) throw storeErrors.NOT_FOUND({ id })
    return detail
  }

  /** The delivery travels in this process from now on. */
  function sendOff(running: RunningFlow, id: string, isProbe: boolean): void {
    if (!isProbe) running.queuedCount++
    travelling.add(id)
    outcomes.forget(id)
    options.poke()
  }

  async function probe(name: string, withinMs: number): Promise<Outcome | undefined> {
    const running = runningFlow(name)
    const { sender } = running
    if (!sender?.probe) throw engineErrors.NO_PROBE({ flow: name })
    const token = `${running.flow.revision}-${clock.now().toString(36)}`
    const done = new AbortController()
    const cancel = clock.after(withinMs, () => done.abort())
    try {
      // A flow that stops brings no probe any more, and nobody may wait for it.
      const arrival = arrivalOfProbe(name, token, AbortSignal.any([done.signal, running.stopSignal]))
      await Promise.race([sender.probe(token), arrival])
      return await arrival
    } catch (thrown) {
      throw senderError(thrown)
    } finally {
      cancel()
      done.abort()
    }
  }

  /** The end of the delivery that carries the probe's token; the intake put it among the words to find it by. */
  function arrivalOfProbe(flow: string, token: string, signal: AbortSignal): Promise<Outcome | undefined> {
    return new Promise((resolve, reject) => {
      const off = options.on(event => {
        if (event.type !== 'delivery.ended' || event.flow !== flow || !event.isProbe) return
        store.find({ flow, term: token, limit: 1 }).then(([row]) => {
          if (row?.id !== event.delivery) return
          const error = event.error && storedErrorOf(event.error)
          resolve({ id: row.id, state: event.state, summary: event.summary, ...(error && { error }) })
        }, reject)
      })
      signal.addEventListener(
        'abort',
        () => {
          off()
          resolve(undefined)
        },
        { once: true },
      )
    })
  }

  async function replay(id: string, who: string, only?: 'set-aside'): Promise<string> {
    const detail = await detailOf(id)
    const running = runningFlow(detail.flow)
    const now = clock.now()
    let travels = detail.id
    if (only || detail.state === 'set-aside') {
      await store.requeue(detail.id, { now, forgetIntents: true })
    } else if (detail.state === 'queued') {
      throw storeErrors.NOT_SET_ASIDE({ id: detail.id, state: detail.state })
    } else {
      const { flow, orderKey, headers, attributes, body, terms } = detail
      const accepted = await store.accept({
        flow,
        keys: [],
        remember: [],
        orderKey,
        holds: orderKey !== undefined && running.flow.delivery.whenSetAside === 'hold',
        headers,
        attributes,
        body,
        // By the id of the original its repeats are found.
        terms: [...terms, detail.id],
        acceptedAt: now,
        isProbe: false,
        replayOf: detail.id,
      })
      travels = accepted.id
    }
    sendOff(running, travels, detail.isProbe && travels === detail.id)
    await store.audit({ at: now, who, action: 'message.replay', detail: { delivery: detail.id, travels } })
    return travels
  }

  async function replayAll(flow: string, ids: readonly string[], who: string): Promise<number> {
    const running = runningFlow(flow)
    const now = clock.now()
    const travel = await store.requeueAll(ids, now)
    for (const id of travel) sendOff(running, id, false)
    const entry = { at: now, who, action: 'message.replay' }
    await store.auditAll(travel.map(id => ({ ...entry, detail: { delivery: id, travels: id } })))
    return travel.length
  }

  async function repair(id: string, change: Parameters<Engine['repair']>[1], who: string): Promise<void> {
    const detail = await detailOf(id)
    const running = runningFlow(detail.flow)
    const { type } = detail.body
    const { headers } = change
    const body =
      change.body && (await store.bodies.write(change.body, { type, bytesMax: limits.messageBytes, hash: false }))
    const now = clock.now()
    await store.requeue(detail.id, { now, forgetIntents: true, ...(headers && { headers }), ...(body && { body }) })
    sendOff(running, detail.id, detail.isProbe)
    const changed = [...(headers ? ['headers'] : []), ...(body ? ['body'] : [])]
    await store.audit({ at: now, who, action: 'message.repair', detail: { delivery: detail.id, changed } })
  }

  async function skip(id: string, reason: string, who: string): Promise<void> {
    const detail = await detailOf(id)
    const now = clock.now()
    await store.skip(detail.id, now, reason)
    const running = options.find(detail.flow)
    if (running && detail.state === 'queued' && !detail.isProbe) running.queuedCount--
    await afterSkip([detail], { reason, who, now })
  }

  async function skipAll(ids: readonly string[], reason: string, who: string): Promise<number> {
    const details = new Map((await store.getAll(ids)).map(detail => [detail.id, detail]))
    const now = clock.now()
    const skipped = await store.skipAll([...details.keys()], now, reason)
    await afterSkip(
      skipped.flatMap(id => details.get(id) ?? []),
      { reason, who, now },
    )
    return skipped.length
  }

  async function afterSkip(
    details: readonly DeliveryDetail[],
    { reason, who, now }: { readonly reason: string; readonly who: string; readonly now: number },
  ): Promise<void> {
    await Promise.all(details.map(detail => settleSkipped(detail, reason, now)))
    const entry = { at: now, who, action: 'message.skip' }
    await store.auditAll(details.map(({ id }) => ({ ...entry, detail: { delivery: id, reason } })))
    for (const { id, flow, acceptedAt, isProbe } of details) {
      parts.emit({
        type: 'delivery.ended',
        at: now,
        flow,
        delivery: id,
        state: 'skipped',
        summary: reason,
        error: undefined,
        tookMs: Math.max(0, now - acceptedAt),
        isProbe,
      })
    }
    options.poke()
  }

  /** Whoever waits for it, here or in SAP, is told. */
  async function settleSkipped(detail: DeliveryDetail, reason: string, now: number): Promise<void> {
    const running = options.find(detail.flow)
    travelling.delete(detail.id)
    outcomes.settle({ id: detail.id, state: 'skipped', summary: reason })
    // A replay that is let go takes nothing back of what was told when the message first ended.
    if (running && detail.replayOf === undefined && answers.isAsked(running, detail, 'skipped')) {
      const facts = { message: detail.id, state: 'skipped', at: now, summary: reason, requeueCount: 0 } as const
      await answers.give(running, { ...facts, error: undefined, receipt: undefined, attributes: detail.attributes })
    }
  }

  return { probe, replay, replayAll, repair, skip, skipAll }
}
