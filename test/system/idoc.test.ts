import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Hub, startHub } from '../../src/main.ts'
import { parseIdocs } from '../../src/protocols/idoc/read-idocs.ts'
import { type S4AleTwin, s4AleUser, startS4Ale } from '../../src/twins/s4-ale/s4-ale.ts'
import { createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { webService } from './web-service.ts'

let folder: string
let hub: Hub
let s4: S4AleTwin
/** Each change gives another one. */
let weight = 1
let crm: Awaited<ReturnType<typeof webService>>
const waitMs = 30_000

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-idoc-'))
  mkdirSync(join(folder, 'flows'))
  s4 = await startS4Ale()
  crm = await webService()
})
afterEach(async () => {
  await hub?.close()
  await s4.stop()
  await crm.stop()
  rmSync(folder, { recursive: true, force: true })
})

const materials = () => `
flow: materials
from: { idoc: { path: /idoc } }
to:
  http: { url: "${crm.url}/products/\${message.objectKey}", method: PUT }
answer: { to: acknowledgements, on: [accepted, delivered, set-aside, skipped], after: 300ms }
delivery: { retry: { every: 100ms, up-to: 200ms, for: 20s } }
`
const acknowledgements = (type: string) => `
flow: acknowledgements
from: { answers: {} }
to:
  idoc: { url: "${s4.urls.idoc}", auth: s4-idoc, acknowledge: ${type} }
delivery: { retry: { every: 100ms, up-to: 200ms, for: 20s } }
`

async function start(...documents: readonly string[]): Promise<void> {
  const flowFiles = documents.map((text, index) => {
    const file = join(folder, 'flows', `${index}.yaml`)
    writeFileSync(file, text)
    return file
  })
  hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'test',
    flowFiles,
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'error', format: 'json', output: new Writable({ write: (_chunk, _encoding, done) => done() }) },
    beforeFlows: async ({ credentials }) => {
      await credentials.create('s4-idoc', { kind: 'basic', ...s4AleUser })
    },
  })
  expect(hub.failedFlows).toEqual([])
  s4.setPort('*', { destination: { url: `${hub.endpointsUrl}/idoc` } })
}

/** New materials, or changes of those that are there; they leave as one packet. */
async function change(...numbers: readonly string[]): Promise<readonly string[]> {
  for (const number of numbers) {
    if (s4.data.find('MARA', { MATNR: number }).length > 0)
      s4.data.change('MARA', { MATNR: number }, { NTGEW: `${weight++}.5` })
    else createMaterial(s4.data, number, { name: `Pump ${number}` })
  }
  return s4.runChangePointers().map(({ docnum }) => docnum)
}

const statuses = (docnum: string) =>
  s4
    .idocs()
    .find(idoc => idoc.docnum === docnum)
    ?.statuses.map(({ status }) => status) ?? []
const lastText = (docnum: string) =>
  s4
    .idocs()
    .find(idoc => idoc.docnum === docnum)
    ?.statuses.at(-1)?.text ?? ''
const reaches = (docnum: string, status: string) =>
  waitFor(
    `IDoc ${docnum} to reach ${status}; it has ${statuses(docnum).join()}`,
    waitMs,
    () => s4.statusOf(docnum) === status,
  )
const arrived = () => crm.requests.map(({ body }) => parseIdocs(body)[0]?.control.get('DOCNUM') ?? '')

test('changes of master data leave as a packet of IDocs, and SAP hears what became of each', async () => {
  await start(materials(), acknowledgements('ALEAUD01'))
  const docnums = await change('4711', '4712', '4713')
  expect(docnums).toHaveLength(3)
  expect(await s4.dispatch()).toEqual({ passed: 3, failed: 0 })
  for (const docnum of docnums) {
    await reaches(docnum, '41')
    expect(statuses(docnum)).toEqual(['01', '30', '03', '12', '39', '41'])
  }
  expect(lastText(docnums[0] ?? '')).toBe('Object 4711')
  expect(arrived().toSorted()).toEqual(docnums)
})

test('one that the CRM refuses holds back its own object alone; SAP reads why; replayed, it and its successors arrive in order', async () => {
  await start(materials(), acknowledgements('SYSTAT01'))
  crm.replies.push({ status: 400, headers: { 'content-type': 'text/plain' }, body: 'The name is too long.' })
  const [refused = ''] = await change('4711')
  await s4.dispatch()
  await reaches(refused, '40')
  expect(lastText(refused)).toContain('The name is too long.')
  const [later = ''] = await change('4711')
  const [other = ''] = await change('4712')
  await s4.dispatch()
  await reaches(other, '41')
  expect(statuses(later)).not.toContain('41')
  const [held] = await hub.store.find({ state: 'set-aside', limit: 5 })
  await hub.engine.replay(held?.id ?? '', 'operator')
  await reaches(later, '41')
  await reaches(refused, '41')
  expect(arrived().slice(1)).toEqual([other, refused, later])
})

