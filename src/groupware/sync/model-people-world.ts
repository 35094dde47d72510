import type { Side } from '../drivers.ts'
import type { Appointment, Item } from '../plan/items.ts'
import { partsOf } from '../plan/parts.ts'
import { appointment, type Held, type WorldCrm, type WorldMailbox } from './sides-world.ts'

const attendees = ['b@x.example', 'c@x.example'] as const
const occurrences = ['2026-11-30T08:00:00Z', '2026-12-07T08:00:00Z'] as const

/** What people did to an item since both sides were last known to be equal. */
export interface Doings {
  settled: Readonly<Record<string, string>> | undefined
  readonly exchange: Map<string, string>
  readonly crm: Map<string, string>
  deletedIn: Side | undefined
}

/** The people of a schedule: they add, edit, delete, move and copy, and somebody takes notes of it (by tag of the item). */
export class ModelPeople {
  readonly doings = new Map<string, Doings>()
  readonly #mailbox: WorldMailbox
  readonly #crm: WorldCrm
  readonly #lagMsMax: number
  #value = 0

  constructor(mailbox: WorldMailbox, crm: WorldCrm, lagMsMax: number) {
    this.#mailbox = mailbox
    this.#crm = crm
    this.#lagMsMax = lagMsMax
  }

  addSome(random: () => number): string {
    const tag = this.next('t')
    const item = appointment({
      organizer: { address: tag, name: '' },
      subject: this.next('s'),
      location: this.next('l'),
      body: { type: 'text', content: this.next('n') },
      attendees: random() < 0.5 ? [attendee(attendees[0], 'none')] : [],
    })
    const side = random() < 0.5 ? this.#mailbox : this.#crm
    const held = side.add(item, Math.floor(random() * this.#lagMsMax))
    const doings: Doings = { settled: undefined, exchange: new Map(), crm: new Map(), deletedIn: undefined }
    for (const [path, stamp] of Object.entries(valuesOf(this.#crm, held))) doings[side.side].set(path, stamp)
    this.doings.set(tag, doings)
    return `${side.side} has a new ${held.id} ${tag}`
  }

  editSome(random: () => number, side: WorldMailbox | WorldCrm): string {
    const held = pick(random, [...side.held.values()])
    if (!held) return `${side.side} is empty`
    const before = valuesOf(this.#crm, held)
    side.edit(held.id, item => this.#edited(random, item as Appointment), Math.floor(random() * this.#lagMsMax))
    const after = valuesOf(this.#crm, held)
    const doings = this.doings.get(tagOf(held.item))
    const paths = [...new Set([...Object.keys(before), ...Object.keys(after)])].filter(
      path => before[path] !== after[path],
    )
    for (const path of paths) doings?.[side.side].set(path, after[path] ?? '-')
    return `${side.side} edits ${held.id} ${tagOf(held.item)}: ${paths.join(', ')}`
  }

  #edited(random: () => number, item: Appointment): Item {
    const value = this.next('v')
    switch (Math.floor(random() * 8)) {
      case 0:
        return { ...item, subject: value }
      case 1:
        return { ...item, location: `${value}  ${value} ` }
      case 2:
        return { ...item, body: { type: 'text', content: value } }
      case 3: {
        const hour = String(8 + (this.#value % 10)).padStart(2, '0')
        const day = String(1 + (this.#value % 28)).padStart(2, '0')
        return { ...item, start: `2026-12-${day}T${hour}:00:00Z`, end: `2026-12-${day}T${hour}:30:00Z` }
      }
      case 4:
        return { ...item, categories: [...item.categories, value], reminderMinutes: this.#value }
      case 5:
      case 6: {
        const address = pick(random, attendees) ?? attendees[0]
        const others = item.attendees.filter(one => one.address !== address)
        if (others.length < item.attendees.length && random() < 0.4) return { ...item, attendees: others }
        const response = random() < 0.5 ? 'accepted' : 'declined'
        return { ...item, attendees: [...others, attendee(address, response)] }
      }
      default: {
        const start = pick(random, occurrences) ?? occurrences[0]
        const exception = random() < 0.3 ? { isDeleted: true } : { subject: value }
        return { ...item, exceptions: { ...item.exceptions, [start]: exception } }
      }
    }
  }

  dropSome(random: () => number): string {
    const side = random() < 0.5 ? this.#mailbox : this.#crm
    const held = pick(random, [...side.held.values()])
    if (!held) return `${side.side} is empty`
    side.drop(held.id)
    const doings = this.doings.get(tagOf(held.item))
    // What people edited in an item dies with it.
    doings?.[side.side].clear()
    if (doings) doings.deletedIn = side.side
    return `${side.side} deletes ${held.id} ${tagOf(held.item)}`
  }

  moveSome(random: () => number): string {
    const held = pick(random, [...this.#mailbox.held.values()])
    if (!held) return 'exchange is empty'
    const before = held.id
    this.#mailbox.move(before)
    return `exchange moves ${before}, now ${held.id}`
  }

  /** A copy carries the mark of its original. It becomes an item of its own (with a tag by which we know it). */
  copySome(random: () => number): string {
    const held = pick(random, [...this.#mailbox.held.values()])
    if (!held) return 'exchange is empty'
    const tag = this.next('t')
    const copy = this.#mailbox.add({ ...(held.item as Appointment), organizer: { address: tag, name: '' } })
    copy.mark = held.mark
    const doings: Doings = { settled: undefined, exchange: new Map(), crm: new Map(), deletedIn: undefined }
    for (const [path, stamp] of Object.entries(valuesOf(this.#crm, copy))) doings.exchange.set(path, stamp)
    this.doings.set(tag, doings)
    return `exchange copies ${held.id} to ${copy.id} ${tag}`
  }

  /** From now on both sides are taken to be equal. */
  markSettled(): void {
    for (const [tag, doings] of this.doings) {
      const held = [...this.#mailbox.held.values()].find(one => tagOf(one.item) === tag)
      doings.exchange.clear()
      doings.crm.clear()
      doings.deletedIn = undefined
      doings.settled = held ? valuesOf(this.#crm, held) : undefined
      if (!held) this.doings.delete(tag)
    }
  }

  /** A name that nothing else has. */
  next(letter: string): string {
    this.#value += 1
    return `${letter}${this.#value}`
  }
}

/** What an item says, in the form that both sides can hold. */
export function valuesOf(crm: WorldCrm, { item }: Held): Readonly<Record<string, string>> {
  const values: Record<string, string> = {}
  for (const [path, value] of partsOf(crm.normalise(item))) values[path] = JSON.stringify(value)
  return values
}

function attendee(address: string, response: 'none' | 'accepted' | 'declined') {
  return { address, name: '', role: 'required', response } as const
}

/** Who organizes an item of the model stays with it, whatever is done to it. */
export function tagOf(item: Item): string {
  return item.kind === 'appointment' ? (item.organizer?.address ?? '') : ''
}

function pick<T>(random: () => number, list: readonly T[]): T | undefined {
  return list[Math.floor(random() * list.length)]
}
