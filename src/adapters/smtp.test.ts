import { randomUUID } from 'node:crypto'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import net from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, describe, expect, test } from 'vitest'
import type { z } from 'zod'
import type { Effect, Receiver } from '../flow/adapter.ts'
import type { Scope } from '../flow/expression.ts'
import { type Body, heldBody } from '../kernel/body.ts'
import type { CredentialValue } from '../kernel/credential.ts'
import { HubError } from '../kernel/error.ts'
import type { JsonObject } from '../kernel/json.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { silentLog } from '../kernel/log.ts'
import type { Message } from '../kernel/message.ts'
import type { Connect, SentOctets } from '../kernel/socket.ts'
import { systemClock } from '../kernel/time.ts'
import { firstValues, readMailHeader } from '../protocols/mime/header.ts'
import { readMailFacts } from '../protocols/mime/mail-facts.ts'
import { makeConnect } from '../protocols/net/connect.ts'
import { netErrors } from '../protocols/net/errors.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { startExchangeSmtp } from '../twins/exchange-smtp/exchange-smtp.ts'
import { type S4SmtpOptions, type S4SmtpTwin, startS4Smtp } from '../twins/s4-smtp/s4-smtp.ts'
import { smtp } from './smtp.ts'
import { smtpConfig } from './smtp-config.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const mailText = [
  'Return-Path: <anna@contoso.example>',
  'Received: by mx.contoso.example; Sat, 21 Nov 2026 08:00:00 +0000',
  'From: Anna <anna@contoso.example>',
  'To: orders@contoso.example',
  'Subject: Pumps',
  'Message-ID: <order-1@contoso.example>',
  '',
  'Five pumps, please.',
  '.',
  'Anna',
  '',
].join('\r\n')

function message(text: string = mailText, attributes: JsonObject = {}, body?: Body): Message {
  const bytes = Buffer.from(text)
  const header = readMailHeader(bytes)
  return {
    id: '0A1B2C3D4E5',
    headers: firstValues(header),
    attributes: { ...readMailFacts(header), ...attributes },
    body: body ?? heldBody(bytes, 'message/rfc822'),
    acceptedAt: Date.UTC(2026, 10, 21, 8),
  }
}

interface Attempt extends Effect {
  /** What was noted with each. */
  readonly intents: (JsonObject | undefined)[]
}

function attempt(mail: Message, change: Partial<Effect> = {}): Attempt {
  const intents: (JsonObject | undefined)[] = []
  const scope: Scope = { message: mail, params: {}, flow: { name: 'mail-to-s4', stage: 'test' } }
  return {
    key: 'k',
    attempt: 1,
    isUnknown: false,
    scope,
    signal: new AbortController().signal,
    intend: async note => {
      intents.push(note)
    },
    isFirst: async () => true,
    unlearn: () => {},
    intents,
    ...change,
  }
}

async function open(
  config: z.input<typeof smtpConfig>,
  surroundings: {
    folder?: string
    credential?: CredentialValue
    tunnel?: () => Duplex
    fateOf?: Connect['fateOf']
  } = {},
): Promise<Receiver> {
  const receiver = await smtp.open({
    config: smtpConfig.parse(config),
    flow: 'mail-to-s4',
    log: silentLog,
    signal: new AbortController().signal,
    clock: systemClock,
    limits: defaultLimits,
    connect: makeConnect({
      tunnel: async () => surroundings.tunnel?.() ?? net.connect(0, '127.0.0.1'),
      fateOf: surroundings.fateOf,
    }),
    credential: async name => {
      if (!surroundings.credential) throw new Error(`no credential ${name}`)
      return surroundings.credential
    },
    folder: surroundings.folder ?? tmpdir(),
  })
  closing.push(() => receiver.close())
  return receiver
}

async function s4(options: S4SmtpOptions = {}): Promise<S4SmtpTwin> {
  const twin = await startS4Smtp(options)
  closing.push(() => twin.stop())
  return twin
}

const near = { host: '127.0.0.1', security: 'none' as const, to: 'orders@s4.example' }

/** The HubError that a delivery ended with. */
async function failure(delivery: Promise<unknown>): Promise<HubError> {
  const thrown = await delivery.then(
    () => undefined,
    (error: unknown) => error,
  )
  if (!(thrown instanceof HubError)) throw new Error(`not a HubError: ${String(thrown)}`)
  return thrown
}

