import type { Idoc, Segment } from '../../protocols/idoc/idoc.ts'
import { aleTwinErrors } from './errors.ts'

/** A status record (table EDIDS). */
export interface StatusRecord {
  readonly status: string
  readonly at: number
  readonly text: string
}

/** An IDoc of the twin: control record and data, and every status it had. */
export interface StoredIdoc {
  readonly docnum: string
  readonly direction: 'out' | 'in'
  readonly messageType: string
  /** What it speaks of: a material, a customer. Empty for IDocs that came in. */
  readonly objectId: string
  readonly idoc: Pick<Idoc, 'type' | 'control' | 'data'>
  readonly statuses: readonly StatusRecord[]
}

export interface NewIdoc {
  readonly messageType: string
  readonly idocType: string
  readonly objectId: string
  readonly segments: readonly Segment[]
  /** Logical system that gets it, and the port that leads there. */
  readonly receiver: string
  readonly port: string
}

export interface OwnSystem {
  readonly client: string
  readonly logicalSystem: string
  /** Own port, `SAPS4H`. */
  readonly port: string
  readonly release: string
}

/** Status values of outbound IDocs that the twin sets, with the texts that transaction WE05 shows. */
const statusTexts: Readonly<Record<string, string>> = {
  '01': 'IDoc generated',
  '30': 'IDoc ready for dispatch (ALE service)',
  '03': 'Data passed to port OK',
  '02': 'Error passing data to port',
  '12': 'Dispatch OK',
  '39': 'IDoc is in the target system (ALE service)',
  '40': 'Application document not created in target system',
  '41': 'Application document created in target system',
  '50': 'IDoc added',
  '51': 'Application document not posted',
  '53': 'Application document posted',
  '56': 'IDoc with errors added',
  '60': 'Error during syntax check of IDoc (inbound)',
  '64': 'IDoc ready to be transferred to application',
  '62': 'IDoc passed to application',
}

interface OpenIdoc extends StoredIdoc {
  readonly statuses: StatusRecord[]
}

/** Tables EDIDC, EDID4 and EDIDS. */
export class IdocDatabase {
  readonly #system: OwnSystem
  readonly #now: () => number
  readonly #idocs = new Map<string, OpenIdoc>()
  #lastNumber = 700_000

  constructor(system: OwnSystem, now: () => number) {
    this.#system = system
    this.#now = now
  }

  all(): readonly StoredIdoc[] {
    return [...this.#idocs.values()]
  }

  get(docnum: string): StoredIdoc | undefined {
    return this.#idocs.get(docnum)
  }

  /** Outbound IDocs whose last status is one of these, by number. */
  withStatus(...statuses: readonly string[]): readonly StoredIdoc[] {
    return this.all().filter(idoc => idoc.direction === 'out' && statuses.includes(currentStatus(idoc)))
  }

  addStatus(docnum: string, status: string, text?: string): void {
    const idoc = this.#idocs.get(docnum)
    if (!idoc) throw aleTwinErrors.NO_SUCH_IDOC({ docnum })
    idoc.statuses.push({ status, at: this.#now(), text: text ?? statusTexts[status] ?? '' })
  }

  /** A new outbound IDoc, generated (01) and ready for dispatch (30). */
  addOutbound({ messageType, idocType, objectId, segments, receiver, port }: NewIdoc): StoredIdoc {
    const docnum = this.#nextNumber()
    const { client, logicalSystem, port: ownPort, release } = this.#system
    const [day, time] = sapMoment(this.#now())
    const control = new Map([
      ['TABNAM', 'EDI_DC40'],
      ['MANDT', client],
      ['DOCNUM', docnum],
      ['DOCREL', release],
      ['STATUS', '30'],
      ['DIRECT', '1'],
      ['OUTMOD', '4'],
      ['IDOCTYP', idocType],
      ['MESTYP', messageType],
      ['SNDPOR', ownPort],
      ['SNDPRT', 'LS'],
      ['SNDPRN', logicalSystem],
      ['RCVPOR', port],
      ['RCVPRT', 'LS'],
      ['RCVPRN', receiver],
      ['CREDAT', day],
      ['CRETIM', time],
      ['SERIAL', `${day}${time}`],
    ])
    const data: Segment = { name: 'IDOC', fields: new Map(), children: segments }
    const idoc: OpenIdoc = {
      docnum,
      direction: 'out',
      messageType,
      objectId,
      idoc: { type: idocType, control, data },
      statuses: [],
    }
    this.#idocs.set(docnum, idoc)
    this.addStatus(docnum, '01')
    this.addStatus(docnum, '30')
    return idoc
  }

  /** An IDoc that came in; it gets a number of this system's own. */
  addInbound(idoc: Pick<Idoc, 'type' | 'control' | 'data'>): string {
    const docnum = this.#nextNumber()
    const messageType = idoc.control.get('MESTYP') ?? ''
    this.#idocs.set(docnum, { docnum, direction: 'in', messageType, objectId: '', idoc, statuses: [] })
    return docnum
  }

  #nextNumber(): string {
    this.#lastNumber += 1
    return String(this.#lastNumber).padStart(16, '0')
  }
}

export function currentStatus({ statuses }: StoredIdoc): string {
  return statuses.at(-1)?.status ?? ''
}

/** Date and time as SAP keeps them, in UTC. */
export function sapMoment(at: number): readonly [day: string, time: string] {
  const text = new Date(at).toISOString()
  return [text.slice(0, 10).replaceAll('-', ''), text.slice(11, 19).replaceAll(':', '')]
}
