import { expect, test } from 'vitest'
import { batchOutput } from './batched-output.ts'

test('lines of one turn are written together, in their order, and large ones at once', async () => {
  const writes: string[] = []
  const output = batchOutput({ write: text => writes.push(text) })
  output.write('one\n')
  output.write('two\n')
  expect(writes).toEqual([])
  await new Promise(resolve => setImmediate(resolve))
  expect(writes).toEqual(['one\ntwo\n'])
  output.write('x'.repeat(70_000))
  expect(writes).toHaveLength(2)
})
