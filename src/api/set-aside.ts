import { asHubError, type HubError } from '../kernel/error.ts'
import { SECOND } from '../kernel/time.ts'
import { storeErrors } from '../store/errors.ts'
import type { DeliveryDetail, DeliveryQuery } from '../store/port.ts'
import type { ApiParts } from './parts.ts'

export const setAsideLimits = {
  /** Messages of one call, and how long it may take: the caller goes on with `next`, and sees how far it is. */
  messages: 1000,
  passMs: 10 * SECOND,
  /** Messages that are acted on at the same time; of one order key never two. */
  parallel: 50,
  examples: 10,
}

/** Messages that are looked at together. */
const pageRows = 1000

/** Which set-aside messages are meant. */
export interface SetAsideQuery extends Pick<DeliveryQuery, 'acceptedFrom' | 'acceptedTo'> {
  readonly flow: string
  /** Code of the error that set them aside. */
  readonly code?: string | undefined
  /** Only younger ones than this. */
  readonly after?: string | undefined
}

/** Why a message stays as it is: somebody has to look at it alone. */
export type KeptWhy = 'in-doubt' | 'lossy' | 'failed'

export interface SetAsidePass {
  done: number
  readonly kept: { inDoubt: number; lossy: number; failed: number }
  readonly examples: { id: string; why: KeptWhy; error?: HubError }[]
  /** Where the next call goes on; undefined: this was all. */
  next?: string
}

/** What `act` meets where somebody has replayed, repaired or skipped the message since it was looked at. */
const quickerCodes = new Set([storeErrors.NOT_SET_ASIDE.code, storeErrors.RUNNING.code])

type Store = Pick<ApiParts['store'], 'oldestSetAside' | 'get'>

/**
 * Acts on set-aside messages of a flow, the oldest first, so that their order stays. `findReason` keeps single ones out.
 * A message that somebody else is quicker with is passed over: `act` throws STORE_NOT_SET_ASIDE then.
 */
export async function actOnSetAside(
  store: Store,
  query: SetAsideQuery,
  findReason: (detail: DeliveryDetail) => Promise<KeptWhy | undefined>,
  act: (id: string) => Promise<unknown>,
): Promise<SetAsidePass> {
  const pass: SetAsidePass = { done: 0, kept: { inDoubt: 0, lossy: 0, failed: 0 }, examples: [] }
  const until = performance.now() + setAsideLimits.passMs
  const { rows, seenTo, isAll } = await oldestOf(store, query, until)
  let at = 0
  while (at < rows.length && (at === 0 || performance.now() < until)) {
    const group = groupFrom(rows, at)
    await Promise.all(group.map(({ id }) => one(id)))
    at += group.length
  }
  if (at < rows.length) pass.next = rows[at - 1]?.id ?? ''
  else if (!isAll) pass.next = seenTo
  return pass

  async function one(id: string): Promise<void> {
    const detail = await store.get(id)
    if (detail?.state !== 'set-aside') return
    try {
      const why = await findReason(detail)
      if (why) keep(id, why)
      else {
        await act(id)
        pass.done++
      }
    } catch (thrown) {
      const error = asHubError(thrown)
      if (!quickerCodes.has(error.code)) keep(id, 'failed', error)
    }
  }

  function keep(id: string, why: KeptWhy, error?: HubError): void {
    pass.kept[why === 'in-doubt' ? 'inDoubt' : why]++
    if (pass.examples.length < setAsideLimits.examples) pass.examples.push({ id, why, ...(error && { error }) })
  }
}

interface Row {
  readonly id: string
  readonly orderKey: string | undefined
}

interface Found {
  readonly rows: readonly Row[]
  /** The last one that was looked at, whether it fits or not. */
  readonly seenTo: string
  readonly isAll: boolean
}

/** The oldest that fit, oldest first, as far as the time allows to look through others. */
async function oldestOf(store: Store, query: SetAsideQuery, until: number): Promise<Found> {
  const { flow, code, acceptedFrom = 0, acceptedTo = Number.POSITIVE_INFINITY } = query
  const rows: Row[] = []
  let seenTo = query.after ?? ''
  do {
    const page = await store.oldestSetAside(flow, seenTo || undefined, pageRows)
    for (const { id, orderKey, error, isProbe, acceptedAt } of page) {
      if (rows.length === setAsideLimits.messages) return { rows, seenTo, isAll: false }
      seenTo = id
      const isWanted = !isProbe && (code === undefined || error?.code === code)
      if (isWanted && acceptedAt >= acceptedFrom && acceptedAt <= acceptedTo) rows.push({ id, orderKey })
    }
    if (page.length < pageRows) return { rows, seenTo, isAll: true }
  } while (rows.length < setAsideLimits.messages && performance.now() < until)
  return { rows, seenTo, isAll: false }
}

/** What may go at once: up to the next message of an order key that is among them already. */
function groupFrom(rows: readonly Row[], from: number): readonly Row[] {
  const keys = new Set<string>()
  let to = from
  for (; to < Math.min(rows.length, from + setAsideLimits.parallel); to++) {
    const key = rows[to]?.orderKey
    if (key !== undefined && keys.has(key)) break
    if (key !== undefined) keys.add(key)
  }
  return rows.slice(from, to)
}
