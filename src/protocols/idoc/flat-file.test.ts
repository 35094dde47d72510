import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type FlatLayouts, readFlatFile, writeFlatFile } from './flat-file.ts'
import type { Idoc, Segment } from './idoc.ts'

const layouts: FlatLayouts = {
  E2MARAM009: {
    type: 'E1MARAM',
    fields: [
      { name: 'MSGFN', offset: 0, length: 3 },
      { name: 'MATNR', offset: 3, length: 18 },
      { name: 'MEINS', offset: 30, length: 3 },
    ],
  },
  E2MAKTM001: {
    type: 'E1MAKTM',
    fields: [
      { name: 'SPRAS', offset: 3, length: 1 },
      { name: 'MAKTX', offset: 4, length: 40 },
    ],
  },
}

const control = (fields: Record<string, string>) => new Map(Object.entries({ TABNAM: 'EDI_DC40', ...fields }))

async function read(lines: readonly string[]): Promise<readonly Idoc[]> {
  const idocs: Idoc[] = []
  for await (const idoc of readFlatFile(lines, layouts)) idocs.push(idoc)
  return idocs
}

function segment(name: string, fields: Record<string, string>, ...children: Segment[]): Segment {
  return { name, fields: new Map(Object.entries(fields)), children }
}

const material = {
  control: control({
    MANDT: '400',
    DOCNUM: '0000000215172311',
    IDOCTYP: 'MATMAS05',
    MESTYP: 'MATMAS',
    SNDPRN: 'S4CLNT400',
  }),
  data: segment(
    'IDOC',
    {},
    segment(
      'E1MARAM',
      { MSGFN: '005', MATNR: '000000000000004711', MEINS: 'KGM' },
      segment('E1MAKTM', { SPRAS: 'E', MAKTX: 'Pump' }),
      segment('E1MAKTM', { SPRAS: 'D', MAKTX: 'Pumpe für Öl' }),
    ),
  ),
}

test('a segment that no layout is about is kept with its data in one field, and so are those below it', async () => {
  const [head = '', maram = '', maktm = ''] = writeFlatFile(material, layouts)
  const own = `${maram.replace('E2MARAM009', 'Z2PUMP    ').slice(0, 63)}  12 bar  Öl  `
  const [idoc] = await read([head, own, maktm])
  expect(idoc?.data.children).toMatchObject([{ name: 'Z2PUMP', children: [{ name: 'E1MAKTM' }] }])
  expect(idoc?.data.children[0]?.fields).toEqual(new Map([['SDATA', '  12 bar  Öl']]))
})

test('kinds of segments that no layout is about have a limit, and each is told of once', async () => {
  const [head = '', maram = ''] = writeFlatFile(material, layouts)
  const own = (count: number, kinds: number) =>
    Array.from({ length: count }, (_, index) => {
      const numbered = `${maram.slice(0, 49)}${String(index + 1).padStart(6, '0')}${maram.slice(55)}`
      return numbered.replace('E2MARAM009', `Z2K${index % kinds}`.padEnd(10))
    })
  const told: string[] = []
  for await (const _ of readFlatFile([head, ...own(300, 100)], layouts, undefined, name => told.push(name)));
  expect(new Set(told).size).toBe(100)
  expect(told).toHaveLength(100)
  await expect(read([head, ...own(101, 101)])).rejects.toThrow(
    'record 102: the layouts of more than 100 segments are not',
  )
})

test('an IDoc is written in the columns of EDI_DC40 and EDI_DD40, and read back', async () => {
  const lines = [...writeFlatFile(material, layouts)]
  expect(lines.map(line => line.length)).toEqual([524, 1063, 1063, 1063])
  expect(lines[0]?.slice(0, 31)).toBe('EDI_DC40  4000000000215172311  ')
  // The level is a matter of the type of the IDoc, which SAP has: it fills in a blank one, and refuses a wrong one (E0 077).
  expect(lines[1]?.slice(0, 63)).toBe(`${'E2MARAM009'.padEnd(30)}4000000000215172311000001000000  `)
  expect(lines[1]?.slice(63, 96)).toBe('005000000000000004711         KGM')
  expect(lines[3]?.slice(49, 63)).toBe('000003000001  ')
  const [idoc] = await read(lines)
  expect(idoc).toEqual({ type: 'MATMAS05', ...material, line: 1 })
})

