import type { Idoc, Segment } from '../../protocols/idoc/idoc.ts'
import { strike } from '../twin.ts'
import type { AleFaults } from './faults.ts'
import type { IdocDatabase, OwnSystem } from './idoc-database.ts'
import { controlLengths, inboundShapes, type SegmentShape } from './inbound-shapes.ts'
import { internal } from './tables.ts'

/** A partner and the message types that are taken from it (transaction WE20, inbound parameters). */
export interface InboundPartner {
  readonly name: string
  readonly messageTypes: readonly string[]
}

export interface InboundWorld {
  readonly system: OwnSystem
  readonly database: IdocDatabase
  readonly partners: readonly InboundPartner[]
  /** Sends a whole object; false when there is none. */
  sendWhole(messageType: string, objectId: string): boolean
  faults(): AleFaults
}

/** Takes an IDoc in: kept in any case, then checked and posted. Its number here. */
export function takeIdoc(world: InboundWorld, idoc: Idoc): string {
  const { database } = world
  const docnum = database.addInbound(idoc)
  const wrong = faultOfControl(world, idoc)
  if (wrong !== undefined) {
    database.addStatus(docnum, '56', wrong)
    return docnum
  }
  database.addStatus(docnum, '50')
  const syntax = faultOfSyntax(idoc)
  if (syntax !== undefined) {
    database.addStatus(docnum, '60', syntax)
    return docnum
  }
  database.addStatus(docnum, '64')
  repost(world, docnum)
  return docnum
}

/** Posts an inbound IDoc, for the first time or once more (transaction BD87). */
export function repost(world: InboundWorld, docnum: string): void {
  const { database } = world
  const stored = database.get(docnum)
  if (!stored) return
  database.addStatus(docnum, '62')
  if (strike(world.faults().locked)) {
    database.addStatus(docnum, '51', 'Object is currently locked by another user')
    return
  }
  if (stored.idoc.type === 'ALEREQ01') {
    answerRequest(world, docnum, stored.idoc.data)
    return
  }
  const found = readStates(stored.idoc.data)
  const wrong = found.map(state => faultOfState(world, stored.idoc, state)).find(text => text !== undefined)
  if (wrong !== undefined) {
    database.addStatus(docnum, '51', wrong)
    return
  }
  for (const { of, status, text } of found) if (status !== undefined) database.addStatus(of, status, text)
  database.addStatus(docnum, '53')
}

/** Key fields by which objects of a message type are asked for (message types MATFET and DEBFET). */
const requestable: Readonly<Record<string, string>> = { MATMAS: 'MATNR', DEBMAS: 'KUNNR' }

/** Sends what another system asked for, as transactions BD11 and BD13 of that system do it. */
function answerRequest({ database, sendWhole }: InboundWorld, docnum: string, { children }: Segment): void {
  for (const { fields, children: wanted } of children) {
    const type = fields.get('MESTYP') ?? ''
    for (const { fields: object } of wanted) {
      const [key, option, low] = ['OBJVALUE', 'OPTION', 'LOW'].map(name => object.get(name) ?? '')
      if (requestable[type] !== key || option !== 'EQ' || !sendWhole(type, internal(key ?? '', low ?? ''))) {
        database.addStatus(docnum, '51', `${type}: ${key} ${option} ${low} does not exist`)
        return
      }
    }
  }
  database.addStatus(docnum, '53')
}

interface ReportedState {
  /** Number of the IDoc that it speaks of. */
  readonly of: string
  /** The status that the answer tells, and what it makes of that IDoc; undefined where that is nothing. */
  readonly told: string
  readonly status: string | undefined
  readonly text: string | undefined
  /** Message type that the answer names; SYSTAT01 names none. */
  readonly messageType: string | undefined
}

function readStates({ children }: Segment): readonly ReportedState[] {
  return children.flatMap((segment): readonly ReportedState[] => {
    const { fields } = segment
    if (segment.name === 'E1STATS') {
      const told = fields.get('STATUS') ?? ''
      return [
        {
          of: fields.get('DOCNUM') ?? '',
          told,
          status: reportable.has(told) ? told : undefined,
          text: wordsIn(fields, ['STATXT', 'STAPA1', 'STAPA2', 'STAPA3', 'STAPA4']),
          messageType: undefined,
        },
      ]
    }
    return segment.children
      .filter(({ name }) => name === 'E1STATE')
      .map(state => {
        const key = state.children.find(({ name }) => name === 'E1PRTOB')?.fields.get('OBJKEY')
        const said = wordsIn(state.fields, ['STATXT', 'STAPA1_LNG', 'STAPA2_LNG', 'STAPA3_LNG', 'STAPA4_LNG'])
        const words = [key === undefined ? undefined : `Object ${key}`, said]
        const told = state.fields.get('STATUS') ?? ''
        return {
          of: state.fields.get('DOCNUM') ?? '',
          told,
          status: statusOfAudit(told),
          text: words.filter(word => word !== undefined).join(': ') || undefined,
          // One of the two has to be there: types with long names have no short one.
          messageType: fields.get('MESTYP_LNG') ?? fields.get('MESTYP') ?? '',
        }
      })
  })
}

