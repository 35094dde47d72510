import { describe, expect, test } from 'vitest'
import { bodyText, longestPauseMs, message, nextOf, stepWorld } from './step-world.ts'

describe('filter', () => {
  test('lets through what fits and keeps the rest for a person, unless told otherwise', async () => {
    const world = await stepWorld([{ filter: { keep: 'size(message.to) > 0' } }])
    expect(nextOf(await world.run(message())).id).toBe('0ABC')
    const empty = message({}, { attributes: { to: [] } })
    expect(await world.run(empty)).toEqual({ end: 'set-aside', reason: 'It is not true that size(message.to) > 0' })
    const rejecting = await stepWorld([
      {
        filter: { keep: 'message.size < 5', otherwise: 'reject', reason: '${message.size} bytes from ${message.from}' },
      },
    ])
    expect(await rejecting.run(message('123456'))).toEqual({ end: 'rejected', reason: '6 bytes from ann@contoso.com' })
    const dropping = await stepWorld([{ filter: { keep: false, otherwise: 'drop' } }])
    expect(await dropping.run(message())).toMatchObject({ end: 'dropped' })
  })

  test('a condition that is not true or false stops the message instead of guessing', async () => {
    const world = await stepWorld([{ filter: { keep: 'message.to' } }])
    await expect(world.run(message())).rejects.toMatchObject({ code: 'CONDITION_NOT_YES_OR_NO' })
  })
})

describe('choose', () => {
  const rules = [
    {
      choose: [
        { when: 'message.size > 20', reject: 'Too large: ${message.size}' },
        { when: "message.to.exists(a, a.endsWith('@de.contoso.com'))", to: { server: { host: 'de' } } },
        { when: "message.from == 'vip@x.y'", steps: [{ map: { set: { attributes: { vip: true } } } }] },
        {
          when: "message.from == 'both@x.y'",
          steps: [{ map: { set: { headers: { 'x-copy': 'yes' } } } }],
          to: [{ server: { host: 'a' } }, { asking: { url: 'b' } }],
        },
        { otherwise: { 'set-aside': 'No rule for ${message.to}' } },
      ],
    },
  ]
  const mail = (from: string, to: string) => message('x', { attributes: { from, to: [to] } })

  test.each([
    ['too large', message('x'.repeat(21)), { end: 'rejected', reason: 'Too large: 21' }],
    ['by recipient', mail('a@b.c', 'x@de.contoso.com'), { end: 'delivered', reason: 'ok' }],
    ['no rule', mail('a@b.c', 'x@fr.contoso.com'), { end: 'set-aside', reason: 'No rule for x@fr.contoso.com' }],
  ])('%s', async (_title, incoming, end) => {
    const world = await stepWorld(rules)
    expect(await world.run(incoming)).toEqual(end)
  })

  test('a branch without an end goes on behind choose; a branch with receivers goes there', async () => {
    const world = await stepWorld([...rules, { map: { set: { headers: { 'x-after': 'yes' } } } }])
    const next = nextOf(await world.run(mail('vip@x.y', 'q@r.s')))
    expect([next.attributes['vip'], next.headers['x-after']]).toEqual([true, 'yes'])
    expect(await world.run(mail('both@x.y', 'q@r.s'))).toMatchObject({ end: 'delivered' })
    expect(world.delivered.map(({ to, message: sent }) => [to, sent.headers['x-copy']])).toEqual([
      ['server', 'yes'],
      ['asking', 'yes'],
    ])
  })

  test('without otherwise a message that no branch takes goes on unchanged', async () => {
    const world = await stepWorld([{ choose: [{ when: 'message.size > 20', drop: 'x' }] }])
    const incoming = message('x')
    expect(nextOf(await world.run(incoming))).toBe(incoming)
  })
})

