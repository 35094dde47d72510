import { connect } from 'node:net'
import { afterEach, describe, expect, test } from 'vitest'
import type { CredentialValue } from '../../kernel/credential.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import type { AuthAttempt, SaslMechanism } from '../../twins/smtp/options.ts'
import { openSession } from './session.ts'
import {
  closeWorld,
  failure,
  mail,
  quickTimeouts,
  scripted,
  serverAt,
  session,
  surroundings,
  twin,
} from './smtp-world.ts'
import { sendMail } from './transaction.ts'

afterEach(closeWorld)

describe('greeting', () => {
  test('a server that knows only HELO is greeted the old way', async () => {
    const server = await scripted(['220 old\r\n', '502 what?\r\n', '250 old\r\n', '250 ok\r\n'])
    const connection = await session(server.port, { helo: 'hub.example' })
    expect(server.heard).toEqual(['EHLO hub.example', 'HELO hub.example'])
    expect(connection.extensions.keywords).toEqual([])
  })

  test('without a name of its own the client says its address', async () => {
    const server = await scripted(['220 s\r\n', '250 s\r\n'])
    await session(server.port)
    expect(server.heard).toEqual(['EHLO [127.0.0.1]'])
  })

  const refusals: readonly [name: string, answers: readonly string[], code: string, retry: string][] = [
    ['554 instead of a greeting', ['554 5.7.1 go away\r\n'], 'SMTP_GREETING_REFUSED', 'after-change'],
    ['421 instead of a greeting', ['421 4.3.2 too many\r\n'], 'SMTP_REFUSED_FOR_NOW', 'soon'],
    ['421 for too many', ['421 4.7.0 Error: too many connections\r\n'], 'SMTP_TOO_MANY_CONNECTIONS', 'soon'],
    ['EHLO refused', ['220 s\r\n', '550 5.7.1 bad name\r\n'], 'SMTP_GREETING_REFUSED', 'after-change'],
    ['a web server', ['HTTP/1.1 400 Bad Request\r\n'], 'SMTP_PROTOCOL', 'soon'],
    ['two greetings at once', ['220 s\r\n220 s\r\n'], 'SMTP_PROTOCOL', 'soon'],
  ]
  for (const [name, answers, code, retry] of refusals) {
    test(name, async () => {
      const server = await scripted(answers)
      const error = await failure(openSession(serverAt(server.port), surroundings))
      expect([error.code, error.retry]).toEqual([code, retry])
    })
  }

  test('a server that accepts and says nothing is given up', async () => {
    const server = await scripted([''])
    const timeouts = { ...quickTimeouts, greetingMs: 30 }
    const error = await failure(openSession(serverAt(server.port, { timeouts }), surroundings))
    expect([error.code, error.fields['phase']]).toEqual(['SMTP_TIMEOUT', 'greeting'])
  })

  test('a server that hangs up at once is a lost connection', async () => {
    const server = await twin()
    server.faults.drop({ at: 'banner' })
    const error = await failure(openSession(serverAt(server.port), surroundings))
    // The reset comes while the connection is being made, or just after.
    expect([error.code.replace(/^(SMTP|NET)_/, ''), error.retry]).toEqual(['CONNECTION_LOST', 'soon'])
  })

  test('an abort ends the opening at once', async () => {
    const server = await scripted([''])
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 30)
    const error = await failure(openSession(serverAt(server.port), surroundings, stop.signal))
    expect(error.code).toBe('SMTP_INTERRUPTED')
  })
})

