import type { JsonObject } from '../../kernel/json.ts'
import type { Scope } from '../drivers.ts'
import type { Item, ItemKind } from '../plan/items.ts'
import { eventFields, normaliseAppointment, readAppointment } from './appointment.ts'
import { normaliseContact, readContact } from './contact.ts'
import { expandExtended, extendedAt } from './extended.ts'
import { messageFields, normaliseMail, readMail } from './mail.ts'
import { userPath } from './places.ts'
import { textAt } from './row.ts'
import { normaliseTask, readTask, taskLink } from './task.ts'

/** How items of a kind are asked for and read. */
export interface KindOfGraph {
  /** Path of all items of the mailbox; of tasks: of the list. */
  collection(mailbox: string, list: string): string
  /** Query that brings everything an item is read from. */
  readonly query: string
  readonly prefer: readonly string[]
  read(row: JsonObject, scope: Scope): Item
  identity(row: JsonObject): string | null
  /** Condition by which an item of an identity is found; undefined where the kind has none. */
  byIdentity(identity: string): string | undefined
  mark(row: JsonObject): string | null
}

const inUtc = 'outlook.timezone="UTC"'
const asText = 'outlook.body-content-type="text"'
const files = 'attachments($select=id,name,contentType,size,isInline)'
const quoted = (text: string) => `'${text.replaceAll("'", "''")}'`
const markAt = (row: JsonObject) => extendedAt(row, 'mark') || null

function queryOf(select: string, ...expand: readonly string[]): string {
  return `?$select=${select}&$expand=${encodeURIComponent(expand.join(','))}`
}

export const kinds: Readonly<Record<ItemKind, KindOfGraph>> = {
  appointment: {
    collection: mailbox => `${userPath(mailbox)}/events`,
    query: queryOf(eventFields, expandExtended('mark', 'unfinished'), files, 'exceptionOccurrences'),
    prefer: [inUtc, asText],
    read: row => readAppointment(row),
    identity: row => textAt(row, 'iCalUId') || null,
    byIdentity: identity => `iCalUId eq ${quoted(identity)}`,
    mark: markAt,
  },
  mail: {
    collection: mailbox => `${userPath(mailbox)}/messages`,
    query: queryOf(messageFields, expandExtended('mark', 'sensitivity', 'messageClass'), files),
    prefer: [],
    read: readMail,
    identity: row => textAt(row, 'internetMessageId') || null,
    byIdentity: identity => `internetMessageId eq ${quoted(identity)}`,
    mark: markAt,
  },
  contact: {
    collection: mailbox => `${userPath(mailbox)}/contacts`,
    query: `?$expand=${encodeURIComponent(expandExtended('mark', 'sensitivity', 'fax', 'party'))}`,
    prefer: [],
    read: row => readContact(row),
    identity: () => null,
    byIdentity: () => undefined,
    mark: markAt,
  },
  task: {
    collection: (mailbox, list) => `${userPath(mailbox)}/todo/lists/${encodeURIComponent(list)}/tasks`,
    query: '?$expand=linkedResources',
    prefer: [],
    read: row => readTask(row),
    identity: () => null,
    byIdentity: () => undefined,
    mark: row => taskLink(row)?.mark ?? null,
  },
}

/** As Graph would give it back had it been written there. */
export function normalise(item: Item): Item {
  switch (item.kind) {
    case 'appointment':
      return normaliseAppointment(item)
    case 'mail':
      return normaliseMail(item)
    case 'contact':
      return normaliseContact(item)
    case 'task':
      return normaliseTask(item)
  }
}
