import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type Hub, startHub } from '../../src/main.ts'
import { writeXiFault, writeXiMessage } from '../../src/protocols/xi/write-message.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { webService } from './web-service.ts'
import { answerHeader, document, integrationEngine, messageId, sendBytes, sendXi, xiAnswer } from './xi-world.ts'

let folder: string
let hub: Hub
const open: Hub[] = []
let s4: Awaited<ReturnType<typeof integrationEngine>>
let crm: Awaited<ReturnType<typeof webService>>

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-xi-'))
  mkdirSync(join(folder, 'flows'))
  s4 = await integrationEngine()
  crm = await webService()
})
afterEach(async () => {
  for (const one of open.splice(0)) await one.close()
  await s4.stop()
  await crm.stop()
  rmSync(folder, { recursive: true, force: true })
})

const flows: string[] = []
afterEach(() => flows.splice(0))

/** Writes a flow document; the hub started next runs it. */
function flow(name: string, text: string): void {
  const file = join(folder, 'flows', `${name}.yaml`)
  writeFileSync(file, `flow: ${name}\n${text}`)
  flows.push(file)
}

async function start(): Promise<void> {
  hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'test',
    flowFiles: flows,
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'error', format: 'json', output: new Writable({ write: (_chunk, _encoding, done) => done() }) },
  })
  open.push(hub)
  expect(hub.failedFlows).toEqual([])
}

const messages = (state?: 'delivered' | 'set-aside' | 'queued') => hub.store.find({ state, limit: 100 })
const ended = (count: number, state: 'delivered' | 'set-aside' = 'delivered') =>
  waitFor(`${count} ${state}`, 30_000, async () => {
    const found = await messages(state)
    return found.length >= count ? found.toReversed() : undefined
  })

const toCrm = () => `to: { http: { url: "${crm.url}/credit" } }\n`

test('a proxy message is acknowledged once it is safe, and taken once, however its id is written', async () => {
  flow('credit', `from: { xi: { path: /xi } }\n${toCrm()}`)
  await start()
  const ack = await sendXi(`${hub.endpointsUrl}/xi`, {}, [document('<Credit>50000</Credit>')])
  expect(ack).toMatchObject({
    status: 200,
    header: {
      messageClass: 'SystemAck',
      refToMessageId: '005056bf38e01eddb58c9b5814a5e450',
      ack: { status: 'OK' },
      sender: { service: 'ISTHMUS' },
      receiver: { service: 'S4H100' },
      interface: { name: 'SI_Credit_Out', namespace: 'urn:example:crm' },
    },
  })
  // The acknowledgement was lost: the queue sends the message again, and must be let go on.
  const again = await sendXi(`${hub.endpointsUrl}/xi`, { messageId: '005056BF38E01EDDB58C9B5814A5E450' })
  expect(again.header).toMatchObject({ messageClass: 'SystemAck', ack: { status: 'OK' } })
  const [only] = await ended(1)
  expect(crm.requests.map(({ body }) => body.toString())).toEqual(['<Credit>50000</Credit>'])
  // Found by the id as SXMB_MONI shows it.
  const found = await hub.store.find({ term: '005056BF38E01EDDB58C9B5814A5E450', limit: 10 })
  expect(found.map(({ id }) => id)).toEqual([only?.id])
  expect((await hub.store.get(only?.id ?? ''))?.attributes).toMatchObject({
    qos: 'EO',
    interface: 'SI_Credit_Out',
    namespace: 'urn:example:crm',
    senderService: 'S4H100',
    receiverService: 'ISTHMUS',
    messageId: '005056bf38e01eddb58c9b5814a5e450',
    serialisation: '',
  })
})

