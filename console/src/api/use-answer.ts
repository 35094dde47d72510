import { useCallback, useEffect, useRef, useState } from 'react'
import { isAttended } from '../session/attended.ts'
import { ask, type Refusal, refusalOf } from './client.ts'

export interface Answered<Answer> {
  /** The newest answer; it stays while a later question fails. */
  readonly data: Answer | undefined
  readonly failure: Refusal['problem'] | undefined
  readonly isLoading: boolean
  reload(): void
}

/**
 * What the API says at a path, asked again every so often while somebody looks. `undefined` asks nothing. What one path
 * answered is never shown under another.
 */
export function useAnswer<Answer>(path: string | undefined, everyMs?: number): Answered<Answer> {
  const [kept, setKept] = useState<{ path: string; data?: Answer; failure?: Refusal['problem'] }>()
  const [turn, setTurn] = useState(0)
  const isBusy = useRef(false)

  // biome-ignore lint/correctness/useExhaustiveDependencies: a new turn asks anew
  useEffect(() => {
    if (path === undefined) return
    const ended = new AbortController()
    const look = async () => {
      isBusy.current = true
      try {
        const data = await ask<Answer>('GET', path, { signal: ended.signal })
        if (!ended.signal.aborted) setKept({ path, data })
      } catch (thrown) {
        if (ended.signal.aborted) return
        const failure = refusalOf(thrown)
        setKept(before => ({ ...(before?.path === path ? before : {}), path, failure }))
      } finally {
        isBusy.current = false
      }
    }
    void look()
    const timer =
      everyMs === undefined
        ? undefined
        : setInterval(() => {
            if (!isBusy.current && isAttended()) void look()
          }, everyMs)
    // Whoever comes back to the page sees at once how it is now.
    const onReturn = () => {
      if (everyMs !== undefined && !document.hidden && !isBusy.current) void look()
    }
    document.addEventListener('visibilitychange', onReturn)
    window.addEventListener('focus', onReturn)
    return () => {
      ended.abort()
      clearInterval(timer)
      document.removeEventListener('visibilitychange', onReturn)
      window.removeEventListener('focus', onReturn)
    }
  }, [path, everyMs, turn])

  const reload = useCallback(() => setTurn(before => before + 1), [])
  const current = kept?.path === path ? kept : undefined
  return { data: current?.data, failure: current?.failure, isLoading: path !== undefined && !current, reload }
}

/** As many rows as one question may ask for. */
const rowsMax = 1000

export interface Growing<Answer> extends Answered<Answer> {
  /** Asks for more rows; undefined where no more fit into one answer. */
  readonly grow: (() => void) | undefined
  readonly isGrowing: boolean
}

/**
 * A list of which more and more is asked for. All that is shown is asked for anew each time, so that no row is old, and
 * none is missed that new ones pushed behind the first page.
 */
export function useGrowing<Answer>(
  pathOf: (limit: number) => string,
  firstRows: number,
  everyMs: number,
): Growing<Answer> {
  const [limit, setLimit] = useState(firstRows)
  const answered = useAnswer<Answer>(pathOf(limit), everyMs)
  // What was shown stays while more is asked for.
  const before = useRef<Answer>(undefined)
  const data = answered.data ?? before.current
  useEffect(() => {
    before.current = data
  }, [data])
  return {
    ...answered,
    data,
    isGrowing: answered.isLoading && data !== undefined,
    grow: limit < rowsMax ? () => setLimit(Math.min(rowsMax, limit * 3)) : undefined,
  }
}
