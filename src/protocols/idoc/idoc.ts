/** A segment with its fields and the segments below it; values as they stand in the document. */
export interface Segment {
  /** Segment type, `E1MARAM`. */
  readonly name: string
  readonly fields: ReadonlyMap<string, string>
  readonly children: readonly Segment[]
}

/** One IDoc. `data` has the name `IDOC` and the segments of the first level as children, as mappings read it. */
export interface Idoc {
  /** Element around the IDoc: the basic type, or the extension where there is one. */
  readonly type: string
  /** Fields of EDI_DC40 (DOCNUM, MESTYP, SNDPRN, …). */
  readonly control: ReadonlyMap<string, string>
  readonly data: Segment
  /** Where it begins in the document. */
  readonly line: number
  /** Present when it stood in a SOAP body: the namespace of the element around it, `''` for none. */
  readonly soapNamespace?: string
}

/** A name of SAP as XML can have it: `/` of a namespace is written `_-`, so `/ABC/E1STOCK` is `_-ABC_-E1STOCK`. */
export function xmlNameOf(name: string): string {
  return name.replaceAll('/', '_-')
}

/** Whether a type, a segment or a field can have this name in XML: SAP's names have no other letters. */
export function isIdocName(name: string): boolean {
  return /^[A-Za-z_][A-Za-z0-9_.-]*$/.test(name)
}

/** The control fields that name an IDoc, with blanks trimmed; undefined where they are absent or empty. */
export function controlField(idoc: Pick<Idoc, 'control'>, name: string): string | undefined {
  return idoc.control.get(name)?.trim() || undefined
}

export const idocNames = {
  /** One IDoc. */
  record: 'IDOC',
  control: 'EDI_DC40',
  /** Control record of releases before 4.0. */
  control3: 'EDI_DC',
} as const
