import { afterEach, beforeEach, expect, test } from 'vitest'
import { currentStatus } from './idoc-database.ts'
import { type S4AleTwin, s4AleUser, startS4Ale } from './s4-ale.ts'
import { createCustomer, createMaterial } from './seed.ts'

let twin: S4AleTwin
beforeEach(async () => {
  twin = await startS4Ale()
  createMaterial(twin.data, '4711', { name: 'Pump' })
  createCustomer(twin.data, '1001', { name: 'Adatum' })
})
afterEach(() => twin.stop())

/** Posts ALEREQ01, as BD11 and BD13 of another system do; the status that it has then. */
async function request(messageType: string, of: string, key: string, low: string, option = 'EQ') {
  const control =
    '<TABNAM>EDI_DC40</TABNAM><DIRECT>2</DIRECT><IDOCTYP>ALEREQ01</IDOCTYP>' +
    `<MESTYP>${messageType}</MESTYP><SNDPOR>ISTHMUS</SNDPOR><SNDPRT>LS</SNDPRT><SNDPRN>CRM</SNDPRN>` +
    `<RCVPOR>SAPS4H</RCVPOR><RCVPRT>LS</RCVPRT><RCVPRN>${twin.names.own}</RCVPRN>`
  const wanted = `<E1ALEQ1 SEGMENT="1"><OBJVALUE>${key}</OBJVALUE><SIGN>I</SIGN><OPTION>${option}</OPTION><LOW>${low}</LOW></E1ALEQ1>`
  const data = `<E1ALER1 SEGMENT="1"><MESTYP>${of}</MESTYP><MESTYP40>${of}</MESTYP40>${wanted}</E1ALER1>`
  const body = `<ALEREQ01><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1">${control}</EDI_DC40>${data}</IDOC></ALEREQ01>`
  const authorization = `Basic ${Buffer.from(`${s4AleUser.user}:${s4AleUser.password}`).toString('base64')}`
  const answer = await fetch(twin.urls.idoc, {
    method: 'POST',
    headers: { 'content-type': 'application/x-sap.idoc', authorization },
    body,
  })
  expect(answer.status).toBe(200)
  const idoc = twin.idocs().findLast(({ direction }) => direction === 'in')
  return [idoc && currentStatus(idoc), idoc?.statuses.at(-1)?.text]
}

test.each([
  ['MATFET', 'MATMAS', 'MATNR', '000000000000004711'],
  ['MATFET', 'MATMAS', 'MATNR', '4711'],
  ['DEBFET', 'DEBMAS', 'KUNNR', '0000001001'],
])('%s for %s %s %s sends the object as a whole', async (messageType, of, key, low) => {
  expect((await request(messageType, of, key, low))[0]).toBe('53')
  const [sent, ...others] = twin.idocs().filter(({ direction }) => direction === 'out')
  expect(others).toEqual([])
  expect(sent).toMatchObject({ messageType: of })
  expect(sent?.idoc.data.children[0]?.fields.get('MSGFN')).toBe('009')
})

test.each([
  ['MATFET', 'MATMAS', 'MATNR', '9999', 'EQ', '51'],
  ['MATFET', 'MATMAS', 'KUNNR', '4711', 'EQ', '51'],
  ['MATFET', 'ADRMAS', 'MATNR', '4711', 'EQ', '51'],
  ['MATFET', 'MATMAS', 'MATNR', '4711', 'BT', '51'],
  ['MATFET', 'MATMAS', 'MATNR', '', 'EQ', '60'],
  ['CREFET', 'CREMAS', 'LIFNR', '1', 'EQ', '56'],
])('%s for %s %s %s %s is kept as an error, and nothing leaves', async (messageType, of, key, low, option, status) => {
  expect((await request(messageType, of, key, low, option))[0]).toBe(status)
  expect(twin.idocs().filter(({ direction }) => direction === 'out')).toEqual([])
})
