import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { memoryOf } from '../../bench/mail/measure.ts'
import { MiB } from '../../src/kernel/size.ts'
import { writeXiFault, writeXiMessage, type XiPayloadOut } from '../../src/protocols/xi/write-message.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { FlowHub } from './flow-hub.ts'
import { webService } from './web-service.ts'
import {
  answerHeader,
  document,
  integrationEngine,
  messageId,
  sendBytes,
  sendXi,
  xiAnswer,
  xiRequest,
} from './xi-world.ts'

let it: FlowHub
let s4: Awaited<ReturnType<typeof integrationEngine>>
let crm: Awaited<ReturnType<typeof webService>>

beforeEach(async () => {
  it = new FlowHub()
  s4 = await integrationEngine()
  crm = await webService()
})
afterEach(async () => {
  await it.close()
  await s4.stop()
  await crm.stop()
})

const toCrm = () => `to: { http: { url: "${crm.url}/credit" } }\n`

test('a proxy message is acknowledged once it is safe, and taken once, however its id is written', async () => {
  it.flow('credit', `from: { xi: { path: /xi } }\n${toCrm()}`)
  await it.start()
  const ack = await sendXi(`${it.url}/xi`, {}, [
    // A type that systems leave on documents.
    { ...document('<Credit>50000</Credit>'), type: 'multipart/related; boundary=gone' },
  ])
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
  const again = await sendXi(`${it.url}/xi`, { messageId: '005056BF38E01EDDB58C9B5814A5E450' })
  expect(again.header).toMatchObject({ messageClass: 'SystemAck', ack: { status: 'OK' } })
  const [only] = await it.ended(1)
  expect(crm.requests.map(({ body }) => body.toString())).toEqual(['<Credit>50000</Credit>'])
  expect(crm.requests[0]?.headers['content-type']).toBe('application/xml')
  // Found by the id as SXMB_MONI shows it.
  const found = await it.hub.store.find({ term: '005056BF38E01EDDB58C9B5814A5E450', limit: 10 })
  expect(found.map(({ id }) => id)).toEqual([only?.id])
  expect((await it.hub.store.get(only?.id ?? ''))?.attributes).toMatchObject({
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
  it.flow('credit', `from: { xi: { path: /xi } }\n${toCrm()}`)
  await it.start()
  crm.replies.push({ status: 422 })
  const inQueue = (number: number, queueId: string) =>
    sendXi(`${it.url}/xi`, { messageId: messageId(number), quality: 'ExactlyOnceInOrder', queueId }, [
      document(`<C n="${number}"/>`),
    ])
  await inQueue(1, 'CREDIT_A')
  await it.ended(1, 'set-aside')
  for (const [number, queue] of [
    [2, 'CREDIT_A'],
    [3, 'CREDIT_B'],
    [4, 'CREDIT_A'],
  ] as const)
    expect((await inQueue(number, queue)).header?.ack?.status).toBe('OK')
  await it.ended(1)
  const bodies = () => crm.requests.map(({ body }) => body.toString())
  expect(bodies()).toEqual(['<C n="1"/>', '<C n="3"/>'])
  const [failed] = await it.rows('set-aside')
  await it.hub.engine.replay(failed?.id ?? '', 'operator')
  await it.ended(4)
  expect(bodies().slice(2)).toEqual(['<C n="1"/>', '<C n="2"/>', '<C n="4"/>'])
})

test('what cannot be taken is refused with a fault that says why, and leaves nothing behind', async () => {
  it.flow(
    'credit',
    `from: { xi: { path: /xi, interfaces: [{ name: SI_Credit_Out, namespace: 'urn:example:crm' }] } }\n${toCrm()}`,
  )
  await it.start()
  const url = `${it.url}/xi`
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
  expect(await it.rows()).toEqual([])
  // An attachment that comes alone is the document.
  await sendXi(url, {}, [document('<Alone/>', 'ApplicationAttachment')])
  await it.ended(1)
  expect(crm.requests.at(-1)?.body.toString()).toBe('<Alone/>')
})

test('a part that the manifest does not name is an attachment like any other', async () => {
  it.flow('credit', `from: { xi: { path: /xi } }\n${toCrm()}`)
  it.flow('without', `from: { xi: { path: /xi/without, attachments: drop } }\n${toCrm()}`)
  await it.start()
  const written = writeXiMessage({ ...xiRequest, messageId: '1'.repeat(32) }, [document('<C/>')])
  const chunks = await Array.fromAsync(written.stream())
  const boundary = /boundary="?([^";]+)/.exec(written.type)?.[1] ?? ''
  const scan = `--${boundary}\r\nContent-ID: <scan@s4>\r\nContent-Type: application/pdf\r\n\r\n%PDF\r\n--${boundary}--`
  const bytes = Buffer.concat(chunks).toString().replace(`--${boundary}--`, scan)
  const refused = await sendBytes(`${it.url}/xi`, written.type, bytes)
  expect(refused.fault?.error?.code).toBe('XI_ATTACHMENTS_REFUSED')
  expect(await it.rows()).toEqual([])
  expect((await sendBytes(`${it.url}/xi/without`, written.type, bytes)).header?.ack?.status).toBe('OK')
  await it.ended(1)
  expect(crm.requests.at(-1)?.body.toString()).toBe('<C/>')
})

