import { useSyncExternalStore } from 'react'
import { hubNow } from '../api/hub-clock.ts'
import { agoWords, timeWords } from '../words/format.ts'

const tickMs = 10_000
let now = hubNow()
const listeners = new Set<() => void>()
let timer: ReturnType<typeof setInterval> | undefined

/** The time at the hub as it goes on, for words like `3 min ago`. */
export function useNow(): number {
  return useSyncExternalStore(subscribe, () => now)
}

/** How long ago something was; the time itself on hovering, and for machines. */
export function When({ time, none = '–' }: { readonly time: string | undefined; readonly none?: string }) {
  const present = useNow()
  if (time === undefined) return <span className="quiet">{none}</span>
  return (
    <time dateTime={time} title={timeWords(time)} className="when">
      {agoWords(time, Math.max(present, hubNow() - tickMs))}
    </time>
  )
}

/** The time itself, and how long ago beside it. */
export function At({ time, none = '–' }: { readonly time: string | undefined; readonly none?: string }) {
  const present = useNow()
  if (time === undefined) return <span className="quiet">{none}</span>
  return (
    <time dateTime={time} className="when">
      {timeWords(time)} <span className="quiet">({agoWords(time, Math.max(present, hubNow() - tickMs))})</span>
    </time>
  )
}

function subscribe(tell: () => void): () => void {
  listeners.add(tell)
  if (timer === undefined) {
    now = hubNow()
    timer = setInterval(() => {
      now = hubNow()
      for (const each of listeners) each()
    }, tickMs)
  }
  return () => {
    listeners.delete(tell)
    if (listeners.size > 0) return
    clearInterval(timer)
    timer = undefined
  }
}
