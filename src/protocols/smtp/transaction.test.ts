import { Duplex } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import { type Body, heldBody } from '../../kernel/body.ts'
import type { Connect, ConnectRequest } from '../../kernel/socket.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { parseAddress } from './address.ts'
import type { SmtpConnection } from './connection.ts'
import { smtpErrors } from './errors.ts'
import { fateOfMail, type Handover, readHandover } from './handover.ts'
import { openSession, type SmtpServer } from './session.ts'
import {
  closeWorld,
  failure,
  mail,
  order,
  quickTimeouts,
  scripted,
  serverAt,
  session,
  surroundings,
  twin,
} from './smtp-world.ts'
import { type Mail, sendMail } from './transaction.ts'

afterEach(closeWorld)

const send = (connection: SmtpConnection, what: Mail) => sendMail(connection, what, quickTimeouts)

/** The same bytes in chunks of `size`, as they come from a body store. */
function inChunks(octets: Uint8Array, size: number): Body {
  return {
    bytes: octets.length,
    type: 'message/rfc822',
    held: undefined,
    async *stream() {
      for (let from = 0; from < octets.length; from += size) yield octets.subarray(from, from + size)
    },
  }
}

/** A connection that says of every piece at once that it was written, and keeps it for later. */
async function openQueue(request: ConnectRequest): Promise<Duplex> {
  const socket = await surroundings.connect(request)
  const queue: Buffer[] = []
  const timer = setInterval(() => socket.write(Buffer.concat(queue.splice(0))), 20)
  const stream = new Duplex({
    read() {},
    write(piece: Buffer, _encoding, done) {
      queue.push(piece)
      done()
    },
    destroy(_error, done) {
      clearInterval(timer)
      socket.destroy()
      done(null)
    },
  })
  socket.on('data', chunk => stream.push(chunk))
  socket.on('close', () => stream.destroy())
  return stream
}

const head = 'Subject: x\r\n\r\n'
const hostile: Readonly<Record<string, string>> = {
  plain: `${head}hello\r\n`,
  'LF.LF smuggling': `${head}a\n.\nMAIL FROM:<evil@x>\r\n`,
  'CRLF.LF smuggling': `${head}a\r\n.\nMAIL FROM:<evil@x>\r\n`,
  'LF.CRLF smuggling': `${head}a\n.\r\nMAIL FROM:<evil@x>\r\n`,
  'CR.CR smuggling': `${head}a\r.\rMAIL FROM:<evil@x>\r\n`,
  'bare CR': `${head}a\rb\r\n`,
  NUL: `${head}a\0b\r\n`,
  'a line of 20,000': `${head}${'x'.repeat(20_000)}\r\n`,
  'no final line end': `${head}end`,
  'ends with CR': `${head}end\r`,
  'ends with LF': `${head}end\n`,
  'lines of dots': `${head}.\r\n..\r\n...\r\n.\r\n`,
  'a dot as first octet': `.\r\n${head}`,
  empty: '',
  'only CRLF': '\r\n',
  '8-bit body': `${head}Gr\u00fc\u00dfe\r\n`,
  'UTF-8 header': 'Subject: Grüße\r\n\r\nhello\r\n',
  'Bcc header': 'Bcc: secret@x.example\r\n\r\nhello\r\n',
}
const asCrlf = (text: string) => text.replace(/\r\n|\r|\n/g, '\r\n')
const withEnd = (text: string) => (text === '' || text.endsWith('\r\n') ? text : `${text}\r\n`)

