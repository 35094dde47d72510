import { formatSize, MiB } from '../../src/kernel/size.ts'
import { median } from './measure.ts'
import type { MemoryResult } from './memory.ts'
import type { RoundResult } from './round.ts'

/** The contestant that all others are compared with. */
const ownName = 'isthmus'

export interface Summary {
  readonly contestant: string
  readonly validRounds: number
  readonly secondsMedian: number
  readonly secondsMin: number
  readonly mailsPerSecond: number
  readonly megabytesPerSecond: number
  /** How many times faster isthmus was, by medians; undefined when it did not run. */
  readonly timesSlowerThanOwn: number | undefined
  /** From the first mail to the last at the sink, and the ratio of that. */
  readonly flowSecondsMedian: number
  readonly flowTimesSlowerThanOwn: number | undefined
  readonly cpuSecondsMedian: number
  readonly cpuMsPerMail: number
}

/** One row per contestant, over its valid rounds. */
export function summarize(results: readonly RoundResult[], mailCount: number, totalBytes: number): Summary[] {
  const names = [...new Set(results.map(result => result.contestant))]
  const validOf = (name: string) => results.filter(({ contestant, invalid }) => contestant === name && !invalid)
  const ownSeconds = median(validOf(ownName).map(({ seconds }) => seconds))
  const ownFlowSeconds = median(validOf(ownName).map(({ flowSeconds }) => flowSeconds))
  return names.map(contestant => {
    const valid = validOf(contestant)
    const seconds = valid.map(result => result.seconds)
    const secondsMedian = median(seconds)
    const flowSecondsMedian = median(valid.map(result => result.flowSeconds))
    const cpuSecondsMedian = median(valid.map(result => result.cpuSeconds))
    return {
      contestant,
      validRounds: valid.length,
      secondsMedian,
      secondsMin: Math.min(...seconds),
      mailsPerSecond: mailCount / secondsMedian,
      megabytesPerSecond: totalBytes / 1e6 / secondsMedian,
      timesSlowerThanOwn: Number.isNaN(ownSeconds) ? undefined : secondsMedian / ownSeconds,
      flowSecondsMedian,
      flowTimesSlowerThanOwn: Number.isNaN(ownFlowSeconds) ? undefined : flowSecondsMedian / ownFlowSeconds,
      cpuSecondsMedian,
      cpuMsPerMail: (cpuSecondsMedian * 1000) / mailCount,
    }
  })
}

export function throughputTable(summaries: readonly Summary[]): string {
  const head = [
    'contestant',
    'rounds',
    's median',
    's min',
    'mails/s',
    'MB/s',
    `x ${ownName}`,
    'flow s',
    'x flow',
    'CPU s',
    'CPU ms/mail',
  ]
  const rows = summaries.map(row => [
    row.contestant,
    String(row.validRounds),
    ...(row.validRounds === 0 ? head.slice(2).map(() => '-') : figures(row)),
  ])
  return table([head, ...rows])
}

function figures(row: Summary): string[] {
  return [
    row.secondsMedian.toFixed(2),
    row.secondsMin.toFixed(2),
    row.mailsPerSecond.toFixed(0),
    row.megabytesPerSecond.toFixed(1),
    row.timesSlowerThanOwn?.toFixed(2) ?? '-',
    row.flowSecondsMedian.toFixed(2),
    row.flowTimesSlowerThanOwn?.toFixed(2) ?? '-',
    row.cpuSecondsMedian.toFixed(2),
    row.cpuMsPerMail.toFixed(2),
  ]
}

export function memoryTable(results: readonly MemoryResult[]): string {
  const head = ['contestant', 'mail', 'idle', 'after ordinary mails', 'peak', 'peak - idle', 'peak - ordinary']
  const inMiB = (bytes: number) => `${(bytes / MiB).toFixed(1)}MiB`
  const rows = results.map(row => [
    row.contestant,
    formatSize(row.largeBytes),
    inMiB(row.idleBytes),
    inMiB(row.warmBytes),
    inMiB(row.peakBytes),
    inMiB(row.peakBytes - row.idleBytes),
    inMiB(row.peakBytes - row.warmBytes),
  ])
  return table([head, ...rows])
}

/** Columns of equal width, the first to the left and figures to the right. */
function table(rows: readonly (readonly string[])[]): string {
  const widths = (rows[0] ?? []).map((_unused, column) => Math.max(...rows.map(row => row[column]?.length ?? 0)))
  const line = (row: readonly string[]) =>
    row
      .map((cell, column) => (column === 0 ? cell.padEnd(widths[column] ?? 0) : cell.padStart(widths[column] ?? 0)))
      .join('  ')
  return rows.map(line).join('\n')
}