test('one that cannot be delivered holds back its queue and no other', async () => {
  flow('credit', `from: { xi: { path: /xi } }\n${toCrm()}`)
  await start()
  crm.replies.push({ status: 422 })
  const inQueue = (number: number, queueId: string) =>
    sendXi(`${hub.endpointsUrl}/xi`, { messageId: messageId(number), quality: 'ExactlyOnceInOrder', queueId }, [
      document(`<C n="${number}"/>`),
    ])
  await inQueue(1, 'CREDIT_A')
  await ended(1, 'set-aside')
  for (const [number, queue] of [
    [2, 'CREDIT_A'],
    [3, 'CREDIT_B'],
    [4, 'CREDIT_A'],
  ] as const)
    expect((await inQueue(number, queue)).header?.ack?.status).toBe('OK')
  await ended(1)
  const bodies = () => crm.requests.map(({ body }) => body.toString())
  expect(bodies()).toEqual(['<C n="1"/>', '<C n="3"/>'])
  const [failed] = await messages('set-aside')
  await hub.engine.replay(failed?.id ?? '', 'operator')
  await ended(4)
  expect(bodies().slice(2)).toEqual(['<C n="1"/>', '<C n="2"/>', '<C n="4"/>'])
})

test('what cannot be taken is refused with a fault that says why, and leaves nothing behind', async () => {
  flow(
    'credit',
    `from: { xi: { path: /xi, interfaces: [{ name: SI_Credit_Out, namespace: 'urn:example:crm' }] } }\n${toCrm()}`,
  )
  await start()
  const url = `${hub.endpointsUrl}/xi`
  const cut = await sendBytes(url, 'multipart/related; boundary=b', '--b\r\n\r\n<x')
  expect(cut).toMatchObject({ status: 500, fault: { code: 'SOAP:Client', error: { code: 'MULTIPART_BROKEN' } } })
  const malformed = await sendBytes(url, 'text/xml', '<a><b></a>')
  expect(malformed.fault?.error).toMatchObject({ category: 'XIProtocol', code: 'XML_MALFORMED' })
  expect(malformed.fault?.text).toMatch(/line 1, column/)
  const refused: [Parameters<typeof sendXi>[1], Parameters<typeof sendXi>[2], string][] = [
    [{ interface: { name: 'SI_Other', namespace: 'urn:example:crm' } }, undefined, 'XI_INTERFACE_REFUSED'],
    [{ messageClass: 'ApplicationAck', quality: undefined, ack: { status: 'OK' } }, [], 'XI_CLASS_REFUSED'],
    [{}, [document('<C/>'), document('%PDF', 'ApplicationAttachment')], 'XI_ATTACHMENTS_REFUSED'],
    [{}, [document('1', 'ApplicationAttachment'), document('2', 'ApplicationAttachment')], 'XI_PAYLOAD_UNCLEAR'],
  ]
  for (const [header, payloads, code] of refused) {
    expect((await sendXi(url, header, payloads)).fault?.error?.code).toBe(code)
  }
  expect(await messages()).toEqual([])
  // An attachment that comes alone is the document.
  await sendXi(url, {}, [document('<Alone/>', 'ApplicationAttachment')])
  await ended(1)
  expect(crm.requests.at(-1)?.body.toString()).toBe('<Alone/>')
})

test('flows share the url that an S/4HANA knows: the one that names the interface gets the message', async () => {
  const from = (more: string) => `from: { xi: { path: /xi${more} } }\nto: { http: { url: "${crm.url}/`
  const name = (namespace = '') => `, interfaces: [{ name: SI_Credit_Out${namespace} }]`
  flow('any', `${from('')}any" } }\n`)
  flow('by-name', `${from(name())}by-name" } }\n`)
  flow('exactly', `${from(name(", namespace: 'urn:example:crm'"))}exactly" } }\n`)
  flow('acks', `${from(', takes: acknowledgements')}acks" } }\n`)
  await start()
  const url = `${hub.endpointsUrl}/xi`
  await sendXi(url, { messageId: messageId(1) })
  await sendXi(url, { messageId: messageId(2), interface: { name: 'SI_Credit_Out', namespace: 'urn:other' } })
  await sendXi(url, { messageId: messageId(3), interface: { name: 'SI_Other', namespace: 'urn:example:crm' } })
  const ack = { messageClass: 'SystemAck', quality: undefined, refToMessageId: '1'.repeat(32) } as const
  await sendXi(url, { ...ack, messageId: messageId(4), ack: { status: 'OK' } }, [])
  await ended(4)
  expect(crm.requests.map(request => request.url).toSorted()).toEqual(['/acks', '/any', '/by-name', '/exactly'])
  // A flow that goes leaves the path to the others; two with the same part of it are one too many.
  await hub.engine.stop('exactly')
  await sendXi(url, { messageId: messageId(5) })
  await ended(5)
  expect(crm.requests.at(-1)?.url).toBe('/by-name')
  expect((await sendXi(url, { messageId: messageId(6), messageClass: 'SystemAck', ack: undefined })).status).toBe(200)
})

