/** Requests that a twin answered, by what was asked for. */
export interface Tally {
  readonly requests: number
  readonly by: Readonly<Record<string, number>>
}

export interface Counts {
  readonly exchange: Tally
  readonly crm: Tally
}

export function less(after: Tally, before: Tally): Tally {
  return combine(after, before, (one, other) => one - other)
}

export function more(one: Tally, other: Tally): Tally {
  return combine(one, other, (left, right) => left + right)
}

function combine(one: Tally, other: Tally, by: (left: number, right: number) => number): Tally {
  const names = new Set([...Object.keys(one.by), ...Object.keys(other.by)])
  const all = [...names].map(name => [name, by(one.by[name] ?? 0, other.by[name] ?? 0)] as const)
  return {
    requests: by(one.requests, other.requests),
    by: Object.fromEntries(all.filter(([, count]) => count !== 0)),
  }
}
