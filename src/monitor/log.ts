import type { Json, JsonObject } from '../kernel/json.ts'
import type { Log, LogFields } from '../kernel/log.ts'
import type { Clock } from '../kernel/time.ts'
import { formatLine } from './log-format.ts'
import { createMask, type Mask } from './mask.ts'

export const logLevels = ['debug', 'info', 'warn', 'error'] as const
export type LogLevel = (typeof logLevels)[number]

/** One line of the log, without secrets. */
export interface LogLine {
  /** Milliseconds since 1970 UTC. */
  readonly at: number
  readonly level: LogLevel
  readonly event: string
  readonly fields: JsonObject
}

/** The hub's log: where lines are written, and where the newest ones can be read and followed. */
export interface LogBook {
  readonly log: Log
  readonly mask: Mask
  /** The newest lines, oldest first. */
  recent(): readonly LogLine[]
  /** Calls back for each line of that level or above, also below the level of the output, until ended. */
  follow(level: LogLevel, listener: (line: LogLine) => void): () => void
}

export interface LogOptions {
  readonly clock: Clock
  /** Every secret the hub has loaded, asked for at each line. */
  readonly secretValues: () => readonly string[]
  /** Lines below it are neither written nor kept, unless somebody follows them. */
  readonly level: LogLevel
  /** `text` for people at a terminal, `json` for one JSON object a line. */
  readonly format: 'text' | 'json'
  readonly colours?: boolean
  readonly output: { write(text: string): unknown }
}

export const logLimits = {
  /** Newest lines that are kept in memory for the live log. */
  keptLines: 2000,
}

/** A log that masks every secret by its value before a line is written, kept or followed. */
export function createLogBook(options: LogOptions): LogBook {
  const mask = createMask(options.secretValues)
  const writeLine = options.format === 'json' ? jsonWriter(options) : textWriter(options)
  const outputRank = rankOf(options.level)
  const kept: LogLine[] = []
  const followers = new Map<(line: LogLine) => void, number>()
  let leastRank = outputRank

  function write(level: LogLevel, event: string, fields: LogFields): void {
    const rank = rankOf(level)
    if (rank < leastRank) return
    const line: LogLine = {
      at: options.clock.now(),
      level,
      event: mask.text(event),
      fields: asFields(mask.value(fields)),
    }
    if (rank >= outputRank) {
      writeLine(line)
      kept.push(line)
      // Cut in blocks: a shift for each line would move the whole list each time.
      if (kept.length > 2 * logLimits.keptLines) kept.splice(0, kept.length - logLimits.keptLines)
    }
    for (const [listener, wanted] of followers) if (rank >= wanted) listener(line)
  }

  function follow(level: LogLevel, listener: (line: LogLine) => void): () => void {
    followers.set(listener, rankOf(level))
    leastRank = Math.min(outputRank, ...followers.values())
    return () => {
      followers.delete(listener)
      leastRank = Math.min(outputRank, ...followers.values())
    }
  }

  return { log: makeLog(write, {}), mask, recent: () => kept.slice(-logLimits.keptLines), follow }
}

function makeLog(write: (level: LogLevel, event: string, fields: LogFields) => void, bound: LogFields): Log {
  return {
    debug: (event, fields) => write('debug', event, { ...bound, ...fields }),
    info: (event, fields) => write('info', event, { ...bound, ...fields }),
    warn: (event, fields) => write('warn', event, { ...bound, ...fields }),
    error: (event, fields) => write('error', event, { ...bound, ...fields }),
    with: fields => makeLog(write, { ...bound, ...fields }),
  }
}

function jsonWriter({ output }: LogOptions): (line: LogLine) => void {
  // The mask has made plain JSON of the fields.
  return ({ level, at, fields, event }) => {
    const line = { level, time: new Date(at).toISOString(), ...renamed(fields), event }
    output.write(`${JSON.stringify(line)}\n`)
  }
}

function textWriter(options: LogOptions): (line: LogLine) => void {
  return line => void options.output.write(`${formatLine(line, options.colours ?? false)}\n`)
}

/** Fields that would stand twice in a JSON line get an underscore. */
function renamed(fields: JsonObject): JsonObject {
  const taken = ['time', 'level', 'event']
  if (!taken.some(name => name in fields)) return fields
  return Object.fromEntries(
    Object.entries(fields).map(([name, value]) => [taken.includes(name) ? `${name}_` : name, value]),
  )
}

function rankOf(level: LogLevel): number {
  return logLevels.indexOf(level)
}

function asFields(value: Json): JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : { value }
}