test('two flows cannot have the same part of a url, nor share one with other rights', async () => {
  const to = `to: { http: { url: "${crm.url}" } }\n`
  flow('first', `from: { xi: { path: /xi } }\n${to}`)
  flow('second', `from: { xi: { path: /xi } }\n${to}`)
  flow('third', `from: { xi: { path: /xi, max-size: 1MiB, interfaces: [{ name: SI_X }] } }\n${to}`)
  await start()
  const trouble = (name: string) => hub.engine.flows().find(({ flow }) => flow.name === name)?.links[0]?.error?.code
  expect(['first', 'second', 'third'].map(trouble)).toEqual([undefined, 'ENDPOINT_PATH_TAKEN', 'ENDPOINT_PATH_UNLIKE'])
})

test('a message that is taken whole goes on as it came, attachments and all', async () => {
  flow('credit', `from: { xi: { path: /xi, take: message } }\n${toCrm()}`)
  await start()
  await sendXi(`${hub.endpointsUrl}/xi`, {}, [document('<C/>'), document('%PDF', 'ApplicationAttachment')])
  await ended(1)
  const [request] = crm.requests
  expect(request?.headers['content-type']).toMatch(/^multipart\/related; boundary=/)
  expect(request?.body.toString()).toContain('<SAP:MessageId>005056bf-38e0-1edd-b58c-9b5814a5e450</SAP:MessageId>')
  expect(request?.body.toString()).toContain('%PDF')
})

const query = () => `from: { xi: { path: /xi/user, within: 20s } }
steps:
  - call: { to: { http: { url: "${crm.url}/users", on-unknown: send-again } } }
  - map: { set: { body: '<UserAnswer>\${message.body}</UserAnswer>', type: application/xml } }
to: []
delivery: { retry: { every: 50ms } }
`
const ask = { isSynchronous: true, quality: 'BestEffort' } as const

test('a query is answered in the same call, and again after a restart without asking twice', async () => {
  flow('check-user', query())
  await start()
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' })
  const answer = await sendXi(`${hub.endpointsUrl}/xi/user`, ask)
  expect(answer).toMatchObject({
    status: 200,
    contentType: expect.stringMatching(/^multipart\/related/),
    header: { messageClass: 'ApplicationResponse', refToMessageId: '005056bf38e01eddb58c9b5814a5e450' },
    document: '<UserAnswer>enabled</UserAnswer>',
  })
  await hub.close()
  await start()
  const again = await sendXi(`${hub.endpointsUrl}/xi/user`, ask)
  expect(again.document).toBe('<UserAnswer>enabled</UserAnswer>')
  expect(crm.requests).toHaveLength(1)
})

test('a hub that is killed in the middle of a query answers it when it is asked again', async () => {
  flow('check-user', query())
  const killed = new HubUnderTest({ dataFolder: join(folder, 'data'), flowFiles: flows })
  try {
    await killed.start()
    crm.hold()
    const lost = sendXi(`${killed.endpointsUrl}/xi/user`, ask).then(
      () => 'answered',
      () => 'connection lost',
    )
    await waitFor('the question', 20_000, () => crm.requests.length > 0)
    await killed.kill9()
    expect(await lost).toBe('connection lost')
    crm.replies.push({ status: 204 }, { status: 200, headers: { 'content-type': 'text/plain' }, body: 'disabled' })
    crm.release()
    await killed.start()
    const again = await sendXi(`${killed.endpointsUrl}/xi/user`, ask)
    expect(again.document).toBe('<UserAnswer>disabled</UserAnswer>')
    expect(await killed.details()).toHaveLength(1)
    const third = await sendXi(`${killed.endpointsUrl}/xi/user`, ask)
    expect(third.document).toBe(again.document)
    expect(crm.requests).toHaveLength(2)
  } finally {
    await killed.stop()
  }
})

