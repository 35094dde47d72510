import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { appointment } from '../sync/sides-world.ts'
import type { Appointment } from './items.ts'
import { type MergeInput, mergeItems } from './merge.ts'
import { partsOf, withParts } from './parts.ts'
import { type Stamps, stampOf, stampsOf, unknownStamp } from './stamps.ts'

const nothingPending = { exchange: {}, crm: {} }
const base = appointment({ attendees: [{ address: 'b@x.example', name: 'B', role: 'required', response: 'none' }] })
const stamps = (item: Appointment): Stamps => stampsOf(partsOf(item))

function merge(exchange: Appointment, crm: Appointment, more: Partial<MergeInput> = {}) {
  const input = {
    base: stamps(base),
    exchange,
    crm,
    pending: nothingPending,
    winner: 'crm',
    onlyFrom: undefined,
  } as const
  return mergeItems({ ...input, ...more })
}

describe('two sides that changed the same appointment', () => {
  test('keep both changes when they are of different parts', () => {
    const merged = merge({ ...base, location: 'Room 1' }, { ...base, subject: 'Review' })
    expect(merged.toExchange).toEqual(new Map([['subject', 'Review']]))
    expect(merged.toCrm).toEqual(new Map([['location', 'Room 1']]))
    expect(merged.conflicts).toEqual([])
  })

  test.each(['exchange', 'crm'] as const)('let the rule decide about the same part: %s', winner => {
    const merged = merge({ ...base, subject: 'in Exchange' }, { ...base, subject: 'in the CRM' }, { winner })
    expect(merged.conflicts).toEqual(['subject'])
    const written = winner === 'exchange' ? merged.toCrm : merged.toExchange
    expect([...written.values()]).toEqual([winner === 'exchange' ? 'in Exchange' : 'in the CRM'])
  })

  test('never mix the start of one with the end of the other', () => {
    const earlier = { ...base, start: '2026-11-23T06:00:00Z', end: '2026-11-23T07:00:00Z' }
    const longer = { ...base, end: '2026-11-23T12:00:00Z' }
    const { toCrm, toExchange } = merge(earlier, longer, { winner: 'exchange' })
    expect(toExchange.size).toBe(0)
    expect(withParts(longer, toCrm)).toMatchObject({ start: earlier.start, end: earlier.end })
  })

  test('answers of attendees and a new attendee come together', () => {
    const [b] = base.attendees
    const answered = { ...base, attendees: b ? [{ ...b, response: 'accepted' as const }] : [] }
    const invited = { ...base, attendees: [...base.attendees, { ...person('c@x.example'), name: 'C' }] }
    const { toExchange, toCrm } = merge(answered, invited)
    expect(withParts(answered, toExchange)).toEqual(withParts(invited, toCrm))
    expect(withParts(answered, toExchange).attendees.map(one => [one.address, one.response])).toEqual([
      ['b@x.example', 'accepted'],
      ['c@x.example', 'none'],
    ])
  })

  test('the answer of an attendee who was taken off goes with him', () => {
    const [b] = base.attendees
    const answered = { ...base, attendees: b ? [{ ...b, response: 'declined' as const }] : [] }
    const { toExchange, toCrm, base: after } = merge(answered, { ...base, attendees: [] })
    expect(withParts(answered, toExchange).attendees).toEqual([])
    expect(toCrm.size).toBe(0)
    expect(Object.keys(after).filter(path => path.startsWith('attendees'))).toEqual([])
  })

  test('exceptions of a series are merged each for itself', () => {
    const moved = { '2026-11-30T08:00:00Z': { start: '2026-11-30T10:00:00Z', end: '2026-11-30T11:00:00Z' } }
    const cancelled = { '2026-12-07T08:00:00Z': { isDeleted: true } }
    const { toExchange } = merge({ ...base, exceptions: moved }, { ...base, exceptions: cancelled })
    expect(withParts({ ...base, exceptions: moved }, toExchange).exceptions).toEqual({ ...moved, ...cancelled })
  })
})

describe('what we wrote ourselves', () => {
  test('is no edit: after a lost answer the other side goes on editing, and its word counts', () => {
    const ours = { ...base, subject: 'ours' }
    const pending = { exchange: {}, crm: { subject: [stampOf('ours')] } }
    const { toCrm, conflicts } = merge({ ...base, subject: 'edited again' }, ours, { pending })
    expect(toCrm).toEqual(new Map([['subject', 'edited again']]))
    expect(conflicts).toEqual([])
  })

  test('goes back when the other side went back meanwhile', () => {
    const pending = { exchange: {}, crm: { subject: [stampOf('ours')] } }
    expect(merge(base, { ...base, subject: 'ours' }, { pending }).toCrm).toEqual(new Map([['subject', base.subject]]))
  })

  test('an unknown common state counts as changed on both sides', () => {
    const { conflicts } = merge(
      { ...base, subject: 'a' },
      { ...base, subject: 'b' },
      { base: { subject: unknownStamp } },
    )
    expect(conflicts).toEqual(['subject'])
  })
})

test('one way, an edit on the side that is not read stands until the same part changes on the other', () => {
  const edited = { ...base, subject: 'only here', location: 'only here' }
  const first = merge(base, edited, { onlyFrom: 'exchange' })
  expect(first.toCrm.size + first.toExchange.size).toBe(0)
  const later = merge({ ...base, location: 'Room 2' }, edited, { onlyFrom: 'exchange', base: first.base })
  expect(later.toCrm).toEqual(new Map([['location', 'Room 2']]))
})

const someAppointment: fc.Arbitrary<Appointment> = fc
  .record({
    subject: fc.constantFrom('a', 'b', 'c'),
    location: fc.constantFrom('', 'x', 'y'),
    reminderMinutes: fc.constantFrom(null, 5, 15),
    categories: fc.uniqueArray(fc.constantFrom('red', 'green/blue', 'SAP')),
    attendees: fc.uniqueArray(
      fc.record({
        address: fc.constantFrom('a@x.example', 'b/c@x.example'),
        name: fc.constantFrom('', 'A'),
        role: fc.constantFrom('required' as const, 'optional' as const),
        response: fc.constantFrom('none' as const, 'accepted' as const),
      }),
      { selector: one => one.address },
    ),
    exceptions: fc.dictionary(
      fc.constantFrom('2026-11-30T08:00:00Z', '2026-12-07T08:00:00Z'),
      fc.oneof(fc.constant({ isDeleted: true }), fc.record({ subject: fc.constantFrom('d', 'e') })),
    ),
  })
  .map(fields => appointment(fields))

test('after any merge both sides are in the same state, which is the common one', () => {
  fc.assert(
    fc.property(someAppointment, someAppointment, someAppointment, (before, exchange, crm) => {
      const { toExchange, toCrm, base: after } = merge(exchange, crm, { base: stamps(before) })
      expect(stamps(withParts(exchange, toExchange))).toEqual(after)
      expect(stamps(withParts(crm, toCrm))).toEqual(after)
    }),
  )
})

test('what nobody changed is never written', () => {
  fc.assert(
    fc.property(someAppointment, someAppointment, (before, exchange) => {
      const { toExchange, conflicts } = merge(exchange, before, { base: stamps(before) })
      expect([toExchange.size, conflicts.length]).toEqual([0, 0])
    }),
  )
})

function person(address: string) {
  return { address, name: '', role: 'required', response: 'none' } as const
}
