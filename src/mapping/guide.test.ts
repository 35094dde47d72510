import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, test } from 'vitest'
import { loadMappingSpec } from '../steps/mapping-spec.ts'
import { readSource } from './read-source.ts'

const root = join(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guides/mapping.md'), 'utf8')

test('the mapping of the guide maps', async () => {
  const [, code = ''] = /```ts\n([\s\S]*?)```/.exec(guide) ?? []
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-mapping-guide-'))
  try {
    writeFileSync(join(folder, 'product.ts'), code)
    const mapping = await loadMappingSpec(join(folder, 'product.ts'), 'default')
    const sample = readFileSync(join(root, 'test/corpus/idoc/matmas05-material-3pl.xml'))
    const { values, createOnly } = mapping.run(readSource('idoc', sample), { settings: { uom: 'Each' } })
    expect(values).toMatchObject({
      productnumber: '123456789',
      stockweight: 4.666,
      'defaultuomid@odata.bind': "/uoms(name='Each')",
    })
    expect(createOnly).toEqual({ productstructure: 1 })
  } finally {
    rmSync(folder, { recursive: true })
  }
})

test('every method that the guide names exists', () => {
  const source = ['text-rule', 'number-rule', 'rule'].map(name =>
    readFileSync(join(root, `src/mapping/${name}.ts`), 'utf8'),
  )
  const named = new Set([...guide.matchAll(/`[^`\n]*\.([a-zA-Z]+)\(/g)].map(match => match[1] ?? ''))
  const methods = [...named].filter(name => !['field'].includes(name))
  expect(methods.length).toBeGreaterThan(10)
  for (const name of methods) expect(source.join('\n'), name).toMatch(new RegExp(`^ {2}${name}[<(]`, 'm'))
})
