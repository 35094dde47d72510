import { createHash, randomBytes } from 'node:crypto'
import { connect } from 'node:net'
import nodemailer from 'nodemailer'
import { afterEach, describe, expect, test } from 'vitest'
import { makeTwinCertificate } from '../certificate.ts'
import { startExchangeSmtp } from '../exchange-smtp/exchange-smtp.ts'
import { startS4Smtp } from '../s4-smtp/s4-smtp.ts'
import type { SmtpServerOptions } from './options.ts'
import { type SmtpTwinServer, startSmtpServer } from './server.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function start(options: Partial<SmtpServerOptions> = {}): Promise<SmtpTwinServer> {
  const server = await startSmtpServer({ name: 'twin.example', ...options })
  closing.push(() => server.stop())
  return server
}

/** Writes the pieces, one after each answer, and gives all that was heard until the server hangs up or `lastCode` came. */
function talk(port: number, pieces: readonly (string | Buffer)[], waitMs = 5000): Promise<string> {
  return new Promise((resolve, reject) => {
    let heard = ''
    let at = 0
    const socket = connect(port, '127.0.0.1')
    const timer = setTimeout(() => {
      socket.destroy()
      reject(new Error(`the server went silent after: ${heard}`))
    }, waitMs)
    socket.on('error', () => {})
    socket.on('data', chunk => {
      heard += chunk.toString()
      if (/(^|\r\n)\d{3} [^\r\n]*\r\n$/.test(heard) && at < pieces.length) socket.write(pieces[at++] ?? '')
    })
    socket.on('close', () => {
      clearTimeout(timer)
      resolve(heard)
    })
  })
}

const envelope = ['EHLO me\r\n', 'MAIL FROM:<a@b.example>\r\n', 'RCPT TO:<c@d.example>\r\n']

