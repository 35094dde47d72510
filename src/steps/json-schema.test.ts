import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { readJsonSchema } from './json-schema.ts'

async function schemaOf(schema: object) {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-schema-'))
  onTestFinished(() => rm(folder, { recursive: true }))
  const file = join(folder, 's.json')
  await writeFile(file, JSON.stringify(schema))
  return readJsonSchema(file)
}

const hostile = [
  '^(a+)+$',
  '^((a+))+$',
  '^(a|a)*$',
  '^(a|aa)+$',
  '^(([a-z])+.)+[A-Z]([a-z])+$',
  '(a*)*b',
  '\\s*\\s*\\s*\\s*$',
]
const text = `${'a'.repeat(200)}${' '.repeat(5000)}!`

test.each(hostile)('a text of strangers does not hold the hub up with the pattern %s', async pattern => {
  const words = await schemaOf({
    type: 'object',
    properties: { word: { $ref: '#/$defs/word' } },
    $defs: { word: { type: 'string', pattern } },
  })
  const names = await schemaOf({
    type: 'object',
    patternProperties: { [pattern]: { type: 'string' } },
    additionalProperties: false,
  })
  const before = performance.now()
  words.safeParse({ word: text })
  names.safeParse({ [text]: 'x' })
  expect(performance.now() - before).toBeLessThan(1000)
})

test.each<[string, string, string]>([
  ['^[A-Z]{2}\\d+$', 'DE1000', 'de1000'],
  ['^[\\u00C0-\\u017F]+$', 'Öß', 'OS'],
  ['^.{1,4000}$', 'x', ''],
  ['^(?=.*\\d)\\w+$', 'a1', 'a'],
  ['^a\\/b$', 'a/b', 'a-b'],
  ['b', 'abc', 'acd'],
])('the pattern %s fits %s and not %s', async (pattern, right, wrong) => {
  const schema = await schemaOf({ type: 'string', pattern })
  expect([right, wrong, right].map(each => schema.safeParse(each).success)).toEqual([true, false, true])
  const names = await schemaOf({ type: 'object', patternProperties: { [pattern]: {} }, additionalProperties: false })
  expect([right, wrong].map(each => names.safeParse({ [each]: 1 }).success)).toEqual([true, false])
})

test('a pattern that only a backtracking engine takes is refused where it can take for ever', async () => {
  await expect(schemaOf({ type: 'string', pattern: '^(?!x)(a+)+$' })).rejects.toThrow(/can take for ever/)
  await expect(schemaOf({ type: 'object', patternProperties: { '^(?!x)(a+)+$': {} } })).rejects.toThrow(/for ever/)
  await expect(schemaOf({ type: 'string', pattern: '(' })).rejects.toThrow(/Invalid regular expression/)
  expect(/a/.constructor).toBe(RegExp)
})
