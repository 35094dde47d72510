import fc from 'fast-check'
import { escapeText, heldBody, type Message, writeIdocs } from 'isthmus/documents'
import { describe, expect, test } from 'vitest'
import { defaultLimits } from '../../../src/kernel/limit.ts'
import { parseIdocs } from '../../../src/protocols/idoc/read-idocs.ts'
import writeAnswer from './answer.ts'
import { isMethod, type MethodName, methods, type RecordKind, records } from './methods.ts'
import readQuestion from './question.ts'

type Fields = Readonly<Record<string, string>>
const context = { limits: defaultLimits }
const message = (text: string, type: string, attributes: Message['attributes']): Message => ({
  id: 'M1',
  headers: {},
  attributes,
  body: heldBody(text, type),
  acceptedAt: 0,
})

const segment = (name: string, given: Fields) => ({ name, fields: new Map(Object.entries(given)), children: [] })
function byIdoc(method: string, fields: Fields, more: readonly Fields[] = []): Message {
  const pairs = [...Object.entries(fields).map(([NAME, VALUE]) => ({ NAME, VALUE })), ...more]
  const question = {
    ...segment('ZE1CRMQUERY', { METHOD: method }),
    children: pairs.map(pair => segment('ZE1CRMFIELD', pair)),
  }
  const control = new Map([
    ['DOCNUM', '0000000000000007'],
    ['SNDPRN', 'S4HCLNT100'],
    ['RCVPRN', 'CRM'],
  ])
  const data = { name: 'IDOC', fields: new Map<string, string>(), children: [question] }
  const xml = writeIdocs([{ type: 'ZCRMQUERY01', control, data }])
  return message(xml, 'application/xml', { docnum: '0000000000000007' })
}
function byProxy(method: MethodName, fields: Fields): Message {
  const { path }: RecordKind = records[methods[method].record]
  const inside = Object.entries(fields).map(([name, value]) => `<${name}>${escapeText(value)}</${name}>`)
  const xml = path.reduceRight((text, name) => `<${name}>${text}</${name}>`, inside.join(''))
  return message(`<n0:Q xmlns:n0="urn:x">${xml}</n0:Q>`, 'application/xml', { interface: `${method}_Out` })
}
function byHttps(method: MethodName, fields: Fields): Message {
  const { api, path } = methods[method]
  return message(JSON.stringify(fields), 'application/json', { method: 'POST', path: `/crm/${api}/${path}` })
}

const text = (body: Message['body']) => Buffer.from(body.held ?? []).toString()

test('the three ways of asking leave one and the same question, whatever the values are', async () => {
  const names = Object.keys(methods).filter(isMethod)
  // What XML can hold: no control letters, and no carriage returns, which readers of XML turn into line feeds.
  const value = fc
    .string({ unit: 'grapheme', maxLength: 30 })
    .filter(each => each.trim() !== '' && !/[^\t\n\x20-\uD7FF\uE000-\uFFFD\u{10000}-\u{10FFFF}]/u.test(each))
  const asked = fc.constantFrom(...names).chain(method => {
    const { fields }: RecordKind = records[methods[method].record]
    const shape = Object.fromEntries(Object.keys(fields).map(name => [name, value]))
    const requiredKeys = Object.keys(fields).filter(name => fields[name]?.isKey)
    return fc.record({ method: fc.constant(method), fields: fc.record(shape, { requiredKeys }) })
  })
  await fc.assert(
    fc.asyncProperty(asked, async ({ method, fields }) => {
      const [https, idoc, proxy] = await Promise.all(
        [byHttps, byIdoc, byProxy].map(async ask => {
          const { attributes, body } = await readQuestion(ask(method, fields), context)
          return { method: attributes['crmMethod'], fault: attributes['crmFault'], body: text(body) }
        }),
      )
      expect(https).toMatchObject({ method, fault: '' })
      expect(idoc).toEqual(https)
      expect(proxy).toEqual(https)
    }),
  )
})

test('numbers, yes and no, and nothing of JSON are what they are in XML; a number keeps its letters', async () => {
  const body =
    '{"BusinessPartner":"1001","CreditLimitAmount":0.10,"CreditAccountIsBlocked":true,"CreditLimitIsZero":false,"CreditRiskClass":null}'
  const given = message(body, 'application/json', { method: 'POST', path: '/crm/credit-limits/set' })
  expect(JSON.parse(text((await readQuestion(given, context)).body))).toEqual({
    CreditAccount: {
      BusinessPartner: '1001',
      CreditLimitAmount: '0.10',
      CreditAccountIsBlocked: 'X',
      CreditLimitIsZero: '',
      CreditRiskClass: '',
    },
  })
})