describe('a foreign client', () => {
  test('delivers over plain TCP, STARTTLS and TLS, one mail after the other', async () => {
    const tls = await makeTwinCertificate()
    for (const secure of [false, true]) {
      const server = await start({ tls, isTlsFromStart: secure })
      const transport = nodemailer.createTransport({
        host: '127.0.0.1',
        port: server.port,
        secure,
        pool: true,
        maxConnections: 2,
        tls: { ca: tls.ca },
      })
      const text = 'Dots:\n.\n..\nend'
      for (let i = 0; i < 5; i++) {
        await transport.sendMail({ from: 'a@b.example', to: ['c@d.example', 'e@d.example'], subject: `${i}`, text })
      }
      transport.close()
      expect(server.received).toHaveLength(5)
      const [first] = server.received
      expect(first).toMatchObject({ from: 'a@b.example', to: ['c@d.example', 'e@d.example'], isEncrypted: true })
      expect(first?.octets?.toString()).toContain('\r\n\r\nDots:\r\n.\r\n..\r\nend')
      expect(first?.sha256).toBe(
        createHash('sha256')
          .update(first?.octets ?? '')
          .digest('hex'),
      )
    }
  })

  test('logs in, and hears when it may not', async () => {
    const server = await start({
      auth: {
        mechanisms: ['PLAIN', 'LOGIN'],
        needsTls: false,
        isRequired: true,
        check: ({ user, secret }) => (user === 'u' && secret === 'p' ? undefined : '535 5.7.8 Bad credentials'),
      },
    })
    const mail = { from: 'a@b.example', to: 'c@d.example', text: 'x' }
    const send = (auth?: { user: string; pass: string; method?: string }) => {
      const target = { host: '127.0.0.1', port: server.port, secure: false, ignoreTLS: true, ...(auth && { auth }) }
      return nodemailer.createTransport(target).sendMail(mail)
    }
    await send({ user: 'u', pass: 'p' })
    await send({ user: 'u', pass: 'p', method: 'LOGIN' })
    await expect(send({ user: 'u', pass: 'wrong' })).rejects.toMatchObject({ responseCode: 535 })
    await expect(send()).rejects.toMatchObject({ responseCode: 530 })
    expect(server.received.map(({ user }) => user)).toEqual(['u', 'u'])
  })

  test('submits to the twin of Exchange Online with XOAUTH2', async () => {
    const tls = await makeTwinCertificate()
    const twin = await startExchangeSmtp({
      tls,
      check: ({ secret }) => (secret === 'good' ? { mailbox: 'hub@contoso.example' } : 'refused'),
    })
    closing.push(() => twin.stop())
    const send = (accessToken: string, from: string) =>
      nodemailer
        .createTransport({
          host: '127.0.0.1',
          port: twin.port,
          secure: false,
          requireTLS: true,
          tls: { ca: tls.ca },
          auth: { type: 'OAuth2', user: 'hub@contoso.example', accessToken },
        })
        .sendMail({ from, to: 'c@d.example', text: 'x' })
    await send('good', 'hub@contoso.example')
    await expect(send('bad', 'hub@contoso.example')).rejects.toThrow(/535 5\.7\.3/)
    await expect(send('good', 'boss@contoso.example')).rejects.toThrow(/SendAsDenied/)
    expect(twin.received.map(({ from, user }) => [from, user])).toEqual([
      ['hub@contoso.example', 'hub@contoso.example'],
    ])
  })

  test('sends no more than three mails of a mailbox of Exchange Online at the same time', async () => {
    const tls = await makeTwinCertificate()
    const user = 'hub@contoso.example'
    const twin = await startExchangeSmtp({ tls, check: () => ({ mailbox: user }) })
    closing.push(() => twin.stop())
    twin.faults.delay({ at: 'end', ms: 200, times: 100 })
    const connections = Array.from({ length: 5 }, () =>
      nodemailer.createTransport({
        host: '127.0.0.1',
        port: twin.port,
        requireTLS: true,
        tls: { ca: tls.ca },
        auth: { type: 'OAuth2', user, accessToken: 'good' },
      }),
    )
    const sendAll = () =>
      Promise.allSettled(connections.map(one => one.sendMail({ from: user, to: 'c@d.example', text: 'x' })))
    const refused = (await sendAll()).flatMap(result => (result.status === 'rejected' ? [result.reason] : []))
    expect(refused.map(({ responseCode }) => responseCode)).toEqual([432, 432])
    expect(refused[0]).toMatchObject({ message: expect.stringContaining('Concurrent connections limit exceeded') })
    // The places are free again.
    await Promise.all(connections.slice(0, 3).map(one => one.sendMail({ from: user, to: 'c@d.example', text: 'x' })))
    expect(twin.received).toHaveLength(6)
  })

  test('finds the clients of the twin of S/4HANA behind their ports', async () => {
    const twin = await startS4Smtp({
      clients: [
        {
          client: '100',
          domains: ['prod.example'],
          processing: [{ recipient: 'orders@prod.example', process: 'ORDERS' }],
        },
        {
          client: '200',
          addresses: ['test@dev.example'],
          processing: [{ recipient: '*@dev.example', process: 'TEST' }],
        },
      ],
    })
    closing.push(() => twin.stop())
    const send = (client: string, to: string) =>
      nodemailer
        .createTransport({ host: '127.0.0.1', port: twin.ports[`client ${client}`], ignoreTLS: true })
        .sendMail({ from: 'a@b.example', to, text: 'x' })
    await send('100', 'orders@prod.example')
    await send('100', 'anybody@prod.example')
    await send('200', 'TEST@dev.example')
    await expect(send('200', 'orders@prod.example')).rejects.toMatchObject({ responseCode: 550 })
    expect(twin.counts()).toEqual({ ORDERS: 1, NONE: 1, TEST: 1 })
    expect(twin.received.map(({ client }) => client)).toEqual(['100', '100', '200'])
    expect(JSON.parse(JSON.stringify(twin.state()))).toMatchObject({ mails: 3, processes: { ORDERS: 1 } })
  })
})

