import type { FieldChange, FieldPath, ItemClass } from '../../protocols/ews/fields.ts'
import type { ItemShape } from '../../protocols/ews/items.ts'
import type { XmlElement } from '../../protocols/xml/xml-element.ts'
import type { Item, ItemKind } from '../plan/items.ts'
import { appointmentFields, normaliseAppointment, readAppointment, writeAppointment } from './appointment.ts'
import { contactFields, normaliseContact, readContact, writeContact } from './contact.ts'
import { mailFields, normaliseMail, readMail, writeMail } from './mail.ts'
import { markProperty, partyProperty, unfinishedProperty } from './parts.ts'
import { normaliseTask, readTask, taskFields, writeTask } from './task.ts'

/** What Exchange calls the items of a kind, and where they lie. */
export const kindFacts: Readonly<
  Record<ItemKind, { readonly itemClass: ItemClass; readonly folders: readonly string[]; readonly folderClass: string }>
> = {
  mail: { itemClass: 'Message', folders: ['inbox', 'sentitems'], folderClass: 'IPF.Note' },
  appointment: { itemClass: 'CalendarItem', folders: ['calendar'], folderClass: 'IPF.Appointment' },
  contact: { itemClass: 'Contact', folders: ['contacts'], folderClass: 'IPF.Contact' },
  task: { itemClass: 'Task', folders: ['tasks'], folderClass: 'IPF.Task' },
}

const own: readonly FieldPath[] = [{ property: markProperty }, { property: unfinishedProperty }]
const named = (names: readonly string[]): readonly FieldPath[] => names.map(name => ({ field: name }))

/** What is asked of the items of a kind. Bodies of mails come as they are, others as text. */
export const shapes: Readonly<Record<ItemKind, ItemShape>> = {
  mail: { itemClass: 'Message', fields: [...named(mailFields), ...own], bodyType: 'Best' },
  appointment: { itemClass: 'CalendarItem', fields: [...named(appointmentFields), ...own], bodyType: 'Text' },
  contact: {
    itemClass: 'Contact',
    fields: [...named(contactFields), { property: partyProperty }, ...own],
    bodyType: 'Text',
  },
  task: { itemClass: 'Task', fields: [...named(taskFields), ...own], bodyType: 'Text' },
}

export function readItem(
  kind: ItemKind,
  element: XmlElement,
  more: { readonly mailbox: string; readonly occurrences: ReadonlyMap<string, XmlElement> },
): Item {
  switch (kind) {
    case 'mail':
      return readMail(element, more.mailbox)
    case 'appointment':
      return readAppointment(element, more.occurrences)
    case 'contact':
      return readContact(element)
    case 'task':
      return readTask(element)
  }
}

/** What is written for an item: all of it, or the fields with these names. */
export function writeParts(item: Item, fields: ReadonlySet<string> | 'all'): readonly FieldChange[] {
  switch (item.kind) {
    case 'mail':
      return writeMail(item, fields)
    case 'appointment':
      return writeAppointment(item, fields)
    case 'contact':
      return writeContact(item, fields)
    case 'task':
      return writeTask(item, fields)
  }
}

export function normaliseItem(item: Item): Item {
  switch (item.kind) {
    case 'mail':
      return normaliseMail(item)
    case 'appointment':
      return normaliseAppointment(item)
    case 'contact':
      return normaliseContact(item)
    case 'task':
      return normaliseTask(item)
  }
}
