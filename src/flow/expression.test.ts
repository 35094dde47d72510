import fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { type Body, heldBody } from '../kernel/body.ts'
import { HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import { compileExpression } from './compile-expression.ts'
import { compileTemplate } from './compile-template.ts'
import type { Scope } from './expression.ts'

const order = {
  order: {
    id: 4711,
    price: 9.5,
    note: null,
    lines: [
      { sku: 'a', qty: 2 },
      { sku: 'b', qty: 0 },
    ],
  },
  flags: { vip: true },
  exact: 0,
}
const orderText = JSON.stringify(order).replace('"exact":0', '"exact":9007199254740993')

function mail(change: Partial<Message> = {}): Message {
  return {
    id: '0ABC',
    headers: { 'message-id': '<a1@contoso.com>', subject: 'Order 4711 für München', 'content-type': 'multipart/mixed' },
    attributes: {
      from: 'ann@contoso.com',
      to: ['orders@de.contoso.com', 'x@fabrikam.com'],
      subject: 'Order 4711 für München 🎉',
      priority: 1,
      note: null,
    },
    body: heldBody(orderText, 'application/json'),
    acceptedAt: Date.UTC(2026, 10, 21, 10, 30),
    ...change,
  }
}

function scope(message = mail(), locals?: Scope['locals']): Scope {
  const base = { message, params: { region: 'de', limit: 10 }, flow: { name: 'f', stage: 'dev' } }
  return locals ? { ...base, locals } : base
}

const evaluate = (text: string, where = scope()) => compileExpression(text).evaluate(where)

describe('conditions of this domain', () => {
  test.each<[string, unknown]>([
    ["message.to.exists(a, a.endsWith('@de.contoso.com'))", true],
    ["message.to.all(a, a.contains('@'))", true],
    ["message.to.exists_one(a, a.startsWith('orders'))", true],
    ["message.from == 'ann@contoso.com'", true],
    ["message.from in ['a@b.c', 'ann@contoso.com']", true],
    ["'orders@de.contoso.com' in message.to", true],
    ["message.subject.startsWith('Order')", true],
    ["message.subject.contains('für')", true],
    ["message.subject.lowerAscii().contains('order')", true],
    ["message.subject.matches('^Order [0-9]+')", true],
    ["message.subject.matches('(?i)^ORDER')", true],
    ["message.subject.matches('^[0-9]+$')", false],
    ["message.to.exists(a, a.matches('@(de|at)[.]contoso[.]com$'))", true],
    ["message.to.filter(a, a.matches('fabrikam'))", ['x@fabrikam.com']],
    ["message.to.map(a, a.split('@')[1])", ['de.contoso.com', 'fabrikam.com']],
    ["message.from.domain() == 'contoso.com'", true],
    ["message.from.replace('@', ' at ')", 'ann at contoso.com'],
    ['message.size > 10', true],
    ['message.size >= 10 && message.size < 4 * 1024 * 1024', true],
    ['message.size / 1024 < 1', true],
    ['message.priority + 1', 2],
    ['message.priority == 1', true],
    ['1 == 1.0', true],
    ['7 % 2 == 1 && message.priority % 2 == 1', true],
    ['size(message.to) > 0', true],
    ['message.to.size() == 2', true],
    ["size('🎉') == 1", true],
    ["message.headers['message-id'] == '<a1@contoso.com>'", true],
    ["message.headers['Message-ID'] == '<a1@contoso.com>'", true],
    ["message.headers['x-missing']", ''],
    ["message.headers['x-missing'] == 'a' || message.headers['x-missing'].startsWith('a')", false],
    ["'message-id' in message.headers", true],
    ["message.headers['x-missing'] == null && null == message.headers.missing", true],
    ["message.headers['x-missing'] != null", false],
    ["message.headers['Subject'] != null && message.headers.subject != ''", true],
    ["'Message-Id' in message.headers", true],
    ["'x-missing' in message.headers", false],
    ['has(message.headers.subject)', true],
    ['has(message.headers.missing)', false],
    ['has(message.missing)', false],
    ['has(message.subject) && !has(message.constructed)', true],
    ['size(message.headers) == 3', true],
    ["message.headers.exists(h, h == 'subject')", true],
    ['message.note == null', true],
    ['message.body.order.id == 4711', true],
    ['message.body.order.id + 1', 4712],
    ['message.body.order.price * 2 == 19', true],
    ['message.body.order.note == null', true],
    ['message.body.flags.vip', true],
    ['message.body.order.lines.exists(l, l.qty == 0)', true],
    ['message.body.order.lines[0].sku', 'a'],
    ["message.body.order.lines.map(l, l.sku + ':' + string(l.qty))", ['a:2', 'b:0']],
    ['string(message.body.order.id)', '4711'],
    ['string(message.body.exact)', '9007199254740993'],
    ['has(message.body.order.missing)', false],
    ["message.body.?order.?missing.orValue('none')", 'none'],
    ["message.size > 1000000 ? 'big' : 'small'", 'small'],
    ["params.region + '-' + message.from", 'de-ann@contoso.com'],
    ['params.limit > 5', true],
    ["flow.name == 'f' && flow.stage == 'dev'", true],
    ["message.type == 'application/json'", true],
    ["message.acceptedAt > timestamp('2026-11-21T10:00:00Z')", true],
    ["message.acceptedAt.getHours('Europe/Berlin')", 11],
    ["message.acceptedAt - timestamp('2026-11-20T10:00:00Z') > duration('12h')", true],
    ["duration('90s') == duration('1m30s')", true],
    ['message.acceptedAt', '2026-11-21T10:30:00.000Z'],
    ["{'id': message.body.order.id, 'lines': size(message.body.order.lines)}", { id: 4711, lines: 2 }],
    ['cel.bind(x, message.size, x > 1 && x < 100000)', true],
  ])('%s', async (text, value) => {
    expect(await evaluate(text)).toEqual(value)
  })

  test('a value is there at once where no body must be read, and where the body is at hand', () => {
    expect(compileExpression("message.from == 'x'").needsBody).toBe(false)
    expect(evaluate('message.body.order.id')).toBe(4711)
    expect(compileExpression('message.body.order.id').needsBody).toBe(true)
    expect(compileExpression('size(message.attachments)').needsBody).toBe(true)
    expect(compileExpression('message').needsBody).toBe(true)
  })

  test('a body that must be streamed is read once and waited for', async () => {
    let passes = 0
    const bytes = Buffer.from(orderText)
    const body: Body = {
      bytes: bytes.length,
      type: 'application/json; charset=utf-8',
      held: undefined,
      async *stream() {
        passes++
        yield bytes.subarray(0, 7)
        yield bytes.subarray(7)
      },
    }
    const where = scope(mail({ body }))
    expect(await evaluate('message.body.order.id', where)).toBe(4711)
    expect(evaluate('message.body.order.price', where)).toBe(9.5)
    expect(passes).toBe(1)
  })

  test('text and XML bodies are text, other bodies say what they are', async () => {
    const text = scope(mail({ body: heldBody('München;1', 'text/csv; charset=utf-8') }))
    expect(evaluate("message.body.startsWith('Mün')", text)).toBe(true)
    const mailBody = scope(mail({ body: heldBody('From: a\r\n\r\nb', 'message/rfc822') }))
    expect(() => evaluate('message.body', mailBody)).toThrow(/not valid JSON \(its type is message\/rfc822\)/)
    const latin = scope(mail({ body: heldBody(new Uint8Array([0x4d, 0xfc]), 'text/plain') }))
    expect(() => evaluate('message.body', latin)).toThrow(/UTF-8/)
    const large = { ...scope(), limits: { parseBytes: 10 } }
    await expect((async () => evaluate('message.body', large))()).rejects.toThrow(/above the limit of 10 bytes/)
  })

  test('a step can offer names of its own', () => {
    const expression = compileExpression("answer.status == 200 && answer.body.id == 'x'", { locals: ['answer'] })
    expect(expression.evaluate(scope(mail(), { answer: { status: 200, body: { id: 'x' } } }))).toBe(true)
    expect(() => compileExpression('answer.status == 200')).toThrow(/does not know the name "answer"/)
  })
})

describe('mistakes', () => {
  test.each<[string, number, RegExp, RegExp]>([
    ['mesage.size > 1', 0, /does not know the name "mesage"/, /Did you mean message\?/],
    ["message.headers.x-my-region == 'DE'", 16, /"x-my-region" for a diff/, /message\.headers\['x-my-region'\]/],
    ["headers['x-region'] == 'DE'", 0, /the name "headers"/, /message\.headers\['name'\]/],
    ['body.amount > 1', 0, /the name "body"/, /mean message\.body\?/],
    ['message.size > 20MB', 17, /number with "MB"/, /20 \* 1024 \* 1024/],
    ['message.size > 1 && subject == 2', 20, /the name "subject"/, /message\.subject/],
    ['message.sise > 1', 8, /no "sise"/, /message\.size/],
    ["message.header['a'] == 'b'", 8, /no "header"/, /message\.headers/],
    ["message.Subject == 'b' || message.Body == 'c'", 34, /no "Body"/, /message\.body/],
    ["message.sender == 'b'", 8, /no "sender"/, /message\.from/],
    ["flow.nam == 'b'", 5, /flow has no "nam"/, /flow\.name/],
    ['message.size >', 13, /ends too early/, /end/],
    ["message.from = 'x'", 13, /single =/, /==/],
    ['message.size > 1 and true', 17, /"and"/, /&&/],
    ['(message.size > 1', 16, /bracket is open/, /\)/],
    ["message.from == 'x", 16, /not closed/, /quote/],
    ["message.to.exist(a, a == 'x')", 11, /no function "exist"/, /exists/],
    ["mathces(message.from, 'x')", 0, /no function "mathces"/, /matches/],
    ["message.from.matches('(a')", 21, /regular expression is not valid/, /RE2/],
    ["message.from.matches('a(?=b)')", 21, /regular expression is not valid/, /RE2/],
    ["message.to.exists(message, message == 'x')", 18, /taken/, /another name/],
    ['', 0, /empty/, /condition/],
    ["message.size > 1 && 'a' + 1 == 'b'", 20, /adds text/, /string/],
    ['message.size > 1 && 5 == "5"', 20, /text with a number/, /quotes/],
    ['message.headers["a"] && ${x}', 24, /"\$"/, /name alone/],
  ])('%s', (text, offset, why, hint) => {
    const error = refusal(() => compileExpression(text))
    expect([error.code, error.fields.offset]).toEqual(['EXPRESSION_NOT_VALID', offset])
    expect(error.message).toMatch(why)
    expect(error.next).toMatch(hint)
  })

  test('parameters are checked where the document is known', () => {
    const error = refusal(() => compileExpression('params.regoin == 1', { params: ['region', 'limit'] }))
    expect([error.fields.offset, error.next]).toEqual([7, 'Did you mean params.region?'])
  })

  test('what fails on a message says what the message has', () => {
    const error = refusal(() => evaluate("message.subjekt == 'a'"))
    expect([error.code, error.retry, error.side]).toEqual(['EXPRESSION_FAILED', 'never', 'flow'])
    expect(error.message).toContain('this message has no "subjekt"')
    expect(error.next).toMatch(/Did you mean message\.subject\?.*has\(message\.subjekt\)/)
    expect(refusal(() => evaluate('message.body.order.missing.x')).message).toContain(
      'message.body.order.missing is not there',
    )
    expect(refusal(() => evaluate("message.note.contains('x')")).next).toContain('null')
  })
})

