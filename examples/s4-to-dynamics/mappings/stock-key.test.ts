import { expect, test } from 'vitest'
import calledInventory from './called-inventory.ts'
import customerStock from './customer-stock.ts'
import { mapped } from './field-world.ts'
import { inventoryKey } from './keys.ts'
import plantStock from './plant-stock.ts'

type Place = Readonly<Record<'MATNR' | 'WERKS' | 'CHARG' | 'SOBKZ' | 'KUNNR', string>>

const ofCustomer = (place: Place) => mapped(customerStock, { ZE1CUSTSTOCK: place })['new_sapkey']
const ofPlant = ({ MATNR, WERKS }: Place) => mapped(plantStock, { E1MDSTL: { MATNR, WERKS } })['new_sapkey']

function ofCall({ MATNR, WERKS, CHARG, SOBKZ, KUNNR }: Place) {
  const fields = { Material: MATNR, Plant: WERKS, Batch: CHARG, SpecialStockType: SOBKZ, Customer: KUNNR }
  const key = mapped(calledInventory, { Inventory: fields })['new_sapkey']
  expect(mapped(inventoryKey, { Inventory: fields })).toEqual({ new_sapkey: key })
  return key
}

const place: Place = { MATNR: '000000000000004711', WERKS: '1710', CHARG: '', SOBKZ: 'W', KUNNR: '0000001001' }

test('the key of stock is its material, plant, batch, kind and customer; a hyphen inside one of them is _2D', () => {
  expect(ofCustomer(place)).toBe('4711-1710-W-1001')
  expect(ofCustomer({ ...place, CHARG: 'B1' })).toBe('4711-1710-B1-W-1001')
  expect(ofCustomer({ ...place, MATNR: 'A-1/2_3', CHARG: 'B-1' })).toBe('A_2D1_2F2_5F3-1710-B_2D1-W-1001')
  expect(ofPlant({ ...place, MATNR: 'A-1' })).toBe('A_2D1-1710')
})

test('batch 1720 of material A in plant 1710 is not material A-1710 in plant 1720', () => {
  const batch = { ...place, MATNR: 'A', CHARG: '1720' }
  const hyphen = { ...place, MATNR: 'A-1710', WERKS: '1720' }
  for (const keyOf of [ofCustomer, ofCall]) expect(keyOf(batch)).not.toBe(keyOf(hyphen))
})

test('stock of a plant is not that of a customer whose number reads like the plant', () => {
  const customer = { ...place, MATNR: 'A', KUNNR: '1000' }
  expect(ofPlant({ ...place, MATNR: 'A-1710-W', WERKS: '1000' })).not.toBe(ofCustomer(customer))
})

test('whatever stands in them, different places have different keys, and calls have those of the reports', () => {
  const values = ['A', '1', 'A-1', '1-W', '_2D']
  const materials = [...values, 'A-1-W', 'A-1-1', 'A-A-1-W', 'A/1', 'A-', 'A_2D1']
  const keys = new Map<unknown, string>()
  const keep = (key: unknown, what: object) => {
    const known = keys.get(key)
    expect(known ?? JSON.stringify(what), String(key)).toBe(JSON.stringify(what))
    keys.set(key, JSON.stringify(what))
  }
  for (const MATNR of materials) {
    for (const WERKS of values) {
      keep(ofPlant({ ...place, MATNR, WERKS }), { MATNR, WERKS })
      for (const CHARG of ['', ...values, 'W']) {
        for (const KUNNR of values) {
          const each = { ...place, MATNR, WERKS, CHARG, KUNNR }
          const key = ofCustomer(each)
          keep(key, each)
          expect(ofCall(each)).toBe(key)
        }
      }
    }
  }
})
