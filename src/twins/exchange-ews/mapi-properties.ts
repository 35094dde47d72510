import { globalObjectId } from '../../protocols/ews/global-object-id.ts'
import { childOf } from '../../protocols/xml/xml-element.ts'
import { isoSeconds } from './series.ts'
import type { TwinItem } from './world.ts'

/** PidTagClientSubmitTime, as `extendedKey` names it. */
export const submitTime = 'tag|57'

type Value = (item: TwinItem, uid: string) => string | undefined

/** Properties below those of EWS, which other clients ask for by their tags. */
const byTag: readonly (readonly [tag: number, value: Value])[] = [
  [0x3008, item => isoSeconds(item.modifiedAt)],
  [0x0e06, item => isoSeconds(item.createdAt)],
  // PidTagMessageFlags: read.
  [0x0e07, item => (item.fields.get('IsRead')?.text === 'true' ? '1' : '0')],
  [0x0e08, item => String(sizeOf(item))],
  // PidTagInternetArticleNumber: a number that rises within the folder.
  [0x0e23, item => String(item.createdSeq)],
  [0x0ff9, item => Buffer.from(item.id).toString('base64')],
  [0x670e, item => `https://mail.contoso.example/exchange/${item.id}.EML`],
]

const computed: ReadonlyMap<string, Value> = new Map([
  ...byTag.map(([tag, value]) => [`tag|${tag}`, value] as const),
  ['Meeting|3', objectId] as const,
  ['Meeting|35', objectId] as const,
])

function objectId(item: TwinItem, uid: string): string | undefined {
  return item.itemClass === 'CalendarItem' ? globalObjectId(uid).toString('base64') : undefined
}

export function sizeOf({ attachments, mime }: TwinItem): number {
  const bytes = mime === undefined ? 1000 : Buffer.byteLength(mime, 'base64')
  return attachments.reduce((sum, file) => sum + file.content.length, bytes)
}

/** The value of a property by its key: as it was written, else as it follows from the item. */
export function propertyValue(item: TwinItem, key: string, uid: string): string | undefined {
  return childOf(item.extended.get(key), 'Value')?.text ?? computed.get(key)?.(item, uid)
}
