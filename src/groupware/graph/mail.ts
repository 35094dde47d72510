import type { JsonObject } from '../../kernel/json.ts'
import { asWords, plainLines } from '../body-text.ts'
import { isOfPerson, type Scope } from '../drivers.ts'
import type { Mail } from '../plan/items.ts'
import { readAttachment } from './appointment.ts'
import { extended, extendedAt, sensitivityAt, sensitivityProperty } from './extended.ts'
import { choiceAt, instantAt, listAt, objectAt, personOf, recipientOf, textAt, textsAt } from './row.ts'

export const messageFields =
  'subject,from,toRecipients,ccRecipients,sentDateTime,receivedDateTime,internetMessageId,body,importance,categories,hasAttachments,parentFolderId,isDraft,lastModifiedDateTime'

/** A message; what came from whose mailbox it is was sent by them. */
export function readMail(row: JsonObject, scope: Scope): Mail {
  const from = personOf(objectAt(row, 'from')) ?? null
  const body = objectAt(row, 'body')
  return {
    kind: 'mail',
    subject: textAt(row, 'subject'),
    from,
    to: listAt(row, 'toRecipients').flatMap(each => personOf(each) ?? []),
    cc: listAt(row, 'ccRecipients').flatMap(each => personOf(each) ?? []),
    sentAt: instantAt(row, 'sentDateTime'),
    direction: isOfPerson(scope, from?.address) ? 'out' : 'in',
    messageId: textAt(row, 'internetMessageId'),
    body: {
      type: textAt(body, 'contentType') === 'html' ? 'html' : 'text',
      content: plainLines(textAt(body, 'content')),
    },
    importance: choiceAt(row, 'importance', ['low', 'normal', 'high'], 'normal'),
    sensitivity: sensitivityAt(row),
    categories: textsAt(row, 'categories'),
    attachments: listAt(row, 'attachments').flatMap(readAttachment),
    nature: isLetter(extendedAt(row, 'messageClass')) ? 'letter' : 'service',
  }
}

/** Message classes (MS-OXCMSG 2.2.1.3): letters begin with IPM.Note; reports and answers to meetings do not. */
function isLetter(messageClass: string): boolean {
  if (messageClass === '') return true
  return /^IPM\.Note($|\.)/i.test(messageClass) && !/^IPM\.Note\.Rules\./i.test(messageClass)
}

/** Of a mail that was sent only these change. */
export function writeMailMarks(item: Mail, fields: ReadonlySet<string>): JsonObject {
  return { ...(fields.has('importance') && { importance: item.importance }) }
}

/** A mail that is put into a mailbox as if it had come: no draft, with the times that it has. */
export function writeMail(item: Mail): { readonly values: JsonObject; readonly properties: readonly JsonObject[] } {
  const values: JsonObject = {
    subject: item.subject,
    body: { contentType: item.body.type, content: item.body.content },
    toRecipients: item.to.map(recipientOf),
    ccRecipients: item.cc.map(recipientOf),
    importance: item.importance,
    ...(item.from && { from: recipientOf(item.from), sender: recipientOf(item.from) }),
    ...(item.messageId !== '' && { internetMessageId: item.messageId }),
  }
  const times = item.sentAt === null ? [] : [extended('submitTime', item.sentAt), extended('deliveryTime', item.sentAt)]
  return { values, properties: [extended('messageFlags', '1'), ...times, sensitivityProperty(item.sensitivity)] }
}

/** Exchange turns text bodies into HTML and writes HTML anew, so bodies are compared by what is read in them. */
export function normaliseMail(item: Mail): Mail {
  return { ...item, subject: plainLines(item.subject).slice(0, 255), body: asWords(item.body) }
}
