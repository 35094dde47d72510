import { expect, test } from 'vitest'
import { lossOfIdoc } from './idoc-loss.ts'

const material = (msgfn: string, below: string) =>
  Buffer.from(
    '<MATMAS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>17</DOCNUM><MESTYP>MATMAS</MESTYP></EDI_DC40>' +
      `<E1MARAM SEGMENT="1"><MSGFN>${msgfn}</MSGFN><MATNR>4711</MATNR><NTGEW>5</NTGEW>${below}</E1MARAM></IDOC></MATMAS05>`,
  )
const body = (bytes: Uint8Array) => async () => bytes
const facts = { docnum: '0000000000000017', mestyp: 'MATMAS', objectKey: '4711' }
const text = (language: string, value: string) =>
  `<E1MAKTM SEGMENT="1"><MSGFN>004</MSGFN><SPRAS_ISO>${language}</SPRAS_ISO><MAKTX>${value}</MAKTX><SPRAS>/</SPRAS></E1MAKTM>`

test('of a changed material: the texts, which come again only when they change; its first segment comes with the next', async () => {
  const changed = body(material('018', text('DE', 'Pumpe') + text('EN', 'Pump')))
  expect(await lossOfIdoc(facts, changed)).toEqual({
    object: 'MATMAS 4711',
    segments: [{ segment: 'E1MARAM/E1MAKTM', fields: ['SPRAS_ISO', 'MAKTX'] }],
    words:
      'E1MARAM of MATMAS 4711 comes again with its next IDoc. What stands in E1MAKTM comes again only when it changes: send the object as a whole (BD10).',
  })
  expect(await lossOfIdoc(facts, body(material('004', '')))).toMatchObject({
    segments: [],
    words: 'E1MARAM of MATMAS 4711 comes again with its next IDoc.',
  })
})

test('of other documents: all of it, since nobody sends it again; of a message that is none, nothing', async () => {
  const order = Buffer.from(
    '<ORDERS05><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>18</DOCNUM></EDI_DC40><E1EDK01 SEGMENT="1"><BELNR>7</BELNR></E1EDK01></IDOC></ORDERS05>',
  )
  expect((await lossOfIdoc({ docnum: '18', mestyp: 'ORDERS', objectKey: '' }, body(order)))?.words).toMatch(
    /^Nothing of ORDERS 18 comes/,
  )
  expect((await lossOfIdoc(facts, body(Buffer.from('repaired into something else'))))?.segments).toEqual([])
  let isRead = false
  const mail = async () => {
    isRead = true
    return material('004', '')
  }
  expect(await lossOfIdoc({ from: 'ada@contoso.com' }, mail)).toBeUndefined()
  expect(isRead).toBe(false)
})
