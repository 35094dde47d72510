import { afterEach, describe, expect, test } from 'vitest'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { mail, mailWorld, orders, stopWorlds, whenTestEnds } from './mail-world.ts'

afterEach(stopWorlds)

describe('routing', () => {
  test('by recipient, sender, subject, size and attachment: which receiver, reject, set aside', async () => {
    const world = await mailWorld({
      flows: [
        ({ s4 }) => {
          const smtp = (to: string) => ({ smtp: { host: '127.0.0.1', port: s4, security: 'none', to } })
          return {
            steps: [
              {
                choose: [
                  { when: "'returns@contoso.com' in message.to", to: smtp('returns@s4.example') },
                  { when: "message.from.endsWith('@litware.example')", to: smtp('litware@s4.example') },
                  { when: "message.subject.startsWith('SPAM')", reject: 'Nobody wants that.' },
                  { when: 'message.size > 100000', 'set-aside': 'Its ${message.size} bytes are too many.' },
                  {
                    when: "message.attachments.exists(a, a.name.endsWith('.pdf'))",
                    to: smtp('invoices@s4.example'),
                  },
                ],
              },
            ],
          }
        },
      ],
    })
    const pdf = ['MIME-Version: 1.0', 'Content-Type: multipart/mixed; boundary=b']
    const parts =
      '--b\r\nContent-Type: text/plain\r\n\r\nhi\r\n--b\r\nContent-Type: application/pdf; name="i.pdf"\r\n' +
      'Content-Disposition: attachment; filename="i.pdf"\r\n\r\n%PDF\r\n--b--'
    world.exchange.deliver(orders, mail('return', { header: ['To: Returns <returns@contoso.com>'] }))
    world.exchange.deliver(orders, mail('from litware', { header: ['From: <a@litware.example>'] }))
    world.exchange.deliver(orders, mail('SPAM and more'))
    world.exchange.deliver(orders, mail('large', { body: 'x'.repeat(100_000) }))
    world.exchange.deliver(orders, mail('invoice', { header: pdf, body: parts }))
    world.exchange.deliver(orders, mail('order'))
    await world.emptied()
    const routes = Object.fromEntries(
      world.s4.received.map(({ messageId, to }) => [messageId.replace(/<|@.*/g, ''), to[0]]),
    )
    expect(routes).toEqual({
      return: 'returns@s4.example',
      'from-litware': 'litware@s4.example',
      invoice: 'invoices@s4.example',
      order: 'orders@s4.example',
    })
    expect(world.s4.counts()).toEqual({ SAPOFFICE: 2, ZCL_INBOUND_INVOICES: 1, ZCL_INBOUND_ORDERS: 1 })
    expect((await world.only('rejected')).summary).toBe('Nobody wants that.')
    expect((await world.only('set-aside')).summary).toMatch(/^Its 100\d{3} bytes are too many\.$/)
    expect(world.subjects(orders, 'Failed').toSorted()).toEqual(['SPAM and more', 'large'])
  })
})

describe('envelope', () => {
  test('sender from Return-Path or From, null for automatic mail, recipients from the mail', async () => {
    const world = await mailWorld({
      flows: [{ smtp: { to: undefined } }],
      s4: { clients: [{ client: '100', domains: ['contoso.com'] }] },
    })
    const deliver = (subject: string, ...header: string[]) => world.exchange.deliver(orders, mail(subject, { header }))
    deliver('return path', 'Return-Path: <bounces@adatum.example>')
    deliver('from only')
    deliver('vacation', 'Auto-Submitted: auto-replied')
    deliver('bounce', 'Return-Path: <>', 'Content-Type: multipart/report; report-type=delivery-status')
    deliver('broken from', 'From: "account)@silly.test(his host)"')
    deliver('several', 'To: a@contoso.com, B <b@contoso.com>', 'Cc: a@contoso.com', 'Delivered-To: c@contoso.com')
    await world.emptied()
    const envelopes = Object.fromEntries(
      world.s4.received.map(({ messageId, from, to }) => [messageId.replace(/<|@.*/g, ''), [from, ...to.toSorted()]]),
    )
    expect(envelopes).toEqual({
      'return-path': ['bounces@adatum.example', orders],
      'from-only': ['purchasing@adatum.example', orders],
      vacation: ['', orders],
      bounce: ['', orders],
      'broken-from': ['', orders],
      several: ['purchasing@adatum.example', 'a@contoso.com', 'b@contoso.com', 'c@contoso.com'],
    })
  })

  test('8-bit mails and addresses beyond ASCII are declared where the server offers it', async () => {
    const world = await mailWorld({
      flows: [{ smtp: { to: '${message.to}' } }],
      s4: { clients: [{ client: '100', domains: ['contoso.com'] }], extensions: { smtpUtf8: true } },
    })
    world.exchange.deliver(orders, mail('umlaut', { body: 'Größe 3' }))
    world.exchange.deliver(orders, mail('utf8', { header: ['To: jürgen@contoso.com'] }))
    await world.emptied()
    const parameters = Object.fromEntries(world.s4.received.map(sent => [sent.messageId, sent.parameters]))
    expect(parameters['<umlaut@adatum.example>']).toContain('BODY=8BITMIME')
    expect(parameters['<utf8@adatum.example>']).toContain('SMTPUTF8')
    expect(world.s4.received.flatMap(({ to }) => to).toSorted()).toEqual(['jürgen@contoso.com', orders])
  })
})

