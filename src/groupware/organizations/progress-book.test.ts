import { expect, test } from 'vitest'
import { MemoryRecords } from '../../auth/records-world.ts'
import { silentLog } from '../../kernel/log.ts'
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
