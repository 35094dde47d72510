import { expect, test } from 'vitest'
import type { Idoc } from './idoc.ts'
import { parseIdocs } from './read-idocs.ts'
import { keepRecent, takeRecent } from './recent-idocs.ts'

const idoc = (name: string): Idoc => ({
  type: name,
  control: new Map(),
  data: { name: 'IDOC', fields: new Map(), children: [] },
  line: 1,
})

test('what was read is handed over once, for the very same bytes', () => {
  const bytes = Buffer.from('<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"/></IDOC></MATMAS05>')
  keepRecent(bytes, idoc('KEPT'))
  expect(takeRecent(Buffer.from(bytes))).toBeUndefined()
  expect(parseIdocs(bytes)[0]?.type).toBe('KEPT')
  expect(parseIdocs(bytes)[0]?.type).toBe('MATMAS05')
})

test('the oldest go first, and what is large is not kept', () => {
  const all = Array.from({ length: 10 }, () => Buffer.alloc(100 * 1024))
  for (const [index, bytes] of all.entries()) keepRecent(bytes, idoc(String(index)))
  expect(all.map(bytes => takeRecent(bytes)?.type)).toEqual([...Array<undefined>(5), '5', '6', '7', '8', '9'])
  const large = Buffer.alloc(1024 * 1024)
  keepRecent(large, idoc('LARGE'))
  expect(takeRecent(large)).toBeUndefined()
})