test('flows share the url that an S/4HANA knows: the one that names the interface gets the message', async () => {
  const from = (more: string) => `from: { xi: { path: /xi${more} } }\nto: { http: { url: "${crm.url}/`
  const name = (namespace = '') => `, interfaces: [{ name: SI_Credit_Out${namespace} }]`
  it.flow('any', `${from('')}any" } }\n`)
  it.flow('by-name', `${from(name())}by-name" } }\n`)
  it.flow('exactly', `${from(name(", namespace: 'urn:example:crm'"))}exactly" } }\n`)
  it.flow('acks', `${from(', takes: acknowledgements')}acks" } }\n`)
  await it.start()
  const url = `${it.url}/xi`
  await sendXi(url, { messageId: messageId(1) })
  await sendXi(url, { messageId: messageId(2), interface: { name: 'SI_Credit_Out', namespace: 'urn:other' } })
  await sendXi(url, { messageId: messageId(3), interface: { name: 'SI_Other', namespace: 'urn:example:crm' } })
  const ack = { messageClass: 'SystemAck', quality: undefined, refToMessageId: '1'.repeat(32) } as const
  await sendXi(url, { ...ack, messageId: messageId(4), ack: { status: 'OK' } }, [])
  await it.ended(4)
  expect(crm.requests.map(request => request.url).toSorted()).toEqual(['/acks', '/any', '/by-name', '/exactly'])
  // A flow that goes leaves the path to the others; two with the same part of it are one too many.
  await it.hub.engine.stop('exactly')
  await sendXi(url, { messageId: messageId(5) })
  await it.ended(5)
  expect(crm.requests.at(-1)?.url).toBe('/by-name')
  expect((await sendXi(url, { messageId: messageId(6), messageClass: 'SystemAck', ack: undefined })).status).toBe(200)
})

test('two flows cannot have the same part of a url, nor share one with other rights', async () => {
  const to = `to: { http: { url: "${crm.url}" } }\n`
  it.flow('first', `from: { xi: { path: /xi } }\n${to}`)
  it.flow('second', `from: { xi: { path: /xi } }\n${to}`)
  it.flow('third', `from: { xi: { path: /xi, max-size: 1MiB, interfaces: [{ name: SI_X }] } }\n${to}`)
  await it.start()
  const trouble = (name: string) => it.hub.engine.flows().find(({ flow }) => flow.name === name)?.links[0]?.error?.code
  expect(['first', 'second', 'third'].map(trouble)).toEqual([undefined, 'ENDPOINT_PATH_TAKEN', 'ENDPOINT_PATH_UNLIKE'])
})

