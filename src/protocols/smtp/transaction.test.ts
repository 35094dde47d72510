import { afterEach, describe, expect, test } from 'vitest'
import { type Body, heldBody } from '../../kernel/body.ts'
import { systemClock } from '../../kernel/time.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import type { SmtpServerOptions } from '../../twins/smtp/options.ts'
import { type SmtpTwinServer, startSmtpServer } from '../../twins/smtp/server.ts'
import { makeConnect } from '../net/connect.ts'
import { parseAddress } from './address.ts'
import type { SmtpConnection } from './connection.ts'
import { inspectContent } from './content.ts'
import { defaultTimeouts, openSession, type SmtpServer } from './session.ts'
import { type Mail, sendMail } from './transaction.ts'

const surroundings = { connect: makeConnect(), clock: systemClock }
const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close()
})

async function twin(options: Partial<SmtpServerOptions> = {}): Promise<SmtpTwinServer> {
  const server = await startSmtpServer({ name: 'twin.example', ...options })
  closing.push(() => server.stop())
  return server
}

async function session(port: number, options: Partial<SmtpServer> = {}): Promise<SmtpConnection> {
  const timeouts = { ...defaultTimeouts, commandMs: 5000, dataEndMs: 5000 }
  const server: SmtpServer = { host: '127.0.0.1', port, security: 'none', timeouts, ...options }
  const connection = await openSession(server, surroundings)
  closing.push(() => connection.quit(100))
  return connection
}

async function mail(body: Body | string, options: Partial<Mail> = {}): Promise<Mail> {
  return {
    name: '<1@contoso.example>',
    from: parseAddress('buyer@contoso.example'),
    to: [parseAddress('orders@s4.example')],
    content: await inspectContent(typeof body === 'string' ? heldBody(body, 'message/rfc822') : body),
    someRefused: 'deliver',
    whenUnknown: 'never',
    beforeCommit: async () => {},
    ...options,
  }
}

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

const order = 'From: buyer@contoso.example\r\nMessage-ID: <1@contoso.example>\r\n\r\nFive pumps, please.\r\n'
const send = async (connection: SmtpConnection, what: Mail) =>
  sendMail(connection, what, { ...defaultTimeouts, dataBlockMs: 5000, dataEndMs: 5000, commandMs: 5000 })

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
      // Only the final line end may be added, and only by DATA.
      const expected = whole?.command === 'DATA' ? withEnd(text) : text
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