describe('odd and hostile mails', () => {
  for (const [name, text] of Object.entries(hostile)) {
    const octets = Buffer.from(text)
    test(`${name}: arrives as it is by BDAT or DATA, whole or in chunks of 7 bytes`, async () => {
      const server = await twin()
      const connection = await session(server.port)
      for (const body of [heldBody(octets, 'message/rfc822'), inChunks(octets, 7)]) {
        await send(connection, await mail(body))
      }
      const [whole, chunked] = server.received
      // What DATA would change has gone by BDAT.
      const expected = text
      expect(whole?.octets?.toString()).toBe(expected)
      expect(chunked?.octets?.toString()).toBe(expected)
      expect(server.received).toHaveLength(2)
    })

    test(`${name}: never becomes two mails at a server without CHUNKING`, async () => {
      const server = await twin({ extensions: { chunking: false, pipelining: false } })
      const connection = await session(server.port)
      for (const body of [heldBody(octets, 'message/rfc822'), inChunks(octets, 7), inChunks(octets, 1)]) {
        const sent = await send(connection, await mail(body))
        expect(sent.hasRepairedLineEnds).toBe(asCrlf(text) !== text)
      }
      expect(server.received.map(({ octets }) => octets?.toString())).toEqual(Array(3).fill(withEnd(asCrlf(text))))
      expect(server.received.every(received => !received.hasBareLineEnd)).toBe(true)
    })
  }
})

describe('what is declared', () => {
  const cases: readonly [name: string, body: string, to: string, parameters: readonly string[]][] = [
    ['the size', order, 'orders@s4.example', ['SIZE=85']],
    ['8-bit octets', 'A: b\r\n\r\nGrüße\r\n', 'orders@s4.example', ['SIZE=17', 'BODY=8BITMIME']],
    ['binary octets', 'A: b\r\n\r\n\0\r\n', 'orders@s4.example', ['SIZE=11', 'BODY=BINARYMIME']],
    ['an address beyond ASCII', 'A: b\r\n\r\n', 'grüße@s4.example', ['SIZE=8', 'SMTPUTF8']],
  ]
  for (const [name, body, to, parameters] of cases) {
    test(name, async () => {
      const server = await twin()
      await send(await session(server.port), await mail(body, { to: [parseAddress(to)] }))
      expect(server.received[0]?.parameters).toEqual(parameters)
    })
  }

  test('nothing, where the server offers nothing', async () => {
    const extensions = { sizeMax: undefined, eightBitMime: false, chunking: false, smtpUtf8: false }
    const server = await twin({ extensions })
    const connection = await session(server.port)
    await send(connection, await mail('A: b\r\n\r\nGrüße\r\n'))
    expect(server.received[0]?.parameters).toEqual([])
    const error = await failure(send(connection, await mail(order, { to: [parseAddress('grüße@s4.example')] })))
    expect([error.code, error.retry]).toEqual(['SMTP_SMTPUTF8_MISSING', 'never'])
  })

  test.each([true, false])(
    'a recipient beyond ASCII does not cost the others the mail (pipelining: %s)',
    async pipelining => {
      const server = await twin({ extensions: { smtpUtf8: false, pipelining } })
      const connection = await session(server.port)
      const to = ['grüße@s4.example', 'orders@s4.example'].map(parseAddress)
      const sent = await send(connection, await mail(order, { to }))
      expect(sent).toMatchObject({ accepted: ['orders@s4.example'], refused: [{ recipient: 'grüße@s4.example' }] })
      expect(server.received.map(received => received.to)).toEqual([['orders@s4.example']])
      const error = await failure(send(connection, await mail(order, { to, someRefused: 'refuse' })))
      expect([error.code, error.fields['address']]).toEqual(['SMTP_SMTPUTF8_MISSING', 'grüße@s4.example'])
    },
  )

  test('a mail above the announced size is not even begun', async () => {
    const server = await twin({ extensions: { sizeMax: 50 } })
    const error = await failure(send(await session(server.port), await mail()))
    expect([error.code, error.retry]).toEqual(['SMTP_TOO_LARGE', 'never'])
    expect(error.message).toContain('it takes 50 bytes at most')
  })
})

