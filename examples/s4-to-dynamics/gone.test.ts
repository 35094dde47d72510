import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { createCustomer, createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { type ExampleWorld, startExample } from './landscape-world.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: ExampleWorld

beforeAll(async () => {
  world = await startExample(['s4-customers', 's4-materials', 's4-idoc-answers'])
})
afterAll(() => world.close())

const objects = {
  DEBMAS: {
    flow: 's4-customers',
    table: 'account',
    row: ['KNA1', 'KUNNR'],
    create: (number: string) => createCustomer(world.s4.data, number, { name: `Customer ${number}` }),
  },
  MATMAS: {
    flow: 's4-materials',
    table: 'product',
    row: ['MARA', 'MATNR'],
    create: (number: string) => createMaterial(world.s4.data, number, { name: `Part ${number}` }),
  },
} as const

/** Sends what the change pointers of this type tell, and waits for the word of S/4HANA on it. */
async function send(messageType: keyof typeof objects) {
  const [docnum = '', ...others] = world.s4.runChangePointers(messageType).map(idoc => idoc.docnum)
  expect(others).toEqual([])
  await world.s4.dispatch()
  const told = () =>
    world.s4
      .idocs()
      .find(idoc => idoc.docnum === docnum)
      ?.statuses.at(-1)
  await expect.poll(() => told()?.status, { timeout: 40_000 }).toMatch(/^4[01]$/)
  return { docnum, told: told() }
}

test.each(['DEBMAS', 'MATMAS'] as const)(
  '%s of what is gone from SAP (003) and never was in Dynamics 365 makes nothing, and SAP is told so; what is there becomes inactive',
  async messageType => {
    const { flow, table, row, create } = objects[messageType]
    const [sapTable, key] = row
    const { s4, dynamics, hub } = world
    create('4711')
    expect((await send(messageType)).told).toMatchObject({ status: '41' })
    create('4712')
    s4.data.remove(sapTable, { [key]: '4712' })
    const { docnum, told } = await send(messageType)
    expect(told?.status).toBe('41')
    expect(told?.text).toMatch(/^not there, so nothing to change: \w+\(4712\) at /)
    const [delivery] = await hub.store.find({ flow, term: docnum, limit: 1 })
    expect(delivery?.state).toBe('delivered')
    expect(dynamics.records(table)).toEqual([expect.objectContaining({ statecode: 0 })])
    expect(dynamics.records('uomschedule').filter(group => group['new_sapkey'] === '4712')).toEqual([])

    const [before] = dynamics.records(table)
    s4.data.remove(sapTable, { [key]: '4711' })
    expect((await send(messageType)).told).toMatchObject({ status: '41', text: 'Object 4711' })
    expect(dynamics.records(table)).toEqual([
      { ...before, statecode: 1, statuscode: 2, modifiedon: expect.any(String) },
    ])
  },
)
