import { printable } from '../monitor/log-format.ts'

/** Rows as columns under their titles. Whatever stands in a cell, it cannot move the cursor. */
export function table(titles: readonly string[], rows: readonly (readonly unknown[])[]): string {
  const cells = [titles, ...rows].map(row => row.map(cell))
  const widths = titles.map((_, column) => Math.max(...cells.map(row => row[column]?.length ?? 0)))
  const lines = cells.map(row =>
    row
      .map((text, column) => text.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  )
  return `${lines.join('\n')}\n`
}

/** Names and values below each other; values that are not there are left out. */
export function facts(pairs: readonly (readonly [string, unknown])[]): string {
  const shown = pairs.filter(([, value]) => value !== undefined && value !== '')
  const width = Math.max(0, ...shown.map(([name]) => name.length))
  return shown.map(([name, value]) => `${`${name}:`.padEnd(width + 2)}${cell(value)}\n`).join('')
}

/** Text of others that keeps its lines, and the tabs by which SAP and others indent them. */
export function printableLines(text: string): string {
  return text
    .split(/\r?\n/)
    .map(line => line.split('\t').map(printable).join('\t'))
    .join('\n')
}

function cell(value: unknown): string {
  if (value === undefined || value === null) return ''
  return printable(typeof value === 'string' ? value : JSON.stringify(value))
}