test('a query that takes too long, and one that cannot be answered, are told so', async () => {
  flow('late', query().replace('/xi/user', '/xi/late').replace('20s', '200ms'))
  flow('refused', query().replace('/xi/user', '/xi/refused'))
  await start()
  crm.hold()
  const late = await sendXi(`${hub.endpointsUrl}/xi/late`, ask)
  expect(late).toMatchObject({ status: 503, fault: { error: { code: 'XI_LATE', category: 'XIServer', retry: 'A' } } })
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' })
  crm.release()
  await ended(1)
  // The answer was kept for the one who asks again.
  expect((await sendXi(`${hub.endpointsUrl}/xi/late`, ask)).document).toBe('<UserAnswer>enabled</UserAnswer>')
  crm.replies.push({ status: 422, body: 'the secret words of the other side' })
  const refused = await sendXi(`${hub.endpointsUrl}/xi/refused`, { ...ask, messageId: messageId(9) })
  expect(refused).toMatchObject({
    status: 500,
    fault: { code: 'SOAP:Server', error: { code: 'XI_FAILED', retry: 'M' } },
  })
  // They are for the people of the hub, who find them by the id in the answer.
  expect(refused.fault?.text).toMatch(/^Message [0-9A-Z]{11} was taken in but not delivered \(HTTP_REFUSED\)/)
})

