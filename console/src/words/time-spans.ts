const hourMs = 3_600_000

/** How far back a list of messages reaches. */
export const timeSpans = [
  { key: '1h', words: 'In the last hour', ms: hourMs },
  { key: '8h', words: 'In the last 8 hours', ms: 8 * hourMs },
  { key: '1d', words: 'In the last day', ms: 24 * hourMs },
  { key: '7d', words: 'In the last 7 days', ms: 7 * 24 * hourMs },
] as const

/** The choice of two times of one's own. */
export const ownSpan = 'own'

/** Beginning and end of a choice as the API takes them; times of one's own are those of this place (`2026-11-21T02:00`). */
export function boundsOf(
  choice: { readonly within: string; readonly from: string; readonly to: string },
  now: number,
): { readonly from?: string | undefined; readonly to?: string | undefined } {
  if (choice.within === ownSpan) return { from: instantOf(choice.from), to: instantOf(choice.to) }
  const span = timeSpans.find(each => each.key === choice.within)
  return span ? { from: new Date(now - span.ms).toISOString() } : {}
}

function instantOf(local: string): string | undefined {
  const at = new Date(local)
  return Number.isNaN(at.getTime()) ? undefined : at.toISOString()
}
