import { describe, expect, test } from 'vitest'
import customer from './customer.ts'
import { kna1, mapped, mara, type Tree } from './field-world.ts'
import material from './material.ts'

/** A column that is made of several fields is written when all of them are known: half of it would be wrong. What is `/` is not. */
describe('a customer of a reduced message type (BD53), whose other fields are /', () => {
  const of = (fields: Tree) => mapped(customer, { E1KNA1M: { ...kna1, MSGFN: '004', ...fields } })

  test('keeps what it does not tell', () => {
    const untold = of({ NAME1: '/', NAME2: '/', NAME3: '/', NAME4: '/' })
    expect(untold).not.toHaveProperty('name')
    expect(untold).not.toHaveProperty('description')
  })

  test('keeps the whole of which it tells one part', () => {
    expect(of({ NAME3: 'c/o Bank', NAME4: '/' })).not.toHaveProperty('description')
    expect(of({ NAME3: '', NAME4: '/' })).not.toHaveProperty('description')
    expect(of({ NAME1: 'Adatum', NAME2: '/' })).not.toHaveProperty('name')
  })

  test('has what it tells: a part that SAP leaves out is empty, and so is the whole without any', () => {
    const { NAME3: _name3, NAME4: _name4, ...without } = kna1
    const told = (fields: Tree) => mapped(customer, { E1KNA1M: { ...without, MSGFN: '004', ...fields } })
    expect(told({ NAME3: 'c/o Bank' })).toMatchObject({ description: 'c/o Bank' })
    expect(told({})).toMatchObject({ description: null })
    // Sent along with a sales area (018), it tells nothing of what it leaves out.
    expect(told({ MSGFN: '018' })).not.toHaveProperty('description')
  })
})

describe('a material of a reduced message type', () => {
  const of = (fields: Tree) => mapped(material, { E1MARAM: { ...mara(), MSGFN: '004', ...fields } })
  const sides = { LAENG: '1', BREIT: '2', HOEHE: '3' }

  test('keeps its size where the unit or one of the sides is not told', () => {
    expect(of({ ...sides, MEABM: '/' })).not.toHaveProperty('size')
    expect(of({ ...sides, HOEHE: '/', MEABM: 'CMT' })).not.toHaveProperty('size')
    expect(of({ ...sides, MEABM: 'CMT' })).toMatchObject({ size: '1 x 2 x 3 CMT' })
    expect(of(sides)).toMatchObject({ size: '1 x 2 x 3' })
    expect(of({})).toMatchObject({ size: null })
  })
})
