import fc from 'fast-check'
import { afterEach, expect, test, vi } from 'vitest'
import { type EngineWorld, engineWorld } from './engine-world.ts'
import { offerPlaces, type PlaceTaker } from './fair-places.ts'

let worlds: EngineWorld[] = []
afterEach(async () => {
  await Promise.all(worlds.map(made => made.close()))
  worlds = []
})

/** What runs when each flow has `work` deliveries and some of them hang already. */
function fill(flows: readonly (PlaceTaker & { readonly work: number })[], runningMax: number): readonly number[] {
  const state = flows.map(flow => ({ ...flow }))
  for (const { max, places } of offerPlaces(() => state, runningMax)) {
    let left = max
    for (const flow of state) {
      const count = Math.min(places.get(flow.name) ?? 0, flow.work, left)
      flow.running += count
      flow.work -= count
      left -= count
    }
  }
  return state.map(({ running }) => running)
}

test('one flow alone takes all places that its document and the hub allow', () => {
  expect(fill([{ name: 'a', parallel: 500, running: 0, work: 1000 }], 128)).toEqual([128])
  expect(fill([{ name: 'a', parallel: 16, running: 4, work: 1000 }], 128)).toEqual([16])
})

test('flows that hang take the common places, and leave each other its share', () => {
  const hung = ['a', 'b', 'c', 'd'].map(name => ({ name, parallel: 64, running: 0, work: 1000 }))
  const running = fill([...hung, { name: 'e', parallel: 64, running: 0, work: 0 }], 128)
  expect(running.reduce((sum, count) => sum + count)).toBe(128 - 12)
  const late = hung.map((flow, index) => ({ ...flow, running: running[index] ?? 0 }))
  expect(fill([...late, { name: 'e', parallel: 64, running: 0, work: 1000 }], 128).at(-1)).toBe(12)
})

const takers = fc.array(
  fc.record({ parallel: fc.integer({ min: 1, max: 200 }), work: fc.integer({ min: 0, max: 300 }) }),
  { minLength: 1, maxLength: 40 },
)

test('however much each flow wants, the limit holds, and whoever has work runs something', () => {
  fc.assert(
    fc.property(takers, fc.integer({ min: 1, max: 200 }), (wishes, runningMax) => {
      const flows = wishes.map((wish, index) => ({ ...wish, name: `f${index}`, running: 0 }))
      const running = fill(flows, runningMax)
      const sum = running.reduce((total, count) => total + count, 0)
      expect(sum).toBeLessThanOrEqual(Math.max(runningMax, flows.length))
      for (const [index, { work, parallel }] of flows.entries()) {
        expect(running[index]).toBeLessThanOrEqual(Math.min(work, parallel))
        if (work > 0) expect(running[index]).toBeGreaterThan(0)
      }
      // What is asked for again when nothing ended changes nothing but what was left over.
      const again = fill(
        flows.map((flow, index) => ({
          ...flow,
          running: running[index] ?? 0,
          work: flow.work - (running[index] ?? 0),
        })),
        runningMax,
      )
      expect(again.reduce((total, count) => total + count, 0)).toBeLessThanOrEqual(Math.max(runningMax, flows.length))
    }),
  )
})

test('a flow whose receiver never answers does not keep the others from delivering', async () => {
  const hang = Promise.withResolvers<{ summary: string }>()
  const it = await engineWorld({ limits: { runningDeliveries: 8 }, receivers: [() => hang.promise] })
  worlds.push(it)
  for (let count = 0; count < 20; count++) await it.accept(`hung ${count}`)
  await vi.waitFor(() => expect(it.engine().flows()[0]?.running).toBe(8))
  // It began alone and took all; the flow that starts now has its share all the same.
  const [receiver] = it.flow.to
  if (!receiver) throw new Error('the flow has a receiver')
  const declaration = {
    ...receiver.declaration,
    open: async () => ({
      deliver: async () => ({ summary: '250 ok' }),
      check: async () => ({ ok: true as const, detail: '' }),
      close: async () => {},
    }),
  }
  await it.engine().start({ ...it.flow, name: 'healthy', to: [{ ...receiver, declaration }] })
  const ids: string[] = []
  for (let count = 0; count < 20; count++) ids.push((await it.accept(`healthy ${count}`)).id)
  for (const id of ids) expect(await it.outcome(id)).toMatchObject({ state: 'delivered' })
  expect(it.ended().map(({ flow }) => flow)).not.toContain('orders')
  hang.resolve({ summary: '250 at last' })
})