describe('refusals', () => {
  const cases: readonly [at: 'mail' | 'rcpt' | 'data' | 'end' | 'body', reply: string, code: string, retry: string][] =
    [
      ['mail', '451 4.3.0 later', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['mail', '452 4.3.1 disk full', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['mail', '421 4.3.2 going down', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['mail', '421 Too many concurrent SMTP connections; try again', 'SMTP_TOO_MANY_CONNECTIONS', 'soon'],
      ['mail', '452 4.5.3 too many recipients', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['mail', '550 5.7.1 not you', 'SMTP_REFUSED', 'never'],
      ['mail', '552 5.3.4 too big', 'SMTP_TOO_LARGE', 'never'],
      ['mail', '530 5.7.57 Client not authenticated', 'SMTP_AUTH_NEEDED', 'after-change'],
      ['mail', '530 5.7.0 Must issue a STARTTLS command first', 'SMTP_TLS_NEEDED', 'after-change'],
      ['rcpt', '450 4.2.1 busy', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['rcpt', '421 4.7.0 enough', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['rcpt', '552 5.2.2 mailbox full', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['rcpt', '552 5.7.1 not from outside', 'SMTP_RECIPIENT_REFUSED', 'never'],
      ['rcpt', '550 5.1.1 unknown', 'SMTP_RECIPIENT_REFUSED', 'never'],
      ['data', '451 4.3.0 later', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['data', '554 5.5.1 no', 'SMTP_REFUSED', 'never'],
      ['body', '421 4.3.2 going down', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['rcpt', '450 4.2.1 too many concurrent connections for this mailbox', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['mail', '421 4.7.0 max connections reached', 'SMTP_TOO_MANY_CONNECTIONS', 'soon'],
      ['end', '432 4.3.2 STOREDRV.Deliver; recipient thread limit exceeded', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['end', '451 4.3.0 Mailbox locked by a concurrent delivery', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['end', '451 4.3.0 later', 'SMTP_REFUSED_FOR_NOW', 'soon'],
      ['end', '432 4.3.2 Concurrent connections limit exceeded.', 'SMTP_TOO_MANY_CONNECTIONS', 'soon'],
      ['end', '432 4.3.2 STOREDRV.ClientSubmit; sender thread limit exceeded', 'SMTP_TOO_MANY_CONNECTIONS', 'soon'],
      ['end', '554 5.6.0 content', 'SMTP_REFUSED', 'never'],
      ['end', '552 5.2.3 too big', 'SMTP_TOO_LARGE', 'never'],
      ['end', '552 too big', 'SMTP_TOO_LARGE', 'never'],
      ['end', '552 5.7.0 blocked for its attachment', 'SMTP_REFUSED', 'never'],
      ['end', '552 5.2.2 mailbox full', 'SMTP_REFUSED', 'never'],
      ['end', '554 5.2.0 SendAsDeniedException', 'SMTP_SEND_AS_DENIED', 'after-change'],
    ]
  const modes = { pipelined: {}, plain: { pipelining: false } }
  for (const [mode, extensions] of Object.entries(modes)) {
    for (const [at, reply, code, retry] of cases) {
      test(`${mode}: ${reply} at ${at}, and the connection goes on where it can`, async () => {
        const server = await twin({ extensions })
        const connection = await session(server.port)
        server.faults.refuse({ at, code: Number(reply.slice(0, 3)), text: reply.slice(4) })
        const error = await failure(send(connection, await mail()))
        expect([error.code, error.retry]).toEqual([code, retry])
        expect(error.isOutcomeUnknown).toBe(false)
        expect(error.message).toContain(reply.slice(0, 3))
        expect(connection.isUsable).toBe(!reply.startsWith('421'))
        if (connection.isUsable) await send(connection, await mail())
        expect(server.received).toHaveLength(connection.isUsable ? 1 : 0)
      })
    }
  }

  test.each(Object.entries(modes))(
    '%s: more recipients than the server takes at once would be too many again',
    async (_, extensions) => {
      const server = await twin({ extensions })
      const connection = await session(server.port)
      const to = ['a@s4.example', 'b@s4.example', 'c@s4.example'].map(parseAddress)
      for (const reply of ['452 4.5.3 Error: too many recipients', '552 Too many recipients']) {
        server.faults.refuse({ at: 'rcpt', code: Number(reply.slice(0, 3)), text: reply.slice(4), match: 'c@' })
        const error = await failure(send(connection, await mail(order, { to })))
        expect([error.code, error.retry]).toEqual(['SMTP_TOO_MANY_RECIPIENTS', 'never'])
        expect(error.fields).toMatchObject({ count: 3, countMax: 2, reply })
      }
      // Of the first one it is said for another reason.
      server.faults.refuse({ at: 'rcpt', code: 452, text: '4.5.3 Too many recipients (AS780090)', match: 'a@' })
      expect((await failure(send(connection, await mail(order, { to })))).code).toBe('SMTP_REFUSED_FOR_NOW')
      await send(connection, await mail(order, { to: to.slice(0, 2) }))
      expect(server.received).toHaveLength(1)
    },
  )

  test('by BDAT: the server eats the octets of a mail it refused, and the next one arrives', async () => {
    const server = await twin()
    const connection = await session(server.port)
    server.faults.refuse({ at: 'end', code: 554 })
    const odd = 'A: b\r\n\r\nbare\nline\0'
    expect((await failure(send(connection, await mail(odd)))).code).toBe('SMTP_REFUSED')
    const sent = await send(connection, await mail(odd))
    expect([sent.mode, server.received[0]?.octets?.toString()]).toEqual(['bdat', odd])
  })

  test.each([
    ['pipelined', '250-s\r\n250 PIPELINING\r\n'],
    ['plain', '250 s\r\n'],
  ])('%s: another yes than 250 is one, too', async (_mode, hello) => {
    const yes = ['251 forwarded\r\n', '259 fine\r\n', '354 go on\r\n', '250 taken\r\n']
    const server = await scripted(['220 s\r\n', hello, ...yes])
    const connection = await session(server.port)
    expect((await send(connection, await mail())).reply).toMatchObject({ code: 250, lines: ['taken'] })
  })

  test('a server that wants octets for nobody gets an empty mail, and has taken none', async () => {
    const server = await scripted([
      '220 s\r\n',
      '250-s\r\n250 PIPELINING\r\n',
      '250 ok\r\n',
      '550 5.1.1 unknown\r\n',
      '354 go on\r\n',
      '250 taken\r\n',
      '250 reset\r\n',
    ])
    const connection = await session(server.port)
    let commits = 0
    const beforeCommit = async () => {
      commits++
    }
    const error = await failure(send(connection, await mail(order, { beforeCommit })))
    expect(error.code).toBe('SMTP_RECIPIENT_REFUSED')
    expect(server.heard.slice(1)).toEqual([
      'MAIL FROM:<buyer@contoso.example>',
      'RCPT TO:<orders@s4.example>',
      'DATA',
      '.',
    ])
    expect([commits, connection.isUsable, connection.needsReset]).toEqual([0, true, true])
  })
})

describe('of a mail through a connector is told by what it can be asked for', () => {
  const trace = { location: 'dc-frankfurt', connector: 'c-1', stream: 'one' }

  /** A session whose octets up to the last mail, and that mail itself, are known from the other side. */
  async function traced({ port }: { readonly port: number }, options: Partial<SmtpServer> = {}) {
    const heard: Buffer[] = []
    const connect = async (request: ConnectRequest) => {
      const socket = await surroundings.connect(request)
      const write = socket.write.bind(socket)
      return Object.assign(socket, {
        trace,
        write: (piece: string | Uint8Array, ...more: []) => {
          heard.push(Buffer.from(piece))
          return write(piece, ...more)
        },
      })
    }
    const { upgrade } = surroundings.connect
    const through = { ...surroundings, connect: Object.assign(connect, { upgrade }) }
    const connection = await openSession(serverAt(port, options), through)
    return { connection, octets: () => Buffer.concat(heard).toString('latin1') }
  }

  const bodies = [order, 'A: b\r\n\r\nbare\nline', '', `${order}${'.and five more\r\n'.repeat(40_000)}`]
  const kinds = { all: {}, plain: { pipelining: false, chunking: false } }

  test.each(Object.entries(kinds))('where it begins, and where it ends: %s', async (name, extensions) => {
    const { connection, octets } = await traced(await twin({ extensions }))
    const modes = new Set<string>()
    for (const to of [['orders@s4.example'], ['orders@s4.example', 'sales@s4.example']]) {
      for (const body of bodies) {
        connection.needsReset = true
        const told: { least?: Handover | undefined; exact?: Handover } = {}
        const sent = await send(
          connection,
          await mail(body, {
            to: to.map(text => parseAddress(text)),
            async beforeCommit(given) {
              told.least = given
            },
            onHandedOver(given) {
              told.exact = given
            },
          }),
        )
        modes.add(sent.mode)
        const { least, exact } = told
        expect([least?.mailAt, exact?.mailAt]).toEqual(Array(2).fill(octets().lastIndexOf('MAIL FROM')))
        expect(exact?.written).toBe(octets().length)
        // Less than the whole mail, and more than all of it but its end and what DATA adds.
        expect(least?.written).toBeLessThanOrEqual(octets().length)
        expect(least?.written).toBeGreaterThanOrEqual((least?.mailAt ?? 0) + body.length)
        expect(exact).toMatchObject({ trace, accepted: to, refused: [], mode: sent.mode })
        expect(readHandover(JSON.parse(JSON.stringify(exact)))).toEqual(exact)
      }
    }
    expect(modes.size).toBe(name === 'all' ? 2 : 1)
    await connection.quit()
  })

  test('nothing of one on a direct connection, nor behind STARTTLS', async () => {
    const tls = await makeTwinCertificate()
    const server = await twin({ tls })
    const { connection } = await traced(server, { security: 'starttls', tls: { ca: tls.ca } })
    const told: unknown[] = []
    const watching = {
      beforeCommit: async (given: unknown) => void told.push(given),
      onHandedOver: (given: unknown) => void told.push(given),
    }
    for (const each of [await session(server.port), connection]) await send(each, await mail(order, watching))
    expect(told).toEqual([undefined, undefined])
    await connection.quit()
  })
})

describe('what became of a mail, as a connector knows it', () => {
  const handover: Handover = {
    trace: { location: 'dc-frankfurt', connector: 'c-1', stream: 'one' },
    mailAt: 20,
    written: 100,
    server: 's4:25',
    from: 'buyer@contoso.example',
    bytes: 70,
    accepted: ['orders@s4.example'],
    refused: [],
    mode: 'data',
    hasRepairedLineEnds: false,
  }
  const { signal } = new AbortController()
  const asked: unknown[] = []
  const fate = (passedOn: number, reply?: string) => {
    const known = { passedOn, reply: reply === undefined ? undefined : Buffer.from(reply) }
    const fateOf: Connect['fateOf'] = async (...question) => {
      asked.push(question)
      return known
    }
    return fateOfMail(handover, { fateOf }, signal)
  }

  test('with an octet missing it fell short, whatever else is said', async () => {
    expect(await fate(99)).toBe('fell-short')
    expect(await fate(99, '250 ok\r\n')).toBe('fell-short')
    expect(asked[0]).toEqual([handover.trace, { mailAt: 20, written: 100 }, signal])
  })

  test('with the answer there it is sent, or refused', async () => {
    const sent = await fate(100, '250-2.0.0 queued\r\n250 as 4711\r\n')
    expect(sent).toMatchObject({ reply: { code: 250, lines: ['2.0.0 queued', 'as 4711'] }, bytes: 70, mode: 'data' })
    const refused = await failure(fate(100, '451 4.3.1 disk full\r\n'))
    expect([refused.code, refused.isOutcomeUnknown]).toEqual(['SMTP_REFUSED_FOR_NOW', false])
    expect(refused.fields).toMatchObject({ phase: 'end of mail', server: 's4:25' })
  })

  test.each([undefined, '', '250 half', '250-half\r\n', '354 what?\r\n', 'HTTP/1.1 200 OK\r\n', '250 a\r\n250 b\r\n'])(
    '%j says nothing',
    async reply => {
      expect(await fate(100, reply)).toBeUndefined()
    },
  )

  test('nobody is asked where nobody can be, and not every note is a handover', async () => {
    expect(await fateOfMail(handover, {}, signal)).toBeUndefined()
    expect([readHandover(undefined), readHandover({ mailAt: 1 })]).toEqual([undefined, undefined])
  })
})

describe('the point of no return', () => {
  test('the last octets wait for the callback', async () => {
    for (const body of [order, 'A: b\r\n\r\nbare\nline', order + 'and five more\r\n'.repeat(40_000)]) {
      const server = await twin()
      const gate = Promise.withResolvers<void>()
      const started = Promise.withResolvers<void>()
      const beforeCommit = () => {
        started.resolve()
        return gate.promise
      }
      const sending = send(await session(server.port), await mail(body, { beforeCommit }))
      await started.promise
      await new Promise(resolve => setTimeout(resolve, 50))
      expect(server.received).toHaveLength(0)
      gate.resolve()
      await sending
      expect(server.received).toHaveLength(1)
    }
  })

  test('a callback that fails hangs up, and the server has nothing', async () => {
    const server = await twin()
    const connection = await session(server.port)
    const beforeCommit = () => Promise.reject(new Error('disk full'))
    await expect(send(connection, await mail(order, { beforeCommit }))).rejects.toThrow('disk full')
    expect(connection.isUsable).toBe(false)
    await new Promise(resolve => setTimeout(resolve, 20))
    expect(server.received).toHaveLength(0)
  })

  test('a connection lost before it is a plain loss, one lost after it is unknown', async () => {
    const places = { mail: false, rcpt: false, data: false, body: false, end: true, answer: true } as const
    for (const [at, isUnknown] of Object.entries(places)) {
      const server = await twin()
      server.faults.drop({ at: at as keyof typeof places })
      // Time enough for the loss to be noticed: a mail that fits into the buffers is gone before it.
      const beforeCommit = () => new Promise<void>(resolve => setTimeout(resolve, 50))
      // An ordinary mail goes out in one piece, so that a part of it is never on its way alone.
      const body = at === 'body' ? order + 'and five more\r\n'.repeat(40_000) : order
      const error = await failure(send(await session(server.port), await mail(body, { beforeCommit })))
      expect([at, error.code]).toEqual([at, isUnknown ? 'SMTP_OUTCOME_UNKNOWN' : 'SMTP_CONNECTION_LOST'])
      expect(error.isOutcomeUnknown).toBe(isUnknown)
    }
  })

  test('what is said of a mail in doubt does not say that it was never handed over', async () => {
    const server = await twin()
    server.faults.drop({ at: 'answer' })
    const lost = await failure(send(await session(server.port), await mail()))
    expect(lost.message).toMatch(/no answer came: the server may have it\. The connection was lost: [^:]+$/)
    server.faults.delay({ at: 'end', ms: 2000 })
    const connection = await session(server.port)
    const sending = send(connection, await mail())
    setTimeout(() => connection.fail(smtpErrors.INTERRUPTED({ server: 'x' })), 100)
    expect((await failure(sending)).message).toMatch(/the server may have it\. The hub stopped waiting for it\.$/)
  })

  test('silence before it is a timeout, silence after it is unknown', async () => {
    for (const [at, code] of [
      ['rcpt', 'SMTP_TIMEOUT'],
      ['end', 'SMTP_OUTCOME_UNKNOWN'],
    ] as const) {
      const server = await twin()
      server.faults.delay({ at, ms: 2000 })
      const timeouts = { ...quickTimeouts, commandMs: 50, dataEndMs: 50 }
      const error = await failure(sendMail(await session(server.port), await mail(), timeouts))
      expect(error.code).toBe(code)
    }
  })

  test('nonsense after it is unknown too', async () => {
    for (const nonsense of ['354 again\r\n', 'HTTP/1.1 200 OK\r\n']) {
      const answers = ['220 s\r\n', '250 s\r\n', '250 ok\r\n', '250 ok\r\n', '354 go\r\n']
      const server = await scripted([...answers, ...Array(5).fill(''), nonsense], () => {})
      const error = await failure(send(await session(server.port), await mail('A: b\r\n\r\nc\r\nd\r\ne\r\n')))
      expect(error.code).toBe('SMTP_OUTCOME_UNKNOWN')
    }
  })

  test('a body that turns out shorter than announced is not sent', async () => {
    const server = await twin()
    const whole = inChunks(Buffer.from(order), 10)
    const torn: Body = { ...whole, bytes: whole.bytes + 5 }
    const error = await failure(send(await session(server.port), await mail(torn)))
    expect(error.code).toBe('SMTP_BODY_TORN')
    expect(server.received).toHaveLength(0)
  })
})

/** Pieces in memory that is used again at once, as a body store gives them; what is kept of a piece turns to `!`. */
function inLentMemory(octets: Uint8Array, size: number): Body {
  return {
    ...inChunks(octets, size),
    async *stream() {
      const memory = Buffer.alloc(size)
      for (let from = 0; from < octets.length; from += size) {
        const piece = octets.subarray(from, from + size)
        memory.set(piece)
        yield memory.subarray(0, piece.length)
        memory.fill('!')
      }
    },
  }
}

describe('large mails', () => {
  const line = `.${'0123456789'.repeat(7)}\r\n`
  test.each([
    ['by DATA', line.repeat(30_000)],
    ['by BDAT', `${line.repeat(30_000)}no end`],
  ])('%s: memory that was lent is let go of before it is used again', async (_name, text) => {
    const octets = Buffer.from(text)
    const server = await twin()
    server.faults.set({ slowRead: { bytesPerSecond: 20_000_000 } })
    const queueing = { ...surroundings, connect: Object.assign(openQueue, { upgrade: surroundings.connect.upgrade }) }
    for (const through of [surroundings, queueing]) {
      const connection = await openSession(serverAt(server.port), through)
      await send(connection, await mail(inLentMemory(octets, 65_536)))
      await connection.quit(100)
    }
    expect(server.received.map(received => received.octets?.equals(octets))).toEqual([true, true])
  })

  test('a server that reads slowly holds the body back', async () => {
    const server = await twin({ keep: 'digest' })
    server.faults.set({ slowRead: { bytesPerSecond: 8_000_000 } })
    let bytesRead = 0
    const chunks = 320
    const source: Body = {
      bytes: chunks * 65_536,
      type: 'message/rfc822',
      held: undefined,
      async *stream() {
        for (let i = 0; i < chunks; i++) {
          bytesRead += 65_536
          yield Buffer.alloc(65_536, 'a\r\n'.padStart(64, '0'))
        }
      },
    }
    const what = await mail(source)
    bytesRead = 0
    const sending = send(await session(server.port), what)
    await new Promise(resolve => setTimeout(resolve, 200))
    expect(bytesRead).toBeLessThan(source.bytes)
    server.faults.clear()
    await sending
    expect(server.received[0]?.bytes).toBe(source.bytes)
  })
})
