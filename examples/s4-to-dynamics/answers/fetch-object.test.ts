import { heldBody, type Message, parseIdocs } from 'isthmus/documents'
import { expect, test } from 'vitest'
import fetchObject from './fetch-object.ts'

const about = {
  mandt: '100',
  mestyp: 'MATMAS',
  objectKey: '4711',
  sndpor: 'SAPS4H',
  sndprt: 'LS',
  sndprn: 'S4HCLNT100',
  rcvpor: 'ISTHMUS',
  rcvprt: 'LS',
  rcvprn: 'CRM',
}

async function requestFor(attributes: Message['attributes']) {
  const message = { id: 'M1', headers: {}, attributes, body: heldBody('{}', 'application/json'), acceptedAt: 0 }
  const { body } = await fetchObject(message)
  const [idoc] = parseIdocs(Buffer.from(body.held ?? []))
  const [root] = idoc?.data.children ?? []
  const wanted = root?.children[0]
  return {
    control: Object.fromEntries(idoc?.control ?? []),
    of: Object.fromEntries(root?.fields ?? []),
    wanted: Object.fromEntries(wanted?.fields ?? []),
  }
}

test('a material is asked for with its number as SAP keeps it; sender and receiver change sides', async () => {
  expect(await requestFor(about)).toEqual({
    control: {
      TABNAM: 'EDI_DC40',
      MANDT: '100',
      DIRECT: '2',
      IDOCTYP: 'ALEREQ01',
      MESTYP: 'MATFET',
      SNDPOR: 'ISTHMUS',
      SNDPRT: 'LS',
      SNDPRN: 'CRM',
      RCVPOR: 'SAPS4H',
      RCVPRT: 'LS',
      RCVPRN: 'S4HCLNT100',
    },
    of: { MESTYP: 'MATMAS', MESTYP40: 'MATMAS' },
    wanted: { OBJVALUE: 'MATNR', SIGN: 'I', OPTION: 'EQ', LOW: '000000000000004711' },
  })
})

test.each([
  ['DEBMAS', '1001', 'DEBFET', 'KUNNR', '0000001001'],
  ['MATMAS', 'BAR303/00', 'MATFET', 'MATNR', 'BAR303/00'],
])('%s %s is asked for by %s', async (mestyp, objectKey, MESTYP, OBJVALUE, LOW) => {
  expect(await requestFor({ ...about, mestyp, objectKey })).toMatchObject({
    control: { MESTYP },
    wanted: { OBJVALUE, LOW },
  })
})

test('what SAP cannot be asked for is a mistake of the flow', async () => {
  await expect(requestFor({ ...about, mestyp: 'ADRMAS' })).rejects.toThrow(/ADRMAS cannot be asked for/)
})
