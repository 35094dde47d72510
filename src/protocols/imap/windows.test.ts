import { expect, test } from 'vitest'
import { cutWindows } from './windows.ts'

const MiB = 1024 * 1024

test('windows hold at most 100 mails and 4 MiB, in the order that was asked for', () => {
  const uids = Array.from({ length: 250 }, (_, index) => 250 - index)
  const windows = cutWindows(uids, new Map(uids.map(uid => [uid, 10_000])), MiB)
  expect(windows.map(window => window.uids.length)).toEqual([100, 100, 50])
  expect(windows.flatMap(window => window.uids)).toEqual(uids)
  const large = cutWindows([1, 2, 3, 4, 5, 6], new Map([1, 2, 3, 4, 5, 6].map(uid => [uid, MiB])), MiB)
  expect(large.map(window => window.uids)).toEqual([
    [1, 2, 3, 4],
    [5, 6],
  ])
})

test('a mail that may have to be streamed is asked for alone; one of unknown size is not', () => {
  const windows = cutWindows([1, 2, 3, 4], new Map([[2, 2 * MiB]]), MiB)
  expect(windows).toEqual([
    { uids: [1], isLone: true },
    { uids: [2], isLone: true },
    { uids: [3, 4], isLone: false },
  ])
})