describe('hostile', () => {
  test.each([
    'message.constructor',
    'message.__proto__',
    "message['__proto__']",
    "message['constructor']['constructor']('return 1')()",
    'message.to.constructor',
    'message.from.length',
    'message.from.constructor',
    'message.body.constructor',
    'message.body.order.__proto__',
    'params.constructor',
    'flow.toString',
    'constructor',
    'globalThis.process',
    'process.exit()',
    'presentMessage.size',
    'nullableMessage.size',
    "message.from.matchesLinear('a')",
    "this.constructor.constructor('return process')()",
  ])('%s reaches nothing', async text => {
    await expect((async () => evaluate(text))()).rejects.toThrow(HubError)
  })

  test("names of JavaScript's own in message data are data", () => {
    const body = heldBody('{"constructor":{"name":"x"},"__proto__":{"admin":true},"toString":1}', 'application/json')
    const headers = { ...mail().headers, constructor: 'h' }
    const where = scope(mail({ body, headers, attributes: JSON.parse('{"__proto__":"p","valueOf":2}') }))
    expect(evaluate("message.body['toString']", where)).toBe(1)
    expect(evaluate('has(message.body.admin)', where)).toBe(false)
    expect(evaluate("message.headers['constructor']", where)).toBe('h')
    expect(evaluate("'tostring' in message.headers || has(message.hasOwnProperty)", where)).toBe(false)
    expect(evaluate('message.valueOf', where)).toBe(2)
    const result = evaluate('message.body', where)
    expect(Object.getPrototypeOf(result)).toBe(Object.prototype)
    expect(({} as Record<string, unknown>).admin).toBeUndefined()
  })

  test('a regular expression that backtracks does not hold the hub up', () => {
    const where = scope(mail({ attributes: { subject: `${'a'.repeat(50_000)}!`, pattern: '^(a|a)*$' } }))
    const started = performance.now()
    expect(evaluate("message.subject.matches('^(a+)+$')", where)).toBe(false)
    expect(evaluate('message.subject.matches(message.pattern)', where)).toBe(false)
    expect(performance.now() - started).toBeLessThan(3_000)
    const huge = scope(mail({ attributes: { subject: 'a'.repeat(70_000) } }))
    expect(() => evaluate("message.subject.matches('b')", huge)).toThrow(/65536 letters/)
  })

  test('deep and long expressions are refused in words', () => {
    expect(() => compileExpression(`${'('.repeat(500)}1${')'.repeat(500)}`)).toThrow(/not valid/)
    expect(() => compileExpression(`1${'+1'.repeat(3_000)}`)).toThrow(/longer than 4000 letters/)
  })

  test('any text either compiles or is refused with a place inside it', () => {
    const words = [
      'message',
      '.',
      'from',
      'to',
      '(',
      ')',
      '[',
      ']',
      "'a'",
      '==',
      '&&',
      '1',
      'exists',
      ',',
      'a',
      ' ',
      '${',
      '{',
      '}',
      ':',
    ]
    fc.assert(
      fc.property(
        fc.oneof(
          fc.string(),
          fc.array(fc.constantFrom(...words)).map(all => all.join('')),
        ),
        text => {
          try {
            compileExpression(text)
          } catch (error) {
            if (!(error instanceof HubError)) throw error
            const { offset, length } = error.fields
            expect(Number(offset)).toBeGreaterThanOrEqual(0)
            expect(Number(offset)).toBeLessThanOrEqual(text.length)
            expect(Number(length)).toBeGreaterThan(0)
          }
        },
      ),
      { numRuns: 2_000 },
    )
  })
})

