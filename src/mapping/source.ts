/**
 * What a mapping reads: an IDoc, the payload of a proxy message, or any XML of records and fields. Fields are elements
 * with text only; everything else is a child.
 */
export interface SourceNode {
  readonly name: string
  /** The first value of each field; values as they stand in the document. */
  readonly fields: ReadonlyMap<string, string>
  readonly children: readonly SourceNode[]
}

/** An IDoc, XML, or either XML or JSON. */
export type SourceKind = 'idoc' | 'xml' | 'document'

/** `E1MARAM/E1MAKTM/MAKTX`: names of nodes, and at the end the name of a field or of a node. */
export type SourcePath = string

/** Every node at the path below `node`, in the order of the document. An empty path is the node itself. */
export function nodesAt(node: SourceNode, names: readonly string[]): readonly SourceNode[] {
  const [name, ...rest] = names
  if (name === undefined) return [node]
  const found = node.children.filter(child => child.name === name)
  if (rest.length === 0) return found
  return found.flatMap(child => nodesAt(child, rest))
}

/** The first node at the path that has the field, and its value; undefined where there is none. */
export function fieldAt(node: SourceNode, names: readonly string[], field: string): string | undefined {
  return fieldBelow(node, names, 0, field)
}

function fieldBelow(node: SourceNode, names: readonly string[], depth: number, field: string): string | undefined {
  if (depth === names.length) return node.fields.get(field)
  for (const child of node.children) {
    if (child.name !== names[depth]) continue
    const value = fieldBelow(child, names, depth + 1, field)
    if (value !== undefined) return value
  }
  return undefined
}

export function splitPath(path: SourcePath): { readonly names: readonly string[]; readonly field: string } {
  const names = path.split('/')
  const field = names.pop() ?? ''
  if (field === '' || names.some(name => name === '')) throw new TypeError(`"${path}" is no path such as E1MARAM/MATNR`)
  return { names, field }
}

/** Each field of the document once, as `E1MARAM/E1MAKTM/MAKTX`, in order. */
export function fieldPaths(node: SourceNode, above = ''): readonly string[] {
  const paths = new Set<string>()
  const walk = (at: SourceNode, prefix: string) => {
    for (const field of at.fields.keys()) paths.add(`${prefix}${field}`)
    for (const child of at.children) walk(child, `${prefix}${child.name}/`)
  }
  walk(node, above)
  return [...paths]
}
