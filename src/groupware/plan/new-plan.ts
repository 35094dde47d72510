import { isOfPerson, type Scope, type Side, type SideItem } from '../drivers.ts'
import { isCancelled, type SkipReason } from './rules.ts'

/** An item of the other side that may be the other half of a new one. */
export interface Candidate {
  readonly item: SideItem
  /**
   * `free`: it belongs to nobody here; `taken`: its half is another living item; `orphaned`: its half is gone, so the new
   * item is that half under another id (moved to another folder, or read through another protocol).
   */
  readonly is: 'free' | 'taken' | 'orphaned'
  /** Taken by an item of the mailbox with the same identity: the same meeting lies there twice. */
  readonly isTwin: boolean
  readonly linkKey: string | undefined
  /** A mailbox that leads it already. */
  readonly leader: string | undefined
}

export type NewPlan =
  | { readonly do: 'skip'; readonly reason: SkipReason }
  | { readonly do: 'create' }
  /** The two are one already; how they differ is for the next merge to settle. */
  | { readonly do: 'link'; readonly with: SideItem; readonly role: 'lead' | 'follower'; readonly takesOver: boolean }
  /** It is the half of a link under another id. */
  | { readonly do: 'rename'; readonly linkKey: string }

/** What becomes of an item that has no other half yet. */
export function planNew(
  side: Side,
  item: SideItem,
  facts: {
    /** What the rules and earlier rounds have against it. */
    readonly skip: SkipReason | undefined
    readonly candidates: readonly Candidate[]
    /** Whose mailbox it is. */
    readonly person: Pick<Scope, 'mailbox' | 'owner'>
  },
): NewPlan {
  const { skip, candidates, person } = facts
  const orphaned = candidates.find(candidate => candidate.is === 'orphaned')
  if (orphaned?.linkKey !== undefined) return { do: 'rename', linkKey: orphaned.linkKey }
  const allFree = candidates.filter(candidate => candidate.is === 'free')
  const free = allFree.find(candidate => !isCancelled(candidate.item.item)) ?? allFree[0]
  if (free) return planLinking(side, item, free, person)
  if (skip) return { do: 'skip', reason: skip }
  // In a mailbox people copy appointments, and a copy carries the mark of its original: it becomes an item of its own.
  // A mail that lies there twice is one mail, and in the CRM only we write marks.
  const taken = candidates.filter(candidate => candidate.is === 'taken')
  const isSame = side === 'crm' || item.item.kind === 'mail' || taken.some(candidate => candidate.isTwin)
  if (taken.length > 0 && isSame) return { do: 'skip', reason: 'copy' }
  return { do: 'create' }
}

function planLinking(
  side: Side,
  item: SideItem,
  { item: other, leader }: Candidate,
  person: Pick<Scope, 'mailbox' | 'owner'>,
): NewPlan {
  const inMailbox = side === 'exchange' ? item.item : other.item
  // Contacts and tasks are each mailbox's own; a mail or a meeting is one thing that several mailboxes have.
  const isOneForAll = inMailbox.kind === 'mail' || inMailbox.kind === 'appointment'
  if (!isOneForAll || leader === undefined) return { do: 'link', with: other, role: 'lead', takesOver: false }
  const isOrganizer = inMailbox.kind === 'appointment' && isOfPerson(person, inMailbox.organizer?.address)
  return { do: 'link', with: other, role: isOrganizer ? 'lead' : 'follower', takesOver: isOrganizer }
}