test('several IDocs in a file, empty lines and missing blanks at the end', async () => {
  const lines = [...writeFlatFile(material, layouts)].map(line => line.trimEnd())
  const idocs = await read([...lines, '', ...lines])
  expect(idocs.map(({ line }) => line)).toEqual([1, 6])
})

test('a segment that names no parent is found by its level, as SAP counts them', async () => {
  const [head = '', maram = '', ...maktm] = writeFlatFile(material, layouts)
  // SAP: 1 or 2 at the top, below that one more than the parent.
  const levelled = (line: string, level: string) => `${line.slice(0, 55)}${' '.repeat(6)}${level}${line.slice(63)}`
  const lines = [head, levelled(maram, '02'), ...maktm.map(line => levelled(line, '03'))]
  expect(await read(lines)).toEqual([{ type: 'MATMAS05', ...material, line: 1 }])
  // The first one cannot but stand at the top.
  expect(await read([head, levelled(maram, '  ')])).toMatchObject([{ data: { children: [{ name: 'E1MARAM' }] } }])
  await expect(read([head, levelled(maram, '  '), levelled(maktm[0] ?? '', '  ')])).rejects.toThrow(
    'record 3: it names neither its parent (PSGNUM) nor its level (HLEVEL)',
  )
  await expect(read([head, levelled(maram, '02'), levelled(maktm[0] ?? '', '04')])).rejects.toThrow(
    'record 3: nothing of level 3 stands before it, which has level 4',
  )
})

test('characters that XML cannot hold go, or # stands for them; the columns stay, and so does what looks like a reference', async () => {
  const [head = '', maram = '', maktm = ''] = writeFlatFile(material, layouts)
  const odd = [head.replace('S4CLNT400', 'S4\u0002CLNT40'), maram, maktm.replace('EPump  ', 'E\u0001P&#1;')]
  for (const [mend, sender, text] of [
    ['remove', 'S4CLNT40', 'P&#1;'],
    ['substitute', 'S4#CLNT40', '#P&#1;'],
  ] as const) {
    const [idoc] = await Array.fromAsync(readFlatFile(odd, layouts, mend))
    expect(idoc?.control.get('SNDPRN')).toBe(sender)
    expect(idoc?.data.children[0]?.children[0]?.fields.get('MAKTX')).toBe(text)
  }
})

test('an extension gives the type its name', async () => {
  const [first, ...rest] = writeFlatFile(
    { ...material, control: control({ IDOCTYP: 'MATMAS05', CIMTYP: 'ZMATMAS05' }) },
    layouts,
  )
  expect((await read([first ?? '', ...rest]))[0]?.type).toBe('ZMATMAS05')
})

test('names with a namespace become those of the XML, and go back', async () => {
  const own: FlatLayouts = {
    '/ABC/E2STOCK001': {
      type: '/ABC/E1STOCK',
      fields: [
        { name: 'MATNR', offset: 0, length: 18 },
        { name: '/ABC/QTY', offset: 18, length: 10 },
      ],
    },
  }
  const fields = { MATNR: '4711', '_-ABC_-QTY': '5' }
  const stock = {
    control: control({ IDOCTYP: '/ABC/STOCK01', MESTYP: '/ABC/STOCK' }),
    data: segment('IDOC', {}, segment('_-ABC_-E1STOCK', fields)),
  }
  const lines = [...writeFlatFile(stock, own)]
  expect(lines[1]?.slice(0, 82).trimEnd()).toBe(`${'/ABC/E2STOCK001'.padEnd(49)}000001000000  ${'4711'.padEnd(18)}5`)
  const [idoc] = await Array.fromAsync(readFlatFile(lines, own))
  expect(idoc).toEqual({ type: '_-ABC_-STOCK01', ...stock, line: 1 })
})