describe('encryption', () => {
  test('by STARTTLS and from the first byte, with the name in the certificate checked', async () => {
    const tls = await makeTwinCertificate()
    for (const security of ['starttls', 'starttls-if-offered', 'tls'] as const) {
      const server = await twin({ tls, isTlsFromStart: security === 'tls' })
      const connection = await session(server.port, { security, tls: { ca: tls.ca } })
      await sendMail(connection, await mail(), quickTimeouts)
      expect(server.received[0]?.isEncrypted).toBe(true)
      expect(connection.extensions.startTls).toBe(false)
    }
  })

  test('a certificate of an unknown authority is refused, and nothing is sent', async () => {
    const tls = await makeTwinCertificate()
    const server = await twin({ tls })
    const error = await failure(openSession(serverAt(server.port, { security: 'starttls' }), surroundings))
    expect([error.code, error.retry]).toEqual(['NET_TLS_FAILED', 'after-change'])
  })

  test('a server without STARTTLS gets nothing when it is needed', async () => {
    const server = await twin()
    const error = await failure(openSession(serverAt(server.port, { security: 'starttls' }), surroundings))
    expect([error.code, error.retry]).toEqual(['SMTP_TLS_NEEDED', 'after-change'])
  })

  test('words that somebody put behind the answer to STARTTLS are not taken for encrypted ones', async () => {
    const server = await scripted(['220 s\r\n', '250-s\r\n250 STARTTLS\r\n', '220 go\r\n250-s\r\n250 AUTH PLAIN\r\n'])
    const error = await failure(openSession(serverAt(server.port, { security: 'starttls' }), surroundings))
    expect(error.code).toBe('SMTP_PROTOCOL')
  })

  test('the twin, too, refuses words behind STARTTLS', async () => {
    const server = await twin({ tls: await makeTwinCertificate() })
    const text = await new Promise<string>(resolve => {
      let heard = ''
      const socket = connect(server.port, '127.0.0.1', () => socket.write('EHLO x\r\nSTARTTLS\r\nMAIL FROM:<a@b>\r\n'))
      socket.on('data', chunk => {
        heard += chunk.toString()
      })
      socket.on('close', () => resolve(heard))
    })
    expect(text).toContain('554 5.5.0')
  })
})

describe('log-in', () => {
  const basic: CredentialValue = { kind: 'basic', user: 'hub', password: 'pä ss\u00e9' }
  const oauth: CredentialValue = {
    kind: 'oauth2',
    user: 'hub@contoso.example',
    token: async () => ({ value: 'token', expiresAt: 0 }),
  }

  async function logIn(
    credential: CredentialValue,
    mechanisms: readonly SaslMechanism[],
    options: { refusal?: string; user?: string } = {},
  ) {
    const attempts: AuthAttempt[] = []
    const server = await twin({
      auth: {
        mechanisms,
        needsTls: false,
        isRequired: true,
        explainsRefusedToken: true,
        check: attempt => {
          attempts.push(attempt)
          return options.refusal
        },
      },
    })
    const login = async () => ({ credential, user: options.user })
    const opening = openSession(serverAt(server.port, { login }), surroundings)
    return { opening, attempts }
  }

  const ways: readonly [name: string, CredentialValue, readonly SaslMechanism[], AuthAttempt][] = [
    ['PLAIN', basic, ['LOGIN', 'PLAIN'], { mechanism: 'PLAIN', user: 'hub', secret: 'pä ssé' }],
    ['LOGIN', basic, ['LOGIN'], { mechanism: 'LOGIN', user: 'hub', secret: 'pä ssé' }],
    ['XOAUTH2', oauth, ['LOGIN', 'XOAUTH2'], { mechanism: 'XOAUTH2', user: 'hub@contoso.example', secret: 'token' }],
  ]
  for (const [name, credential, mechanisms, expected] of ways) {
    test(name, async () => {
      const { opening, attempts } = await logIn(credential, mechanisms)
      const connection = await opening
      expect(attempts).toEqual([expected])
      await connection.quit()
    })
  }

  test('for a shared mailbox the user is named', async () => {
    const { opening, attempts } = await logIn(oauth, ['XOAUTH2'], { user: 'orders@contoso.example' })
    await (await opening).quit()
    expect(attempts[0]?.user).toBe('orders@contoso.example')
  })

  const refusals: readonly [string, CredentialValue, SaslMechanism, string | undefined, string, string][] = [
    ['a wrong password', basic, 'PLAIN', '535 5.7.8 no', 'SMTP_AUTH_REFUSED', 'after-change'],
    ['a token that is refused with a reason', oauth, 'XOAUTH2', '535 5.7.3 no', 'SMTP_AUTH_REFUSED', 'after-change'],
    ['a directory that is down', basic, 'LOGIN', '454 4.7.0 later', 'SMTP_REFUSED_FOR_NOW', 'soon'],
    ['encryption wanted first', basic, 'PLAIN', '538 5.7.11 no', 'SMTP_TLS_NEEDED', 'after-change'],
    ['a token where only passwords are taken', oauth, 'PLAIN', undefined, 'SMTP_AUTH_UNFIT', 'after-change'],
    ['a password where only tokens are taken', basic, 'XOAUTH2', undefined, 'SMTP_AUTH_UNFIT', 'after-change'],
  ]
  for (const [name, credential, mechanism, refusal, code, retry] of refusals) {
    test(name, async () => {
      const { opening } = await logIn(credential, [mechanism], refusal === undefined ? {} : { refusal })
      const error = await failure(opening)
      expect([error.code, error.retry]).toEqual([code, retry])
      expect(error.message).not.toContain('pä ss')
    })
  }
})