describe('a mail on its way to S/4HANA', () => {
  test('arrives byte for byte, and the answer of the server is the receipt', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port })
    const effect = attempt(message())
    const receipt = await receiver.deliver(message(), effect)
    expect(twin.received[0]?.octets?.toString()).toBe(mailText)
    expect(twin.received[0]?.from).toBe('anna@contoso.example')
    expect(twin.counts()).toEqual({ ZCL_INBOUND_ORDERS: 1 })
    expect(receipt.summary).toMatch(/^250 Mail accepted, document FOL/)
    expect(receipt.fields).toMatchObject({
      server: `127.0.0.1:${twin.port}`,
      recipients: ['orders@s4.example'],
      mode: 'data',
      bytes: mailText.length,
    })
    expect(effect.intents).toHaveLength(1)
  })

  test('a recipient that no client knows is refused for good, before anything was intended', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port, to: 'nobody@elsewhere.example' })
    const effect = attempt(message())
    const error = await failure(receiver.deliver(message(), effect))
    expect(error.code).toBe('SMTP_RECIPIENT_REFUSED')
    expect(error.retry).toBe('never')
    expect(error.message).toContain('550 <nobody@elsewhere.example> unknown recipient in client 100')
    expect(effect.intents).toHaveLength(0)
  })

  test('two of three recipients get it, and the receipt names the third', async () => {
    const twin = await s4()
    const to = ['orders@s4.example', 'nobody@elsewhere.example', 'invoices@s4.example']
    const receiver = await open({ ...near, port: twin.port, to })
    const receipt = await receiver.deliver(message(), attempt(message()))
    expect(receipt.fields?.['recipients']).toEqual(['orders@s4.example', 'invoices@s4.example'])
    expect(receipt.fields?.['refused']).toEqual([
      { recipient: 'nobody@elsewhere.example', reply: expect.stringContaining('550') },
    ])
    expect(twin.counts()).toEqual({ ZCL_INBOUND_ORDERS: 1, ZCL_INBOUND_INVOICES: 1 })
    const strict = await open({ ...near, port: twin.port, to, 'some-refused': 'refuse' })
    const error = await failure(strict.deliver(message(), attempt(message())))
    expect(error.code).toBe('SMTP_SOME_RECIPIENTS_REFUSED')
    expect(twin.received).toHaveLength(1)
  })

  test('one recipient that has to wait makes all wait, so that nobody is left out', async () => {
    const twin = await s4()
    twin.faults.refuse({ at: 'rcpt', code: 452, match: 'invoices' })
    const receiver = await open({ ...near, port: twin.port, to: ['orders@s4.example', 'invoices@s4.example'] })
    const error = await failure(receiver.deliver(message(), attempt(message())))
    expect(error.code).toBe('SMTP_REFUSED_FOR_NOW')
    expect(error.retry).toBe('soon')
    expect(twin.received).toHaveLength(0)
    await receiver.deliver(message(), attempt(message()))
    expect(twin.received[0]?.to).toEqual(['orders@s4.example', 'invoices@s4.example'])
  })

  test('a connection lost after the whole mail was sent leaves the outcome unknown, and it is not sent twice', async () => {
    const twin = await s4()
    twin.faults.drop({ at: 'answer' })
    const receiver = await open({ ...near, port: twin.port })
    const first = attempt(message())
    const error = await failure(receiver.deliver(message(), first))
    expect(error.code).toBe('SMTP_OUTCOME_UNKNOWN')
    expect(error.isOutcomeUnknown).toBe(true)
    expect(error.retry).toBe('never')
    expect(error.next).toContain('<order-1@contoso.example>')
    expect(first.intents).toHaveLength(1)
    const again = await failure(receiver.deliver(message(), attempt(message(), { isUnknown: true, attempt: 2 })))
    expect(again.code).toBe('SMTP_OUTCOME_UNKNOWN')
    expect(twin.received).toHaveLength(1)
  })

  describe('that is lost behind a connector, with its answer due', () => {
    /** The connections of a receiver through a connector, and what the connector knows of the mail on the first one. */
    function behind(twin: S4SmtpTwin, fate: { lacking: number; reply?: string } | undefined) {
      const asked: { readonly stream: string; readonly mail: SentOctets }[] = []
      let first: net.Socket | undefined
      const tunnel = () => {
        const socket = net.connect(twin.port, '127.0.0.1')
        first ??= socket
        return Object.assign(socket, { trace: { location: 'dc-frankfurt', connector: 'c-1', stream: randomUUID() } })
      }
      const fateOf: Connect['fateOf'] = async ({ stream }, mail) => {
        asked.push({ stream, mail })
        if (!fate) return undefined
        const { lacking, reply } = fate
        return {
          passedOn: (first?.bytesWritten ?? 0) - lacking,
          reply: reply === undefined ? undefined : Buffer.from(reply),
        }
      }
      return { tunnel, fateOf, asked }
    }

    /** The first connection breaks at the end of the mail; of its octets so many did not pass the connector. */
    async function lost(fate: { lacking: number; reply?: string } | undefined, more: object = {}) {
      const twin = await s4()
      twin.faults.drop({ at: 'end' })
      const connector = behind(twin, fate)
      const receiver = await open({ ...near, via: 'dc-frankfurt', port: twin.port, ...more }, connector)
      const effect = attempt(message())
      return { twin, effect, receiver, connector, delivery: receiver.deliver(message(), effect) }
    }

    test('is sent again at once when its last octet did not pass', async () => {
      const { twin, effect, delivery } = await lost({ lacking: 1 })
      expect((await delivery).summary).toMatch(/^250 /)
      // Recorded anew: the question took its time, and the delivery may belong to another hub by then.
      expect([twin.received.length, twin.connections().total, effect.intents.length]).toEqual([1, 2, 2])
    })

    test.each([{ lacking: 0 }, { lacking: 0, reply: '354 what?' }, undefined])('stays unknown with %j', async fate => {
      const { twin, delivery } = await lost(fate)
      expect((await failure(delivery)).code).toBe('SMTP_OUTCOME_UNKNOWN')
      expect(twin.connections().total).toBe(1)
    })

    test('is delivered when the connector has the answer, and refused when it says so', async () => {
      const { twin, effect, delivery } = await lost({ lacking: 0, reply: '250 2.0.0 queued as 4711ABCD\r\n' })
      expect(await delivery).toMatchObject({ summary: '250 2.0.0 queued as 4711ABCD', terms: ['4711ABCD'] })
      expect([twin.connections().total, effect.intents.length]).toEqual([1, 1])
      const refused = await failure((await lost({ lacking: 0, reply: '554 5.7.1 no\r\n' })).delivery)
      expect([refused.code, refused.isOutcomeUnknown]).toEqual(['SMTP_REFUSED', false])
      const later = await lost({ lacking: 0, reply: '421 4.3.2 closing\r\n' })
      expect(await failure(later.delivery)).toMatchObject({ code: 'SMTP_REFUSED_FOR_NOW', isOutcomeUnknown: false })
      // What it was told at the end of the mail it would be told again elsewhere: later.
      expect(later.twin.connections().total).toBe(1)
    })

    test('but with its answer there, nobody asks', async () => {
      const twin = await s4()
      twin.faults.refuse({ at: 'end', code: 554 })
      const connector = behind(twin, undefined)
      const receiver = await open({ ...near, via: 'dc-frankfurt', port: twin.port }, connector)
      expect((await failure(receiver.deliver(message(), attempt(message())))).code).toBe('SMTP_REFUSED')
      expect(connector.asked).toEqual([])
    })

    test('is tried again later where it is not tried at once', async () => {
      const { delivery } = await lost({ lacking: 1 }, { 'again-at-once': 0 })
      const error = await failure(delivery)
      expect([error.code, error.isOutcomeUnknown, error.retry]).toEqual(['SMTP_CONNECTION_LOST', false, 'soon'])
      expect(error.message).toContain('at end of mail, before the mail was handed over: its last octets did not pass')
    })

    test('what is noted of one connection does not stand for the next one, which passes no connector', async () => {
      const twin = await s4()
      twin.faults.drop({ at: 'data', times: 2 })
      const connector = behind(twin, undefined)
      let count = 0
      // As with TLS where it is offered, at some of the servers behind a name.
      const tunnel = () => (++count === 2 ? connector.tunnel() : net.connect(twin.port, '127.0.0.1'))
      const receiver = await open({ ...near, via: 'dc-frankfurt', port: twin.port, 'again-at-once': 2 }, { tunnel })
      const effect = attempt(message())
      await receiver.deliver(message(), effect)
      expect(effect.intents).toEqual([undefined, expect.objectContaining({ mailAt: expect.any(Number) }), undefined])
    })

    describe('with the hub gone, too', () => {
      /** A mail whose hub was killed; the next attempt has nothing but the note. */
      async function killed(
        fate: { lacking: number; reply?: string } | undefined,
        more: object = {},
        changes: object = {},
      ) {
        const { twin, effect, receiver, connector, delivery } = await lost(undefined, more)
        await failure(delivery)
        const note = effect.intents.at(-1)
        const fateOf: Connect['fateOf'] = async ({ stream }, { mailAt, written }) => {
          // By the same name and place, with what can be known before the last octet is written.
          const [first] = connector.asked
          expect([stream, mailAt]).toEqual([first?.stream, first?.mail.mailAt])
          expect(written).toBeLessThanOrEqual(first?.mail.written ?? 0)
          return fate && { passedOn: written - fate.lacking, reply: fate.reply ? Buffer.from(fate.reply) : undefined }
        }
        await receiver.close()
        const config = { ...near, via: 'dc-frankfurt', port: twin.port, ...more, ...changes }
        const next = await open(config, { tunnel: connector.tunnel, fateOf })
        const again = attempt(message(), { isUnknown: true, note, attempt: 2 })
        return { twin, again, delivery: next.deliver(message(), again) }
      }

      test('it is in doubt where the connector does not know, or waits for the answer in vain', async () => {
        for (const fate of [undefined, { lacking: 0 }]) {
          const { twin, again, delivery } = await killed(fate)
          expect((await failure(delivery)).code).toBe('SMTP_OUTCOME_UNKNOWN')
          expect([twin.connections().total, again.intents]).toEqual([1, []])
        }
      })

      test('it is delivered when the connector has the answer, also where it would be sent twice', async () => {
        for (const more of [{}, { 'on-unknown': 'send-again' }]) {
          const { twin, delivery } = await killed({ lacking: 0, reply: '250 2.0.0 queued as 4711ABCD\r\n' }, more)
          expect(await delivery).toMatchObject({ summary: '250 2.0.0 queued as 4711ABCD', terms: ['4711ABCD'] })
          expect(twin.connections().total).toBe(1)
        }
      })

      test('it is sent when it did not get through; whatever happens to that, it is not in doubt', async () => {
        const { twin, again, delivery } = await killed({ lacking: 1 })
        expect((await delivery).summary).toMatch(/^250 /)
        expect(twin.received).toHaveLength(1)
        // First as it was, and then for the connection on which it goes.
        expect(again.intents).toEqual([again.note, expect.objectContaining({ mailAt: expect.any(Number) })])
        expect(again.intents[1]).not.toEqual(again.note)
      })

      test('whatever the document says by then', async () => {
        for (const changes of [{ 'max-size': '10B' }, { loop: { 'own-domains': ['contoso.example'] } }, { port: 1 }]) {
          const { delivery } = await killed({ lacking: 0, reply: '250 2.0.0 queued as 4711ABCD\r\n' }, {}, changes)
          expect((await delivery).summary).toBe('250 2.0.0 queued as 4711ABCD')
          const { delivery: unknown } = await killed(undefined, {}, changes)
          expect((await failure(unknown)).code).toBe('SMTP_OUTCOME_UNKNOWN')
        }
      })

      test('a refusal is one, and the record ends with it', async () => {
        const { again, delivery } = await killed({ lacking: 0, reply: '451 4.3.1 disk full\r\n' })
        expect((await failure(delivery)).code).toBe('SMTP_REFUSED_FOR_NOW')
        expect(again.intents).toEqual([again.note])
      })
    })
  })

  test('with on-unknown: send-again it is sent again, perhaps twice', async () => {
    const twin = await s4()
    twin.faults.drop({ at: 'end' })
    const receiver = await open({ ...near, port: twin.port, 'on-unknown': 'send-again' })
    const error = await failure(receiver.deliver(message(), attempt(message())))
    expect([error.code, error.retry]).toEqual(['SMTP_OUTCOME_UNKNOWN', 'soon'])
    await receiver.deliver(message(), attempt(message(), { isUnknown: true, attempt: 2 }))
    expect(twin.received).toHaveLength(1)
  })

  test('a server that is down is known at once and tried again soon', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port })
    await twin.stop()
    const errors = await Promise.all(
      Array.from({ length: 20 }, () => failure(receiver.deliver(message(), attempt(message())))),
    )
    expect(new Set(errors.map(error => error.retry))).toEqual(new Set(['soon']))
  })

  test('the step is stopped while the server is slow: nothing was handed over, and it is tried again', async () => {
    const twin = await s4()
    twin.faults.delay({ at: 'rcpt', ms: 5000 })
    const receiver = await open({ ...near, port: twin.port })
    const stop = new AbortController()
    setTimeout(() => stop.abort(), 50)
    const error = await failure(receiver.deliver(message(), attempt(message(), { signal: stop.signal })))
    expect([error.code, error.retry]).toEqual(['SMTP_INTERRUPTED', 'soon'])
  })

  test('check says what the server is', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port })
    expect(await receiver.check()).toMatchObject({
      ok: true,
      detail: expect.stringMatching(/^220 s4app01\.example SAP ESMTP service ready \(not encrypted, .*SIZE, 8BITMIME/),
    })
    await twin.stop()
    expect(await receiver.check()).toMatchObject({ ok: false, error: { retry: 'soon' } })
  })

  test('200 mails at once share the connections of the pool', async () => {
    const twin = await s4({ keep: 'digest' })
    const receiver = await open({ ...near, port: twin.port, connections: 4, 'mails-per-connection': 30 })
    await Promise.all(Array.from({ length: 200 }, () => receiver.deliver(message(), attempt(message()))))
    expect(twin.received).toHaveLength(200)
    expect(twin.connections().total).toBeGreaterThanOrEqual(7)
    expect(twin.connections().total).toBeLessThan(15)
  })
})

