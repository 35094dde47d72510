import { expect, test } from 'vitest'
import { defineErrors } from '../../kernel/error.ts'
import { Gather } from './gather.ts'

const errors = defineErrors('TEST', {
  UNFIT: { side: 'receiver', retry: 'never', isAboutMessage: true, means: 'It is unfit.', next: 'Nothing.' },
  BUSY: { side: 'receiver', retry: 'soon', isThrottling: true, means: 'It is busy.', next: 'Nothing.' },
  UNKNOWN: {
    side: 'receiver',
    retry: 'never',
    isAboutMessage: true,
    isOutcomeUnknown: true,
    means: 'Perhaps it was done.',
    next: 'Nothing.',
  },
})
const turn = new AbortController().signal

/** Sends numbers, doubles them, and remembers what went together. */
function gather(partsMax: number, onSend: (parts: readonly number[]) => void = () => {}) {
  const sent: (readonly number[])[] = []
  const asked = new Gather<number, number>(partsMax, async parts => {
    sent.push(parts)
    onSend(parts)
    return parts.map(part => 2 * part)
  })
  return { asked, sent }
}

test('what is asked in the same moment goes in one request, and each has its own answers', async () => {
  const { asked, sent } = gather(10)
  const slow = Promise.resolve().then(() => asked.ask([4], turn))
  expect(await Promise.all([asked.ask([1, 2], turn), asked.ask([], turn), asked.ask([3], turn), slow])).toEqual([
    [2, 4],
    [],
    [6],
    [8],
  ])
  expect(sent).toEqual([[1, 2, 3, 4]])
  expect(await asked.ask([5], turn)).toEqual([10])
  expect(sent).toEqual([[1, 2, 3, 4], [5]])
})

test('what ends for itself goes for itself', async () => {
  const { asked, sent } = gather(10)
  await Promise.all([asked.ask([1], turn), asked.ask([2], new AbortController().signal)])
  expect(sent).toEqual([[1], [2]])
})

test('a request has so many parts; parts that were asked together are not torn apart', async () => {
  const { asked, sent } = gather(3)
  await Promise.all([[1, 2], [3, 4], [5], [6, 7, 8, 9]].map(parts => asked.ask(parts, turn)))
  expect(sent).toEqual([
    [1, 2],
    [3, 4, 5],
    [6, 7, 8, 9],
  ])
})

test('where a server refuses all because of one, the others are not told that they are unfit', async () => {
  const { asked, sent } = gather(10, parts => {
    if (parts.includes(2)) throw errors.UNFIT()
  })
  const ended = await Promise.allSettled([[1], [2], [3]].map(parts => asked.ask(parts, turn)))
  expect(ended.map(each => (each.status === 'fulfilled' ? each.value : 'refused'))).toEqual([[2], 'refused', [6]])
  expect(sent).toEqual([[1, 2, 3], [1], [2], [3]])
})

test('a server that is busy is asked nothing more', async () => {
  const busy = errors.BUSY()
  const { asked, sent } = gather(2, () => {
    throw busy
  })
  const ended = await Promise.allSettled([[1], [2], [3]].map(parts => asked.ask(parts, turn)))
  expect(ended).toEqual([busy, busy, busy].map(reason => ({ status: 'rejected', reason })))
  expect(sent).toEqual([[1, 2]])
})

test('nothing is sent twice that may have been done', async () => {
  const { asked, sent } = gather(2, parts => {
    if (parts.includes(1)) throw errors.UNKNOWN()
  })
  const ended = await Promise.allSettled([[1], [2], [3]].map(parts => asked.ask(parts, turn)))
  expect(ended.map(({ status }) => status)).toEqual(['rejected', 'rejected', 'fulfilled'])
  expect(sent).toEqual([[1, 2], [3]])
})
