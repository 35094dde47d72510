import type { JsonObject } from '../../kernel/json.ts'
import type { Update } from '../drivers.ts'
import type { Item } from '../plan/items.ts'
import { writeAppointment } from './appointment.ts'
import { writeContact } from './contact.ts'
import { extended } from './extended.ts'
import { writeMail, writeMailMarks } from './mail.ts'
import { taskLinkBody, writeTask } from './task.ts'

/** Names of all fields of an item. */
export function allFields(item: Item): ReadonlySet<string> {
  return new Set(Object.keys(item))
}

/** Body of a create. `key` makes that of an event happen once, however often it is sent. */
export function creationBody(
  item: Item,
  key: string,
  mark: string | null,
  markCategory: string,
  files: readonly JsonObject[] = [],
): JsonObject {
  const fields = allFields(item)
  const categories = categoriesOf(item, mark === null ? undefined : markCategory)
  const marks = mark === null ? [] : [extended('mark', mark)]
  switch (item.kind) {
    case 'appointment': {
      // Half a series would look like a series that somebody changed.
      const flags = Object.keys(item.exceptions).length > 0 ? [extended('unfinished', '1')] : []
      const properties = withProperties([...marks, ...flags])
      return { ...writeAppointment(item, fields), categories, transactionId: key, ...properties }
    }
    case 'mail': {
      const { values, properties } = writeMail(item)
      const attachments = files.length > 0 ? { attachments: files } : {}
      return { ...values, categories, ...attachments, ...withProperties([...properties, ...marks]) }
    }
    case 'contact': {
      const { values, properties } = writeContact(item, fields)
      return { ...values, categories, ...withProperties([...properties, ...marks]) }
    }
    case 'task': {
      const links = mark === null ? {} : { linkedResources: [taskLinkBody(mark, item.subject)] }
      return { ...writeTask(item, fields), categories, ...links }
    }
  }
}

/** Body of a change; empty where nothing of the item itself is to be written. `there`: lists of a contact as they stand. */
export function changeBody(
  change: Pick<Update, 'after' | 'fields' | 'mark'>,
  markCategory: string,
  there?: JsonObject,
): JsonObject {
  const { after, mark } = change
  const fields = new Set(change.fields)
  // Whoever changes an item through the hub changes one that is linked, unless the link is just being taken away.
  const isCategories = fields.has('categories') || mark !== undefined
  const categories = isCategories
    ? {
        categories: categoriesOf(
          mark === null ? unmarked(after, markCategory) : after,
          mark === null ? undefined : markCategory,
        ),
      }
    : {}
  // An extended property is taken away by writing it empty.
  const marks = mark === undefined || after.kind === 'task' ? [] : [extended('mark', mark ?? '')]
  switch (after.kind) {
    case 'appointment':
      return { ...writeAppointment(after, fields), ...categories, ...withProperties(marks) }
    case 'mail':
      return { ...writeMailMarks(after, fields), ...categories, ...withProperties(marks) }
    case 'contact': {
      const { values, properties } = writeContact(after, fields, there)
      return { ...values, ...categories, ...withProperties([...properties, ...marks]) }
    }
    case 'task':
      return { ...writeTask(after, fields), ...categories }
  }
}

function categoriesOf(item: Item, markCategory: string | undefined): readonly string[] {
  return [...new Set([...item.categories, ...(markCategory === undefined ? [] : [markCategory])])]
}

function unmarked(item: Item, markCategory: string): Item {
  return { ...item, categories: item.categories.filter(name => name !== markCategory) }
}

function withProperties(properties: readonly JsonObject[]): JsonObject {
  return properties.length > 0 ? { singleValueExtendedProperties: properties } : {}
}
