export interface Column {
  readonly name: string
  readonly length: number
}

/** The control record EDI_DC40, 524 characters. */
export const controlColumns: readonly Column[] = [
  { name: 'TABNAM', length: 10 },
  { name: 'MANDT', length: 3 },
  { name: 'DOCNUM', length: 16 },
  { name: 'DOCREL', length: 4 },
  { name: 'STATUS', length: 2 },
  { name: 'DIRECT', length: 1 },
  { name: 'OUTMOD', length: 1 },
  { name: 'EXPRSS', length: 1 },
  { name: 'TEST', length: 1 },
  { name: 'IDOCTYP', length: 30 },
  { name: 'CIMTYP', length: 30 },
  { name: 'MESTYP', length: 30 },
  { name: 'MESCOD', length: 3 },
  { name: 'MESFCT', length: 3 },
  { name: 'STD', length: 1 },
  { name: 'STDVRS', length: 6 },
  { name: 'STDMES', length: 6 },
  { name: 'SNDPOR', length: 10 },
  { name: 'SNDPRT', length: 2 },
  { name: 'SNDPFC', length: 2 },
  { name: 'SNDPRN', length: 10 },
  { name: 'SNDSAD', length: 21 },
  { name: 'SNDLAD', length: 70 },
  { name: 'RCVPOR', length: 10 },
  { name: 'RCVPRT', length: 2 },
  { name: 'RCVPFC', length: 2 },
  { name: 'RCVPRN', length: 10 },
  { name: 'RCVSAD', length: 21 },
  { name: 'RCVLAD', length: 70 },
  { name: 'CREDAT', length: 8 },
  { name: 'CRETIM', length: 6 },
  { name: 'REFINT', length: 14 },
  { name: 'REFGRP', length: 14 },
  { name: 'REFMES', length: 14 },
  { name: 'ARCKEY', length: 70 },
  { name: 'SERIAL', length: 20 },
]

/** Fields of the control record, in its order. */
export const controlFieldNames: readonly string[] = controlColumns.map(({ name }) => name)

const lengths: ReadonlyMap<string, number> = new Map(controlColumns.map(({ name, length }) => [name, length]))

/**
 * What is wrong with control fields that have more than SAP's columns hold; undefined: they fit. Names of partners that
 * others gave are not held against it: SAP itself publishes IDocs with longer ones, for its own middleware.
 */
export function findOverlong(fields: Iterable<readonly [name: string, value: string]>): string | undefined {
  for (const [name, value] of fields) {
    const lengthMax = lengths.get(name)
    // Blanks at the end are filling.
    const { length } = value.trimEnd()
    if (lengthMax !== undefined && length > lengthMax)
      return `the control field ${name} takes ${lengthMax} characters, not ${length}`
  }
  return undefined
}

/** The same for the number of an IDoc that comes: a longer one would be older or newer than all others at random. */
export function findOverlongNumber(control: ReadonlyMap<string, string>): string | undefined {
  return findOverlong([['DOCNUM', control.get('DOCNUM') ?? '']])
}