describe('before a mail is handed over, another connection is tried at once', () => {
  const strikes: readonly [string, object][] = [
    ['421 instead of a greeting', { refuse: [{ at: 'banner', code: 421, times: 2 }] }],
    ['a connection lost at the greeting', { drop: [{ at: 'banner', times: 2 }] }],
    ['451 at EHLO', { refuse: [{ at: 'ehlo', code: 451, times: 2 }] }],
    ['452 at MAIL FROM', { refuse: [{ at: 'mail', code: 452, times: 2 }] }],
    ['421 at RCPT TO', { refuse: [{ at: 'rcpt', code: 421, times: 2 }] }],
    ['a connection lost at RCPT TO', { drop: [{ at: 'rcpt', times: 2 }] }],
    ['a connection lost at DATA', { drop: [{ at: 'data', times: 2 }] }],
  ]
  test.each(strikes)('%s: the third one takes it, once', async (_name, faults) => {
    const twin = await s4()
    twin.setFaults(faults)
    const receiver = await open(
      { ...near, port: twin.port, via: 'dc' },
      { tunnel: () => net.connect(twin.port, '127.0.0.1') },
    )
    const effect = attempt(message())
    await receiver.deliver(message(), effect)
    expect(twin.received).toHaveLength(1)
    expect(twin.received[0]?.octets?.toString()).toBe(mailText)
    expect(twin.connections().total).toBe(3)
    expect(effect.intents).toHaveLength(1)
  })

  test('a connection lost in the middle of a large mail: the whole mail goes over the next one', async () => {
    const twin = await s4()
    twin.setFaults({ drop: [{ at: 'body' }] })
    const receiver = await open({ ...near, port: twin.port })
    const text = `${mailText}${'a line of a large mail\r\n'.repeat(200_000)}`
    await receiver.deliver(message(text), attempt(message(text)))
    expect(twin.received.map(mail => mail.bytes)).toEqual([text.length])
  })

  test('a mail that fails on three connections waits for its turn', async () => {
    const twin = await s4()
    twin.setFaults({ drop: [{ at: 'rcpt', times: 100 }] })
    const receiver = await open({ ...near, port: twin.port })
    expect(await failure(receiver.deliver(message(), attempt(message())))).toMatchObject({
      code: 'SMTP_CONNECTION_LOST',
      retry: 'soon',
    })
    expect(twin.connections().total).toBe(3)
    const patient = await open({ ...near, port: twin.port, 'again-at-once': 0 })
    await failure(patient.deliver(message(), attempt(message())))
    expect(twin.connections().total).toBe(4)
  })

  test.each([
    ['421 as answer to the whole mail', { refuse: [{ at: 'end', code: 421 }] }, 'SMTP_REFUSED_FOR_NOW'],
    ['no answer to the whole mail', { drop: [{ at: 'end' }] }, 'SMTP_OUTCOME_UNKNOWN'],
    ['a refusal for good', { refuse: [{ at: 'mail', code: 550 }] }, 'SMTP_REFUSED'],
    ['one recipient who has to wait', { refuse: [{ at: 'rcpt', code: 451 }] }, 'SMTP_REFUSED_FOR_NOW'],
  ])('%s is not tried again here', async (_name, faults, code) => {
    const twin = await s4()
    twin.setFaults(faults)
    const receiver = await open(
      { ...near, port: twin.port, via: 'dc' },
      { tunnel: () => net.connect(twin.port, '127.0.0.1') },
    )
    expect((await failure(receiver.deliver(message(), attempt(message())))).code).toBe(code)
    expect(twin.connections().total).toBe(1)
  })

  test('a server that is reached directly and asks to come back later is believed', async () => {
    const twin = await s4()
    twin.setFaults({ refuse: [{ at: 'mail', code: 452 }] })
    const receiver = await open({ ...near, port: twin.port })
    expect((await failure(receiver.deliver(message(), attempt(message())))).code).toBe('SMTP_REFUSED_FOR_NOW')
    expect(twin.connections().total).toBe(1)
  })

  test.each([
    ['a recipient who has to wait', { at: 'rcpt', code: 451 }, true],
    ['contents that are looked at later', { at: 'end', code: 451, text: '4.7.1 come again' }, true],
    ['a full disk', { at: 'end', code: 452, text: '4.3.1 no space' }, false],
    ['a server that goes', { at: 'rcpt', code: 421, times: 3 }, false],
    ['a server without room', { at: 'mail', code: 452, times: 3 }, false],
  ])('%s: whether that is about the mail or about the server', async (_name, fault, isAboutMessage) => {
    const twin = await s4()
    twin.setFaults({ refuse: [fault] })
    const receiver = await open({ ...near, port: twin.port, 'again-at-once': 0 })
    const error = await failure(receiver.deliver(message(), attempt(message())))
    expect(error).toMatchObject({ code: 'SMTP_REFUSED_FOR_NOW', retry: 'soon', isAboutMessage })
    expect(error.message).toContain(String(fault.code))
  })
})

