import { createServer, type Socket } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import { listenOnLoopback } from '../../twins/listen.ts'
import { openSession, type SmtpTimeouts } from './session.ts'
import {
  closeLater,
  closeWorld,
  failure,
  mail,
  order,
  quickTimeouts,
  serverAt,
  session,
  surroundings,
} from './smtp-world.ts'
import { sendMail } from './transaction.ts'

afterEach(closeWorld)

const hello = '250-s\r\n250 STARTTLS\r\n'

/** A server that greets and answers until it hears `last`; from then on it drips `piece`, for ever. */
async function dripping(last: RegExp, piece: string): Promise<number> {
  const server = createServer({ noDelay: true }, socket => {
    const drip = () => {
      const timer = setInterval(() => socket.write(piece), 10)
      socket.on('close', () => clearInterval(timer))
    }
    socket.on('error', () => {})
    if (last.test('greeting')) return drip()
    socket.write('220 s\r\n')
    socket.on('data', chunk => {
      const heard = chunk.toString('latin1')
      if (last.test(heard)) {
        if (heard.startsWith('STARTTLS')) socket.write('220 go\r\n')
        socket.removeAllListeners('data').resume()
        drip()
      } else socket.write(heard.startsWith('EHLO') ? hello : heard.startsWith('DATA') ? '354 go\r\n' : '250 ok\r\n')
    })
  })
  return listen(server)
}

async function listen(server: ReturnType<typeof createServer>): Promise<number> {
  const listener = await listenOnLoopback(server)
  closeLater(() => listener.stop())
  return listener.port
}

const quick = (timeouts: Partial<SmtpTimeouts>) => ({ timeouts: { ...quickTimeouts, ...timeouts } })

test.each([
  ['a greeting', /greeting/, 'x', { greetingMs: 150 }, 'greeting'],
  ['a greeting of many lines', /greeting/, '220-s\r\n', { greetingMs: 150 }, 'greeting'],
  ['an answer of many lines', /^EHLO/, '250-s\r\n', { commandMs: 150 }, 'EHLO'],
])('%s that drips has no more time than a silent server', async (_, last, piece, timeouts, phase) => {
  const server = serverAt(await dripping(last, piece), quick(timeouts))
  const error = await failure(openSession(server, surroundings))
  expect([error.code, error.fields['phase'], error.retry]).toEqual(['SMTP_TIMEOUT', phase, 'soon'])
})

test('a TLS handshake that drips is given up with the time for connecting', async () => {
  // The head of a TLS record of 16,000 octets, which never comes to its end.
  const port = await dripping(/^STARTTLS/, '\x16\x03\x03\x3e\x80')
  const server = serverAt(port, { security: 'starttls', ...quick({ connectMs: 150 }) })
  expect(await failure(openSession(server, surroundings))).toMatchObject({ code: 'NET_CONNECT_TIMEOUT' })
})

test('an answer to a mail that drips leaves the outcome unknown', async () => {
  const connection = await session(await dripping(/^\.\r\n|\r\n\.\r\n/, '250-s\r\n'))
  const error = await failure(sendMail(connection, await mail(), quick({ dataEndMs: 150 }).timeouts))
  expect(error.code).toBe('SMTP_OUTCOME_UNKNOWN')
})

test('a server that takes a body byte by byte is given up', async () => {
  const takeSlowly = (socket: Socket) => {
    socket.removeAllListeners('data').pause()
    const timer = setInterval(() => socket.read(1), 10)
    socket.on('close', () => clearInterval(timer))
  }
  const server = createServer({ noDelay: true }, socket => {
    socket.on('error', () => {})
    socket.write('220 s\r\n')
    socket.on('data', chunk => {
      const isData = chunk.toString('latin1').startsWith('DATA')
      if (isData) takeSlowly(socket)
      socket.write(isData ? '354 go\r\n' : '250 ok\r\n')
    })
  })
  const connection = await session(await listen(server))
  const body = order + 'and five more pumps, please, for the other side of the river\r\n'.repeat(500_000)
  const error = await failure(sendMail(connection, await mail(body), quick({ dataBlockMs: 300 }).timeouts))
  expect([error.code, error.fields['phase'], error.retry]).toEqual(['SMTP_TIMEOUT', 'body', 'soon'])
})

test('QUIT ends in time, whatever the server says', async () => {
  const connection = await session(await dripping(/^QUIT/, '221-bye\r\n'))
  await connection.quit(150)
  expect(connection.failure?.code).toBe('SMTP_TIMEOUT')
})
