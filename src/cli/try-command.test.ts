import { once } from 'node:events'
import { mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import type { AddressInfo } from 'node:net'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import type { CliIo } from './io.ts'
import { run } from './run.ts'

const examples = resolve(import.meta.dirname, '../../examples')
let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-try-'))
})
afterEach(() => rm(folder, { recursive: true, force: true }))

async function isthmus(line: readonly string[], { stdin = '', signal = new AbortController().signal } = {}) {
  let out = ''
  let err = ''
  const io: CliIo = {
    stdin: Readable.from([stdin]),
    stdout: { write: text => (out += String(text)) },
    stderr: { write: text => (err += String(text)) },
    env: {},
    cwd: folder,
    signal,
    program: () => import('../main.ts'),
  }
  return { code: await run(line, io), out, err }
}

async function write(files: Readonly<Record<string, string>>): Promise<void> {
  for (const [name, text] of Object.entries(files)) await writeFile(join(folder, name), text)
}

test('a mail goes through its flow: what steps make of it and what the mail server would get', async () => {
  const mail = 'From: a@b.de\r\nTo: orders@contoso.com\r\nSubject: Order 7\r\nMessage-ID: <x@y>\r\n\r\nplease\r\n'
  await write({ 'order.eml': mail })
  const { code, out } = await isthmus(['try', join(examples, 'mail-o365-to-s4/flow.yaml'), '--body', 'order.eml'])
  expect(out).toMatch(/^Flow mail-o365-to-s4\n\nTaken in\n {2}found by: x@y\n {2}from: a@b\.de\n/)
  expect(out).toContain('steps[0] filter: goes on as it is\n')
  expect(out).toMatch(/^to\[0\] smtp: not sent\n( {2}.*\n)* {2}to: orders@s4\.example\n/m)
  expect(out).toContain('    Subject: Order 7\n')
  expect(out).toMatch(/^End: delivered \(nothing was sent\)\n$/m)
  expect(code).toBe(0)
})