test('through a connector each mail has a connection of its own, so that load is spread mail by mail', async () => {
  const twin = await s4()
  const direct = await open({ ...near, port: twin.port })
  const through = await open(
    { ...near, port: twin.port, via: 'dc' },
    { tunnel: () => net.connect(twin.port, '127.0.0.1') },
  )
  const kept = await open(
    { ...near, port: twin.port, via: 'dc', 'mails-per-connection': 5 },
    { tunnel: () => net.connect(twin.port, '127.0.0.1') },
  )
  const connectionsOf = async (receiver: Receiver) => {
    const before = twin.connections().total
    for (let mail = 0; mail < 5; mail++) await receiver.deliver(message(), attempt(message()))
    return twin.connections().total - before
  }
  expect([await connectionsOf(direct), await connectionsOf(through), await connectionsOf(kept)]).toEqual([1, 5, 1])
})

describe('the envelope', () => {
  const longSender =
    'SRS0+4a3e275bf5d1796dcf36+2403+lists.customer.example+bounces+897027BA-3360-11DF@relay.contoso.example'
  const cases: readonly [string, z.input<typeof smtpConfig>['from'], JsonObject, string][] = [
    ['the original return path', undefined, {}, 'anna@contoso.example'],
    ['From where there is no return path', undefined, { returnPath: '' }, 'anna@contoso.example'],
    ['one with another address in it', undefined, { returnPath: longSender }, longSender],
    ['a fixed address', 'bounces@hub.example', {}, 'bounces@hub.example'],
    ['a template', 'via+${message.subject}@hub.example', {}, 'via+Pumps@hub.example'],
    ['nobody', 'none', {}, ''],
    ['nobody, for a bounce', 'bounces@hub.example', { returnPath: '<>' }, ''],
    ['nobody, for an automatic reply', undefined, { isAutomatic: true }, ''],
    ['nobody, where From is no address', undefined, { returnPath: '', from: 'account)@silly.test(his host)>' }, ''],
  ]
  for (const [name, from, attributes, expected] of cases) {
    test(`the sender is ${name}`, async () => {
      const twin = await s4()
      const mail = message(mailText, attributes)
      const receiver = await open({ ...near, port: twin.port, ...(from !== undefined && { from }) })
      await receiver.deliver(mail, attempt(mail))
      expect(twin.received[0]?.from).toBe(expected)
    })
  }

  test.each([
    ['to 1,200 people', 1_200, '', 'SMTP_TOO_MANY_RECIPIENTS'],
    ['to 900 people with long names', 900, 'Firstname Lastname of the Department ', 'delivered'],
    ['with a longer header than is read', 600, 'x'.repeat(250), 'SMTP_RECIPIENTS_UNKNOWN'],
  ])('a mail %s goes to all of them or to nobody', async (_what, count, name, end) => {
    const twin = await s4({ clients: [{ client: '100', domains: ['s4.example'] }] })
    const receiver = await open({ ...near, to: undefined, port: twin.port })
    const to = Array.from({ length: count }, (_unused, index) => `"${name}${index}" <user${index}@s4.example>`)
    const mail = message(`From: a@b.example\r\nTo: ${to.join(',\r\n ')}\r\n\r\nHello\r\n`)
    const delivery = receiver.deliver(mail, attempt(mail))
    if (end === 'delivered') expect((await delivery).fields?.['recipients']).toHaveLength(count)
    else expect((await failure(delivery)).code).toBe(end)
    expect(twin.received.map(({ to: { length } }) => length)).toEqual(end === 'delivered' ? [count] : [])
  })

  test('recipients come from the message where the flow names none, each once', async () => {
    const twin = await s4()
    const receiver = await open({ host: '127.0.0.1', security: 'none', port: twin.port })
    const mail = message(mailText, { to: ['a@s4.example', 'b@s4.example', 'a@S4.example'] })
    await receiver.deliver(mail, attempt(mail))
    expect(twin.received[0]?.to).toEqual(['a@s4.example', 'b@s4.example'])
    const none = message(mailText, { to: [] })
    expect((await failure(receiver.deliver(none, attempt(none)))).code).toBe('SMTP_NO_RECIPIENT')
  })

  test('an address with a line end never reaches the wire', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port, to: '${message.evil}' })
    const mail = message(mailText, { evil: 'a@s4.example>\r\nRCPT TO:<b@s4.example' })
    expect((await failure(receiver.deliver(mail, attempt(mail)))).code).toBe('SMTP_ADDRESS_INVALID')
    expect(twin.connections().total).toBe(0)
  })
})