describe('split and gather', () => {
  test('other flows go on while a message is taken apart', async () => {
    const map = { set: { body: { part: '${message.part}' } } }
    const world = await stepWorld([{ split: { each: 'lines', steps: [{ map }] } }, 'gather'])
    const pauseMs = await longestPauseMs(() => world.run(message('x\n'.repeat(60_000))))
    expect(pauseMs).toBeLessThan(1_000)
  })

  const order = {
    lines: [
      { sku: 'a', qty: 2 },
      { sku: 'b', qty: 0 },
      { sku: 'c', qty: 1 },
    ],
  }

  test('parts run in order with their own body and attributes, the whole message goes on', async () => {
    const world = await stepWorld([
      {
        split: {
          each: 'message.body.lines',
          as: 'line',
          steps: [{ filter: { keep: 'message.line.qty > 0', otherwise: 'drop' } }],
          to: { server: { host: 'a' } },
        },
      },
    ])
    const incoming = message(order)
    expect(nextOf(await world.run(incoming))).toBe(incoming)
    expect(await Promise.all(world.delivered.map(({ message: sent }) => bodyText(sent)))).toEqual([
      '{"sku":"a","qty":2}',
      '{"sku":"c","qty":1}',
    ])
    expect(
      world.delivered.map(({ message: sent, path }) => [sent.attributes['part'], sent.attributes['line'], path]),
    ).toEqual([
      [1, { sku: 'a', qty: 2 }, '[0].0'],
      [3, { sku: 'c', qty: 1 }, '[0].2'],
    ])
  })

  test.each([
    [{ as: 'list' }, '[{"sku":"a","n":1},{"sku":"b","n":2},{"sku":"c","n":3}]'],
    [{ as: 'first' }, '{"sku":"a","n":1}'],
    ['lines', '{"sku":"a","n":1}\n{"sku":"b","n":2}\n{"sku":"c","n":3}\n'],
  ])('gather %j', async (as, text) => {
    const gather = typeof as === 'string' ? { as } : as
    const map = { set: { body: { sku: '${message.body.sku}', n: '${message.part}' } } }
    const world = await stepWorld([{ split: { each: 'message.body.lines', steps: [{ map }] } }, { gather }])
    expect(await bodyText(nextOf(await world.run(message(order))))).toBe(text)
  })

  test('lines are streamed in batches', async () => {
    const world = await stepWorld([{ split: { each: 'lines', batch: 2, steps: [], to: { server: { host: 'a' } } } }])
    await world.run(message('a\r\nb\nü\n'))
    expect(await Promise.all(world.delivered.map(({ message: sent }) => bodyText(sent)))).toEqual([
      '["a","b"]',
      '["ü"]',
    ])
  })

  test('a part that is refused stops the whole message and says which one', async () => {
    const steps = [
      { filter: { keep: 'message.body.qty > 0', otherwise: 'reject', reason: 'nothing of ${message.body.sku}' } },
    ]
    const world = await stepWorld([{ split: { each: 'message.body.lines', steps } }])
    expect(await world.run(message(order))).toEqual({ end: 'rejected', reason: 'Part 2 was stopped: nothing of b' })
  })

  test('limits and wrong kinds are errors with their own codes', async () => {
    const lines = [{ split: { each: 'message.body.lines', steps: [] } }]
    await expect((await stepWorld(lines, { limits: { splitParts: 2 } })).run(message(order))).rejects.toMatchObject({
      code: 'SPLIT_TOO_MANY_PARTS',
    })
    await expect((await stepWorld(lines)).run(message({ lines: 5 }))).rejects.toMatchObject({
      code: 'SPLIT_NOT_A_LIST',
    })
    const gathering = await stepWorld([...lines, 'gather'], { limits: { parseBytes: 100 } })
    const large = message({ lines: ['x'.repeat(40), 'y'.repeat(40)] })
    await expect(gathering.run(large)).resolves.toBeDefined()
    const larger = await stepWorld([{ split: { each: 'lines', steps: [] } }, 'gather'], { limits: { parseBytes: 100 } })
    await expect(larger.run(message(`${'x'.repeat(60)}\n${'y'.repeat(60)}`))).rejects.toMatchObject({
      code: 'GATHER_TOO_LARGE',
    })
    const none = await stepWorld([{ split: { each: '[]', steps: [] } }, { gather: { as: 'first' } }])
    await expect(none.run(message())).rejects.toMatchObject({ code: 'GATHER_NO_PARTS' })
    const latin = message('', {
      body: {
        ...message('').body,
        bytes: 1,
        async *stream() {
          yield new Uint8Array([0xff])
        },
      },
    })
    await expect(larger.run(latin)).rejects.toMatchObject({ code: 'BODY_NOT_TEXT' })
  })
})

describe('call and enrich', () => {
  const answer =
    (body: string, type = 'application/json') =>
    () => ({
      summary: '200 OK',
      answer: { headers: { etag: 'W/1' }, type, body: Buffer.from(body) },
    })
  const asking = { asking: { url: 'https://x' } }

  test('the answer of a call becomes the body, an attribute, or nothing', async () => {
    const whole = await stepWorld([{ call: { to: asking } }], { answer: answer('{"id":7}') })
    const next = nextOf(await whole.run(message('before')))
    expect([await bodyText(next), next.body.type]).toEqual(['{"id":7}', 'application/json'])
    const attribute = await stepWorld([{ call: { to: asking, into: 'price', take: 'answer.body.id * 2' } }], {
      answer: answer('{"id":7}'),
    })
    const kept = nextOf(await attribute.run(message('before')))
    expect([await bodyText(kept), kept.attributes['price']]).toEqual(['before', 14])
    const raw = await stepWorld([{ call: { to: asking, into: 'raw' } }], { answer: answer('\u0000', 'image/png') })
    expect(nextOf(await raw.run(message())).attributes['raw']).toBe('AA==')
    const nothing = await stepWorld([{ call: { to: { server: { host: 'a' } }, into: 'nothing' } }])
    expect(await bodyText(nextOf(await nothing.run(message('before'))))).toBe('before')
    expect(nothing.delivered).toHaveLength(1)
  })

  test('a call without the answer it needs is an error', async () => {
    const world = await stepWorld([{ call: { to: asking } }])
    await expect(world.run(message())).rejects.toMatchObject({ code: 'CALL_NO_ANSWER', side: 'receiver' })
    const broken = await stepWorld([{ call: { to: asking, into: 'x' } }], { answer: answer('{', 'application/json') })
    await expect(broken.run(message())).rejects.toMatchObject({ code: 'BODY_NOT_TEXT' })
  })

  test('enrich keeps the body, and an empty answer is set aside or kept as null', async () => {
    const step = {
      from: asking,
      into: 'customer',
      take: 'answer.body.value.size() > 0 ? answer.body.value[0].id : null',
    }
    const found = await stepWorld([{ enrich: step }], { answer: answer('{"value":[{"id":"4711"}]}') })
    const next = nextOf(await found.run(message('before')))
    expect([await bodyText(next), next.attributes['customer']]).toEqual(['before', '4711'])
    const empty = await stepWorld([{ enrich: step }], { answer: answer('{"value":[]}') })
    expect(await empty.run(message())).toMatchObject({
      end: 'set-aside',
      reason: expect.stringContaining('nothing for customer'),
    })
    const kept = await stepWorld([{ enrich: { ...step, missing: 'keep' } }], { answer: answer('{"value":[]}') })
    expect(nextOf(await kept.run(message())).attributes['customer']).toBeNull()
    const skipped = await stepWorld([{ enrich: { ...step, when: 'false' } }])
    expect(nextOf(await skipped.run(message())).attributes).not.toHaveProperty('customer')
    expect(skipped.delivered).toEqual([])
  })
})
