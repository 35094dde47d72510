import { expect, test } from 'vitest'
import { MemoryRecords } from '../../auth/records-world.ts'
import { silentLog } from '../../kernel/log.ts'
import { HOUR, MINUTE } from '../../kernel/time.ts'
import { SimulatedClock } from '../../testing/simulated-clock.ts'
import type { ItemKind } from '../plan/items.ts'
import { emptyReport } from '../sync/round-state.ts'
import { ProgressBook } from './progress-book.ts'

const summaryOf = (kind: ItemKind, held: number) => ({
  reports: new Map([[kind, { ...emptyReport(), held }]]),
  isUnfinished: false,
})

test('what is held of one kind is told until that kind itself has another round', async () => {
  const book = await ProgressBook.open(new MemoryRecords(), new SimulatedClock(0), silentLog)
  book.note('ada@contoso.com', summaryOf('appointment', 30))
  book.note('ada@contoso.com', summaryOf('mail', 0), ['mail'])
  expect(book.of('ada@contoso.com').held).toEqual({ appointment: 30 })
  book.note('ada@contoso.com', summaryOf('appointment', 0), ['appointment'])
  expect(book.of('ada@contoso.com').held).toEqual({})
})

test('rounds without anything new are stored when the hub stops, not every few minutes', async () => {
  const clock = new SimulatedClock(0)
  const records = new MemoryRecords()
  const book = await ProgressBook.open(records, clock, silentLog)
  const stored = async () => (await records.list('groupware-progress')).map(({ revision }) => revision)
  book.note('ada@contoso.com', summaryOf('appointment', 0))
  await clock.advance(HOUR)
  expect(await stored()).toEqual([1])
  for (let round = 0; round < 5; round += 1) {
    await clock.advance(10 * MINUTE)
    book.note('ada@contoso.com', summaryOf('appointment', 0))
  }
  expect(await stored()).toEqual([1])
  await book.close()
  expect(await stored()).toEqual([2])
  const again = await ProgressBook.open(records, clock, silentLog)
  expect(again.of('ada@contoso.com').lastRoundAt).toBe(clock.now())
})
