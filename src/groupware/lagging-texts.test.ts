import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { BothSides, ways } from './both-sides-world.ts'
import type { Appointment } from './plan/items.ts'
import { sampleSeries } from './sample-items-world.ts'

const moved = { start: '2026-10-27T10:00:00Z', end: '2026-10-27T11:00:00Z' }
const exceptions: Appointment['exceptions'] = {
  '2026-10-26T08:00:00Z': moved,
  '2026-11-02T08:00:00Z': { subject: 'of its own' },
}

describe.each(ways)('over %s', way => {
  let both: BothSides
  beforeEach(async () => {
    both = await BothSides.start(way)
  })
  afterEach(() => both.stop())

  const { subject } = sampleSeries
  async function exceptionsOf(title: string): Promise<Appointment['exceptions']> {
    const { item } = await both.find('exchange', 'appointment', title)
    if (item.kind !== 'appointment') throw new Error('it is no series')
    return item.exceptions
  }

  test.each(['one', 'occurrences'] as const)(
    'occurrences that differ follow what the CRM writes into their series (%s), but for what they say themselves',
    async as => {
      both.scope.series = { ...both.rules.series, as }
      both.rules = { ...both.rules, series: both.scope.series }
      await both.put('exchange', { ...sampleSeries, exceptions })
      await both.settle('appointment')
      const body = { type: 'text', content: 'Another agenda' } as const
      await both.edit('crm', 'appointment', subject, { subject: 'renamed', location: '', body })
      await both.settle('appointment')
      expect(await exceptionsOf('renamed')).toEqual(exceptions)
      const { exchange, crm } = await both.common('appointment')
      expect(crm).toEqual(exchange)
    },
  )

  test('an occurrence that no longer differs is renamed with its series', async () => {
    await both.put('exchange', { ...sampleSeries, exceptions })
    await both.settle('appointment')
    await both.edit('crm', 'appointment', subject, { exceptions: {} })
    await both.settle('appointment')
    expect(await exceptionsOf(subject)).toEqual({})
    await both.edit('crm', 'appointment', subject, { subject: 'renamed' })
    await both.settle('appointment')
    expect(await exceptionsOf('renamed')).toEqual({})
  })

  test.each([1, 2, 3])('they do so also where answers are lost (%i)', async times => {
    await both.put('exchange', { ...sampleSeries, exceptions })
    await both.settle('appointment')
    await both.edit('crm', 'appointment', subject, { subject: 'renamed' })
    both.mailbox.setFaults({ dropAfter: { times, writesOnly: true } })
    for (let count = 0; count < 4; count += 1) await both.settle('appointment').catch(() => undefined)
    both.mailbox.clearFaults()
    await both.settle('appointment')
    expect(await exceptionsOf('renamed')).toEqual(exceptions)
    const { exchange, crm } = await both.common('appointment')
    expect(crm).toEqual(exchange)
  })
})
