import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, onTestFinished, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { startExchangeSmtp } from '../../src/twins/exchange-smtp/exchange-smtp.ts'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { survivesData } from '../corpus/after-data.ts'
import { hostileMails } from '../corpus/hostile-mails.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { type Dovecot, dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postfix, startPostfix } from './servers/postfix.ts'
import { sendWithSwaks } from './servers/swaks.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const buyer = 'customer@fabrikam.test'
const mailbox = 'orders@contoso.com'
const arriveMs = 30_000

const mail = (name: string, body = 'Five pumps, please.\r\n.\r\n..and a line of dots\r\n') =>
  Buffer.from(
    `From: <${buyer}>\r\nTo: <${mailbox}>\r\nSubject: ${name}\r\nMessage-ID: <${name}@fabrikam.test>\r\n\r\n${body}`,
  )
const logIn = (mechanism: 'PLAIN' | 'LOGIN', user: string, password: string) => [
  '--auth',
  mechanism,
  '--auth-user',
  user,
  '--auth-password',
  password,
]

describeForeign('swaks and the mail twins', ['swaks'], () => {
  test('S/4HANA: over STARTTLS, logged in with PLAIN, a mail lands in its business process as it was', async () => {
    const tls = await makeTwinCertificate()
    const twin = await startS4Smtp({ tls, users: { MAILUSER: 'Welcome1' } })
    onTestFinished(() => twin.stop())
    const order = { port: twin.port, from: buyer, to: ['orders@s4.example'], bytes: mail('to-sap') }
    const args = ['--tls', ...logIn('PLAIN', 'MAILUSER', 'Welcome1')]
    expect(await sendWithSwaks({ ...order, args })).toMatchObject({
      isAccepted: true,
      transcript: expect.stringContaining('250 Mail accepted, document FOL38'),
    })
    expect(twin.received).toMatchObject([
      { user: 'MAILUSER', isEncrypted: true, from: buyer, processes: { 'orders@s4.example': 'ZCL_INBOUND_ORDERS' } },
    ])
    expect(twin.received[0]?.octets).toEqual(order.bytes)

    const wrong = await sendWithSwaks({ ...order, args: ['--tls', ...logIn('PLAIN', 'MAILUSER', 'guess')] })
    expect([wrong.isAccepted, wrong.transcript]).toEqual([false, expect.stringContaining('535 Log-in failed')])
    const nobody = await sendWithSwaks(order)
    expect([nobody.isAccepted, nobody.transcript]).toEqual([false, expect.stringContaining('530 ')])
    const unknown = await sendWithSwaks({ ...order, to: ['orders@elsewhere.test'], args })
    expect([unknown.isAccepted, unknown.transcript]).toEqual([
      false,
      expect.stringContaining('550 <orders@elsewhere.test>'),
    ])
    expect(twin.received).toHaveLength(1)
  })

  test('Exchange Online: a mailbox sends as itself after STARTTLS and a log-in, and as nobody else', async () => {
    const twin = await startExchangeSmtp({
      tls: await makeTwinCertificate(),
      check: ({ user, secret }) => (secret === 'right' ? { mailbox: user } : 'refused'),
    })
    onTestFinished(() => twin.stop())
    const order = { port: twin.port, from: mailbox, to: ['orders@s4.example'], bytes: mail('by-exchange') }
    const args = ['--tls', ...logIn('LOGIN', mailbox, 'right')]
    const sent = await sendWithSwaks({ ...order, args })
    expect([sent.isAccepted, sent.transcript]).toEqual([true, expect.stringContaining('<by-exchange@fabrikam.test>')])
    expect(twin.received[0]?.octets).toEqual(order.bytes)

    const refusals = [
      { args: ['--tls', ...logIn('LOGIN', mailbox, 'wrong')], words: '535 5.7.3 Authentication unsuccessful' },
      { args: ['--tls'], words: '530 5.7.57 Client not authenticated' },
      { args, from: 'boss@contoso.com', words: 'SendAsDeniedException' },
      { args: logIn('LOGIN', mailbox, 'right'), words: 'did not advertise authentication' },
    ]
    for (const { words, ...change } of refusals) {
      const { isAccepted, transcript } = await sendWithSwaks({ ...order, ...change })
      expect([words, isAccepted]).toEqual([words, false])
      expect(transcript).toContain(words)
    }
    expect(twin.received).toHaveLength(1)
  })

  test('hostile mails that DATA can carry, one in eight, are taken by the S/4HANA twin as swaks sent them', async () => {
    const twin = await startS4Smtp()
    onTestFinished(() => twin.stop())
    const mails = hostileMails().filter(({ bytes }) => bytes.length < 100_000 && survivesData(bytes))
    const sample = mails.filter((_mail, index) => index % 8 === 0)
    for (const { bytes } of sample) {
      const { isAccepted } = await sendWithSwaks({ port: twin.port, from: buyer, to: ['orders@s4.example'], bytes })
      expect(isAccepted).toBe(true)
    }
    expect(twin.received.map(({ octets }) => octets?.toString('latin1'))).toEqual(
      sample.map(({ bytes }) => Buffer.from(bytes).toString('latin1')),
    )
  })
})

