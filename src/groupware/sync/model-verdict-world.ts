import { type Doings, type ModelPeople, tagOf, valuesOf } from './model-people-world.ts'
import type { Held, WorldCrm, WorldMailbox } from './sides-world.ts'

/** What is wrong at the end of a schedule; a kind of fault may be named several times. */
export function judge(mailbox: WorldMailbox, crm: WorldCrm, people: ModelPeople): readonly string[] {
  const faults: string[] = []
  const inMailbox = byTag(mailbox.held)
  const inCrm = byTag(crm.held)
  for (const tag of new Set([...inMailbox.keys(), ...inCrm.keys()])) {
    const [exchange, ...moreInMailbox] = inMailbox.get(tag) ?? []
    const [other, ...moreInCrm] = inCrm.get(tag) ?? []
    if (moreInMailbox.length + moreInCrm.length > 0) faults.push(`doubled`)
    if (!exchange || !other) faults.push(`only on one side`)
    else if (!areEqual(valuesOf(crm, exchange), valuesOf(crm, other))) faults.push(`sides differ`)
  }
  for (const [tag, doings] of people.doings) {
    const [exchange] = inMailbox.get(tag) ?? []
    if (!exchange) {
      if (!doings.deletedIn) faults.push(`item lost`)
      continue
    }
    const { deletedIn, settled } = doings
    if (deletedIn && settled && doings[deletedIn === 'exchange' ? 'crm' : 'exchange'].size === 0) faults.push('undead')
    faults.push(...lostUpdates(valuesOf(crm, exchange), doings))
  }
  return faults
}

function lostUpdates(now: Readonly<Record<string, string>>, { exchange, crm, settled }: Doings): readonly string[] {
  const lost: string[] = []
  for (const path of new Set([...Object.keys(now), ...Object.keys(settled ?? {}), ...exchange.keys(), ...crm.keys()])) {
    if (goesWithItsWhole(path, now)) continue
    const wanted = [exchange.get(path), crm.get(path)].filter(stamp => stamp !== undefined)
    if (wanted.length === 0 && settled) wanted.push(settled[path] ?? '-')
    if (wanted.length > 0 && !wanted.includes(now[path] ?? '-')) lost.push(`update lost`)
  }
  return lost
}

function byTag(held: ReadonlyMap<string, Held>): ReadonlyMap<string, Held[]> {
  const byTag = new Map<string, Held[]>()
  for (const one of held.values()) byTag.set(tagOf(one.item), [...(byTag.get(tagOf(one.item)) ?? []), one])
  return byTag
}

/** An answer without its attendee, a change of an occurrence that is deleted: they go with what they belong to. */
function goesWithItsWhole(path: string, now: Readonly<Record<string, string>>): boolean {
  const [field, name, what] = path.split('/')
  if (field === 'attendees' && what === 'response') return now[`attendees/${name}`] === undefined
  return field === 'exceptions' && what !== 'isDeleted' && now[`exceptions/${name}/isDeleted`] !== undefined
}

function areEqual(left: Readonly<Record<string, string>>, right: Readonly<Record<string, string>>): boolean {
  const paths = new Set([...Object.keys(left), ...Object.keys(right)])
  return [...paths].every(path => left[path] === right[path])
}