describe('refusals', () => {
  test('for now: tried again by policy until it is taken, once', async () => {
    const world = await mailWorld()
    for (const [at, code] of [
      ['rcpt', 451],
      ['data', 452],
      ['end', 421],
    ] as const)
      world.s4.faults.refuse({ at, code })
    world.exchange.deliver(orders, mail('order 1'))
    await world.emptied()
    const message = await world.only('delivered')
    expect(world.arrived()).toEqual(['order 1'])
    expect((await world.detail(message.id)).failures.map(({ error }) => error.code)).toEqual([
      'SMTP_REFUSED_FOR_NOW',
      'SMTP_REFUSED_FOR_NOW',
      'SMTP_REFUSED_FOR_NOW',
    ])
    expect(message.summary).toMatch(/^250 Mail accepted, document FOL\d+EXT\d+$/)
  })

  test('for now, without end: set aside after its time with the last answer', async () => {
    const world = await mailWorld({
      flows: [{ delivery: { retry: { every: '100ms', 'up-to': '100ms', for: '500ms' } } }],
    })
    world.s4.faults.refuse({ at: 'rcpt', code: 451, text: 'Work processes are busy', times: 1_000 })
    world.exchange.deliver(orders, mail('order 1'))
    const { error } = await world.only('set-aside')
    expect(error?.message).toMatch(/^After \d attempts .* it still failed\. .*451 Work processes are busy/)
    await world.emptied()
    expect(world.subjects(orders, 'Failed')).toEqual(['order 1'])
  })

  test('some of several recipients: the others get it, the receipt names the refused', async () => {
    const world = await mailWorld({ flows: [{ smtp: { to: ['orders@s4.example', 'x@elsewhere.example'] } }] })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.only('delivered')
    const [receipt] = (await world.detail(id)).receipts
    expect(receipt).toMatchObject({
      state: 'done',
      fields: { recipients: ['orders@s4.example'], refused: [{ recipient: 'x@elsewhere.example' }] },
    })
    expect(JSON.stringify(receipt)).toContain('unknown recipient in client 100')
  })

  test('some of several recipients, and the flow wants all or nobody: nobody gets it', async () => {
    const world = await mailWorld({
      flows: [{ smtp: { to: ['orders@s4.example', 'x@elsewhere.example'], 'some-refused': 'refuse' } }],
    })
    world.exchange.deliver(orders, mail('order 1'))
    const { error } = await world.only('set-aside')
    expect(error?.code).toBe('SMTP_SOME_RECIPIENTS_REFUSED')
    expect(world.s4.received).toEqual([])
  })

  test('too large: refused by the announced SIZE before the body travels', async () => {
    const world = await mailWorld({ s4: { extensions: { sizeMax: 50_000 } } })
    world.exchange.deliver(orders, mail('large', { body: 'x'.repeat(60_000) }))
    world.exchange.deliver(orders, mail('order 1'))
    const { error } = await world.only('set-aside')
    expect(error).toMatchObject({
      code: 'SMTP_TOO_LARGE',
      next: expect.stringContaining('Raise the limit of the server'),
    })
    await world.reached(1)
    await world.emptied()
    expect(world.subjects(orders, 'Failed')).toEqual(['large'])
  })

  test('a mail that goes in circles is set aside: own domain, own address', async () => {
    const world = await mailWorld({
      flows: [{ smtp: { loop: { 'own-domains': ['s4.example'], 'received-max': 20 } } }],
    })
    const hops = Array.from({ length: 21 }, (_, hop) => `Received: from mx${hop}.example by mail.contoso.com`)
    world.exchange.deliver(orders, mail('from s4', { header: ['From: batch@s4.example'] }))
    world.exchange.deliver(orders, mail('x-loop', { header: ['X-Loop: orders@s4.example'] }))
    world.exchange.deliver(orders, mail('hops', { header: hops }))
    await world.until('three to be set aside', async () => (await world.find('state=set-aside')).length === 3)
    const codes = (await world.find('state=set-aside')).map(({ error }) => error?.code)
    expect(codes).toEqual(['SMTP_LOOP', 'SMTP_LOOP', 'SMTP_LOOP'])
    expect(world.s4.received).toEqual([])
    await world.emptied()
  })

  test('the sender is told when bounce says so, and nobody is for automatic mail', async () => {
    const relay = await startS4Smtp({ clients: [{ client: '000', domains: ['adatum.example'] }] })
    whenTestEnds(() => relay.stop())
    const server = { host: '127.0.0.1', port: relay.port, security: 'none' }
    const world = await mailWorld({ flows: [{ smtp: { helo: 'hub.contoso.com', bounce: { server } } }] })
    world.s4.faults.refuse({ at: 'rcpt', code: 550, text: 'unknown recipient in client 100', times: 2 })
    world.exchange.deliver(orders, mail('order 1'))
    world.exchange.deliver(orders, mail('vacation', { header: ['Auto-Submitted: auto-replied'] }))
    await world.emptied()
    expect(relay.received.map(({ from, to }) => ({ from, to }))).toEqual([
      { from: '', to: ['purchasing@adatum.example'] },
    ])
    expect(relay.received[0]?.octets?.toString()).toContain('550 unknown recipient in client 100')
  })
})

