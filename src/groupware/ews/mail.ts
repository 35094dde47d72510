import { readAttachments } from '../../protocols/ews/attachments.ts'
import type { FieldChange } from '../../protocols/ews/fields.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { asWords } from '../body-text.ts'
import type { Mail, Person } from '../plan/items.ts'
import {
  bodyField,
  capital,
  categoriesField,
  cleanCategories,
  cleanPerson,
  field,
  readBody,
  readCategories,
  readImportance,
  readInstant,
  readLine,
  readPerson,
  readSensitivity,
  subjectLettersMax,
  valueField,
  writeMailbox,
} from './parts.ts'
import { lineOf, plainBody } from './text.ts'

export const mailFields =
  'ParentFolderId ItemClass Subject Sensitivity Body Attachments Categories Importance DateTimeSent IsFromMe LastModifiedTime ToRecipients CcRecipients From InternetMessageId'.split(
    ' ',
  )

/** What no person wrote: receipts and bounces (REPORT…), responses to meetings, automatic replies. */
const serviceClasses = /^(REPORT\.|IPM\.Schedule\.|IPM\.Note\.Rules\.|IPM\.Outlook\.Recall|IPM\.Recall)/i

/** `mailbox`: whose it is, so that what the owner sent is told from what came. */
export function readMail(item: XmlElement, mailbox: string): Mail {
  const from = readPerson(childOf(childOf(item, 'From'), 'Mailbox'))
  const isSent = textOf(item, 'IsFromMe') === 'true' || from?.address === mailbox
  return {
    kind: 'mail',
    subject: readLine(item, 'Subject'),
    from,
    to: readPeople(item, 'ToRecipients'),
    cc: readPeople(item, 'CcRecipients'),
    sentAt: readInstant(item, 'DateTimeSent'),
    direction: isSent ? 'out' : 'in',
    messageId: textOf(item, 'InternetMessageId') ?? '',
    body: readBody(item),
    importance: readImportance(item),
    sensitivity: readSensitivity(item),
    categories: readCategories(item),
    attachments: readAttachments(item).map(({ isItem: _, ...facts }) => facts),
    nature: serviceClasses.test(textOf(item, 'ItemClass') ?? '') ? 'service' : 'letter',
  }
}

function readPeople(item: XmlElement, list: string): readonly Person[] {
  return (childOf(item, list)?.children ?? []).flatMap(each => readPerson(each) ?? [])
}

function messageProperty(tag: string, type: 'Integer' | 'SystemTime', value: string | number): FieldChange {
  const uri = element('t:ExtendedFieldURI', { PropertyTag: tag, PropertyType: type })
  return field('ExtendedProperty', element('t:ExtendedProperty', {}, uri, textElement('t:Value', value)))
}

export function writeMail(item: Mail, fields: ReadonlySet<string> | 'all'): readonly FieldChange[] {
  const has = (name: string) => fields === 'all' || fields.has(name)
  const people = (name: string, list: readonly Person[]) =>
    field(name, list.length === 0 ? undefined : element(`t:${name}`, {}, ...list.map(writeMailbox)))
  const parts: FieldChange[] = []
  if (has('subject')) parts.push(valueField('Subject', item.subject))
  if (has('sensitivity')) parts.push(valueField('Sensitivity', capital(item.sensitivity)))
  if (has('body')) parts.push(bodyField(item.body))
  if (has('categories')) parts.push(categoriesField(item.categories))
  if (has('importance')) parts.push(valueField('Importance', capital(item.importance)))
  if (fields === 'all') {
    // What a mail says of its way is written once: nobody changes it afterwards.
    // PidTagMessageFlags "read": without it a message that is written is a draft for ever.
    parts.push(messageProperty('0x0E07', 'Integer', 1))
    // DateTimeSent itself cannot be set: PidTagClientSubmitTime and PidTagMessageDeliveryTime stand behind it.
    if (item.sentAt !== null) {
      parts.push(
        messageProperty('0x0039', 'SystemTime', item.sentAt),
        messageProperty('0x0E06', 'SystemTime', item.sentAt),
      )
    }
    parts.push(people('ToRecipients', item.to), people('CcRecipients', item.cc))
    if (item.from) parts.push(field('From', element('t:From', {}, writeMailbox(item.from))))
    if (item.messageId !== '') parts.push(valueField('InternetMessageId', item.messageId))
    parts.push(valueField('IsRead', true))
  }
  return parts.filter(part => fields !== 'all' || part.xml !== undefined)
}

export function normaliseMail(item: Mail): Mail {
  return {
    ...item,
    subject: lineOf(item.subject, subjectLettersMax),
    from: item.from ? cleanPerson(item.from) : null,
    to: item.to.map(cleanPerson),
    cc: item.cc.map(cleanPerson),
    // Compared by their words alone: Exchange writes HTML anew each time it is stored.
    body: plainBody(asWords(item.body)),
    categories: cleanCategories(item.categories),
    attachments: [],
  }
}
