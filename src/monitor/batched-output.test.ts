import { expect, test, vi } from 'vitest'
import { batchOutput } from './batched-output.ts'

test('lines of one moment are written together, in their order, and large ones at once', async () => {
  const writes: string[] = []
  const output = batchOutput({ write: text => writes.push(text) })
  output.write('one\n')
  output.write('two\n')
  expect(writes).toEqual([])
  await vi.waitFor(() => expect(writes).toHaveLength(1))
  expect(writes).toEqual(['one\ntwo\n'])
  output.write('x'.repeat(70_000))
  expect(writes).toHaveLength(2)
})
