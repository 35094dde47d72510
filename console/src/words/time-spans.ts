const hourMs = 3_600_000

/** How far back a list of messages reaches. */
export const timeSpans = [
  { key: '1h', words: 'In the last hour', ms: hourMs },
  { key: '8h', words: 'In the last 8 hours', ms: 8 * hourMs },
  { key: '1d', words: 'In the last day', ms: 24 * hourMs },
  { key: '7d', words: 'In the last 7 days', ms: 7 * 24 * hourMs },
] as const

/** The beginning of a span as the API takes it; undefined for no span. */
export function startOf(key: string, now: number): string | undefined {
  const span = timeSpans.find(each => each.key === key)
  return span && new Date(now - span.ms).toISOString()
}
