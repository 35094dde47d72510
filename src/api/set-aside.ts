import type { HubError } from '../kernel/error.ts'
import { SECOND } from '../kernel/time.ts'
import type { DeliveryQuery, SetAsideRow } from '../store/port.ts'
import type { ApiParts } from './parts.ts'

export const setAsideLimits = {
  /** Messages of one call, and how long it may take: the caller goes on with `next`, and sees how far it is. */
  messages: 1000,
  passMs: 10 * SECOND,
  /** Messages that are acted on together; what other flows write waits for them. */
  together: 100,
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

/** A message that stays as it is: somebody has to look at it alone. */
export interface KeptMessage {
  readonly id: string
  readonly why: 'in-doubt' | 'lossy' | 'failed'
  readonly error?: HubError
}

export interface SetAsidePass {
  done: number
  readonly kept: { inDoubt: number; lossy: number; failed: number }
  readonly examples: KeptMessage[]
  /** Where the next call goes on; undefined: this was all. */
  next?: string
}

type Store = Pick<ApiParts['store'], 'oldestSetAside'>

/**
 * Acts on set-aside messages of a flow, the oldest first and some of them at a time, so that their order stays. A message
 * that somebody else is quicker with is in neither of the numbers that `act` returns.
 */
export async function actOnSetAside(
  store: Store,
  query: SetAsideQuery,
  act: (rows: readonly SetAsideRow[]) => Promise<{ readonly done: number; readonly kept: readonly KeptMessage[] }>,
): Promise<SetAsidePass> {
  const pass: SetAsidePass = { done: 0, kept: { inDoubt: 0, lossy: 0, failed: 0 }, examples: [] }
  const until = performance.now() + setAsideLimits.passMs
  const { rows, seenTo, isAll } = await oldestOf(store, query, until)
  let at = 0
  while (at < rows.length && (at === 0 || performance.now() < until)) {
    const group = rows.slice(at, at + setAsideLimits.together)
    const { done, kept } = await act(group)
    pass.done += done
    for (const { why } of kept) pass.kept[why === 'in-doubt' ? 'inDoubt' : why]++
    pass.examples.push(...kept.slice(0, setAsideLimits.examples - pass.examples.length))
    at += group.length
  }
  if (at < rows.length) pass.next = rows[at - 1]?.id ?? ''
  else if (!isAll) pass.next = seenTo
  return pass
}

interface Found {
  readonly rows: readonly SetAsideRow[]
  /** The last one that was looked at, whether it fits or not. */
  readonly seenTo: string
  readonly isAll: boolean
}

/** The oldest that fit, oldest first, as far as the time allows to look through others. */
async function oldestOf(store: Store, query: SetAsideQuery, until: number): Promise<Found> {
  const { flow, code, acceptedFrom = 0, acceptedTo = Number.POSITIVE_INFINITY } = query
  const rows: SetAsideRow[] = []
  let seenTo = query.after ?? ''
  do {
    const page = await store.oldestSetAside(flow, seenTo || undefined, pageRows)
    for (const row of page) {
      const { id, error, isProbe, acceptedAt } = row
      if (rows.length === setAsideLimits.messages) return { rows, seenTo, isAll: false }
      seenTo = id
      const isWanted = !isProbe && (code === undefined || error?.code === code)
      if (isWanted && acceptedAt >= acceptedFrom && acceptedAt <= acceptedTo) rows.push(row)
    }
    if (page.length < pageRows) return { rows, seenTo, isAll: true }
  } while (rows.length < setAsideLimits.messages && performance.now() < until)
  return { rows, seenTo, isAll: false }
}