describeForeign('a mail by swaks, all the way', ['swaks', 'dovecot', 'postfix'], () => {
  const folder = makeWorkFolder('swaks')
  let dovecot: Dovecot
  let outside: Postfix
  let sap: Postfix
  let hub: HubUnderTest

  beforeAll(async () => {
    dovecot = await startDovecot({ users: [mailbox] })
    outside = await startPostfix({
      deliverTo: { maildirs: { [mailbox]: dovecot.maildir(mailbox) }, owner: dovecot.owner },
    })
    sap = await startPostfix({ keep: 'maildir' })
    mkdirSync(join(folder.path, 'flow'))
    writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
    writeFileSync(
      join(folder.path, 'flow', 'flow.yaml'),
      `
flow: mail-swaks
from:
  imap:
    host: 127.0.0.1
    port: ${dovecot.imapsPort}
    ca: dovecot-ca.pem
    user: ${mailbox}
    auth: mailbox
    every: 1m
    done: { move: Processed, failed: Error }
to:
  smtp:
    host: 127.0.0.1
    port: ${sap.port}
    security: none
    to: inbound@s4.local
`,
    )
    hub = new HubUnderTest({
      dataFolder: join(folder.path, 'data'),
      flowFiles: [join(folder.path, 'flow', 'flow.yaml')],
      basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    })
    await hub.start()
  })
  afterAll(async () => {
    await Promise.all([hub?.stop(), outside?.stop(), sap?.stop(), dovecot?.stop()])
    folder.remove()
  })

  test('goes through Postfix, Dovecot, the hub and Postfix, noticed by IDLE, and keeps its bytes and its sender', async () => {
    const names = ['first', 'second', 'third']
    for (const name of names) {
      const { isAccepted } = await sendWithSwaks({ port: outside.port, from: buyer, to: [mailbox], bytes: mail(name) })
      expect(isAccepted).toBe(true)
    }
    const delivered = await sap.waitForDelivered(names.length, arriveMs)
    expect(delivered).toHaveLength(names.length)
    const atSap = new Map(sap.received().map(({ queueId, bytes }) => [queueId, bytes]))
    for (const name of names) {
      // Mails of one mailbox travel beside each other, so any order is right.
      const entry = delivered.find(({ messageId }) => messageId === `<${name}@fabrikam.test>`)
      expect(entry).toMatchObject({ from: buyer, to: ['inbound@s4.local'] })
      const arrived = Buffer.from(atSap.get(entry?.queueId ?? '') ?? '').toString('latin1')
      // What the first Postfix put on top is part of the mail in the mailbox; from there on nothing changed.
      expect(arrived).toBe(asDelivered(name))
      expect(arrived).toMatch(/^Return-Path: <customer@fabrikam\.test>\r\n/)
      expect(arrived.endsWith(mail(name).toString('latin1'))).toBe(true)
    }
  })

  /** The mail as it lies in Dovecot, its line ends as IMAP gives them. */
  function asDelivered(name: string): string | undefined {
    return ['Processed', 'INBOX']
      .flatMap(part => dovecot.list(mailbox, part))
      .map(({ bytes }) => Buffer.from(bytes).toString('latin1').replaceAll('\n', '\r\n'))
      .find(text => text.includes(`<${name}@fabrikam.test>`))
  }
})
