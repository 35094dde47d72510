/** As many lines as a page holds; older ones go. */
const linesMax = 500

/** The fields of a line, or of an entry of the audit log, as text in their order. */
export function fieldsOf(fields: unknown): readonly (readonly [name: string, value: string])[] {
  if (typeof fields !== 'object' || fields === null) return []
  return Object.entries(fields).map(([name, value]) => [
    name,
    typeof value === 'string' ? value : JSON.stringify(value),
  ])
}

/** The lines with the newest one before them, without those that are too many. */
export function keepNewest<Line>(newest: Line, before: readonly Line[]): readonly Line[] {
  return [newest, ...before.slice(0, linesMax - 1)]
}
