import type { Json } from '../kernel/json.ts'
import type { LogLine } from './log.ts'

const colours = { debug: 90, info: 32, warn: 33, error: 31 } as const

/** A log line as a person reads it at a terminal; whatever stands in its values, it stays one line of plain text. */
export function formatLine(line: LogLine, isColoured: boolean): string {
  const time = new Date(line.at).toISOString().slice(11, 23)
  const level = line.level.toUpperCase().padEnd(5)
  const fields = Object.entries(line.fields).map(([name, value]) => `${printable(name)}=${formatValue(value)}`)
  const head = isColoured ? `\u001B[${colours[line.level]}m${level}\u001B[0m` : level
  return [time, head, printable(line.event), ...fields].join(' ')
}

function formatValue(value: Json): string {
  if (typeof value !== 'string') return printable(JSON.stringify(value))
  return /^[^\s"=]+$/.test(value) ? printable(value) : printable(JSON.stringify(value))
}

/** Control and direction characters become escapes: a value must not move the cursor or fake a line. */
export function printable(text: string): string {
  return text.replace(
    // oxlint-disable-next-line no-control-regex -- control characters are what is looked for
    /[\u0000-\u001F\u007F-\u009F\u200E\u200F\u2028-\u202E\u2066-\u2069]/g,
    letter => `\\u${letter.charCodeAt(0).toString(16).padStart(4, '0')}`,
  )
}
