import type { z } from 'zod'
import type { Json } from '../../kernel/json.ts'
import { refusals } from './graph-error.ts'
import type { GraphMailbox, StoredItem, Values } from './mailbox.ts'
import { extendedKey } from './query.ts'
import { type ItemType, shapes } from './shapes.ts'

/** A body as the type allows it: extended properties apart from the others. Throws 400 in the words of Graph. */
export function readBody(
  type: ItemType,
  body: Json | undefined,
): { readonly values: Values; readonly extended: readonly Extended[] } {
  const parsed = (shapes[type] as z.ZodType).safeParse(body)
  if (!parsed.success) {
    const [issue] = parsed.error.issues
    if (issue?.code === 'unrecognized_keys') {
      throw refusals.noProperty(
        `The property '${issue.keys[0]}' does not exist on type 'microsoft.graph.${type}'. Make sure to only use property names that are defined by the type.`,
      )
    }
    throw refusals.wrongValue(`${issue?.path.join('.') || 'Body'}: ${issue?.message}`)
  }
  const { singleValueExtendedProperties = [], ...values } = parsed.data as Values
  return { values, extended: singleValueExtendedProperties as unknown as readonly Extended[] }
}

interface Extended {
  readonly id: string
  readonly value: string | null
}

export function writeExtended(item: StoredItem, extended: readonly Extended[]): void {
  for (const { id, value } of extended) {
    if (value === null || value === '') item.extended.delete(extendedKey(id))
    else item.extended.set(extendedKey(id), value)
  }
  if (item.type !== 'message') return
  // MS-OXCMSG: a message whose flag "unsent" is not set is no draft; its times are what it says.
  const flags = item.extended.get('integer 0xe07')
  if (flags !== undefined) item.values['isDraft'] = (Number(flags) & 8) !== 0
  for (const [name, id] of [
    ['sentDateTime', 'systemtime 0x39'],
    ['receivedDateTime', 'systemtime 0xe06'],
  ] as const) {
    const value = item.extended.get(id)
    if (value !== undefined) item.values[name] = value
  }
}

/** Takes a part of an item that is written as a whole for what it is; `null` empties it. */
export function changeItem(
  mailbox: GraphMailbox,
  item: StoredItem,
  values: Values,
  extended: readonly Extended[],
): void {
  item.values = { ...item.values, ...values }
  writeExtended(item, extended)
  mailbox.touch(item)
}
