import { expect, test } from 'vitest'
import { SECOND } from '../../kernel/time.ts'
import { PassedOn, passedOnLimits } from './passed-on.ts'

const ended = (bytes: number, ...answers: string[]) => ({
  bytes,
  answers: answers.map((answer, at) => ({ at, answer })),
})

test('streams that ended are kept for a while', () => {
  let now = 0
  const passedOn = new PassedOn(() => now)
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
  const passedOn = new PassedOn(() => 0)
  for (let count = 0; count <= passedOnLimits.streams; count++) passedOn.note(`stream ${count}`, ended(count))
  expect([passedOn.find('stream 0'), passedOn.find('stream 1')?.bytes]).toEqual([undefined, 1])
})

test('and of their answers no more than so much, the latest', () => {
  const passedOn = new PassedOn(() => 0)
  const quarter = 'x'.repeat(passedOnLimits.answerLetters / 4)
  for (const name of ['a', 'b']) passedOn.note(name, ended(1, quarter, quarter))
  const found = () => ['a', 'b', 'c', 'd'].filter(name => passedOn.find(name))
  expect(found()).toEqual(['a', 'b'])
  passedOn.note('c', ended(1, 'one more'))
  expect(found()).toEqual(['b', 'c'])
  // One name again and again counts once.
  for (let times = 0; times < 5; times++) passedOn.note('d', ended(1, quarter))
  expect(found()).toEqual(['b', 'c', 'd'])
})