test('a message that is taken whole goes on as it came, attachments and all', async () => {
  it.flow('credit', `from: { xi: { path: /xi, take: message } }\n${toCrm()}`)
  await it.start()
  await sendXi(`${it.url}/xi`, {}, [document('<C/>'), document('%PDF', 'ApplicationAttachment')])
  await it.ended(1)
  const [request] = crm.requests
  expect(request?.headers['content-type']).toMatch(/^multipart\/related; boundary=/)
  expect(request?.body.toString()).toContain('<SAP:MessageId>005056bf-38e0-1edd-b58c-9b5814a5e450</SAP:MessageId>')
  expect(request?.body.toString()).toContain('%PDF')
})

const query = () => `from: { xi: { path: /xi/user, within: 60s } }
steps:
  - call: { to: { http: { url: "${crm.url}/users", on-unknown: send-again } } }
  - map: { set: { body: '<UserAnswer>\${message.body}</UserAnswer>', type: application/xml } }
to: []
delivery: { retry: { every: 50ms } }
`
const ask = { isSynchronous: true, quality: 'BestEffort' } as const

test('a query is answered in the same call, and again after a restart without asking twice', async () => {
  it.flow('check-user', query())
  await it.start()
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' })
  const answer = await sendXi(`${it.url}/xi/user`, ask)
  expect(answer).toMatchObject({
    status: 200,
    contentType: expect.stringMatching(/^multipart\/related/),
    header: { messageClass: 'ApplicationResponse', refToMessageId: '005056bf38e01eddb58c9b5814a5e450' },
    document: '<UserAnswer>enabled</UserAnswer>',
  })
  await it.start()
  const again = await sendXi(`${it.url}/xi/user`, ask)
  expect(again.document).toBe('<UserAnswer>enabled</UserAnswer>')
  expect(crm.requests).toHaveLength(1)
})

