import type { JsonObject } from '../../kernel/json.ts'
import type { C4CRow } from '../../protocols/c4c/client.ts'
import { asWords } from '../body-text.ts'
import type { Attachment, Mail, Person } from '../plan/items.ts'
import { type C4CCodes, importanceOf, priorityCode } from './codes.ts'
import { bodyOf, instantAt, isMailAddress, lineOf, noteAt, partAt, textAt } from './values.ts'

const to = 'EMailToRecipients'
const cc = 'EMailCcRecipients'
const notes = 'EMailNotes'
export const mailFiles = 'EMailAttachments'
export const mailParts = [to, cc, notes] as const

export function readMail({ values }: C4CRow, codes: C4CCodes): Mail {
  const people = (part: string, address: string, name: string) =>
    partAt(values, part).flatMap(each => personOf(textAt(each.values, address), textAt(each.values, name)) ?? [])
  const mark = textAt(values, 'GroupwareItemID')
  return {
    kind: 'mail',
    subject: textAt(values, 'Subject'),
    from: personOf(textAt(values, 'MessageFromEmailURI'), textAt(values, 'MessageFromName')) ?? null,
    to: people(to, 'MessageToEmailID', 'MessageToName'),
    cc: people(cc, 'MessageCCEMailID', 'MessageCCName'),
    sentAt: instantAt(values, 'DateTime'),
    direction: textAt(values, 'Direction') === codes.outbound ? 'out' : 'in',
    messageId: mark.startsWith('<') ? mark : '',
    body: bodyOf(noteAt(values, notes, codes.bodyText)?.text ?? ''),
    importance: importanceOf(textAt(values, 'PriorityCode')),
    sensitivity: 'normal',
    categories: [],
    attachments: partAt(values, mailFiles).map(readFile),
    nature: 'letter',
  }
}

function personOf(address: string, name: string): Person | undefined {
  return address === '' ? undefined : { address: address.toLowerCase(), name }
}

/** How large it is the CRM does not say. */
function readFile({ id, values }: C4CRow): Attachment {
  return { id, name: textAt(values, 'Name'), type: textAt(values, 'MimeType'), bytes: 0, isInline: false }
}

/** A mail with everything below it, so that it is there whole or not at all. */
export function mailValues(item: Mail, files: readonly JsonObject[], codes: C4CCodes): JsonObject {
  const body = item.body.content
  const toPeople = item.to.filter(({ address }) => isMailAddress(address))
  const ccPeople = item.cc.filter(({ address }) => isMailAddress(address))
  return {
    Subject: lineOf(item.subject, 255),
    Direction: item.direction === 'out' ? codes.outbound : codes.inbound,
    PriorityCode: priorityCode(item.importance),
    ...(item.sentAt !== null && { DateTime: item.sentAt }),
    ...(item.from &&
      isMailAddress(item.from.address) && {
        MessageFromEmailURI: item.from.address,
        MessageFromName: lineOf(item.from.name, 255),
      }),
    ...(toPeople.length > 0 && {
      [to]: toPeople.map(({ address, name }) => ({ MessageToEmailID: address, MessageToName: lineOf(name, 255) })),
    }),
    ...(ccPeople.length > 0 && {
      [cc]: ccPeople.map(({ address, name }) => ({ MessageCCEMailID: address, MessageCCName: lineOf(name, 255) })),
    }),
    ...(body !== '' && { [notes]: [{ TypeCode: codes.bodyText, Text: body }] }),
    ...(files.length > 0 && { [mailFiles]: files }),
  }
}

/** Of a mail that is kept only these change. */
export function mailChanges(item: Mail, fields: ReadonlySet<string>): JsonObject {
  return { ...(fields.has('importance') && { PriorityCode: priorityCode(item.importance) }) }
}

/** A mail is compared by what people read in it: its files and its HTML are carried over once and do not change. */
export function normaliseMail(item: Mail): Mail {
  const named = ({ address, name }: Person): readonly Person[] =>
    isMailAddress(address) ? [{ address: address.toLowerCase(), name: lineOf(name, 255) }] : []
  return {
    ...item,
    subject: lineOf(item.subject, 255),
    // It is the mark of the mail, not a field of it.
    messageId: '',
    from: item.from && (named(item.from)[0] ?? null),
    to: item.to.flatMap(named),
    cc: item.cc.flatMap(named),
    body: asWords(item.body),
    sensitivity: 'normal',
    categories: [],
    attachments: [],
    nature: 'letter',
  }
}
