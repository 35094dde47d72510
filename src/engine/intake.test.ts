import { expect, test, vi } from 'vitest'
import { DAY } from '../kernel/time.ts'
import { engineWorld } from './engine-world.ts'
import { Outcomes } from './outcomes.ts'

test('asking for the end of a delivery that ended long ago leaves nobody waiting', async () => {
  const it = await engineWorld()
  try {
    const { id } = await it.accept('order')
    await it.outcome(id)
    await it.engine().idle()
    // After a restart only the store knows of it.
    await it.crash()
    const wait = vi.spyOn(Outcomes.prototype, 'wait')
    const caller = new AbortController()
    expect(await it.intake().outcome(id, caller.signal)).toMatchObject({ id, state: 'delivered' })
    expect(wait).toHaveBeenCalledOnce()
    expect(await wait.mock.results[0]?.value).toBeUndefined()
    wait.mockRestore()
  } finally {
    await it.close()
  }
})

test('how a purged delivery ended is not known, and nobody waits for it', async () => {
  const it = await engineWorld()
  try {
    const { id } = await it.accept('order')
    await it.outcome(id)
    await it.engine().idle()
    const before = it.clock.now() + DAY
    await it.store().purge({ flow: 'orders', deliveredBefore: before, setAsideBefore: before, max: 10 })
    await it.crash()
    await expect(it.intake().outcome(id)).rejects.toMatchObject({ code: 'STORE_NOT_FOUND' })
  } finally {
    await it.close()
  }
})
