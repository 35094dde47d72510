import { execFileSync } from 'node:child_process'
import fc from 'fast-check'
import { expect, test } from 'vitest'
import { TransientMap } from './transient-map.ts'

test('it holds what a Map holds, in the same order, whatever is set and deleted', () => {
  const change = fc.record({ key: fc.nat(40), action: fc.constantFrom('set', 'delete', 'delete', 'clear-rarely') })
  fc.assert(
    fc.property(fc.array(change, { maxLength: 600 }), changes => {
      const plain = new Map<number, number>()
      const transient = new TransientMap<number, number>()
      for (const [index, { key, action }] of changes.entries()) {
        if (action === 'set') {
          plain.set(key, index)
          transient.set(key, index)
        } else if (action === 'delete') {
          expect(transient.delete(key)).toBe(plain.delete(key))
        } else if (key === 0) {
          plain.clear()
          transient.clear()
        }
        expect(transient.get(key)).toBe(plain.get(key))
        expect(transient.has(key)).toBe(plain.has(key))
      }
      expect(transient.size).toBe(plain.size)
      expect([...transient]).toEqual([...plain])
      expect([...transient.keys()]).toEqual([...plain.keys()])
      expect([...transient.values()]).toEqual([...plain.values()])
    }),
  )
})

test('the oldest can be taken out while walking through it, also where it begins anew meanwhile', () => {
  const map = new TransientMap<number, number>()
  for (let key = 0; key < 1000; key += 1) map.set(key, key)
  for (const oldest of map.keys()) {
    if (map.size <= 3) break
    map.delete(oldest)
  }
  expect([...map.keys()]).toEqual([997, 998, 999])
})

test.each(['TransientMap', 'Map'])('what was deleted from a %s, and how much of it stays in memory', kind => {
  // In a process of its own, with a collector that is called by hand.
  const program = `
    import { TransientMap } from ${JSON.stringify(new URL('transient-map.ts', import.meta.url).href)}
    const map = new ${kind}()
    map.set('first', 1)
    const collect = () => gc({ type: 'minor' })
    for (let round = 0; round < 4; round += 1) collect()
    const before = process.memoryUsage().heapUsed
    for (let key = 0; key < 10_000; key += 1) {
      map.set(key, new Array(500).fill(key))
      map.delete(key - 5)
      if (key % 200 === 0) collect()
    }
    console.log((process.memoryUsage().heapUsed - before) / 2 ** 20)`
  const flags = ['--expose-gc', '--input-type=module', '--eval', program]
  const kept = Number(execFileSync(process.execPath, flags, { encoding: 'utf8' }))
  // 10,000 arrays of 4 KB passed through; the Map keeps about half of them until a full collection. Where that no longer
  // holds, V8 has changed, and TransientMap can go.
  if (kind === 'Map') expect(kept).toBeGreaterThan(10)
  else expect(kept).toBeLessThan(5)
})
