import { expect, test } from 'vitest'
import { occurrenceDays } from '../twins/graph/recurrence.ts'
import { BothSides, titleOf, ways } from './both-sides-world.ts'
import { scopeOf, startGraphDriver } from './graph-driver-world.ts'
import { sampleAppointment, sampleSeries, weekly } from './sample-items-world.ts'

// "Every 0 weeks": what spoiled data, and programs of others, say.
const every0 = { ...weekly, interval: 0 }

async function* noBytes(): AsyncGenerator<Uint8Array> {
  // Nothing to attach.
}

test('the stand-in of Graph refuses a series of every 0 weeks, in a new event and in one that is there', async () => {
  const world = await startGraphDriver()
  try {
    const { token } = await world.logIn(undefined)
    const send = async (method: string, path: string, body: object) => {
      const headers = { authorization: `Bearer ${token}`, 'content-type': 'application/json' }
      const url = new URL(`users/ada@contoso.com/${path}`, world.graph.root)
      const answer = await fetch(url, { method, headers, body: JSON.stringify(body) })
      return { status: answer.status, body: (await answer.json()) as { readonly id?: string } }
    }
    const at = (hour: string) => ({ dateTime: `2026-11-23T${hour}:00:00`, timeZone: 'UTC' })
    const event = { subject: 'x', start: at('08'), end: at('09') }
    const recurrence = {
      pattern: { type: 'weekly', interval: 0, daysOfWeek: ['monday'] },
      range: { type: 'noEnd', startDate: '2026-11-23' },
    }
    const refused = { status: 400, body: { error: { code: 'ErrorPropertyValidationFailure' } } }
    expect(await send('POST', 'events', { ...event, recurrence })).toMatchObject(refused)
    const { body } = await send('POST', 'events', event)
    expect(await send('PATCH', `events/${body.id}`, { recurrence })).toMatchObject(refused)
    expect(() =>
      occurrenceDays({ type: 'daily', interval: 0 }, { type: 'noEnd', startDate: '2026-11-23' }, '2027-01-01'),
    ).toThrow('interval')
  } finally {
    await world.stop()
  }
})

test('over Graph such a series is refused with the reason, and what is written with it is not', async () => {
  const world = await startGraphDriver()
  try {
    const items = [{ ...sampleSeries, recurrence: every0 }, sampleAppointment]
    const wishes = items.map((item, index) => ({
      key: `${index}`,
      mark: `CRM-${index}`,
      item,
      openAttachment: noBytes,
    }))
    const outcomes = await world.driver.create(scopeOf('appointment'), wishes, new AbortController().signal)
    expect(outcomes).toMatchObject([
      { state: 'refused', error: { code: 'GRAPH_REFUSED', fields: { text: expect.stringContaining('interval') } } },
      { state: 'done' },
    ])
  } finally {
    await world.stop()
  }
})

test.each(ways)('an appointment of the CRM whose note says so comes over %s as one, and others with it', async way => {
  const both = await BothSides.start(way)
  try {
    await both.put('crm', { ...sampleSeries, subject: 'Spoiled', recurrence: every0 })
    await both.put('crm', { ...sampleAppointment, subject: 'Other' })
    await both.settle('appointment')
    const items = (await both.itemsOf('exchange', 'appointment')).map(({ item }) => item)
    const recurrences = items.map(item => [titleOf(item), item.kind === 'appointment' && item.recurrence] as const)
    expect(Object.fromEntries(recurrences)).toEqual({ Other: null, Spoiled: null })
    expect(both.decisions.map(({ what }) => what)).toEqual(['created', 'created'])
  } finally {
    await both.stop()
  }
})
