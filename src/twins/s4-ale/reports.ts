import { addressSegments, stockSegments } from './address-idoc.ts'
import { buildSegments } from './build-idoc.ts'
import type { ChangePointers } from './change-pointers.ts'
import type { IdocDatabase, StoredIdoc } from './idoc-database.ts'
import { layouts, type ReducedType } from './idoc-layout.ts'
import type { MasterData, Row } from './master-data.ts'

export interface ReportWorld {
  readonly data: MasterData
  readonly pointers: ChangePointers
  readonly database: IdocDatabase
  /** BD53: message types of the company's own with fewer fields. */
  readonly reduced: Readonly<Record<string, ReducedType>>
  /** BD64: message types and the logical system that gets them. */
  readonly model: ReadonlyMap<string, string>
  portName(messageType: string): string
}

/**
 * RBDMIDOC: one IDoc per object out of the change pointers of a message type, however many changes there were. Returns
 * the new IDocs; pointers of objects that are gone are used up without one.
 */
export function runRbdmidoc(world: ReportWorld, messageType: string): readonly StoredIdoc[] {
  const { data, pointers, database, reduced, model } = world
  const receiver = model.get(messageType)
  const created: StoredIdoc[] = []
  const lessOf = reduced[messageType]
  const layout = layouts[lessOf?.of ?? messageType]
  for (const [objectId, open] of pointers.open(messageType)) {
    const root =
      messageType === 'ADRMAS'
        ? addressSegments(data, objectId)
        : layout && buildSegments(data, layout, objectId, open, lessOf)
    if (root && receiver !== undefined) {
      created.push(
        database.addOutbound({
          messageType,
          idocType: layout?.idocType ?? 'ADRMAS02',
          objectId,
          segments: [root],
          receiver,
          port: world.portName(messageType),
        }),
      )
    }
    for (const pointer of open) pointer.isProcessed = true
  }
  return created
}

/** BD10, BD12: sends whole objects, changed or not. Undefined for an object that is not there. */
export function sendWhole(world: ReportWorld, messageType: string, objectId: string): StoredIdoc | undefined {
  const layout = layouts[messageType]
  const receiver = world.model.get(messageType)
  if (!layout || receiver === undefined) return undefined
  const { objectClass, idocType, root } = layout
  const asked = {
    number: '0000000000',
    messageType,
    objectClass,
    objectId,
    table: root.table,
    tableKey: objectId,
    field: 'ALELISTING',
    kind: 'U' as const,
    isProcessed: false,
  }
  const segment = buildSegments(world.data, layout, objectId, [asked])
  if (!segment) return undefined
  const port = world.portName(messageType)
  return world.database.addOutbound({ messageType, idocType, objectId, segments: [segment], receiver, port })
}

export const stockType = { message: 'ZCUSTSTOCK', idoc: 'ZCUSTSTOCK01' } as const

/** ZRSTOCK: the company's own report sends rows of customer stock that are not what they were at its last run. */
export class StockReport {
  readonly #sent = new Map<string, string>()

  run(world: ReportWorld): readonly StoredIdoc[] {
    const receiver = world.model.get(stockType.message)
    if (receiver === undefined) return []
    const created: StoredIdoc[] = []
    for (const row of world.data.find('MSKU')) {
      const key = stockKey(row)
      const state = JSON.stringify(row)
      if (this.#sent.get(key) === state) continue
      this.#sent.set(key, state)
      created.push(
        world.database.addOutbound({
          messageType: stockType.message,
          idocType: stockType.idoc,
          objectId: key,
          segments: [stockSegments(row)],
          receiver,
          port: world.portName(stockType.message),
        }),
      )
    }
    return created
  }
}

function stockKey(row: Row): string {
  return ['MATNR', 'WERKS', 'CHARG', 'SOBKZ', 'KUNNR'].map(field => row[field] ?? '').join('/')
}