describe('strictness', () => {
  const ends = ['\n.\n', '\r\n.\n', '\n.\r\n', '\r.\r', '\n\r.\r\n']
  for (const end of ends) {
    test(`${JSON.stringify(end)} does not end a mail`, async () => {
      const server = await start()
      const smuggled = `A: b\r\n\r\nfirst${end}MAIL FROM:<evil@x.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\nsecond`
      await talk(server.port, [...envelope, 'DATA\r\n', `${smuggled}\r\n.\r\n`, 'QUIT\r\n'])
      expect(server.received).toHaveLength(1)
      // A dot behind a true line end is one that a client would have stuffed.
      expect(server.received[0]?.octets?.toString()).toBe(`${smuggled.replaceAll('\r\n.', '\r\n')}\r\n`)
      expect(server.received[0]?.hasBareLineEnd).toBe(true)
    })
  }

  test('where it is asked to, it refuses mails with bare line ends', async () => {
    const server = await start({ bareLineEnds: 'refuse' })
    const heard = await talk(server.port, [...envelope, 'DATA\r\n', 'a\nb\r\n.\r\n', 'QUIT\r\n'])
    expect(heard).toContain('550 5.5.2')
    expect(server.received).toHaveLength(0)
  })

  test('the end of a mail is found wherever the chunks are cut', async () => {
    const server = await start()
    const wire = '..a\r\n.\r\r\n...\r\nx\r\n.\r\n'
    for (let cut = 1; cut < wire.length; cut++) {
      const heard = await new Promise<string>(resolve => {
        let text = ''
        const socket = connect({ port: server.port, host: '127.0.0.1', noDelay: true }, () => {
          socket.write(`EHLO x\r\nMAIL FROM:<a@b.example>\r\nRCPT TO:<c@d.example>\r\nDATA\r\n${wire.slice(0, cut)}`)
          setTimeout(() => socket.write(`${wire.slice(cut)}QUIT\r\n`), 3)
        })
        socket.on('data', chunk => {
          text += chunk.toString()
        })
        socket.on('close', () => resolve(text))
      })
      expect(heard).toContain('queued as')
    }
    expect(server.received.map(({ octets }) => octets?.toString())).toEqual(
      Array(wire.length - 1).fill('.a\r\n\r\r\n..\r\nx\r\n'),
    )
  })

  test('BDAT in chunks, with the octets of a refused mail eaten', async () => {
    const server = await start()
    const heard = await talk(server.port, [
      'EHLO me\r\n',
      'BDAT 6 LAST\r\nMAIL F',
      'MAIL FROM:<a@b.example> BODY=BINARYMIME\r\n',
      'RCPT TO:<c@d.example>\r\n',
      'BDAT 3\r\na\nb',
      'BDAT 2\r\n\0.',
      'BDAT 0 LAST\r\n',
      'QUIT\r\n',
    ])
    expect(heard).toContain('503 5.5.1')
    expect(server.received[0]).toMatchObject({ bytes: 5, command: 'BDAT', octets: Buffer.from('a\nb\0.') })
  })

  const mistakes: readonly [name: string, line: string | Buffer, code: string][] = [
    ['an unknown command', 'JUMP\r\n', '500'],
    ['a bare LF', 'NOOP\n', '500'],
    ['an endless line', `NOOP ${'x'.repeat(20_000)}\r\n`, '500'],
    ['MAIL before EHLO', 'MAIL FROM:<a@b.example>\r\n', '503'],
    ['RCPT before MAIL', 'RCPT TO:<a@b.example>\r\n', '503'],
    ['DATA for nobody', 'DATA\r\n', '503'],
    ['BDAT without a length', 'BDAT x\r\n', '501'],
    ['AUTH that is not offered', 'AUTH PLAIN AAA=\r\n', '503'],
    ['STARTTLS that is not offered', 'STARTTLS\r\n', '502'],
    ['octets of a TLS client', Buffer.from('1603010200010001fc0303\r\n', 'latin1'), '500'],
  ]
  for (const [name, line, code] of mistakes) {
    test(`${name} is answered with ${code}`, async () => {
      const server = await start()
      expect(await talk(server.port, [line, 'QUIT\r\n'])).toContain(`\r\n${code} `)
    })
  }

  test('addresses and parameters that are wrong are refused', async () => {
    const server = await start({ extensions: { smtpUtf8: false } })
    const lines = [
      '<a b@x>',
      'a@b.example',
      '<a@b.example> FOO=1',
      '<grüße@x.example>',
      '<a@b.example> SIZE=999999999999',
    ]
    const heard = await talk(server.port, ['EHLO x\r\n', ...lines.map(line => `MAIL FROM:${line}\r\n`), 'QUIT\r\n'])
    expect(heard.match(/\r\n5\d\d /g)?.map(code => code.trim())).toEqual(['501', '501', '555', '501', '552'])
  })

  test('garbage of every kind ends a conversation, never the server', async () => {
    const server = await start()
    for (let i = 0; i < 30; i++) {
      await new Promise<void>(resolve => {
        const socket = connect(server.port, '127.0.0.1', () => socket.end(randomBytes(3000)))
        socket.on('error', () => {})
        socket.on('data', () => {})
        socket.on('close', () => resolve())
      })
    }
    expect(await talk(server.port, ['NOOP\r\n', 'QUIT\r\n'])).toContain('250 2.0.0 Ok')
  })
})

