import type { ChangeDocument, FieldChange } from './master-data.ts'
import type { TableName } from './tables.ts'

/** What customizing says about change pointers. */
export interface PointerSettings {
  /** BD61: change pointers are written at all. */
  isActive: boolean
  /** BD50: message types for which they are written. */
  readonly messageTypes: Set<string>
  /** BD52: by message type, the fields whose change leaves a pointer (`MARA-NTGEW`; `MAKT-KEY` for new and deleted rows). */
  readonly fields: Map<string, ReadonlySet<string>>
}

/** A row of BDCP2. */
export interface ChangePointer {
  readonly number: string
  readonly messageType: string
  readonly objectClass: string
  readonly objectId: string
  readonly table: TableName
  readonly tableKey: string
  /** `ALELISTING`: the object is to leave whole. */
  readonly field: string
  readonly kind: FieldChange['kind']
  isProcessed: boolean
}

const fieldOfWholeObjects = 'ALELISTING'

/** Table BDCP2 and who writes it. */
export class ChangePointers {
  readonly settings: PointerSettings
  #rows: ChangePointer[] = []
  #last = 0

  constructor(settings: PointerSettings) {
    this.settings = settings
  }

  get rows(): readonly ChangePointer[] {
    return this.#rows
  }

  /** What CHANGEDOCUMENT_CLOSE does: a pointer per message type and changed field, where customizing wants one. */
  write({ objectClass, objectId, changes }: ChangeDocument): void {
    if (!this.settings.isActive) return
    for (const messageType of this.settings.messageTypes) {
      const fields = this.settings.fields.get(messageType)
      for (const { table, tableKey, field, kind } of changes) {
        if (fields?.has(`${table}-${field}`))
          this.#add({ messageType, objectClass, objectId, table, tableKey, field, kind })
      }
    }
  }

  /** A pointer that asks for the whole object. */
  writeWhole(messageType: string, objectClass: string, objectId: string, table: TableName): void {
    this.#add({ messageType, objectClass, objectId, table, tableKey: objectId, field: fieldOfWholeObjects, kind: 'U' })
  }

  /** Pointers of a message type that no report has read yet, by object in the order in which they were written. */
  open(messageType: string): ReadonlyMap<string, readonly ChangePointer[]> {
    const byObject = new Map<string, ChangePointer[]>()
    for (const pointer of this.#rows) {
      if (pointer.isProcessed || pointer.messageType !== messageType) continue
      const known = byObject.get(pointer.objectId)
      if (known) known.push(pointer)
      else byObject.set(pointer.objectId, [pointer])
    }
    return byObject
  }

  /** BD22 (RBDCPCLR): deletes what was processed; returns how many. */
  deleteProcessed(): number {
    const before = this.#rows.length
    this.#rows = this.#rows.filter(({ isProcessed }) => !isProcessed)
    return before - this.#rows.length
  }

  #add(pointer: Omit<ChangePointer, 'number' | 'isProcessed'>): void {
    this.#last += 1
    this.#rows.push({ ...pointer, number: String(this.#last).padStart(10, '0'), isProcessed: false })
  }
}

/** True when a run makes a whole object of these pointers: it was asked for, or the object is new. */
export function wantsWhole(pointers: readonly ChangePointer[], rootTable: TableName): boolean {
  return pointers.some(
    ({ field, table, kind }) =>
      field === fieldOfWholeObjects || (table === rootTable && field === 'KEY' && kind === 'I'),
  )
}
