import { expect, test } from 'vitest'
import { SECOND } from '../../kernel/time.ts'
import { PassedOn, passedOnLimits } from './passed-on.ts'

test('streams that ended are kept for a while', () => {
  let now = 0
  const passedOn = new PassedOn({ now: () => now })
  passedOn.note('early', 1)
  now = passedOnLimits.keptMs - SECOND
  passedOn.note('late', 2)
  expect([passedOn.find('early'), passedOn.find('late'), passedOn.find('other')]).toEqual([1, 2, undefined])
  now = passedOnLimits.keptMs
  passedOn.note('latest', 3)
  expect([passedOn.find('early'), passedOn.find('late'), passedOn.find('latest')]).toEqual([undefined, 2, 3])
})

test('and no more than so many of them', () => {
  const passedOn = new PassedOn({ now: () => 0 })
  for (let count = 0; count <= passedOnLimits.streams; count++) passedOn.note(`stream ${count}`, count)
  expect([passedOn.find('stream 0'), passedOn.find('stream 1')]).toEqual([undefined, 1])
})