describe('what is kept', () => {
  test('digests only, where that is asked for', async () => {
    const server = await start({ keep: 'digest' })
    const text = 'Message-ID: <1@x>\r\n\r\nhello\r\n'
    await talk(server.port, [...envelope, 'DATA\r\n', `${text}.\r\n`, 'QUIT\r\n'])
    expect(server.received[0]).toMatchObject({
      octets: undefined,
      bytes: text.length,
      sha256: createHash('sha256').update(text).digest('hex'),
      messageId: '<1@x>',
    })
  })

  test('no more mails than allowed, while all are counted', async () => {
    const server = await start({ mailsMax: 2 })
    for (const letter of 'abc') await talk(server.port, [...envelope, 'DATA\r\n', `${letter}\r\n.\r\n`, 'QUIT\r\n'])
    expect(server.received.map(({ number }) => number)).toEqual([2, 3])
    expect(server.bag.count).toBe(3)
    await server.bag.reached(3, 10)
    await expect(server.bag.reached(4, 10)).rejects.toThrow('only 3 of 4')
  })

  test('nothing above the size limit', async () => {
    const server = await start({ extensions: { sizeMax: 100 } })
    const heard = await talk(server.port, [...envelope, 'DATA\r\n', `${'x\r\n'.repeat(1000)}.\r\n`, 'QUIT\r\n'])
    expect(heard).toContain('552 5.3.4')
    expect(server.received).toHaveLength(0)
  })
})

describe('faults', () => {
  test('are a document, and a wrong one is refused with a sentence', async () => {
    const server = await start()
    expect(() => server.faults.set({ refuse: [{ at: 'nowhere' }] })).toThrow(/refuse\.0\.at/)
    expect(() => server.faults.set({ explode: true })).toThrow(/explode/)
    server.faults.set({ refuse: [{ at: 'rcpt', code: 450, text: 'busy', times: 2 }] })
    const heard = await talk(server.port, [...envelope, ...envelope.slice(2), ...envelope.slice(2), 'QUIT\r\n'])
    expect(heard.match(/450 busy/g)).toHaveLength(2)
    expect(server.faults.pending().refuse).toEqual([])
  })

  test('strike where the command holds the text', async () => {
    const server = await start()
    server.faults.refuse({ at: 'rcpt', code: 550, match: 'evil' })
    const more = ['RCPT TO:<evil@d.example>\r\n', 'QUIT\r\n']
    expect((await talk(server.port, [...envelope, ...more])).match(/\r\n550 /g)).toHaveLength(1)
  })

  test('a drop cuts the connection without a word', async () => {
    const server = await start()
    server.faults.drop({ at: 'rcpt' })
    expect(await talk(server.port, envelope)).not.toContain('221')
    expect(await talk(server.port, [...envelope, 'QUIT\r\n'])).toContain('221')
  })
})