describe('templates', () => {
  test.each<[string, unknown]>([
    ['plain', 'plain'],
    ['orders-${params.region}@s4.example', 'orders-de@s4.example'],
    ['${message.to}', ['orders@de.contoso.com', 'x@fabrikam.com']],
    ['to ${message.to}', 'to orders@de.contoso.com, x@fabrikam.com'],
    ['${message.size > 1}', true],
    ["${ {'a': 1} }!", '{"a":1}!'],
    ["a${'}'}b", 'a}b'],
    ['$${literal}', '${literal}'],
    ['${message.note}|${message.headers.missing}|', '||'],
    ['', ''],
  ])('%s', async (text, value) => {
    expect(await compileTemplate(text).render(scope())).toEqual(value)
  })

  test('it knows whether it depends on the message, and points into the whole text', () => {
    expect(compileTemplate('a${params.region}').isFixed).toBe(true)
    expect(compileTemplate('a${message.from}').isFixed).toBe(false)
    expect(refusal(() => compileTemplate('to ${mesage.from}')).fields.offset).toBe(5)
    expect(refusal(() => compileTemplate('to ${message.from')).fields.offset).toBe(3)
  })
})

function refusal(action: () => unknown): HubError {
  try {
    action()
  } catch (error) {
    if (error instanceof HubError) return error
    throw error
  }
  throw new Error('it was not refused')
}
