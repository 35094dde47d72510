/**
 * What a target does with one connection: `served` for each piece of work and for an end in good order, `failed` at most
 * once. Nothing is told where nothing can be said (the hub hung up in the middle).
 */
export interface ServiceReport {
  /** Milliseconds of the slowest answer to a piece of work. */
  answered(ms: number): void
  /** The target did what it is there for. */
  served(): void
  /** It broke the connection, or refused service. In words. */
  failed(reason: string): void
}
