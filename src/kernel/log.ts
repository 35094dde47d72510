export type LogFields = Record<string, unknown>

/** One event per thing that happened, in the past tense: `log.info('delivery.failed', { flow, delivery, code })`. */
export interface Log {
  debug(event: string, fields?: LogFields): void
  info(event: string, fields?: LogFields): void
  warn(event: string, fields?: LogFields): void
  error(event: string, fields?: LogFields): void
  /** A log that adds these fields to each of its lines. */
  with(fields: LogFields): Log
}

/** Says nothing; for tests and for code that is asked to be quiet. */
export const silentLog: Log = {
  debug() {},
  info() {},
  warn() {},
  error() {},
  with: () => silentLog,
}
