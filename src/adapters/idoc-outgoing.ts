import { isPlainObject } from '../flow/plain-object.ts'
import { refuseTooManyGroups } from '../kernel/body.ts'
import type { Message } from '../kernel/message.ts'
import { type AcknowledgedStatus, aleAudit, idocStatus, systemStatus } from '../protocols/idoc/acknowledgement.ts'
import { controlFieldNames, findOverlong } from '../protocols/idoc/control-columns.ts'
import { controlField, type Idoc, idocNames, type Segment } from '../protocols/idoc/idoc.ts'
import { parseIdocs } from '../protocols/idoc/read-idocs.ts'
import { localTimeAt } from '../protocols/time-zone/local-time.ts'
import { idocAdapterErrors } from './idoc-errors.ts'

export type OutgoingIdoc = Pick<Idoc, 'type' | 'control' | 'data'>

/**
 * The IDocs of a body: IDoc XML, or JSON that describes them. JSON is one object per IDoc, in a list where there are
 * several: `control` has fields of EDI_DC40, every other key is a segment (or a list of them) whose texts and numbers are
 * fields and whose objects are segments. `defaults` fill the control record. Throws XML_…, IDOC_SHAPE, IDOC_BODY_UNFIT.
 */
export function outgoingIdocs(
  bytes: Uint8Array,
  mediaType: string,
  defaults: ReadonlyMap<string, string>,
): readonly OutgoingIdoc[] {
  const isJson = /^application\/(.+\+)?json\b|^text\/json\b/i.test(mediaType)
  const given = isJson ? fromJson(bytes) : parseIdocs(bytes)
  return given.map(idoc => {
    const control = filled(idoc.control, defaults)
    const overlong = findOverlong(isJson ? control : defaults)
    if (overlong !== undefined) throw idocAdapterErrors.BODY_UNFIT({ text: overlong })
    const type = idoc.type || controlField({ control }, 'CIMTYP') || (controlField({ control }, 'IDOCTYP') ?? '')
    if (type === '') throw idocAdapterErrors.BODY_UNFIT({ text: 'neither the message nor control names IDOCTYP' })
    return { type, control, data: idoc.data }
  })
}

/** The IDoc that tells SAP what became of one of its own; undefined when that one had no number to speak of. */
export function acknowledgementIdoc(
  kind: 'ALEAUD01' | 'SYSTAT01',
  { attributes, acceptedAt }: Pick<Message, 'attributes' | 'acceptedAt'>,
  bytes: Uint8Array,
): OutgoingIdoc | undefined {
  const control = new Map<string, string>()
  for (const field of controlFieldNames) {
    const value = attributes[field.toLowerCase()]
    if (typeof value === 'string' && value !== '') control.set(field, value)
  }
  if (!control.has('DOCNUM')) return undefined
  const body = parseJson(bytes)
  const told = isPlainObject(body) ? body : {}
  const key = told['objectKey'] ?? attributes['objectKey']
  const objectKey = typeof key === 'string' && key !== '' ? key : undefined
  const status = statusOf(attributes['outcome'], told['operation'], told['state'])
  const text = textOf(told['error']) ?? textOf(told['summary'])
  const answer = { control, status, objectKey, text }
  if (kind === 'ALEAUD01') return aleAudit(answer)
  // The same at each attempt.
  return systemStatus(answer, localTimeAt(acceptedAt, Intl.DateTimeFormat().resolvedOptions().timeZone))
}

/** By the end of a delivery. */
const statusesOfEnds: Readonly<Record<string, AcknowledgedStatus>> = {
  delivered: idocStatus.created,
  rejected: idocStatus.refused,
  'set-aside': idocStatus.refused,
  // It was to be written and was not (a newer one came first, or a person let it go). Out of change pointers it may have
  // told of more than the newer one, so SAP must not take it for done.
  skipped: idocStatus.refused,
  // It came, and nothing was made of it on purpose (a filter): SAP has no status of its own for that.
  accepted: idocStatus.received,
  dropped: idocStatus.received,
}

/** By the operation of a response message; one that is skipped had nothing to change. */
const statuses: Readonly<Record<string, AcknowledgedStatus>> = {
  ...statusesOfEnds,
  created: idocStatus.created,
  updated: idocStatus.created,
  skipped: idocStatus.received,
}

