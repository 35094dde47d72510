import type { LoadedFlow } from './document.ts'

/** Locations of on-premise connectors that a flow names with `via`, in its sender, its steps or its receivers. */
export function locationsOf({ from, steps, to }: Pick<LoadedFlow, 'from' | 'steps' | 'to'>): readonly string[] {
  const found = new Set<string>()
  for (const { config } of [from, ...steps, ...to]) collect(config, found, new Set())
  return [...found].toSorted()
}

function collect(value: unknown, found: Set<string>, seen: Set<object>): void {
  if (typeof value !== 'object' || value === null || seen.has(value)) return
  seen.add(value)
  for (const [key, inner] of Object.entries(value)) {
    if (key === 'via' && typeof inner === 'string') found.add(inner)
    // Steps inside a step stand there with their declarations, which say nothing of this flow.
    else if (key === 'declaration') continue
    else collect(inner, found, seen)
  }
}