test('an IDoc comes in by the endpoint of its flow, with its order key, and the caller is answered as SAP would be', async () => {
  const sample = join(examples, 's4-to-dynamics/samples/debmas07.xml')
  const { code, out } = await isthmus(['try', join(examples, 's4-to-dynamics/customers.flow.yaml'), '--body', sample])
  expect(out).toContain('  order key: DEBMAS/S4HCLNT100/1001\n')
  expect(out).toMatch(
    /steps\[1\] map\n {2}application\/json, \d+B\n {4}\{"isGone":false,"accounts":\[\{"accountnumber":"1001","name":"Müller & Söhne/,
  )
  expect(out).toMatch(
    /to\[0\] dataverse: not sent\n( {2}.*\n)* {2}set: accounts\n( {2}.*\n)* {2}body: \{"accountnumber":"1001"/,
  )
  expect(out).toMatch(/The caller gets 200\n.*<TransferId>0000000000700123<\/TransferId>/)
  expect(code).toBe(0)
})

const question = `flow: prices
from: { https: { path: /prices, methods: [GET], role: buyer, answer: result } }
steps:
  - call: { to: { http: { url: "https://erp.contoso.com/price/\${message.query.material}", method: GET } } }
  - map: { set: { attributes: { price: "\${message.body.price}" } } }
  - choose:
      - when: message.price > 10
        steps:
          - enrich: { into: rate, from: { http: { url: https://rates.contoso.com/eur, method: GET } } }
to: []
`

test('receivers that are asked answer what is given, and a trial says which answer it lacks', async () => {
  await write({ 'flow.yaml': question, 'price.json': '{"price":12}' })
  const ask = ['try', 'flow.yaml', '--path', '/prices?material=4711']
  const lacking = await isthmus(ask)
  expect(lacking.out).toContain('url: https://erp.contoso.com/price/4711\n')
  expect(lacking.out).toMatch(
    /TRIAL_ANSWER_MISSING: The flow asks http at steps\[0\]\.call.*\n {2}Next: .*--answer 'steps\[0\]\.call=FILE'/,
  )
  expect(lacking.out).not.toContain('The caller gets')
  expect(lacking.code).toBe(1)

  const priced = await isthmus([...ask, '--answer', 'steps[0].call=price.json'])
  expect(priced.out).toContain('steps[1] map\n  price: 12\n')
  // The branch that was taken shows by what stands in it.
  expect(priced.out).toMatch(/The flow asks http at steps\[2\]\.choose\[0\]\.steps\[0\]\.enrich/)
  const place = /asks http at (\S+),/.exec(priced.out)?.[1] ?? ''
  const whole = await isthmus([...ask, '--answer', 'steps[0].call=price.json', '--answer', `${place}=price.json`])
  expect(whole).toMatchObject({ code: 0, out: expect.stringContaining('The caller gets 200\n{"price":12}') })
})

test('nobody is connected to, and nothing of the trial is left', async () => {
  let connections = 0
  const server = createServer(socket => {
    connections += 1
    socket.destroy()
  }).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  try {
    await write({
      'flow.yaml': `flow: orders
from: { imap: { host: 127.0.0.1, port: ${port}, user: a@b.de, auth: mailbox } }
to:
  - http: { url: "http://127.0.0.1:${port}/" }
  - smtp: { host: 127.0.0.1, port: ${port}, security: none, to: a@b.de }
`,
    })
    const before = await trialFolders()
    const { code, out } = await isthmus(['try', 'flow.yaml', '--body', '-'], { stdin: 'Subject: one\r\n\r\n' })
    expect(out).toMatch(/to\[0\] http: not sent[\s\S]*to\[1\] smtp: not sent/)
    expect(code).toBe(0)
    expect(connections).toBe(0)
    expect(await trialFolders()).toEqual(before)
  } finally {
    server.close()
  }
})

const trialFolders = async () => (await readdir(tmpdir())).filter(name => name.startsWith('isthmus-trial-'))

const faulty = (steps: string) => `flow: faulty
from: { https: { path: /in } }
steps: ${steps}
to: { http: { url: "https://erp.contoso.com/" } }
`

test('a step that fails is named with its place, its error and what to do', async () => {
  await write({
    'flow.yaml': faulty('[{ map: { module: ./map.ts } }]'),
    'map.ts': 'export default message => {\n  return message.body.lines.map(each => each)\n}\n',
  })
  const { code, out } = await isthmus(['try', 'flow.yaml', '--body', '-', '--type', 'application/json'], {
    stdin: '{}',
  })
  expect(out).toMatch(/steps\[0\] map: MAP_FAILED\nEnd: set-aside\n {2}MAP_FAILED: .*map\.ts:2:\d+.*\n {2}Next: /)
  expect(out).not.toContain('to[0]')
  expect(code).toBe(1)
})

test('each part of a split goes its own way, and several IDocs of one packet are several messages', async () => {
  await write({
    'flow.yaml': faulty(`
  - split:
      each: message.body.lines
      steps:
        - filter: { keep: message.body.count > 0, otherwise: drop }
        - map: { set: { attributes: { double: "\${2 * message.body.count}" } } }`),
  })
  const body = JSON.stringify({ lines: [{ count: 1 }, { count: 0 }, { count: 2 }] })
  const { out } = await isthmus(['try', 'flow.yaml', '--body', '-', '--type', 'application/json'], { stdin: body })
  expect(out.match(/^ {2}double: \d$/gm)).toEqual(['  double: 2', '  double: 4'])
  expect(out).toMatch(/steps\[0\]\.split\.steps\[0\] filter: dropped/)

  const idoc = (docnum: number) =>
    `<IDOC><EDI_DC40><DOCNUM>${docnum}</DOCNUM><IDOCTYP>DEBMAS07</IDOCTYP><MESTYP>DEBMAS</MESTYP></EDI_DC40></IDOC>`
  await write({ 'idocs.yaml': 'flow: idocs\nfrom: { idoc: { path: /idoc } }\nto: []\n' })
  const packet = `<DEBMAS07>${idoc(11)}${idoc(12)}</DEBMAS07>`
  const two = await isthmus(['try', 'idocs.yaml', '--body', '-', '--type', 'application/xml'], { stdin: packet })
  expect(two.out).toMatch(/message 1 of 2[\s\S]*docnum: 0{14}11\n[\s\S]*message 2 of 2[\s\S]*docnum: 0{14}12\n/)
})

test('what the endpoint refuses is told, and what is wrong with the document', async () => {
  await write({
    'idocs.yaml': 'flow: idocs\nfrom: { idoc: { path: /idoc } }\nto: []\n',
    'wrong.yaml': 'flow: x\nfrm: 1\n',
  })
  const refused = await isthmus(['try', 'idocs.yaml', '--body', '-', '--type', 'image/png'], { stdin: 'x' })
  expect(refused).toMatchObject({ code: 4, err: expect.stringMatching(/answered 415[\s\S]*TRIAL_REFUSED/) })
  const wrong = await isthmus(['try', 'wrong.yaml'])
  expect(wrong).toMatchObject({ code: 1, out: expect.stringMatching(/wrong\.yaml:\d+:\d+/) })
  expect(await isthmus(['try', 'idocs.yaml', '--body', 'nowhere.xml'])).toMatchObject({
    code: 2,
    err: expect.stringContaining('CLI_FILE_UNREADABLE'),
  })
})

test('for programs it is JSON; a body that is long is shown to its end only on demand', async () => {
  await write({ 'flow.yaml': faulty('[{ filter: { keep: size(message.headers) > 0 } }]') })
  const given = ['try', 'flow.yaml', '--body', '-', '--type', 'text/plain', '--header', 'X-Region=EU']
  const stdin = `${'a'.repeat(3000)}END`
  const short = await isthmus(given, { stdin })
  expect(short.out).toMatch(/… \d+ more letters \(--whole shows them\)/)
  expect((await isthmus([...given, '--whole'], { stdin })).out).toContain('aaaEND\n')
  const { out } = await isthmus(['--json', ...given], { stdin })
  expect(JSON.parse(out)).toMatchObject({
    flow: 'faulty',
    messages: [
      {
        state: 'delivered',
        way: [
          { place: 'steps[0]', step: 'filter' },
          {
            place: 'to[0]',
            receiver: 'http',
            config: { url: 'https://erp.contoso.com/' },
            type: 'text/plain',
            body: stdin,
          },
        ],
      },
    ],
    answer: { status: 202 },
  })
})

test('Ctrl-C ends a trial in the midst of a step', async () => {
  await write({
    'flow.yaml': faulty('[{ map: { module: ./map.ts } }]'),
    'map.ts': 'export default () => new Promise(() => {})\n',
  })
  const stop = new AbortController()
  setTimeout(() => stop.abort('SIGINT'), 300)
  const before = await trialFolders()
  const { code } = await isthmus(['try', 'flow.yaml', '--body', '-', '--type', 'text/plain'], {
    stdin: 'x',
    signal: stop.signal,
  })
  expect(code).not.toBe(0)
  expect(await trialFolders()).toEqual(before)
})

test('a step that would be tried again ends the trial at once, also where a caller waits; what it waits for can be given', async () => {
  await write({
    'flow.yaml': `flow: invoices
from: { https: { path: /invoices, answer: result, within: 10m } }
steps:
  - lookup: { map: accounts, key: "\${message.headers['x-customer']}", into: account, missing: wait }
  - map: { set: { body: "\${message.account}" } }
to: []
`.replace('answer: result', 'headers: [x-customer], answer: result'),
  })
  const given = ['try', 'flow.yaml', '--header', 'X-Customer=1001']
  const waiting = await isthmus(given)
  expect(waiting.out).toMatch(/End: failed; a hub would try again\n {2}KEYMAP_NOT_YET: /)
  expect(waiting.code).toBe(1)
  for (const wrong of ['accounts=a', 'accounts/=a', '/1001=a']) {
    const refused = await isthmus([...given, '--keymap', wrong])
    expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('--keymap takes map/key=value')])
  }
  const known = await isthmus([...given, '--keymap', 'accounts/1001=a/1=2'])
  expect(known).toMatchObject({ code: 0, out: expect.stringContaining('The caller gets 200\na/1=2\n') })
})

const credit = '<Credit><Customer>1001</Customer></Credit>'
const sampleId = '01234567-89ab-4def-8123-456789abcdef'

test.each([
  ['xi: { path: /xi, interfaces: [{ name: Other_Out }, { name: Credit_Out, namespace: urn:c }] }', 'qos: EO', sampleId],
  ['soap: { path: /soap }', 'operation: Credit', undefined],
  ['soap: { path: /soap, protocol: sap-rm }', 'qos: EO', sampleId],
  ['soap: { path: /soap, once-by: addressing }', 'operation: Credit', `urn:uuid:${sampleId}`],
])('a document comes with an envelope that is made up, and told: %s', async (from, told, id) => {
  await write({ 'flow.yaml': `flow: credit\nfrom: { ${from} }\nto: { http: { url: "https://crm.contoso.com" } }\n` })
  const bare = ['try', 'flow.yaml', '--body', '-', '--header', 'interface=Credit_Out']
  const { code, out } = await isthmus(bare, { stdin: credit })
  expect(out).toMatch(/^Made up for the trial: an (?:XI message|envelope of SOAP 1\.1) around the document/)
  expect(out).toContain(`  ${told}\n`)
  if (from.startsWith('xi')) expect(out).toContain('Credit_Out (urn:c), EO, from S4HCLNT100 to ISTHMUS, id ')
  if (id) expect(out).toContain(id)
  expect(out).toMatch(/^to\[0\] http: not sent\n( {2}.*\n)* {4}<Credit/m)
  expect(code).toBe(0)
})

test('a document for a flow that hands on to nobody comes as a query, whose answer is shown', async () => {
  await write({
    'flow.yaml': `flow: credit
from: { xi: { path: /xi, interfaces: [{ name: Credit_Out }] } }
steps: [{ map: { set: { body: <Limit>5</Limit>, type: application/xml } } }]
to: []
`,
  })
  const { out } = await isthmus(['try', 'flow.yaml', '--body', '-'], { stdin: credit })
  expect(out).toContain('Credit_Out (urn:sample), BE, ')
  expect(out).toMatch(/The caller gets 200\n[\s\S]*ApplicationResponse[\s\S]*\n<Limit>5<\/Limit>\n/)
  const { out: json } = await isthmus(['--json', 'try', 'flow.yaml', '--body', '-'], { stdin: credit })
  expect(JSON.parse(json)).toMatchObject({
    filledIn: expect.stringContaining('Credit_Out'),
    answer: { status: 200, body: expect.stringContaining('<Limit>5</Limit>') },
  })
})

test('what is an envelope already, and what is no document, comes as it is', async () => {
  await write({
    'flow.yaml': `flow: credit\nfrom: { soap: { path: /soap } }\nto: { http: { url: "https://crm.contoso.com" } }\n`,
  })
  const whole = '<s:Envelope xmlns:s="http://www.w3.org/2003/05/soap-envelope"><s:Body><A/></s:Body></s:Envelope>'
  const given = ['try', 'flow.yaml', '--body', '-', '--type', 'application/soap+xml']
  const taken = await isthmus(given, { stdin: whole })
  expect(taken.out).toMatch(/^Flow credit\n[\s\S]* {2}soapVersion: 1\.2\n/)
  const other = await isthmus(given, { stdin: '{"a":1}' })
  expect(other).toMatchObject({ code: 4, out: '', err: expect.stringContaining('TRIAL_REFUSED') })
  const broken = await isthmus(given, { stdin: '<A><B></A>' })
  expect(broken).toMatchObject({
    out: '',
    err: expect.stringMatching(/line 1, column 10[\s\S]*SOAPMESSAGE_CANNOT_WRITE/),
  })
})

test('an IDoc whose file has no ending that says what it is, is XML or a flat file as its flow takes it', async () => {
  await write({
    'flow.yaml': 'flow: idocs\nfrom: { idoc: { path: /idoc } }\nto: { http: { url: "https://crm.contoso.com" } }\n',
  })
  const stdin = await readFile(join(examples, 's4-to-dynamics/samples/debmas07.xml'), 'utf8')
  const { code, out } = await isthmus(['try', 'flow.yaml', '--body', '-'], { stdin })
  expect(out).toMatch(/^Made up for the trial: the media type text\/xml\n\nFlow idocs\n/)
  expect(code).toBe(0)
})