describe('in doubt', () => {
  async function lostAnswer(smtp: object = {}) {
    const world = await mailWorld({ flows: [{ smtp }] })
    world.s4.faults.drop({ at: 'answer' })
    world.exchange.deliver(orders, mail('order 1'))
    return world
  }

  test('the connection is lost after the dot: set aside with the Message-ID to look for, and then skipped', async () => {
    const world = await lostAnswer()
    const { id, error } = await world.only('set-aside')
    expect(error?.code).toBe('SMTP_OUTCOME_UNKNOWN')
    expect(error?.next).toContain('Look for Message-ID <order-1@adatum.example>')
    // S/4HANA has it, so nobody may send it again.
    await world.ask('POST', `/api/messages/${id}/skip`, { reason: 'S/4HANA has it' })
    expect(await world.detail(id)).toMatchObject({ state: 'skipped', summary: 'S/4HANA has it' })
    expect(world.s4.received).toHaveLength(1)
  })

  test('or replayed, when the other side does not have it', async () => {
    const world = await mailWorld()
    world.s4.faults.drop({ at: 'end' })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.only('set-aside')
    expect(world.s4.received).toEqual([])
    await world.ask('POST', `/api/messages/${id}/replay`)
    await world.only('delivered')
    expect(world.arrived()).toEqual(['order 1'])
  })

  test('or sent again at once, where doubles do no harm', async () => {
    const world = await lostAnswer({ 'on-unknown': 'send-again' })
    await world.only('delivered')
    expect(world.arrived()).toEqual(['order 1', 'order 1'])
  })

  test('a connection lost before the dot leaves no doubt: it is sent again', async () => {
    const world = await mailWorld()
    world.s4.faults.drop({ at: 'data' })
    world.exchange.deliver(orders, mail('order 1'))
    await world.only('delivered')
    expect(world.arrived()).toEqual(['order 1'])
  })
})

