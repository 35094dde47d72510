import { expect, test } from 'vitest'
import { aleAudit, idocStatus, systemStatus } from './acknowledgement.ts'
import { parseIdocs } from './read-idocs.ts'
import { writeIdocs } from './write-idoc.ts'

const control = new Map(
  Object.entries({
    MANDT: '400',
    DOCNUM: '0000000215172311',
    MESTYP: 'MATMAS',
    SNDPOR: 'SAPPS1',
    SNDPRT: 'LS',
    SNDPRN: 'S4CLNT400',
    RCVPOR: 'ISTHMUS',
    RCVPRT: 'LS',
    RCVPRN: 'CRM',
  }),
)

const at = '2026-11-23T09:05:01'

test('an audit goes back to the sender of the IDoc and names its object', () => {
  const idoc = aleAudit({ control, status: idocStatus.created, objectKey: '4711' })
  expect(writeIdocs([idoc])).toBe(
    '<?xml version="1.0" encoding="UTF-8"?><ALEAUD01><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><TABNAM>EDI_DC40</TABNAM>' +
      '<DIRECT>2</DIRECT><IDOCTYP>ALEAUD01</IDOCTYP><MESTYP>ALEAUD</MESTYP><SNDPOR>ISTHMUS</SNDPOR>' +
      '<RCVPOR>SAPPS1</RCVPOR><SNDPRT>LS</SNDPRT><RCVPRT>LS</RCVPRT><SNDPRN>CRM</SNDPRN><RCVPRN>S4CLNT400</RCVPRN>' +
      '<MANDT>400</MANDT></EDI_DC40><E1ADHDR SEGMENT="1"><MESTYP>MATMAS</MESTYP><MESTYP_LNG>MATMAS</MESTYP_LNG><E1STATE SEGMENT="1">' +
      '<DOCNUM>0000000215172311</DOCNUM><STATUS>53</STATUS><E1PRTOB SEGMENT="1"><OBJKEY>4711</OBJKEY></E1PRTOB>' +
      '</E1STATE></E1ADHDR></IDOC></ALEAUD01>',
  )
})

test('an audit tells statuses of incoming IDocs, a long message type in its own field, and the words of a refusal', () => {
  const long = new Map([...control, ['MESTYP', 'ZCUSTSTOCK']])
  const idoc = aleAudit({ control: long, status: idocStatus.refused, text: `${'too long, '.repeat(7)}at the end` })
  const [header] = idoc.data.children
  expect(Object.fromEntries(header?.fields ?? [])).toEqual({ MESTYP_LNG: 'ZCUSTSTOCK' })
  expect(Object.fromEntries(header?.children[0]?.fields ?? [])).toEqual({
    DOCNUM: '0000000215172311',
    STATUS: '68',
    STATYP: 'E',
    STATXT: 'too long, '.repeat(7),
    STAPA1_LNG: 'at the end',
  })
})

test('a refusal carries the words of the receiver, as far as the fields reach', () => {
  const text = `CRM said: ${'the name is too long, '.repeat(20)}`
  const [idoc] = parseIdocs(Buffer.from(writeIdocs([systemStatus({ control, status: idocStatus.refused, text }, at)])))
  const fields = idoc?.data.children[0]?.fields
  expect(['LOGDAT', 'LOGTIM', 'STATUS'].map(name => fields?.get(name))).toEqual(['20261123', '090501', '40'])
  expect(fields?.get('STATYP')).toBe('E')
  const shown = ['STATXT', 'STAPA1', 'STAPA2', 'STAPA3', 'STAPA4'].map(name => fields?.get(name) ?? '')
  expect(shown.join('')).toBe(text.slice(0, 270))
  expect(shown.map(part => part.length)).toEqual([70, 50, 50, 50, 50])
})

test('what is not known is left out', () => {
  const idoc = aleAudit({ control: new Map(), status: idocStatus.received })
  expect(writeIdocs([idoc])).toContain('<E1STATE SEGMENT="1"><STATUS>64</STATUS></E1STATE>')
})

test('a refusal is told whatever letters the words of the receiver have', () => {
  // One of them stands across the end of each field, however many letters come before.
  for (const before of ['', 'a']) {
    const text = `${before}${'\u{1F600}'.repeat(200)}\u0001`
    const [idoc] = parseIdocs(
      Buffer.from(writeIdocs([systemStatus({ control, status: idocStatus.refused, text }, at)])),
    )
    expect(`${text.slice(0, -1)}?`).toContain([...(idoc?.data.children[0]?.fields.values() ?? [])].slice(5).join(''))
  }
  const idoc = systemStatus({ control, status: idocStatus.refused, text: 'a\u0001b' }, at)
  expect(writeIdocs([idoc])).toContain('<STATXT>a?b</STATXT>')
})