test('a hub that is killed in the middle of a query answers it when it is asked again', async () => {
  it.flow('check-user', query())
  const killed = new HubUnderTest({ dataFolder: it.dataFolder, flowFiles: it.flowFiles })
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

const faulty = `from: { xi: { path: /xi/faults } }
steps:
  - map:
      set:
        body: <UserFault>locked</UserFault>
        type: application/xml
        attributes: { fault: { name: UserFault, namespace: 'urn:example:crm' } }
to: []
`
const rejects = 'steps: [{ filter: { keep: message.size > 99, otherwise: reject, reason: Name a user. } }]\nto:'

test('a query that takes too long, and one that cannot be answered, are told so', async () => {
  it.flow('late', query().replace('/xi/user', '/xi/late').replace('60s', '200ms'))
  it.flow('refused', query().replace('/xi/user', '/xi/refused'))
  it.flow('told', query().replace('/xi/user', '/xi/told').replace('within:', 'tell-errors: true, within:'))
  it.flow('faults', faulty)
  it.flow(
    'rejects',
    query()
      .replace('/xi/user', '/xi/rejects')
      .replace(/steps:.*to:/s, rejects),
  )
  await it.start()
  crm.hold()
  const late = await sendXi(`${it.url}/xi/late`, ask)
  expect(late).toMatchObject({ status: 500, fault: { error: { code: 'XI_LATE', category: 'XIServer', retry: 'A' } } })
  crm.replies.push({ status: 200, headers: { 'content-type': 'text/plain' }, body: 'enabled' })
  crm.release()
  await it.ended(1)
  // The answer was kept for the one who asks again.
  expect((await sendXi(`${it.url}/xi/late`, ask)).document).toBe('<UserAnswer>enabled</UserAnswer>')
  crm.replies.push({ status: 422, body: 'the secret words of the other side' })
  const refused = await sendXi(`${it.url}/xi/refused`, { ...ask, messageId: messageId(9) })
  expect(refused).toMatchObject({
    status: 500,
    fault: { code: 'SOAP:Server', error: { code: 'XI_FAILED', retry: 'M' } },
  })
  // They are for the people of the hub, who find them by the id in the answer.
  expect(refused.fault?.text).toMatch(/^Message [0-9A-Z]{11} was taken in but not delivered \(HTTP_REFUSED\)/)
  crm.replies.push({ status: 422, headers: { 'content-type': 'text/plain' }, body: 'words for callers too' })
  const told = await sendXi(`${it.url}/xi/told`, { ...ask, messageId: messageId(10) })
  expect(told.fault).toMatchObject({ text: expect.stringContaining('words for callers too') })
  const fault = { name: 'UserFault', namespace: 'urn:example:crm' }
  const faults = () => sendXi(`${it.url}/xi/faults`, { ...ask, messageId: messageId(11) })
  const fromFlow = await faults()
  expect(fromFlow).toMatchObject({
    status: 200,
    header: { messageClass: 'ApplicationError', error: { category: 'Application', faultMessage: fault } },
    document: '<UserFault>locked</UserFault>',
  })
  await it.start()
  expect(await faults()).toMatchObject({ header: { error: fromFlow.header?.error }, document: fromFlow.document })
  const rejected = await sendXi(`${it.url}/xi/rejects`, { ...ask, messageId: messageId(10) })
  expect(rejected.fault).toMatchObject({
    text: 'Name a user.',
    error: { category: 'Application', code: 'XI_REJECTED' },
  })
})

test('what a message led to goes back as a response message and as the acknowledgement that was asked for', async () => {
  it.flow(
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
  it.flow('xi-acknowledgements', `from: { answers: {} }\nto: { xi: { url: "${s4.url}", acknowledge: asked } }\n`)
  await it.start()
  crm.replies.push({ status: 200, headers: { 'content-type': 'application/json' }, body: '{"accountid":"A-1"}' })
  crm.replies.push({ status: 422, body: 'creditlimit below 0' })
  const acksWanted = ['Application', 'ApplicationError'] as const
  await sendXi(`${it.url}/xi`, { acksWanted })
  await it.ended(2)
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
  await sendXi(`${it.url}/xi`, { acksWanted, messageId: messageId(2) })
  await it.ended(3)
  expect(s4.seen.at(-1)?.header).toMatchObject({
    messageClass: 'ApplicationError',
    refToMessageId: messageId(2).replaceAll('-', ''),
    ack: { status: 'Error', category: 'permanent' },
    error: { code: 'HTTP_REFUSED' },
  })
  // Nobody asked: nothing is sent.
  const before = s4.seen.length
  crm.replies.push({ status: 422 })
  await sendXi(`${it.url}/xi`, { messageId: messageId(3) })
  await it.ended(4)
  expect(s4.seen).toHaveLength(before)
})

const toS4 = (more = '') =>
  `to: { xi: { url: "${s4.url}", sender: { service: ISTHMUS }, receiver: { service: S4H100 }, interface: SI_In, namespace: urn:x${more} } }
`

test('a lost answer is repeated with the same id, and one that S/4HANA had already counts as taken', async () => {
  it.flow(
    'out',
    `from: { https: { path: /out } }\n${toS4(', acks: [system, application]')}delivery: { retry: { every: 50ms } }\n`,
  )
  it.flow('acks', `from: { xi: { path: /acks, takes: acknowledgements } }\n${toCrm()}`)
  await it.start()
  s4.replies.push(
    () => 'cut',
    message =>
      xiAnswer({
        ...answerHeader(message),
        ack: { status: 'Error', category: 'permanent' },
        error: { category: 'XIProtocol', area: 'MESSAGE', code: 'DUPLICATE_DETECTED', parameters: [] },
      }),
  )
  await fetch(`${it.url}/out`, { method: 'POST', body: '<C/>', headers: { 'content-type': 'text/xml' } })
  const [sent] = await it.ended(1)
  const [first, second] = s4.seen.map(({ header }) => header)
  expect(second).toEqual(first)
  expect(first).toMatchObject({ quality: 'ExactlyOnce', acksWanted: ['System', 'Application'] })
  const detail = await it.hub.store.get(sent?.id ?? '')
  expect(detail?.summary).toMatch(/has message [0-9a-f]{32} already/)

  // The acknowledgement comes later, and both are found by the id of the message.
  const id = first?.messageId ?? ''
  const ack = { messageClass: 'ApplicationAck', refToMessageId: id, quality: undefined } as const
  await sendXi(`${it.url}/acks`, { ...ack, messageId: messageId(7), ack: { status: 'OK' } }, [])
  await it.ended(2)
  expect(JSON.parse(crm.requests.at(-1)?.body.toString() ?? '')).toMatchObject({
    messageClass: 'ApplicationAck',
    refToMessageId: id,
    status: 'OK',
  })
  const found = await it.hub.store.find({ term: id.toUpperCase(), limit: 10 })
  expect(found.map(row => row.flow).toSorted()).toEqual(['acks', 'out'])
})

test('the words of SAP decide whether a message is tried again', async () => {
  it.flow('out', `from: { https: { path: /out } }\n${toS4()}delivery: { retry: { every: 50ms } }\n`)
  await it.start()
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
  await fetch(`${it.url}/out`, { method: 'POST', body: '<C/>' })
  const [row] = await it.ended(1, 'set-aside')
  expect(s4.seen).toHaveLength(3)
  expect(row?.error).toMatchObject({ code: 'XIRECEIVER_REFUSED', side: 'receiver' })
  expect(row?.error?.message).toContain('no number range')
})

const dynamic = ", qos: BE, dynamic: [{ namespace: 'urn:d', name: Company, value: C1 }]"

test('a query of the hub gets the answer of S/4HANA', async () => {
  it.flow(
    'price',
    `from: { https: { path: /price, answer: result } }\nsteps: [{ call: { ${toS4(dynamic).trim()} } }]\nto: []\n`,
  )
  await it.start()
  const written = (message: Parameters<typeof answerHeader>[0]) =>
    writeXiMessage(
      { ...answerHeader(message), ack: undefined, messageClass: 'ApplicationResponse', isSynchronous: true },
      [document('<Price>7</Price>')],
    )
  s4.replies.push(message => {
    const { type, stream } = written(message)
    return { status: 200, headers: { 'content-type': type }, body: stream() }
  })
  const answer = await fetch(`${it.url}/price`, { method: 'POST', body: '<Q/>' })
  expect([answer.status, await answer.text()]).toEqual([200, '<Price>7</Price>'])
  expect(s4.seen[0]?.header).toMatchObject({
    isSynchronous: true,
    quality: 'BestEffort',
    dynamic: [{ namespace: 'urn:d', name: 'Company', value: 'C1' }],
  })
})

const response = (message: Parameters<typeof answerHeader>[0], payloads: readonly XiPayloadOut[]) => {
  const header = { ...answerHeader(message), ack: undefined, messageClass: 'ApplicationResponse' } as const
  const { type, stream } = writeXiMessage({ ...header, isSynchronous: true }, payloads)
  return { status: 200, headers: { 'content-type': type }, body: stream() }
}

test('attachments of the answer to a query are refused, left out or handed on, as the flow says', async () => {
  const flow = (name: string, more: string) =>
    it.flow(
      name,
      `from: { https: { path: /${name}, answer: result } }\nsteps: [{ call: { ${toS4(`, qos: BE${more}`).trim()} } }]\nto: []\n`,
    )
  flow('refuse', '')
  flow('drop', ', attachments: drop')
  flow('whole', ', take: message')
  await it.start()
  const ask = async (name: string, payloads: readonly XiPayloadOut[]) => {
    s4.replies.push(message => response(message, payloads))
    const answer = await fetch(`${it.url}/${name}`, { method: 'POST', body: '<Q/>' })
    return { status: answer.status, type: answer.headers.get('content-type') ?? '', text: await answer.text() }
  }
  const both = [document('%PDF', 'ApplicationAttachment'), document('<Price>7</Price>')]
  expect((await ask('refuse', both)).status).toBe(502)
  const [row] = await it.ended(1, 'set-aside')
  expect(row?.error).toMatchObject({ code: 'XIRECEIVER_ATTACHMENTS_REFUSED', side: 'receiver' })
  expect(await ask('drop', both)).toMatchObject({ status: 200, text: '<Price>7</Price>' })
  const whole = await ask('whole', both)
  expect(whole).toMatchObject({ status: 200, type: expect.stringMatching(/^multipart\/related; boundary=/) })
  expect(whole.text).toContain('%PDF')
  expect(whole.text).toContain('<SAP:MessageClass>ApplicationResponse</SAP:MessageClass>')
  // An attachment that comes alone is the document, and a document is XML, whatever type a system leaves on it.
  expect((await ask('refuse', [document('<Alone/>', 'ApplicationAttachment')])).text).toBe('<Alone/>')
  const octets = { ...document('<Price>8</Price>'), type: 'application/octet-stream' }
  expect(await ask('refuse', [octets])).toMatchObject({ type: 'application/xml', text: '<Price>8</Price>' })
})

test('a query that is answered in words nobody understands is not asked again, unless the flow says so', async () => {
  const flow = (name: string, more: string) =>
    it.flow(
      name,
      `from: { https: { path: /${name} } }\nsteps: [{ call: { ${toS4(`, qos: BE${more}`).trim()} } }]\nto: []\ndelivery: { retry: { every: 50ms } }\n`,
    )
  flow('once', '')
  flow('again', ', on-unknown: send-again')
  await it.start()
  const page = () => ({ status: 200, headers: { 'content-type': 'text/html' }, body: '<html>Welcome</html>' })
  const ask = async (name: string) => {
    s4.replies.push(page, message => response(message, [document('<Price>7</Price>')]))
    await fetch(`${it.url}/${name}`, { method: 'POST', body: '<Q/>' })
  }
  await ask('again')
  await it.ended(1)
  expect(s4.seen).toHaveLength(2)
  await ask('once')
  const [row] = await it.ended(1, 'set-aside')
  expect(row?.error?.code).toBe('XIRECEIVER_ANSWER_UNCLEAR')
  expect(s4.seen).toHaveLength(3)
})

test('an application fault of S/4HANA is about the message, not about the line', async () => {
  it.flow(
    'price',
    `from: { https: { path: /price, answer: result } }\nsteps: [{ call: { ${toS4(', qos: BE').trim()} } }]\nto: []\n`,
  )
  await it.start()
  const error = { category: 'Application', area: 'APPLICATION', code: 'FAULT', parameters: [] }
  s4.replies.push(message => {
    const header = { ...answerHeader(message), ack: undefined, messageClass: 'ApplicationError', error } as const
    const { type, stream } = writeXiMessage(header, [document('<Fault><Text>no such item</Text></Fault>')])
    return { status: 200, headers: { 'content-type': type }, body: stream() }
  })
  expect((await fetch(`${it.url}/price`, { method: 'POST', body: '<Q/>' })).status).toBe(502)
  const [row] = await it.ended(1, 'set-aside')
  expect(row?.error).toMatchObject({
    code: 'XIRECEIVER_APPLICATION_FAULT',
    message: expect.stringContaining('no such item'),
  })
  expect(it.hub.engine.flows()[0]?.links.filter(({ state }) => state === 'down')).toEqual([])
})

// ---- a query whose answer comes by another message -----------------------------------------------------------------

const bridge = () => {
  it.flow(
    'ask-s4',
    `from: { xi: { path: /xi/stock, within: 60s } }
steps:
  - call:
      to:
        xi:
          url: "${s4.url}"
          sender: { service: ISTHMUS }
          receiver: { service: S4H100 }
          interface: SI_StockQuery_In
          namespace: urn:x
          ref-to: '\${message.messageId}'
      into: nothing
  - lookup: { map: replies, key: '\${message.messageId}', into: reply, missing: wait }
  - map: { set: { body: '\${message.reply}', type: application/xml } }
  - remember: { map: replies, key: '\${message.messageId}', forget: true }
to: []
delivery: { retry: { every: 50ms, up-to: 200ms, for: 1h } }
`,
  )
  it.flow(
    'replies',
    `from: { xi: { path: /xi/replies } }
steps:
  - remember: { map: replies, key: '\${message.refToMessageId}', value: '\${message.body}' }
to: []
`,
  )
}
const reply = (url: string, number: number) =>
  sendXi(
    `${url}/xi/replies`,
    { messageId: messageId(100 + number), refToMessageId: messageId(number).replaceAll('-', '') },
    [document(`<Stock>${number}</Stock>`)],
  )

test('a query that is answered by a later message waits for it, each for its own', async () => {
  bridge()
  await it.start()
  const answers = [1, 2].map(number => sendXi(`${it.url}/xi/stock`, { ...ask, messageId: messageId(number) }))
  await waitFor('both queries', 20_000, () => s4.seen.length === 2)
  expect(s4.seen[0]?.header).toMatchObject({ messageClass: 'ApplicationMessage', quality: 'ExactlyOnce' })
  await reply(it.url, 2)
  await reply(it.url, 1)
  expect((await Promise.all(answers)).map(answer => answer.document)).toEqual(['<Stock>1</Stock>', '<Stock>2</Stock>'])
  expect(await it.hub.store.keyMaps()).toEqual([])
})

test('its correlation survives a kill: the reply comes to the next process, and so does who asks again', async () => {
  bridge()
  const killed = new HubUnderTest({ dataFolder: it.dataFolder, flowFiles: it.flowFiles })
  try {
    await killed.start()
    const lost = sendXi(`${killed.endpointsUrl}/xi/stock`, { ...ask, messageId: messageId(1) }).then(
      () => 'answered',
      () => 'connection lost',
    )
    await waitFor('the query', 20_000, () => s4.seen.length === 1)
    await killed.kill9()
    expect(await lost).toBe('connection lost')
    await killed.start()
    await reply(killed.endpointsUrl, 1)
    const again = await sendXi(`${killed.endpointsUrl}/xi/stock`, { ...ask, messageId: messageId(1) })
    expect(again.document).toBe('<Stock>1</Stock>')
    // S/4HANA was asked once, or again under the same id, which it takes once.
    expect(new Set(s4.seen.map(({ header }) => header?.messageId)).size).toBe(1)
  } finally {
    await killed.stop()
  }
})

test('a message of 144 MiB passes through the hub in flat memory', async () => {
  it.flow('large', `from: { xi: { path: /xi } }\nsteps: [{ filter: { keep: message.size > 1 } }]\nto: []\n`)
  const hub = new HubUnderTest({ dataFolder: it.dataFolder, flowFiles: it.flowFiles })
  const chunk = Buffer.alloc(MiB, 'x')
  const peak = () => memoryOf(hub.pid)?.peakBytes ?? Number.NaN
  const ofSize = (megabytes: number, number: number) =>
    writeXiMessage({ ...xiRequest, messageId: messageId(number).replaceAll('-', '') }, [
      {
        ...document(''),
        bytes: megabytes * MiB,
        async *stream() {
          for (let count = 0; count < megabytes; count++) yield chunk
        },
      },
    ])
  const send = async (megabytes: number, number: number) => {
    const { type, stream } = ofSize(megabytes, number)
    const body = Readable.toWeb(Readable.from(stream()))
    const init = { method: 'POST', headers: { 'content-type': type }, body, duplex: 'half' }
    return (await fetch(`${hub.endpointsUrl}/xi`, init as RequestInit)).status
  }
  try {
    await hub.start()
    // The first one brings what every message of some size needs: buffers that wait for the garbage collector.
    expect(await send(64, 1)).toBe(200)
    const before = peak()
    expect(await send(144, 2)).toBe(200)
    const grown = peak() - before
    expect(grown / MiB).toBeLessThan(32)
    await waitFor('both', 60_000, async () => (await hub.flow('large')).counts.delivered === 2)
  } finally {
    await hub.stop()
  }
})
