import { element, namespaces } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { textPart } from './mime-content.ts'
import type { Session } from './session.ts'
import { uidOf } from './show-item.ts'
import { changeKey, type TwinItem, type TwinMailbox } from './world.ts'

const lists = ['RequiredAttendees', 'OptionalAttendees', 'Resources'] as const

/** Puts a meeting into the calendars of those of its attendees who have a mailbox here, as its invitation would. */
export function tellAttendees(session: Session, item: TwinItem, invitations: string | undefined): void {
  if (invitations === undefined || invitations === 'SendToNone') return
  for (const address of addressesOf(item)) {
    const mailbox = session.world.mailboxNamed(address)
    if (!mailbox || mailbox === session.mailbox) continue
    const uid = uidOf(item)
    const known = itemWithUid(mailbox, uid)
    const fill = (copy: TwinItem) => {
      for (const [name, part] of item.fields) if (name !== 'Categories') copy.fields.set(name, part)
      copy.fields.set('UID', textPart('UID', uid))
      copy.fields.set('Organizer', organizer(session.mailbox))
      if (!copy.fields.has('MyResponseType'))
        copy.fields.set('MyResponseType', textPart('MyResponseType', 'NoResponseReceived'))
    }
    if (known) {
      fill(known)
      mailbox.touched(known)
    } else {
      mailbox.add('CalendarItem', mailbox.folder('calendar').id, fill)
    }
  }
}

const answers: Readonly<Record<string, string>> = {
  AcceptItem: 'Accept',
  DeclineItem: 'Decline',
  TentativelyAcceptItem: 'Tentative',
}

/** Accept, decline or tentative: on the own copy, and in the organizer's list of attendees. */
export function respondToMeeting(session: Session, given: XmlElement): string {
  const { mailbox, world } = session
  const item = mailbox.item(childOf(given, 'ReferenceItemId')?.attributes.get('Id') ?? '')
  const answer = answers[given.name] ?? 'Unknown'
  item.fields.set('MyResponseType', textPart('MyResponseType', answer))
  mailbox.touched(item)
  const at = textOf(childOf(item.fields.get('Organizer'), 'Mailbox'), 'EmailAddress')
  const host = at === undefined ? undefined : world.mailboxNamed(at)
  const theirs = host ? itemWithUid(host, uidOf(item)) : undefined
  if (host && theirs) {
    for (const list of lists) {
      const part = theirs.fields.get(list)
      if (part) theirs.fields.set(list, withResponse(part, mailbox.address, answer))
    }
    host.touched(theirs)
  }
  const id = element('t:ItemId', { Id: item.id, ChangeKey: changeKey(item.version) })
  return element('m:Items', {}, element('t:CalendarItem', {}, id))
}

function withResponse(list: XmlElement, address: string, answer: string): XmlElement {
  const children = list.children.map(attendee => {
    if (textOf(childOf(attendee, 'Mailbox'), 'EmailAddress')?.toLowerCase() !== address) return attendee
    const rest = attendee.children.filter(child => child.name === 'Mailbox')
    return { ...attendee, children: [...rest, textPart('ResponseType', answer)] }
  })
  return { ...list, children }
}

function addressesOf({ fields }: TwinItem): readonly string[] {
  return lists.flatMap(list =>
    (fields.get(list)?.children ?? []).map(
      each => textOf(childOf(each, 'Mailbox'), 'EmailAddress')?.toLowerCase() ?? '',
    ),
  )
}

function itemWithUid(mailbox: TwinMailbox, uid: string): TwinItem | undefined {
  return [...mailbox.items.values()].find(item => item.itemClass === 'CalendarItem' && uidOf(item) === uid)
}

function organizer({ name, address }: TwinMailbox): XmlElement {
  const namespace = namespaces.types
  const mailbox = {
    ...textPart('Mailbox', ''),
    children: [textPart('Name', name), textPart('EmailAddress', address), textPart('RoutingType', 'SMTP')],
  }
  return { name: 'Organizer', namespace, attributes: new Map(), children: [mailbox], text: '' }
}