test('what a message led to goes back as a response message and as the acknowledgement that was asked for', async () => {
  flow(
    'credit',
    `from: { xi: { path: /xi } }
answer: { to: xi-acknowledgements, after: 0s }
steps:
  - call: { to: { http: { url: "${crm.url}/accounts" } } }
  - map:
      set:
        body: { idocNumber: '\${message.messageId}', objectKey: '\${message.body.accountid}', operation: updated }
to:
  xi:
    url: "${s4.url}"
    sender: { service: ISTHMUS }
    receiver: { service: '\${message.senderService}' }
    interface: SI_CreditAnswer_In
    namespace: urn:example:crm
    ref-to: '\${message.messageId}'
`,
  )
  flow('xi-acknowledgements', `from: { answers: {} }\nto: { xi: { url: "${s4.url}", acknowledge: asked } }\n`)
  await start()
  crm.replies.push({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"accountid":"A-1"}' })
  crm.replies.push({ status: 422, body: 'creditlimit below 0' })
  const acksWanted = ['Application', 'ApplicationError'] as const
  await sendXi(`${hub.endpointsUrl}/xi`, { acksWanted })
  await ended(2)
  const [response, ack] = s4.seen
  expect(response).toMatchObject({
    header: {
      messageClass: 'ApplicationMessage',
      refToMessageId: '005056bf38e01eddb58c9b5814a5e450',
      sender: { service: 'ISTHMUS' },
      receiver: { service: 'S4H100' },
      interface: { name: 'SI_CreditAnswer_In' },
      quality: 'ExactlyOnce',
    },
  })
  expect(JSON.parse(response?.document ?? '')).toEqual({
    idocNumber: '005056bf38e01eddb58c9b5814a5e450',
    objectKey: 'A-1',
    operation: 'updated',
  })
  expect(ack?.header).toMatchObject({
    messageClass: 'ApplicationAck',
    isSynchronous: false,
    refToMessageId: '005056bf38e01eddb58c9b5814a5e450',
    sender: { service: 'ISTHMUS' },
    receiver: { service: 'S4H100' },
    ack: { status: 'OK', category: 'permanent' },
  })
  await sendXi(`${hub.endpointsUrl}/xi`, { acksWanted, messageId: messageId(2) })
  await ended(3)
  expect(s4.seen.at(-1)?.header).toMatchObject({
    messageClass: 'ApplicationError',
    refToMessageId: messageId(2).replaceAll('-', ''),
    ack: { status: 'Error', category: 'permanent' },
    error: { code: 'HTTP_REFUSED' },
  })
  // Nobody asked: nothing is sent.
  const before = s4.seen.length
  crm.replies.push({ status: 422 })
  await sendXi(`${hub.endpointsUrl}/xi`, { messageId: messageId(3) })
  await ended(4)
  expect(s4.seen).toHaveLength(before)
})

const toS4 = (more = '') =>
  `to: { xi: { url: "${s4.url}", sender: { service: ISTHMUS }, receiver: { service: S4H100 }, interface: SI_In, namespace: urn:x${more} } }
`

test('a lost answer is repeated with the same id, and one that S/4HANA had already counts as taken', async () => {
  flow(
    'out',
    `from: { https: { path: /out } }\n${toS4(', acks: [system, application]')}delivery: { retry: { every: 50ms } }\n`,
  )
  flow('acks', `from: { xi: { path: /acks, takes: acknowledgements } }\n${toCrm()}`)
  await start()
  s4.replies.push(
    () => 'cut',
    message =>
      xiAnswer({
        ...answerHeader(message),
        ack: { status: 'Error', category: 'permanent' },
        error: { category: 'XIProtocol', area: 'MESSAGE', code: 'DUPLICATE_DETECTED', parameters: [] },
      }),
  )
  await fetch(`${hub.endpointsUrl}/out`, { method: 'POST', body: '<C/>', headers: { 'content-type': 'text/xml' } })
  const [sent] = await ended(1)
  const [first, second] = s4.seen.map(({ header }) => header)
  expect(second).toEqual(first)
  expect(first).toMatchObject({ quality: 'ExactlyOnce', acksWanted: ['System', 'Application'] })
  const detail = await hub.store.get(sent?.id ?? '')
  expect(detail?.summary).toMatch(/has message [0-9a-f]{32} already/)

  // The acknowledgement comes later, and both are found by the id of the message.
  const id = first?.messageId ?? ''
  const ack = { messageClass: 'ApplicationAck', refToMessageId: id, quality: undefined } as const
  await sendXi(`${hub.endpointsUrl}/acks`, { ...ack, messageId: messageId(7), ack: { status: 'OK' } }, [])
  await ended(2)
  expect(JSON.parse(crm.requests.at(-1)?.body.toString() ?? '')).toMatchObject({
    messageClass: 'ApplicationAck',
    refToMessageId: id,
    status: 'OK',
  })
  const found = await hub.store.find({ term: id.toUpperCase(), limit: 10 })
  expect(found.map(row => row.flow).toSorted()).toEqual(['acks', 'out'])
})

test('the words of SAP decide whether a message is tried again', async () => {
  flow('out', `from: { https: { path: /out } }\n${toS4()}delivery: { retry: { every: 50ms } }\n`)
  await start()
  const fault = (retry: string) => {
    const error = {
      category: 'XIServer',
      area: 'INTERNAL',
      code: 'MESSAGE',
      parameters: ['P'],
      text: 'no number range',
      retry,
    }
    const { type, text } = writeXiFault({ code: 'Server', text: 'failed', error })
    return { status: 500, headers: { 'content-type': type }, body: text }
  }
  s4.replies.push(
    () => fault('A'),
    () => ({ status: 503, headers: { 'content-type': 'text/html' }, body: '<html>down</html>' }),
    () => fault('M'),
  )
  await fetch(`${hub.endpointsUrl}/out`, { method: 'POST', body: '<C/>' })
  const [row] = await ended(1, 'set-aside')
  expect(s4.seen).toHaveLength(3)
  expect(row?.error).toMatchObject({ code: 'XIRECEIVER_REFUSED', side: 'receiver' })
  expect(row?.error?.message).toContain('no number range')
})

test('a query of the hub gets the answer of S/4HANA', async () => {
  flow(
    'price',
    `from: { https: { path: /price, answer: result } }\nsteps: [{ call: { ${toS4(', qos: BE').trim()} } }]\nto: []\n`,
  )
  await start()
  const written = (message: Parameters<typeof answerHeader>[0]) =>
    writeXiMessage(
      { ...answerHeader(message), ack: undefined, messageClass: 'ApplicationResponse', isSynchronous: true },
      [document('<Price>7</Price>')],
    )
  s4.replies.push(message => {
    const { type, stream } = written(message)
    return { status: 200, headers: { 'content-type': type }, body: stream() }
  })
  const answer = await fetch(`${hub.endpointsUrl}/price`, { method: 'POST', body: '<Q/>' })
  expect([answer.status, await answer.text()]).toEqual([200, '<Price>7</Price>'])
  expect(s4.seen[0]?.header).toMatchObject({ isSynchronous: true, quality: 'BestEffort' })
})
