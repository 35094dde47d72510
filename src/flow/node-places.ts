import type { ReceiverNode, StepNode } from './document.ts'
import { isPlainObject } from './plain-object.ts'
import type { FlowDocument } from './schema.ts'

type AnyNode = StepNode | ReceiverNode

/** True for a step or a receiver of a parsed document. */
export function isNode(value: unknown): value is AnyNode {
  return isPlainObject(value) && 'declaration' in value && 'config' in value && 'path' in value
}

/** Writes into each step and receiver of a freshly parsed document where it stands: `steps[2].choose[0].to`. */
export function placeNodes(document: FlowDocument): void {
  placeIn(document.steps, 'steps')
  if (document.to !== undefined) placeIn(Array.isArray(document.to) ? document.to : [document.to], 'to')
}

function placeIn(value: unknown, path: string): void {
  if (Array.isArray(value)) {
    for (const [index, item] of value.entries()) placeIn(item, `${path}[${index}]`)
  } else if (isNode(value)) {
    Object.assign(value, { path })
    placeIn(value.config, `${path}.${value.declaration.id}`)
  } else if (isPlainObject(value)) {
    for (const [name, inner] of Object.entries(value)) placeIn(inner, `${path}.${name}`)
  }
}
