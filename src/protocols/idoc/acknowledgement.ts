import { xmlWords } from '../xml/write-xml.ts'
import type { Idoc, Segment } from './idoc.ts'

/** Statuses that a receiving system reports of an IDoc it got (status values of outbound IDocs at SAP). */
export const idocStatus = {
  /** In the receiving system. */
  received: '39',
  /** Application document not created in the receiving system. */
  refused: '40',
  /** Application document created in the receiving system. */
  created: '41',
} as const

export type AcknowledgedStatus = (typeof idocStatus)[keyof typeof idocStatus]

/** What became of an IDoc. */
export interface Acknowledgement {
  /** Control record of the IDoc that is answered: sender and receiver change places. */
  readonly control: ReadonlyMap<string, string>
  readonly status: AcknowledgedStatus
  /** Key of the object in SAP, as it stands in the application. */
  readonly objectKey?: string | undefined
  /** What happened, in words; cut to what the field takes. */
  readonly text?: string | undefined
}

type NewIdoc = Pick<Idoc, 'type' | 'control' | 'data'>

/**
 * ALEAUD01 tells the status that the IDoc has where it came in, out of which SAP makes one of its own: it waits there (39),
 * it is an error that nobody works on any more (40), it is posted (41). SAP help, "Segments of Audit IDoc ALEAUD01".
 */
const auditStatus: Readonly<Record<AcknowledgedStatus, string>> = {
  [idocStatus.received]: '64',
  [idocStatus.refused]: '68',
  [idocStatus.created]: '53',
}

/**
 * ALEAUD01: the audit of ALE. One IDoc says of one other what became of it; SAP moves its status from 12 to 39, 40 or 41
 * (transaction BDM7, report RBDSTATE).
 */
export function aleAudit(answer: Acknowledgement): NewIdoc {
  const { control, status, objectKey } = answer
  const state = segment('E1STATE', {
    DOCNUM: control.get('DOCNUM') ?? '',
    STATUS: auditStatus[status],
    ...(status === idocStatus.refused && { STATYP: 'E', ...textFields(answer.text ?? '', auditTextNames) }),
  })
  const object = objectKey === undefined ? [] : [segment('E1PRTOB', { OBJKEY: xmlWords(objectKey, objectKeyLength) })]
  const messageType = control.get('MESTYP') ?? ''
  const names = {
    // The field of old; types with longer names have none there.
    MESTYP: messageType.length <= shortTypeLength ? messageType : '',
    MESCOD: control.get('MESCOD') ?? '',
    MESTYP_LNG: messageType,
  }
  const header = segment('E1ADHDR', names, [{ ...state, children: object }])
  return answerOf(control, { type: 'ALEAUD01', mestyp: 'ALEAUD' }, [header])
}

/**
 * SYSTAT01: status records for an IDoc, with a text that transaction WE05 shows. `localTime` (`2026-11-23T09:00:00`) is when
 * it came to be; of a status confirmation SAP's page on status records wants the date of the external system.
 */
export function systemStatus(answer: Acknowledgement, localTime: string): NewIdoc {
  const { control, status } = answer
  const digits = localTime.replace(/\D/g, '')
  const stats = segment('E1STATS', {
    DOCNUM: control.get('DOCNUM') ?? '',
    LOGDAT: digits.slice(0, 8),
    LOGTIM: digits.slice(8, 14),
    STATUS: status,
    STATYP: status === idocStatus.refused ? 'E' : 'S',
    ...textFields(answer.text ?? '', ['STATXT', 'STAPA1', 'STAPA2', 'STAPA3', 'STAPA4']),
  })
  return answerOf(control, { type: 'SYSTAT01', mestyp: 'STATUS' }, [stats])
}

/** The status text, whatever letters the other side wrote; what it has no room for goes on in its variables. */
function textFields(text: string, names: readonly string[]): Readonly<Record<string, string>> {
  const fields: Record<string, string> = {}
  let rest = text
  for (const name of names) {
    const own = xmlWords(rest, name === 'STATXT' ? statusTextLength : variableLength)
    rest = rest.slice(own.length)
    fields[name] = own
  }
  return fields
}

/** STAPA1 to 4 of the audit have 20 letters. */
const auditTextNames: readonly string[] = ['STATXT', 'STAPA1_LNG', 'STAPA2_LNG', 'STAPA3_LNG', 'STAPA4_LNG']
const shortTypeLength = 6

/** Lengths of STATXT, its variables and of an object key at SAP. */
const statusTextLength = 70
const variableLength = 50
const objectKeyLength = 70

function answerOf(
  of: ReadonlyMap<string, string>,
  kind: { readonly type: string; readonly mestyp: string },
  segments: readonly Segment[],
): NewIdoc {
  const control = new Map<string, string>([
    ['TABNAM', 'EDI_DC40'],
    ['DIRECT', '2'],
    ['IDOCTYP', kind.type],
    ['MESTYP', kind.mestyp],
  ])
  for (const field of ['POR', 'PRT', 'PFC', 'PRN']) {
    const [sender, receiver] = [of.get(`RCV${field}`), of.get(`SND${field}`)]
    if (sender !== undefined) control.set(`SND${field}`, sender)
    if (receiver !== undefined) control.set(`RCV${field}`, receiver)
  }
  const client = of.get('MANDT')
  if (client !== undefined) control.set('MANDT', client)
  return { type: kind.type, control, data: { name: 'IDOC', fields: new Map(), children: segments } }
}

function segment(name: string, fields: Readonly<Record<string, string>>, children: readonly Segment[] = []): Segment {
  return { name, fields: new Map(Object.entries(fields).filter(([, value]) => value !== '')), children }
}