describe('what is put on top, and what is not let through', () => {
  test('header lines that the flow names, and nothing else', async () => {
    const twin = await s4()
    const add = { 'X-Isthmus-Id': '${message.id}', 'X-Subject': 'Grüße ${message.subject}' }
    const receiver = await open({ ...near, port: twin.port, helo: 'hub.example', headers: { add, received: true } })
    await receiver.deliver(message(), attempt(message()))
    const text = twin.received[0]?.octets?.toString() ?? ''
    expect(text.endsWith(mailText)).toBe(true)
    const header = readMailHeader(Buffer.from(text.slice(0, -mailText.length)))
    expect(firstValues(header)).toMatchObject({
      received: expect.stringMatching(/^by hub\.example \(Isthmus, flow mail-to-s4\) id 0A1B2C3D4E5;\s+\w{3}, \d\d /),
      'x-isthmus-id': '0A1B2C3D4E5',
      'x-subject': `=?UTF-8?B?${Buffer.from('Grüße Pumps').toString('base64')}?=`,
    })
  })

  test('a subject that was folded with a tab can be added, and so can the header itself', async () => {
    const twin = await s4()
    const add = { 'X-Subject': '${message.subject}', 'X-Original': '${message.headers.subject}' }
    const receiver = await open({ ...near, port: twin.port, headers: { add } })
    const mail = message(mailText.replace('Pumps', 'Pumps\r\n\tand pipes'))
    await receiver.deliver(mail, attempt(mail))
    expect(firstValues(readMailHeader(twin.received[0]?.octets ?? Buffer.alloc(0)))).toMatchObject({
      'x-subject': 'Pumps and pipes',
      'x-original': 'Pumps\tand pipes',
    })
  })

  test('a value with a line end is refused', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port, headers: { add: { 'X-A': '${message.evil}' } } })
    const mail = message(mailText, { evil: 'a\r\nBcc: x@y.example' })
    expect((await failure(receiver.deliver(mail, attempt(mail)))).code).toBe('SMTP_HEADER_INVALID')
  })

  test('a mail that goes in circles is stopped', async () => {
    const twin = await s4()
    const receiver = await open({
      ...near,
      port: twin.port,
      loop: { 'received-max': 2, 'own-domains': ['s4.example'] },
    })
    const loops = [
      message(`Received: a\r\nReceived: b\r\nReceived: c\r\n${mailText}`),
      message(mailText.replace('anna@contoso', 'batch@s4').replace('Anna <anna@contoso', 'Batch <batch@s4')),
      message(`Delivered-To: orders@s4.example\r\n${mailText}`),
      message(`X-Loop: orders@s4.example\r\n${mailText}`),
    ]
    for (const mail of loops) {
      expect((await failure(receiver.deliver(mail, attempt(mail)))).code).toBe('SMTP_LOOP')
    }
    await receiver.deliver(message(), attempt(message()))
    expect(twin.received).toHaveLength(1)
  })

  test('a mail that was delivered to the mailbox it was read from may go to that address, once', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port })
    const line = 'Delivered-To: Orders@s4.example\r\n'
    const mailbox = { mailbox: 'orders@s4.example' }
    const first = message(`${line}${mailText}`, mailbox)
    await receiver.deliver(first, attempt(first))
    const second = message(`${line}${line}${mailText}`, mailbox)
    expect((await failure(receiver.deliver(second, attempt(second)))).code).toBe('SMTP_LOOP')
    expect(twin.received).toHaveLength(1)
  })

  test('a mail above the limit is not sent', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port, 'max-size': '100B' })
    expect((await failure(receiver.deliver(message(), attempt(message())))).code).toBe('SMTP_TOO_LARGE')
  })
})