/** A delivery that ended well may still tell of a refusal by its operation. */
function statusOf(outcome: unknown, operation: unknown, state: unknown): AcknowledgedStatus {
  const ended = typeof outcome === 'string' ? statusesOfEnds[outcome] : undefined
  if (ended === idocStatus.refused) return ended
  const told =
    typeof operation === 'string' ? statuses[operation] : typeof state === 'string' ? statusesOfEnds[state] : undefined
  const status = ended === idocStatus.created && told !== idocStatus.refused ? ended : (told ?? ended)
  if (status) return status
  throw idocAdapterErrors.BODY_UNFIT({
    text: `it does not say what became of the IDoc (state or operation is ${JSON.stringify(operation ?? state) ?? 'missing'})`,
  })
}

function textOf(value: unknown): string | undefined {
  if (typeof value === 'string') return value
  return isPlainObject(value) && typeof value['message'] === 'string' ? value['message'] : undefined
}

/** In the order of EDI_DC40; names that it does not know come last. */
function filled(control: ReadonlyMap<string, string>, defaults: ReadonlyMap<string, string>): Map<string, string> {
  const all = new Map<string, string>([['TABNAM', idocNames.control], ['DIRECT', '2'], ...defaults])
  for (const [name, value] of control) if (value.trim() !== '') all.set(name, value)
  const place = (name: string) => {
    const at = controlFieldNames.indexOf(name)
    return at < 0 ? controlFieldNames.length : at
  }
  return new Map([...all].toSorted(([one], [other]) => place(one) - place(other)))
}

function fromJson(bytes: Uint8Array): readonly OutgoingIdoc[] {
  const parsed = parseJson(bytes)
  const list = Array.isArray(parsed) ? parsed : [parsed]
  if (list.length === 0) throw idocAdapterErrors.BODY_UNFIT({ text: 'the list is empty' })
  return list.map((item, index) => {
    if (!isPlainObject(item)) throw idocAdapterErrors.BODY_UNFIT({ text: `entry ${index} is no object` })
    const { control = {}, ...segments } = item
    const head = segmentOf(idocNames.control, control)
    if (head.children.length > 0) throw idocAdapterErrors.BODY_UNFIT({ text: 'control has fields only' })
    const data = segmentOf(idocNames.record, segments)
    if (data.fields.size > 0) {
      const [field = ''] = data.fields.keys()
      throw idocAdapterErrors.BODY_UNFIT({ text: `${field} stands in no segment` })
    }
    return { type: '', control: head.fields, data }
  })
}

const depthMax = 40

function segmentOf(name: string, value: unknown, depth = 0): Segment {
  if (!isPlainObject(value)) throw idocAdapterErrors.BODY_UNFIT({ text: `${name} is no object` })
  if (depth > depthMax)
    throw idocAdapterErrors.BODY_UNFIT({ text: `segments inside each other, more than ${depthMax}` })
  const fields = new Map<string, string>()
  const children: Segment[] = []
  for (const [key, inner] of Object.entries(value)) {
    if (inner === null) continue
    if (typeof inner === 'string') fields.set(key, inner)
    else if (typeof inner === 'number' && Math.abs(inner) <= Number.MAX_SAFE_INTEGER)
      fields.set(key, plainNumber(inner))
    else if (Array.isArray(inner)) for (const each of inner) children.push(segmentOf(key, each, depth + 1))
    else if (isPlainObject(inner)) children.push(segmentOf(key, inner, depth + 1))
    else throw idocAdapterErrors.BODY_UNFIT({ text: `${name}/${key} is neither text, number nor segment` })
  }
  return { name, fields, children }
}

/** Without an exponent, which SAP would not read. */
function plainNumber(value: number): string {
  const text = String(value)
  return text.includes('e') ? value.toFixed(20).replace(/\.?0+$/, '') : text
}

function parseJson(bytes: Uint8Array): unknown {
  const json = Buffer.from(bytes).toString()
  refuseTooManyGroups(json)
  try {
    return JSON.parse(json)
  } catch (cause) {
    const text = `the body is no JSON: ${cause instanceof Error ? cause.message : String(cause)}`
    throw idocAdapterErrors.BODY_UNFIT({ text }, { cause })
  }
}