describe('what is wrong is told with its record', () => {
  const [head = '', maram = '', maktm = ''] = writeFlatFile(material, layouts)
  test.each([
    ['nothing', [], 'record 0: there is no IDoc'],
    ['no control record', [maram], 'record 1: it does not begin with a control record'],
    ['no type', [head.replace('MATMAS05', '        ')], 'record 1: the control record names no basic type'],
    [
      'another version',
      [head, maram.replace('E2MARAM009', 'E2MARAM010')],
      'record 2: the layout of segment E2MARAM010 is',
    ],
    [
      'a segment without a name',
      [head, maram.replace('E2MARAM009', ' '.repeat(10))],
      'record 2: the layout of segment  is',
    ],
    ['a parent that comes later', [head, maktm], 'record 2: its parent 1 does not stand before it'],
    [
      'a parent that is no number',
      [head, maram, `${maktm.slice(0, 55)}00000A${maktm.slice(61)}`],
      'record 3: its parent (PSGNUM) 00000A is no number',
    ],
    ['a number twice', [head, maram, maram], 'record 3: the segment number 1 stands twice'],
    [
      'a control',
      [head, maram, maktm.replace('Pump', 'Pu\u0001p')],
      'record 3: E1MAKTM/MAKTX has a character that XML',
    ],
    ['records without line ends', [head + maram + maktm], 'record 1: it goes on behind its 524 characters'],
    ['two data records in a line', [head, maram + maktm], 'record 2: it goes on behind its 1063 characters'],
    ['lines that end with CR alone', [`${head.trimEnd()}\r${maram.trimEnd()}`], 'record 1: a CR stands in it'],
    ['a line without end', [head, maram.padEnd(9000, 'x')], 'record 2: it is longer than 8192'],
  ])('%s', async (_, lines, text) => {
    await expect(read(lines)).rejects.toThrow(text)
  })

  test.each([
    ['a field too long', segment('E1MAKTM', { MAKTX: 'x'.repeat(41) }), 'E1MAKTM/MAKTX takes 40 characters, not 41'],
    ['a field without a place', segment('E1MAKTM', { TEXT: 'x' }), 'E1MAKTM has no field TEXT in its layout'],
    ['a segment without a layout', segment('E1MARCM', {}), 'the layout of segment E1MARCM is not known'],
    ['a line break', segment('E1MAKTM', { MAKTX: 'a\nb' }), 'E1MAKTM/MAKTX has a line break'],
  ])('writing %s', (_, child, text) => {
    expect(() => [...writeFlatFile({ control: control({}), data: segment('IDOC', {}, child) }, layouts)]).toThrow(text)
  })
})

test('whatever fits its columns comes back', async () => {
  const value = (length: number) =>
    fc.string({ maxLength: length, unit: fc.constantFrom('a', '0', 'ä', ' ', '/', '-') }).map(text => text.trimEnd())
  const maktm = fc.record({ MAKTX: value(40) }).map(fields => segment('E1MAKTM', filled(fields)))
  const maram = fc
    .record({ fields: fc.record({ MATNR: value(18), MEINS: value(3) }), children: fc.array(maktm, { maxLength: 3 }) })
    .map(({ fields, children }) => segment('E1MARAM', filled(fields), ...children))
  await fc.assert(
    fc.asyncProperty(fc.array(maram, { maxLength: 4 }), async children => {
      const idoc = { control: control({ IDOCTYP: 'MATMAS05' }), data: segment('IDOC', {}, ...children) }
      expect(await read([...writeFlatFile(idoc, layouts)])).toEqual([{ type: 'MATMAS05', ...idoc, line: 1 }])
    }),
  )
})

function filled(fields: Record<string, string>): Record<string, string> {
  return Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== ''))
}