function wordsIn(fields: Segment['fields'], names: readonly string[]): string | undefined {
  return (
    names
      .map(name => fields.get(name) ?? '')
      .join('')
      .trim() || undefined
  )
}

/**
 * ALEAUD01 tells the status that the IDoc has where it came in (50 to 75); the sender's IDoc gets 41 for one that is
 * posted, 40 for one that ended otherwise, and 39 while it is still worked on. Undefined for a status of outbound IDocs.
 */
function statusOfAudit(told: string): string | undefined {
  if (!/^(5\d|6\d|7[0-5])$/.test(told)) return undefined
  if (told === '52' || told === '53') return '41'
  return told === '58' || told === '68' ? '40' : '39'
}

/** Statuses that SYSTAT01 may report of an IDoc that another system got. */
const reportable = new Set(['39', '40', '41'])
/** Statuses in which an IDoc has left and can be answered. */
const answerable = new Set(['02', '03', '12', '39', '40', '41'])

function faultOfState(
  { database }: InboundWorld,
  { control }: Pick<Idoc, 'control'>,
  { of, told, status, messageType }: ReportedState,
): string | undefined {
  const known = database.get(of)
  if (known?.direction !== 'out') return `IDoc ${of} does not exist`
  if (status === undefined) return `Status ${told} cannot be set from outside`
  if (known.idoc.control.get('RCVPRN') !== control.get('SNDPRN')) return `IDoc ${of} was not sent to this partner`
  if (messageType !== undefined && messageType !== known.messageType) {
    return `IDoc ${of} is of message type ${known.messageType}, not ${messageType}`
  }
  // An IDoc whose transfer failed from here may have arrived nevertheless; one never sent cannot be answered.
  if (!known.statuses.some(record => answerable.has(record.status))) return `IDoc ${of} has not been sent`
  return undefined
}

function faultOfControl(
  { system, partners }: InboundWorld,
  { type, control }: Pick<Idoc, 'type' | 'control'>,
): string | undefined {
  const of = (name: string) => control.get(name) ?? ''
  for (const [name, value] of control) {
    const length = controlLengths[name]
    if (length === undefined) return `EDI_DC40 has no field ${name}`
    if (value.length > length) return `EDI_DC40-${name} is longer than ${length}`
  }
  if (of('TABNAM') !== 'EDI_DC40') return `Control record ${of('TABNAM')} is not known`
  if (of('MANDT') !== '' && of('MANDT') !== system.client) return `Client ${of('MANDT')} is not this one`
  if (of('DIRECT') !== '2') return `Direction ${of('DIRECT')} is not inbound`
  if ((of('CIMTYP') || of('IDOCTYP')) !== type) return `IDoc type ${of('IDOCTYP')} does not fit the element ${type}`
  if (of('RCVPRT') !== 'LS' || of('RCVPRN') !== system.logicalSystem)
    return `Recipient ${of('RCVPRT')}/${of('RCVPRN')} is not this system`
  const partner = partners.find(({ name }) => of('SNDPRT') === 'LS' && name === of('SNDPRN'))
  if (!partner) return `EDI: Partner profile not available for ${of('SNDPRT')}/${of('SNDPRN')}`
  if (!partner.messageTypes.includes(of('MESTYP')))
    return `EDI: Partner profile inbound not available for ${of('MESTYP')}`
  return undefined
}

function faultOfSyntax({ type, data }: Pick<Idoc, 'type' | 'data'>): string | undefined {
  const shape = inboundShapes[type]
  if (!shape) return `IDoc type ${type} is not known`
  if (data.children.length === 0) return 'The IDoc has no data records'
  return faultOfSegments(data.children, shape)
}

function faultOfSegments(
  segments: readonly Segment[],
  allowed: Readonly<Record<string, SegmentShape>>,
): string | undefined {
  for (const { name, fields, children } of segments) {
    const shape = allowed[name]
    if (!shape) return `Segment ${name} is not allowed here`
    for (const [field, value] of fields) {
      const length = shape.fields[field]
      if (length === undefined) return `Segment ${name} has no field ${field}`
      if (value.length > length) return `${name}-${field} is longer than ${length}`
    }
    const missing = shape.required.find(field => (fields.get(field) ?? '') === '')
    if (missing !== undefined) return `${name}-${missing} is missing`
    const below = faultOfSegments(children, shape.children)
    if (below !== undefined) return below
  }
  return undefined
}