test('attributes of elements, which proxies of other systems may have, are no fields', async () => {
  const xml = '<n0:Q xmlns:n0="urn:x"><Product><Material schemeID="SAP">4711</Material></Product></n0:Q>'
  const { attributes, body } = await readQuestion(
    message(xml, 'application/xml', { interface: 'CheckProduct_Out' }),
    context,
  )
  expect([attributes['crmFault'], text(body)]).toEqual(['', '{"Product":{"Material":"4711"}}'])
})

describe('no question is', () => {
  const question = byIdoc('CheckProduct', { Material: '1' })
  const doubled = text(question.body).replace(/<ZE1CRMQUERY.*<\/ZE1CRMQUERY>/s, found => found + found)
  const twoQuestions = { ...question, body: heldBody(doubled, 'application/xml') }
  const proxyWith = (xml: string) =>
    message(`<n0:Q xmlns:n0="urn:x">${xml}</n0:Q>`, 'application/xml', { interface: 'CheckProduct_Out' })
  const faultOf = async (given: Message) => (await readQuestion(given, context)).attributes['crmFault']
  test.each<[string, Message, RegExp]>([
    ['a method that is not there', byIdoc('EraseProduct', {}), /no method "EraseProduct"/],
    ['a method that every object has', byIdoc('constructor', {}), /no method "constructor"/],
    [
      'an IDoc of another type',
      message(
        '<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>7</DOCNUM><IDOCTYP>MATMAS05</IDOCTYP></EDI_DC40></IDOC></MATMAS05>',
        'text/xml',
        { docnum: '7' },
      ),
      /of the type ZCRMQUERY01 with a segment ZE1CRMQUERY, and this is MATMAS05/,
    ],
    ['an IDoc without a method', byIdoc('', {}), /no method ""/],
    ['a field named twice', byIdoc('CheckProduct', { Material: '1' }, [{ NAME: 'Material', VALUE: '2' }]), /twice/],
    ['two questions in one IDoc', twoQuestions, /about one record, and here are several/],
    [
      'two records in one proxy message',
      proxyWith('<Product><Material>1</Material></Product><Product><Material>2</Material></Product>'),
      /about one record, and here are several/,
    ],
    [
      'a field named twice in a proxy message',
      proxyWith('<Product><Material>1</Material><Material>2</Material></Product>'),
      /"Material" is named twice/,
    ],
    [
      'an address in another encoding than UTF-8, as a query has it when %FC stands for ü',
      message('', '', { method: 'GET', path: '/crm/users/check', query: { UserName: 'm\uFFFDller@contoso.com' } }),
      /letters that are no UTF-8/,
    ],
    ['a field of the prototype', byIdoc('CheckProduct', { Material: '1', toString: 'x' }), /has no field "toString"/],
    ['a key of blanks', byIdoc('CheckProduct', { Material: '  ' }), /needs Material/],
    [
      'an interface without a document',
      message('<x/>', 'application/xml', { interface: 'CheckUser_Out' }),
      /needs UserName/,
    ],
  ])('%s', async (_title, given, words) => {
    expect(await faultOf(given)).toMatch(words)
  })

  test.each<[string, string]>([
    ['cut off', '<ZCRMQUERY01><IDOC BEGIN="1">'],
    ['with entities', '<!DOCTYPE x [<!ENTITY a "b">]><ZCRMQUERY01/>'],
    ['with a bare &', '<ZCRMQUERY01><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><A>&</A></EDI_DC40></IDOC></ZCRMQUERY01>'],
  ])('XML %s', async (_title, xml) => {
    await expect(readQuestion(message(xml, 'text/xml', { docnum: '1' }), context)).rejects.toThrow(/line \d+/)
  })
})

test('values of Dynamics 365 that XML must escape come back as they are, by IDoc and by proxy', async () => {
  const said = { operation: 'found', id: '1', key: '<&>"]]>', statecode: 0, statuscode: null }
  const answered = (reply: string) =>
    writeAnswer(
      message(JSON.stringify(said), 'application/json', {
        crmMethod: 'CheckProduct',
        crmQuestion: { reply, control: { SNDPRN: 'S4HCLNT100', RCVPRN: 'CRM', DOCNUM: '7' }, fields: {} },
      }),
      context,
    )
  const [idoc] = parseIdocs(Buffer.from(text((await answered('idoc')).body)))
  const answer = idoc?.data.children[0]
  expect(answer?.fields.get('OBJECTKEY')).toBe('<&>"]]>')
  expect([...(answer?.children ?? [])].map(({ fields }) => [...fields.values()])).toEqual([['StateCode', '0']])
  expect(text((await answered('proxy')).body)).toContain('<ObjectKey>&lt;&amp;&gt;"]]&gt;</ObjectKey>')
  expect(JSON.parse(text((await answered('json')).body))).toMatchObject({ ObjectKey: '<&>"]]>', StateCode: '0' })
})
