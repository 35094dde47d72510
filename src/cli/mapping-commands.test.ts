import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { run } from './run.ts'

const samples = join(import.meta.dirname, '../../test/corpus/idoc')
const material = join(samples, 'matmas05-material-3pl.xml')
let folder: string

beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-mapping-cli-'))
  writeFileSync(
    join(folder, 'product.ts'),
    `import { decimal, defineMapping, field, lookup, setting, text } from 'isthmus/mapping'
     export default defineMapping({
       name: 'material', source: 'idoc',
       target: { productnumber: text(5), weight: decimal({ scale: 3 }), defaultuomid: lookup('uoms', 'name'), gtin: text(14) },
       fields: {
         productnumber: field('E1MARAM/MATNR').alpha(),
         weight: field('E1MARAM/NTGEW').decimal().toUnit('GRM', field('E1MARAM/GEWEI')),
         defaultuomid: setting('uom').key(),
       },
     })`,
  )
})

afterAll(() => rmSync(folder, { recursive: true }))

async function mapping(...line: readonly string[]) {
  let out = ''
  let err = ''
  const code = await run(['mapping', ...line], {
    stdin: Readable.from(['']),
    stdout: {
      isTTY: false,
      write(text: string | Uint8Array) {
        out += text.toString()
        return true
      },
    },
    stderr: {
      isTTY: false,
      write(text: string | Uint8Array) {
        err += text.toString()
        return true
      },
    },
    env: {},
    cwd: folder,
    signal: new AbortController().signal,
    program: () => Promise.reject(new Error('needs no hub')),
  })
  return { code, out, err }
}

test('show prints the table of a mapping', async () => {
  const { code, out } = await mapping('show', 'product.ts')
  expect(code).toBe(0)
  expect(out).toContain('E1MARAM/NTGEW, decimal, from the unit in E1MARAM/GEWEI to GRM')
  expect(out).toMatch(/gtin +text 14 +not mapped/)
})

test('coverage names what a document holds and nobody reads', async () => {
  const { code, out } = await mapping('coverage', 'product.ts', material)
  expect(code).toBe(0)
  expect(out).toMatch(/Target fields without a rule: +gtin/)
  expect(out).toMatch(/E1MARAM\/EAN11 +1/)
  expect(out).not.toMatch(/E1MARAM\/MATNR +1/)
})

test('why shows each step, and what goes wrong', async () => {
  const weight = await mapping('why', 'product.ts', material, 'weight', '--with', 'uom=EA')
  expect(weight.out).toContain('→ weight')
  expect(weight.out).toContain('4666')
  expect(weight.code).toBe(0)
  // What is wrong with another field does not show there.
  const number = await mapping('why', 'product.ts', material, 'productnumber')
  expect(number.code).toBe(1)
  expect(number.out).toContain('has 9 characters and the field takes 5')
})

test('wrong use is said in a sentence', async () => {
  expect(await mapping('why', 'product.ts', material, 'colour')).toMatchObject({
    code: 2,
    err: expect.stringContaining('The mapping material has no rule for colour.'),
  })
  expect(await mapping('why', 'product.ts', material, 'weight', '--with', 'uom')).toMatchObject({ code: 2 })
  expect(await mapping('coverage', 'product.ts', 'absent.xml')).toMatchObject({
    code: 2,
    err: expect.stringContaining('absent.xml cannot be read.'),
  })
  writeFileSync(join(folder, 'broken.xml'), '<a')
  expect(await mapping('coverage', 'product.ts', material, 'broken.xml')).toMatchObject({
    code: 2,
    err: expect.stringMatching(/^broken\.xml does not hold a document of .*: The XML is broken at line/),
  })
  expect(await mapping('show', 'absent.ts')).toMatchObject({ err: expect.stringContaining('MAP_MODULE_BROKEN') })
})

test('schema says what the mapping gives', async () => {
  const { out } = await mapping('schema', 'product.ts')
  expect(JSON.parse(out)).toMatchObject({ properties: { productnumber: { maxLength: 5 } } })
})