describe('the very bytes', () => {
  test('a signed mail of 2 MiB leaves as it came, and is kept so', async () => {
    const world = await mailWorld()
    const signed = mail('signed', {
      header: [
        'MIME-Version: 1.0',
        'Content-Type: multipart/signed; protocol="application/pkcs7-signature"; boundary=s',
      ],
      body: `--s\r\n\r\n${'trailing blanks  \r\n.\r\n..dots\r\n'.repeat(70_000)}--s--`,
    })
    world.exchange.deliver(orders, signed)
    const message = await world.only('delivered')
    expect(world.s4.received[0]?.octets?.equals(signed)).toBe(true)
    const body = await world.call('GET', `/api/messages/${message.id}/body`)
    expect(Buffer.from(await body.arrayBuffer()).equals(signed)).toBe(true)
  })

  test('a mail is found from either end: by its Message-ID, and by the number of the document in S/4HANA', async () => {
    const world = await mailWorld()
    for (const number of [1, 2, 3]) world.exchange.deliver(orders, mail(`order ${number}`))
    await world.emptied()
    const [first] = await world.find('term=%3Corder-2@adatum.example%3E')
    const document = /document (\S+)/.exec(first?.summary ?? '')?.[1] ?? ''
    expect(document).toMatch(/^FOL\d{14}EXT\d{14}$/)
    for (const term of ['order-2@adatum.example', 'order-2*', document, `${document.slice(0, -14)}*`]) {
      const found = await world.find(`term=${encodeURIComponent(term)}`)
      expect(found.map(({ id }) => id)).toContain(first?.id)
    }
    expect(await world.find(`term=${document}`)).toHaveLength(1)
  })

  test('a header is added only where the flow says so', async () => {
    const world = await mailWorld({ flows: [{ smtp: { headers: { add: { 'X-Isthmus-Id': '${message.id}' } } } }] })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.only('delivered')
    expect(world.s4.received[0]?.octets?.toString()).toBe(`X-Isthmus-Id: ${id}\r\n${mail('order 1').toString()}`)
  })
})

describe('submission to Exchange Online', () => {
  const submission = (smtp: object = {}) =>
    mailWorld({
      flows: [
        ports => ({
          to: {
            smtp: {
              host: '127.0.0.1',
              port: ports.submission,
              auth: 'm365-mail',
              ca: 'exchange-ca.pem',
              from: orders,
              to: 'team@contoso.com',
              ...smtp,
            },
          },
        }),
      ],
    })

  test('STARTTLS, XOAUTH2 with the token of the delegate, and the answer as receipt', async () => {
    const world = await submission({ user: orders })
    world.exchange.deliver(orders, mail('order 1'))
    const { summary } = await world.only('delivered')
    expect(summary).toMatch(/^250 2\.0\.0 OK <order-1@adatum\.example> \[Hostname=/)
    expect(world.submission.received).toMatchObject([{ user: orders, isEncrypted: true, from: orders }])
    expect(world.submission.received[0]?.octets?.equals(mail('order 1'))).toBe(true)
  })

  test('a token that has come of age is renewed, and a busy server is asked again', async () => {
    const world = await submission()
    world.exchange.deliver(orders, mail('order 1'))
    await world.emptied()
    world.signIn.setFaults({ expireTokens: true })
    world.submission.throttle(2)
    world.exchange.deliver(orders, mail('order 2'))
    await world.emptied()
    expect(world.submission.received.map(({ messageId }) => messageId)).toEqual([
      '<order-1@adatum.example>',
      '<order-2@adatum.example>',
    ])
  })

  test('an automatic mail goes as the mailbox, which may not send as nobody; a bounce does not go, and holds nobody up', async () => {
    const world = await submission()
    world.exchange.deliver(orders, mail('order 1', { header: ['Auto-Submitted: auto-generated'] }))
    await world.only('delivered')
    expect(world.submission.received).toMatchObject([{ from: orders }])
    world.exchange.deliver(orders, mail('undelivered', { header: ['Return-Path: <>', 'Auto-Submitted: auto-replied'] }))
    const { error } = await world.detail((await world.only('set-aside')).id)
    expect(error).toMatchObject({ code: 'SMTP_REFUSED', message: expect.stringContaining('SendAsDenied') })
  })

  test('a sender whose address is not ours waits for a change of rights, not for ever in vain', async () => {
    const world = await submission({ from: 'boss@contoso.com' })
    world.exchange.deliver(orders, mail('order 1'))
    const { id } = await world.until('the refusal', async () =>
      (await world.find('state=queued')).find(each => each.error),
    )
    const { error } = await world.detail(id)
    expect(error).toMatchObject({ code: 'SMTP_SEND_AS_DENIED', next: expect.stringContaining('Grant Send As') })
  })
})
