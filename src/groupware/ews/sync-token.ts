/** How far the folders of a scope were told. */
export interface SyncToken {
  /** SyncState by folder id. */
  readonly states: Readonly<Record<string, string>>
  /** Folders that this round has still to ask; empty: a round begins. */
  readonly left: readonly string[]
  /** Folders whose first listing is not at its end. */
  readonly listing: readonly string[]
}

export function writeToken(token: SyncToken): string {
  return JSON.stringify(token)
}

/** A token as it was written; without one, a first round. Undefined for what is none. */
export function readToken(text: string | undefined): SyncToken | undefined {
  if (text === undefined) return { states: {}, left: [], listing: [] }
  let value: unknown
  try {
    value = JSON.parse(text)
  } catch {
    // A token of another driver: the side cannot go on from it.
    return undefined
  }
  if (typeof value !== 'object' || value === null) return undefined
  const { states, left, listing } = value as Partial<SyncToken>
  if (typeof states !== 'object' || !Array.isArray(left) || !Array.isArray(listing)) return undefined
  return { states, left, listing }
}