describe('a bounce', () => {
  test('tells the sender through another server when a mail is refused for good', async () => {
    const twin = await s4()
    const relay = await s4({ clients: [{ client: '000', domains: ['contoso.example'] }] })
    const receiver = await open({
      ...near,
      port: twin.port,
      to: 'nobody@elsewhere.example',
      helo: 'hub.example',
      bounce: { server: { host: '127.0.0.1', port: relay.port, security: 'none' } },
    })
    await failure(receiver.deliver(message(), attempt(message())))
    const [bounce] = relay.received
    expect(bounce?.from).toBe('')
    expect(bounce?.to).toEqual(['anna@contoso.example'])
    const text = bounce?.octets?.toString() ?? ''
    expect(text).toContain('report-type=delivery-status')
    expect(text).toContain('Final-Recipient: rfc822; nobody@elsewhere.example\r\nAction: failed\r\n')
    expect(text).toContain('Auto-Submitted: auto-replied')
    expect(text).toContain('In-Reply-To: <order-1@contoso.example>')
    expect(text).not.toContain('Five pumps')
    expect(readMailFacts(readMailHeader(Buffer.from(text))).isAutomatic).toBe(true)
  })

  test('goes out once, however often the mail is tried and refused', async () => {
    const twin = await s4()
    const receiver = await open({
      ...near,
      port: twin.port,
      to: 'nobody@elsewhere.example',
      bounce: 'sender',
      from: 'orders@s4.example',
    })
    const notes: string[] = []
    const isFirst = async (name: string) => notes.push(name) === 1
    for (let count = 0; count < 3; count++) {
      expect((await failure(receiver.deliver(message(), attempt(message(), { isFirst })))).code).toMatch(/REFUSED/)
    }
    expect([twin.received.length, notes]).toEqual([1, ['bounce', 'bounce', 'bounce']])
  })

  test('does not hide the refusal when it cannot be noted', async () => {
    const twin = await s4()
    const receiver = await open({
      ...near,
      port: twin.port,
      to: 'nobody@elsewhere.example',
      bounce: 'sender',
      from: 'orders@s4.example',
    })
    const isFirst = async () => Promise.reject(new Error('The disk is full.'))
    expect((await failure(receiver.deliver(message(), attempt(message(), { isFirst })))).code).toMatch(/REFUSED/)
    expect(twin.received).toEqual([])
  })

  test('changes nothing about a mail that was taken, when the mail cannot be read once more for it', async () => {
    const twin = await s4()
    const to = ['orders@s4.example', 'nobody@elsewhere.example']
    const receiver = await open({ ...near, port: twin.port, to, bounce: 'sender', from: 'orders@s4.example' })
    const bytes = Buffer.from(mailText)
    const body: Body = {
      bytes: bytes.length,
      type: 'message/rfc822',
      held: undefined,
      async *stream() {
        if (twin.received.length > 0) throw netErrors.CONNECT_REFUSED({ host: 'store', port: 1, reason: 'gone' })
        yield bytes
      },
    }
    const mail = message(mailText, {}, body)
    expect((await receiver.deliver(mail, attempt(mail))).summary).toMatch(/^250 /)
    expect(twin.received).toHaveLength(1)
  })

  test('is never sent for an automatic mail, nor for a refusal that is only for now', async () => {
    const twin = await s4()
    const receiver = await open({ ...near, port: twin.port, bounce: 'sender' })
    const automatic = message(mailText, { isAutomatic: true })
    twin.faults.refuse({ at: 'rcpt', code: 550 })
    await failure(receiver.deliver(automatic, attempt(automatic)))
    twin.faults.refuse({ at: 'rcpt', code: 451 })
    await failure(receiver.deliver(message(), attempt(message())))
    expect(twin.received).toHaveLength(0)
  })
})

