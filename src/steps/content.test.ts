import { gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { http } from '../adapters/http.ts'
import { smtp } from '../adapters/smtp.ts'
import { timer } from '../adapters/timer.ts'
import type { ReceiverDeclaration } from '../flow/adapter.ts'
import { flowFolder } from '../flow/flow-world.ts'
import { flowSchema } from '../flow/schema.ts'
import { heldBody } from '../kernel/body.ts'
import { asHubError } from '../kernel/error.ts'
import { builtInSteps } from './built-in.ts'
import { csvRecords, formatCsv, parseCsv } from './csv.ts'
import { bodyText, longestPauseMs, message, nextOf, stepWorld } from './step-world.ts'

describe('numbers that a double cannot hold', () => {
  const id = '12345678901234567'
  const long = '12345678901234567890'
  const amount = '12345678901234567.25'
  const body = heldBody(`[{"id":${id},"long":${long},"amount":${amount},"plain":1.5}]`, 'application/json')

  test('go into CSV with every digit', async () => {
    const world = await stepWorld([{ convert: { csv: 'from-json' } }])
    expect(await bodyText(nextOf(await world.run(message({}, { body }))))).toBe(
      `id,long,amount,plain\r\n${id},${long},${amount},1.5\r\n`,
    )
  })

  test('come out of split and gather as text with every digit of an integer', async () => {
    const world = await stepWorld([{ split: { each: 'message.body.map(line, [line.id, line.long])' } }, { gather: {} }])
    expect(await bodyText(nextOf(await world.run(message({}, { body }))))).toBe(`[["${id}","${long}"]]`)
  })

  test('come as text into a module and out of an answer', async () => {
    const { folder, remove } = await flowFolder({ 'map.ts': 'export default ([line]) => line' })
    const mapped = await stepWorld([{ map: { module: './map.ts', json: true } }], { folder })
    const line = { id, long, amount, plain: 1.5 }
    expect(JSON.parse(await bodyText(nextOf(await mapped.run(message({}, { body })))))).toEqual(line)
    await remove()
    const answer = { headers: {}, type: 'application/json', body: body.held ?? new Uint8Array() }
    const asked = await stepWorld(
      [{ enrich: { from: { asking: { url: 'https://x' } }, into: 'found', take: 'answer.body[0]' } }],
      { answer: () => ({ summary: 'ok', answer }) },
    )
    expect(nextOf(await asked.run(message({}))).attributes).toMatchObject({ found: line })
  })

  test('are numbers for validate, which hands nothing on', async () => {
    const { folder, remove } = await flowFolder({
      's.json': '{"type":"array","items":{"type":"object","properties":{"amount":{"type":"number"}}}}',
    })
    const world = await stepWorld([{ validate: { schema: './s.json' } }], { folder })
    expect(await bodyText(nextOf(await world.run(message({}, { body }))))).toContain(amount)
    await remove()
  })
})

describe('map', () => {
  test('sets headers, attributes and body; kinds are kept', async () => {
    const set = {
      headers: { 'X-Region': '${message.headers["x-region"]}-1', 'x-old': null, 'x-list': '${message.to}' },
      attributes: { bytes: '${message.size}', fixed: 5, list: ['${message.from}', true, null] },
      body: { id: '${message.body.id}', all: '${message.body}', text: 'no. ${message.body.id}' },
    }
    const world = await stepWorld([{ map: { set } }])
    const next = nextOf(await world.run(message({ id: 7 }, { headers: { 'x-region': 'de', 'x-old': 'gone' } })))
    expect(next.headers).toEqual({ 'x-region': 'de-1', 'x-list': '["a@b.c"]' })
    expect(next.attributes).toMatchObject({
      from: 'ann@contoso.com',
      bytes: 8,
      fixed: 5,
      list: ['ann@contoso.com', true, null],
    })
    expect(JSON.parse(await bodyText(next))).toEqual({ id: 7, all: { id: 7 }, text: 'no. 7' })
    const text = await stepWorld([{ map: { set: { body: '<id>${message.body.id}</id>', type: 'application/xml' } } }])
    const xml = nextOf(await text.run(message({ id: 7 })))
    expect([await bodyText(xml), xml.body.type]).toEqual(['<id>7</id>', 'application/xml'])
  })

  test('a line break in a header is refused', async () => {
    const world = await stepWorld([{ map: { set: { headers: { 'x-a': '${message.body.a}' } } } }])
    await expect(world.run(message({ a: 'x\r\nBcc: evil@x' }))).rejects.toMatchObject({ code: 'MAP_NOT_A_HEADER' })
  })

  test('names of JavaScript in a body stay data', async () => {
    const world = await stepWorld([
      { map: { set: { body: '${message.body}', attributes: { all: '${message.body}' } } } },
    ])
    const body = heldBody('{"__proto__":{"admin":true},"constructor":1}', 'application/json')
    const next = nextOf(await world.run(message({}, { body })))
    expect(await bodyText(next)).toBe('{"__proto__":{"admin":true},"constructor":1}')
    expect(({} as Record<string, unknown>)['admin']).toBeUndefined()
  })

  test('a module maps, and its mistakes name file and line', async () => {
    const { folder, remove } = await flowFolder({
      'map.ts': `type Order = { readonly id: number }
export default (order: Order, { message }: { message: { id: string } }) => ({ id: order.id + 1, of: message.id })
export const keeps = message => ({ ...message, id: 'FORGED', headers: { ...message.headers, x: 'y' } })
export const fails = () => {
  return null.x
}
export const odd = () => 5
export const nothing = () => undefined
`,
      'broken.ts': 'export default (',
    })
    const run = async (config: object) => (await stepWorld([{ map: config }], { folder })).run(message({ id: 1 }))
    expect(await bodyText(nextOf(await run({ module: './map.ts', json: true })))).toBe('{"id":2,"of":"0ABC"}')
    const kept = nextOf(await run({ module: './map.ts', export: 'keeps' }))
    expect([kept.id, kept.headers['x']]).toEqual(['0ABC', 'y'])
    await expect(run({ module: './map.ts', export: 'fails' })).rejects.toMatchObject({
      code: 'MAP_FAILED',
      message: expect.stringMatching(/^The mapping failed at map\.ts:5:\d+: Cannot read properties of null/),
    })
    await expect(run({ module: './map.ts', export: 'nothing', json: true })).rejects.toThrow(/returned nothing/)
    await expect(run({ module: './map.ts', export: 'odd' })).rejects.toMatchObject({ code: 'MAP_NOT_A_MESSAGE' })
    await expect(run({ module: './map.ts', export: 'nothing' })).rejects.toThrow(/returned nothing/)
    await expect(run({ module: './map.ts', export: 'absent' })).rejects.toMatchObject({ code: 'MAP_MODULE_BROKEN' })
    await expect(run({ module: './broken.ts' })).rejects.toMatchObject({
      code: 'MAP_MODULE_BROKEN',
      retry: 'after-change',
    })
    await remove()
  })
})

describe('validate', () => {
  test('rules say in words what is wrong', async () => {
    const rules = [
      { check: 'size(message.body.lines) > 0', message: 'Order ${message.body.id} has no lines' },
      { check: 'message.body.id > 0', message: 'No id' },
    ]
    const world = await stepWorld([{ validate: { rules, otherwise: 'reject' } }])
    expect(nextOf(await world.run(message({ id: 1, lines: [1] })))).toBeDefined()
    expect(await world.run(message({ id: 0, lines: [] }))).toEqual({
      end: 'rejected',
      reason: 'Order 0 has no lines; No id',
    })
  })

  test('a JSON Schema says where the body is wrong', async () => {
    const schema = {
      type: 'object',
      required: ['id', 'lines'],
      properties: {
        id: { type: 'integer', minimum: 1 },
        lines: { type: 'array', items: { type: 'object', properties: { sku: { type: 'string' } }, required: ['sku'] } },
      },
      additionalProperties: false,
    }
    const hostile = { type: 'string', pattern: '^(?=a)(a+)+$' }
    const { folder, remove } = await flowFolder({
      'order.schema.json': JSON.stringify(schema),
      'hostile.schema.json': JSON.stringify(hostile),
    })
    const world = await stepWorld([{ validate: { schema: './order.schema.json' } }], { folder })
    expect(nextOf(await world.run(message({ id: 1, lines: [{ sku: 'a' }] })))).toBeDefined()
    const wrong = await world.run(message({ id: 0, lines: [{ sku: 5 }], more: 1 }))
    expect(wrong).toMatchObject({
      end: 'set-aside',
      reason: expect.stringMatching(/body\.id: .*body\.lines\[0\]\.sku: /),
    })
    const many = await world.run(message({ id: 1, lines: Array.from({ length: 9 }, () => ({})) }))
    expect('reason' in many && many.reason).toMatch(/and 4 more$/)
    await expect(world.run(message('no json'))).rejects.toMatchObject({ code: 'BODY_NOT_TEXT' })
    await expect(stepWorld([{ validate: { schema: './hostile.schema.json' } }], { folder })).rejects.toMatchObject({
      code: 'VALIDATE_SCHEMA_BROKEN',
    })
    await remove()
  })
})

test('a large body that is wrong throughout is refused by what is wrong first, with a few words', async () => {
  const lines = { type: 'array', items: { type: 'object', required: ['sku'], properties: { sku: { type: 'string' } } } }
  const closed = { type: 'object', properties: { lines }, additionalProperties: false }
  const { folder, remove } = await flowFolder({ 's.json': JSON.stringify(closed) })
  const world = await stepWorld([{ validate: { schema: './s.json', otherwise: 'reject' } }], { folder })
  const listed = `{"lines":[${'1,'.repeat(400_000)}1]}`
  const named = JSON.stringify(Object.fromEntries(Array.from({ length: 20_000 }, (_, index) => [`k${index}`, 1])))
  for (const [body, words] of [
    [listed, /^body\.lines\[0\]: /],
    [named, /^body: .*k0/],
  ] as const) {
    const result = await world.run(message({}, { body: heldBody(body, 'application/json') }))
    expect(result).toMatchObject({ end: 'rejected', reason: expect.stringMatching(words) })
    expect('reason' in result && result.reason.length).toBeLessThan(600)
  }
  await remove()
})

test('JSON of more lists and groups than memory has room for is refused before it is read', async () => {
  const { folder, remove } = await flowFolder({ 'same.ts': 'export default body => body' })
  const steps = [
    { filter: { keep: 'size(message.body) > 0' } },
    { map: { module: './same.ts', json: true } },
    { split: { each: 'message.body', steps: [] } },
  ]
  for (const step of steps) {
    const world = await stepWorld([step], { folder, limits: { splitParts: 1_000_000 } })
    const run = (body: string) => world.run(message({}, { body: heldBody(body, 'application/json') }))
    await expect(run(`[${'{},'.repeat(500_000)}{}]`)).rejects.toMatchObject({ code: 'BODY_NOT_TEXT', retry: 'never' })
    // Letters of a text are no lists.
    expect(nextOf(await run(`["\\"${'[{'.repeat(300_000)}"]`))).toBeDefined()
  }
  await remove()
})

test('lists too deep inside each other end a message for good, whatever step meets them', async () => {
  const { folder, remove } = await flowFolder({
    'same.ts': 'export default body => body',
    's.json': '{"type":"object","properties":{"a":{"$ref":"#"}}}',
  })
  const lists = '['.repeat(200_000) + ']'.repeat(200_000)
  const groups = `${'{"a":'.repeat(200_000)}1${'}'.repeat(200_000)}`
  const steps: [object, string][] = [
    [{ map: { module: './same.ts', json: true } }, lists],
    [{ map: { set: { body: '${message.body}' } } }, lists],
    [{ filter: { keep: 'size(message.body) > 0' } }, lists],
    [{ convert: { csv: 'from-json' } }, `[${lists}]`],
    [{ validate: { schema: './s.json' } }, groups],
    [{ validate: { schema: './s.json' } }, groups.replace('1', '12345678901234567890')],
  ]
  for (const [step, body] of steps) {
    const world = await stepWorld([step], { folder })
    const { code, retry } = await world.run(message({}, { body: heldBody(body, 'application/json') })).then(
      () => ({ code: 'none', retry: 'none' }),
      (thrown: unknown) => asHubError(thrown),
    )
    expect([step, code, retry]).toEqual([step, 'HUB_UNWORKABLE', 'never'])
  }
  await remove()
})

describe('convert', () => {
  const wideRow = (name: string) => Array.from({ length: 2_000 }, (_, index) => name && `${name}${index}`).join(',')
  const bytes = (content: Uint8Array | string, type = 'text/csv; charset=windows-1252') =>
    message('', { body: heldBody(content, type) })
  const converted = async (config: object, incoming: ReturnType<typeof message>) =>
    nextOf(await (await stepWorld([{ convert: config }])).run(incoming))

  test.each<[string, object, Uint8Array | string, string, string]>([
    ['an old charset', { charset: 'windows-1252' }, new Uint8Array([0x80, 0xfc]), '€ü', 'text/csv; charset=utf-8'],
    ['base64', { decode: 'base64' }, 'aMO\r\n8Cg==\r\n', 'hü\n', 'application/octet-stream'],
    [
      'fields of ISO-2022-JP with nothing between',
      { charset: 'iso-2022-jp' },
      Buffer.from('\x1b$BF|\x1b(B\x1b$BK\\\x1b(B'),
      '日本',
      'text/csv; charset=utf-8',
    ],
    ['into base64', { encode: 'base64' }, 'hü', 'aMO8', 'text/plain; charset=us-ascii'],
    ['gzip', { decode: 'gzip', type: 'text/plain' }, gzipSync('hello'), 'hello', 'text/plain'],
    ['CSV', { csv: 'to-json', separator: ';' }, 'a;b\r\n1;"x;""y"\r\n', '[{"a":"1","b":"x;\\"y"}]', 'application/json'],
    ['CSV without names', { csv: 'to-json', header: false }, 'a,b\n1,', '[["a","b"],["1",""]]', 'application/json'],
    [
      'into CSV',
      { csv: 'from-json' },
      '[{"a":1,"b":"x,y"},{"a":null,"c":true}]',
      'a,b,c\r\n1,"x,y",\r\n,,true\r\n',
      'text/csv; charset=utf-8',
    ],
    ['lines', { lines: 'to-json' }, 'a\r\n\nb\n', '["a","","b"]', 'application/json'],
    ['into lines', { lines: 'from-json' }, '["a","b"]', 'a\nb\n', 'text/plain; charset=utf-8'],
  ])('%s', async (_title, config, content, text, type) => {
    const next = await converted(config, bytes(content))
    expect([await bodyText(next), next.body.type]).toEqual([text, type])
  })

  test('what is packed comes out again', async () => {
    const packed = await converted({ encode: 'gzip' }, bytes('hello'))
    expect(await bodyText(await converted({ decode: 'gzip' }, packed))).toBe('hello')
  })

  test.each<[string, object, Uint8Array | string, string]>([
    ['broken base64', { decode: 'base64' }, 'a!b=', 'CONVERT_NOT_POSSIBLE'],
    ['base64 cut short', { decode: 'base64' }, 'aMO', 'CONVERT_NOT_POSSIBLE'],
    ['no gzip', { decode: 'gzip' }, 'hello', 'CONVERT_NOT_POSSIBLE'],
    ['gzip cut short', { decode: 'gzip' }, gzipSync('hello').subarray(0, 20), 'CONVERT_NOT_POSSIBLE'],
    ['a bomb', { decode: 'gzip' }, gzipSync(Buffer.alloc(20_000_000)), 'CONVERT_UNPACKS_TOO_LARGE'],
    ['no UTF-8', { csv: 'to-json' }, new Uint8Array([0xff]), 'BODY_NOT_TEXT'],
    ['a quote that stays open', { csv: 'to-json' }, 'a,b\n1,"x\n', 'BODY_NOT_TEXT'],
    ['a quote in the middle', { csv: 'to-json' }, 'a,b\n1,x"y\n', 'BODY_NOT_TEXT'],
    ['text behind a quote', { csv: 'to-json' }, 'a,b\n1,"x"y\n', 'BODY_NOT_TEXT'],
    ['a row that is too short', { csv: 'to-json' }, 'a,b\n1\n', 'BODY_NOT_TEXT'],
    ['a column twice', { csv: 'to-json' }, 'a,a\n1,2\n', 'BODY_NOT_TEXT'],
    ['too many columns', { csv: 'to-json' }, ','.repeat(3_000), 'BODY_NOT_TEXT'],
    ['no list', { csv: 'from-json' }, '{"a":1}', 'BODY_NOT_TEXT'],
    ['mixed records', { csv: 'from-json' }, '[{"a":1},5]', 'BODY_NOT_TEXT'],
    ['lines with line breaks', { lines: 'from-json' }, '["a\\nb"]', 'CONVERT_NOT_POSSIBLE'],
    ['a charset that does not fit', { charset: 'utf-8' }, new Uint8Array([0xc3]), 'BODY_NOT_TEXT'],
  ])('%s is refused', async (_title, config, content, code) => {
    await expect(converted(config, bytes(content))).rejects.toMatchObject({ code, retry: 'never' })
  })

  test('CSV of any texts comes back as it was', () => {
    const field = fc.string().map(text => text.replaceAll('\u0000', ''))
    const table = fc
      .integer({ min: 2, max: 5 })
      .chain(width => fc.array(fc.array(field, { minLength: width, maxLength: width }), { minLength: 1 }))
    fc.assert(
      fc.property(table, fc.constantFrom(',', ';', '\t'), (rows, separator) => {
        const text = [...formatCsv(rows, separator, false)].join('')
        fc.pre(!text.startsWith('\uFEFF'))
        expect([...parseCsv(text, separator)]).toEqual(rows)
      }),
    )
  })

  test('columns that have a name of JavaScript are empty where a record does not have them', async () => {
    const next = await converted({ csv: 'from-json' }, bytes('[{"constructor":"x","__proto__":1},{"a":2}]'))
    expect(await bodyText(next)).toBe('constructor,__proto__,a\r\nx,1,\r\n,,2\r\n')
  })

  test.each<[string, object, string]>([
    [
      'JSON of a few rows with long names',
      { csv: 'to-json' },
      `${wideRow('n'.repeat(400))}\n${`${wideRow('')}\n`.repeat(400)}`,
    ],
    ['JSON of nothing but line ends', { csv: 'to-json' }, `a\n${'\n'.repeat(3_000_000)}`],
    ['a list of nothing but line ends', { lines: 'to-json' }, '\n'.repeat(15_000_000)],
    [
      'CSV of records with other columns each',
      { csv: 'from-json' },
      JSON.stringify(Array.from({ length: 20_000 }, (_, index) => ({ [`k${index % 1_900}`]: index }))),
    ],
  ])(
    'what becomes too large is stopped while it grows, and others have their turn: %s',
    async (_title, config, text) => {
      const step = await stepWorld([{ convert: config }])
      const pauseMs = await longestPauseMs(() =>
        expect(step.run(bytes(text))).rejects.toMatchObject({ code: 'CONVERT_UNPACKS_TOO_LARGE', retry: 'never' }),
      )
      expect(pauseMs).toBeLessThan(600)
    },
  )

  test('more columns than a table has are refused at once', async () => {
    const records = JSON.stringify(Array.from({ length: 12_000 }, (_, index) => ({ [`k${index}`]: 1 })))
    const started = performance.now()
    await expect(converted({ csv: 'from-json' }, bytes(records))).rejects.toMatchObject({ code: 'BODY_NOT_TEXT' })
    expect(performance.now() - started).toBeLessThan(3_000)
  })

  test('a megabyte of CSV is read in a blink', () => {
    const text = `a,b\r\n${'"x ""y""",2\r\n'.repeat(80_000)}`
    const started = performance.now()
    expect([...csvRecords(parseCsv(text, ','))]).toHaveLength(80_000)
    expect(performance.now() - started).toBeLessThan(3_000)
  })
})

test.each(builtInSteps.map(step => [step.id, step] as const))('every example of %s parses', (id, step) => {
  expect(step.examples.length).toBeGreaterThan(0)
  for (const { config } of step.examples) {
    const schema = flowSchema({
      senders: [timer],
      receivers: [http, smtp] as readonly ReceiverDeclaration[],
      steps: builtInSteps,
    })
    const parsed = schema.safeParse({
      flow: 'f',
      from: { timer: timer.examples[0]?.config },
      steps: [{ [id]: config }],
      to: [],
    })
    expect(parsed.error?.issues ?? []).toEqual([])
  }
})
