import { expect, test } from 'vitest'
import { SECOND } from '../../kernel/time.ts'
import { PassedOn, passedOnLimits } from './passed-on.ts'

const ended = (bytes: number) => ({ bytes, watch: undefined })

test('streams that ended are kept for a while', () => {
  let now = 0
  const passedOn = new PassedOn({ now: () => now })
  passedOn.note('early', ended(1))
  now = passedOnLimits.keptMs - SECOND
  passedOn.note('late', ended(2))
  const found = (...names: string[]) => names.map(name => passedOn.find(name)?.bytes)
  expect(found('early', 'late', 'other')).toEqual([1, 2, undefined])
  now = passedOnLimits.keptMs
  passedOn.note('latest', ended(3))
  expect(found('early', 'late', 'latest')).toEqual([undefined, 2, 3])
})

test('and no more than so many of them', () => {
  const passedOn = new PassedOn({ now: () => 0 })
  for (let count = 0; count <= passedOnLimits.streams; count++) passedOn.note(`stream ${count}`, ended(count))
  expect([passedOn.find('stream 0'), passedOn.find('stream 1')?.bytes]).toEqual([undefined, 1])
})
