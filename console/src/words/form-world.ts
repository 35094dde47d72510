/** As much of a JSON Schema as tells which settings there are. */
export interface Schema {
  readonly properties?: Readonly<Record<string, Schema>>
  readonly anyOf?: readonly Schema[]
  readonly oneOf?: readonly Schema[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
}

/** Paths of all that can be typed into the settings that a schema describes; for the tests of forms. */
export function pathsOf(schema: Schema): string[] {
  return [...new Set(pathsBelow(schema, []))]
}

function pathsBelow(schema: Schema, path: readonly string[]): string[] {
  const ways = schema.anyOf ?? schema.oneOf
  if (ways) return ways.flatMap(way => pathsBelow(way, path))
  const properties = Object.entries(schema.properties ?? {})
  if (properties.length === 0) return [path.join('.')]
  return properties.flatMap(([name, inner]) => pathsBelow(inner, [...path, name]))
}
