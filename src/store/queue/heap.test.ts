import fc from 'fast-check'
import { expect, test } from 'vitest'
import { Heap } from './heap.ts'

test('whatever goes in and out, pop gives the smallest that is there', () => {
  fc.assert(
    fc.property(fc.array(fc.option(fc.nat(50), { nil: undefined, freq: 3 }), { maxLength: 200 }), acts => {
      const heap = new Heap<number>((one, other) => one < other)
      const model: number[] = []
      for (const item of acts) {
        if (item === undefined) {
          expect(heap.pop()).toBe(model.shift())
        } else {
          heap.push(item)
          model.push(item)
          model.sort((one, other) => one - other)
        }
        expect(heap.peek()).toBe(model[0])
      }
    }),
    { numRuns: 200 },
  )
})