describe('submission to Exchange Online', () => {
  const token = (value: string): CredentialValue => ({
    kind: 'oauth2',
    user: 'hub@contoso.example',
    token: async refused => ({ value: refused === 'old' ? 'new' : value, expiresAt: Date.now() + 3_600_000 }),
  })

  async function world(credential: CredentialValue, change: Partial<z.input<typeof smtpConfig>> = {}) {
    const certificate = await makeTwinCertificate()
    const folder = await mkdtemp(join(tmpdir(), 'isthmus-smtp-'))
    closing.push(() => rm(folder, { recursive: true }))
    await writeFile(join(folder, 'ca.pem'), certificate.ca)
    const twin = await startExchangeSmtp({
      tls: certificate,
      check: ({ secret }) => {
        if (secret === 'disabled') return 'disabled'
        return secret === 'new' ? { mailbox: 'hub@contoso.example', maySendAs: ['team@contoso.example'] } : 'refused'
      },
    })
    closing.push(() => twin.stop())
    const config = {
      host: '127.0.0.1',
      port: twin.port,
      auth: 'm365',
      ca: 'ca.pem',
      from: 'hub@contoso.example',
      ...change,
    }
    const receiver = await open({ to: 'x@y.example', ...config }, { folder, credential })
    return { twin, receiver }
  }

  test('goes over STARTTLS with XOAUTH2', async () => {
    const { twin, receiver } = await world(token('new'))
    const receipt = await receiver.deliver(message(), attempt(message()))
    expect(receipt.summary).toMatch(/^250 2\.0\.0 OK <order-1@contoso\.example> \[Hostname=/)
    expect(twin.received[0]).toMatchObject({ user: 'hub@contoso.example', isEncrypted: true })
    expect(twin.received[0]?.octets?.toString()).toBe(mailText)
  })

  test('a token that the server no longer takes is renewed once', async () => {
    const { twin, receiver } = await world(token('old'))
    await receiver.deliver(message(), attempt(message()))
    expect(twin.received).toHaveLength(1)
  })

  const refusals: readonly [string, string, Partial<z.input<typeof smtpConfig>>, string][] = [
    ['a token of somebody else', 'stolen', {}, 'SMTP_AUTH_REFUSED'],
    ['a mailbox without SMTP AUTH', 'disabled', {}, 'SMTP_AUTH_REFUSED'],
    ['a sender whose address is not ours', 'new', { from: 'boss@contoso.example' }, 'SMTP_SEND_AS_DENIED'],
    ['an unknown certificate', 'new', { ca: undefined }, 'NET_TLS_FAILED'],
  ]
  for (const [name, secret, change, code] of refusals) {
    test(`${name} waits for a change`, async () => {
      const { receiver, twin } = await world(token(secret), change)
      const error = await failure(receiver.deliver(message(), attempt(message())))
      expect([error.code, error.retry]).toEqual([code, 'after-change'])
      expect(twin.received).toHaveLength(0)
    })
  }

  test('a throttled server is asked again soon', async () => {
    const { twin, receiver } = await world(token('new'))
    twin.throttle()
    const error = await failure(receiver.deliver(message(), attempt(message())))
    expect([error.code, error.retry]).toEqual(['SMTP_TOO_MANY_CONNECTIONS', 'soon'])
    await receiver.deliver(message(), attempt(message()))
    expect(twin.received).toHaveLength(1)
  })

  test('a mailbox may send on three connections at a time: the others wait, and soon no more are opened', async () => {
    const { twin, receiver } = await world(token('new'))
    twin.faults.delay({ at: 'end', ms: 20, times: 1000 })
    const deliver = async () => {
      const results = await Promise.allSettled(
        Array.from({ length: 48 }, () => receiver.deliver(message(), attempt(message()))),
      )
      return results.flatMap(result => (result.status === 'rejected' ? [String(result.reason.code)] : []))
    }
    const first = await deliver()
    expect(new Set(first)).toEqual(new Set(['SMTP_TOO_MANY_CONNECTIONS']))
    expect(await deliver()).toEqual([])
    expect(twin.received).toHaveLength(2 * 48 - first.length)
  })
})

describe('the document', () => {
  test('a log-in over an open connection is refused, but on this machine or behind a connector', () => {
    const open = { host: 'mail.example', auth: 'a', security: 'none' as const }
    expect(smtpConfig.safeParse(open).error?.issues[0]?.path).toEqual(['security'])
    expect(smtpConfig.safeParse({ ...open, host: '127.0.0.1' }).success).toBe(true)
    expect(smtpConfig.safeParse({ ...open, via: 'dc-frankfurt' }).success).toBe(true)
  })

  test('a server has some time for each answer: with none for the last one every mail would be in doubt', () => {
    for (const name of ['connect', 'greeting', 'command', 'data-start', 'data-block', 'data-end']) {
      const { error } = smtpConfig.safeParse({ host: 'mail.example', timeouts: { [name]: '0s' } })
      expect(error?.issues.map(({ path }) => path.join('.'))).toEqual([`timeouts.${name}`])
    }
    expect(smtpConfig.safeParse({ host: 'mail.example', idle: '0s' }).success).toBe(true)
  })

  test('encryption is needed unless the flow says otherwise', async () => {
    const twin = await s4()
    const receiver = await open({ host: '127.0.0.1', port: twin.port, to: 'orders@s4.example' })
    expect((await failure(receiver.deliver(message(), attempt(message())))).code).toBe('SMTP_TLS_NEEDED')
  })

  test('a certificate that is not there is named when the flow starts', async () => {
    const error = await failure(open({ ...near, ca: 'missing.pem' }))
    expect(error.code).toBe('SMTP_CA_UNREADABLE')
    expect(error.message).toContain('missing.pem')
  })

  test('every example parses', () => {
    for (const example of smtp.examples) expect(smtpConfig.safeParse(example.config).success).toBe(true)
  })
})