test('a packet whose answer was lost is sent again by SAP, and each IDoc arrives once', async () => {
  await start(materials(), acknowledgements('ALEAUD01'))
  s4.setFaults({ hangUp: { times: 1 } })
  const docnums = await change('1', '2', '3', '4')
  expect(await s4.dispatch()).toEqual({ passed: 0, failed: 4 })
  expect(await s4.dispatchAgain()).toEqual({ passed: 4, failed: 0 })
  for (const docnum of docnums) await waitFor('41', waitMs, () => statuses(docnum).includes('41'))
  expect(arrived().toSorted()).toEqual(docnums)
})

test('a packet with broken XML is refused whole and kept; sent again in order, nothing is missing', async () => {
  await start(materials(), acknowledgements('ALEAUD01'))
  s4.setFaults({ malformed: { times: 1 } })
  const docnums = await change('1', '2')
  expect(await s4.dispatch()).toEqual({ passed: 0, failed: 2 })
  expect(lastText(docnums[0] ?? '')).toBe('HTTP status code 400')
  const [kept] = await waitFor('the kept bytes', waitMs, async () => {
    const found = await hub.store.find({ flow: 'materials', state: 'set-aside', limit: 5 })
    return found.length > 0 && found
  })
  expect(kept?.error).toMatchObject({ code: 'XML_MALFORMED', side: 'sender' })
  expect(arrived()).toEqual([])
  await s4.dispatchAgain()
  for (const docnum of docnums) await reaches(docnum, '41')
  expect(arrived().toSorted()).toEqual(docnums)
})

test('an older IDoc that comes late does not overwrite a newer one, and SAP is not left waiting', async () => {
  await start(materials(), acknowledgements('SYSTAT01'))
  const [older = ''] = await change('4711')
  const [newer = ''] = await change('4711')
  s4.setPort('*', { destination: { url: `${hub.endpointsUrl}/idoc` }, packetSize: 1 })
  s4.setFaults({ reversed: { times: 1 } })
  await s4.dispatch()
  await reaches(newer, '41')
  await waitFor('the words about the older one', waitMs, () => lastText(older).startsWith('superseded'))
  expect(lastText(older)).toBe(
    `superseded: ${newer} of MATMAS/${s4.names.own}/4711 was delivered before, and this one is ${older}`,
  )
  expect(arrived()).toEqual([newer])
})

test('while SAP does not take acknowledgements they wait, and deliveries go on', async () => {
  await start(materials(), acknowledgements('ALEAUD01'))
  s4.setFaults({ fail: { times: 4 } })
  const [docnum = ''] = await change('4711')
  await s4.dispatch()
  await reaches(docnum, '41')
  expect(statuses(docnum).slice(-2)).toEqual(['39', '41'])
})

test('a question by IDoc is answered in the same call, and again when it is asked again', async () => {
  await start(`
flow: check-product
from: { idoc: { path: /idoc/check, answer: result, object-key: { ZCHECK: Z1CHECK/MATNR } } }
steps:
  - map: { set: { body: '<ZANSWER><FOUND>\${message.objectKey}</FOUND></ZANSWER>', type: text/xml } }
to: []
`)
  const destination = { url: `${hub.endpointsUrl}/idoc/check` }
  const segments = [{ name: 'Z1CHECK', fields: new Map([['MATNR', '0004711']]), children: [] }]
  const answer = await s4.askByIdoc(destination, 'ZCHECK01', 'ZCHECK', segments)
  expect(answer.toString()).toBe('<ZANSWER><FOUND>4711</FOUND></ZANSWER>')
  const again = () =>
    fetch(destination.url, {
      method: 'POST',
      headers: { 'content-type': 'text/xml' },
      body: '<ZCHECK01><IDOC BEGIN="1"><EDI_DC40 SEGMENT="1"><DOCNUM>5</DOCNUM><MESTYP>ZCHECK</MESTYP></EDI_DC40><Z1CHECK SEGMENT="1"><MATNR>7</MATNR></Z1CHECK></IDOC></ZCHECK01>',
    }).then(response => response.text())
  expect(await again()).toBe('<ZANSWER><FOUND>7</FOUND></ZANSWER>')
  expect(await again()).toBe('<ZANSWER><FOUND>7</FOUND></ZANSWER>')
  expect((await hub.store.counts('check-product')).accepted).toBe(2)
})
