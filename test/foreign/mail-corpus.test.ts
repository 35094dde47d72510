import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { survivesData } from '../corpus/after-data.ts'
import { hostileMails } from '../corpus/hostile-mails.ts'
import type { NamedMail } from '../corpus/named-mail.ts'
import { randomMails } from '../corpus/random-mails.ts'
import { corpusSeed } from '../corpus/seeded-random.ts'
import { HubUnderTest, type SeenDetail } from '../hub/hub-under-test.ts'
import { asDovecotServes, type Dovecot, dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postfix, startPostfix } from './servers/postfix.ts'
import { asPostfixKeeps } from './servers/postfix-storage.ts'
import { waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const mailbox = 'orders@contoso.com'
const randomCount = 300
const seed = Number(process.env['ISTHMUS_CORPUS_SEED'] ?? corpusSeed)
const arriveMs = 120_000

const flow = (dovecot: Dovecot, postfix: Postfix) => `
flow: mail-corpus
from:
  imap:
    host: 127.0.0.1
    port: ${dovecot.imapsPort}
    ca: dovecot-ca.pem
    user: ${mailbox}
    auth: mailbox
    every: 1s
    done: { move: Processed, failed: Error }
to:
  smtp:
    host: 127.0.0.1
    port: ${postfix.port}
    security: none
    to: inbound@s4.local
    loop: { own-domains: [s4.local] }
`

/** What does not arrive, and the sentence that says why. */
const setAside: Readonly<Record<string, RegExp>> = {
  'received-51': /^IMAP_LOOP: Mail \d+ of orders@contoso.com has 51 Received lines/,
  'received-500': /^IMAP_LOOP: Mail \d+ of orders@contoso.com has 500 Received lines/,
  'x-loop-own': /^SMTP_LOOP: .* it has been at inbound@s4.local before/,
  'delivered-to-own': /^SMTP_LOOP: .* it has been at inbound@s4.local before/,
  'from-own-domain': /^SMTP_LOOP: .* it comes from batch@s4.local, and s4.local is where it goes/,
}

/** What Postfix keeps in another form than the hub sent it (see asPostfixKeeps); all others are the very bytes. */
const changedByPostfix: Readonly<Record<string, readonly string[]>> = {
  'a CR alone': ['smuggle-cr-dot-cr', 'bare-cr', 'bare-cr-throughout', 'bare-cr-in-header', 'crcrlf', 'lfcr'],
  'no final line end': ['no-final-line-end', 'ends-with-cr', 'nul-only-body', 'quoted-printable-broken'],
  'both of them': ['binary-part', 'charset-utf16', 'only-cr'],
  'a line of an mbox file': ['mbox-from-line', 'escaped-mbox-from-line'],
  'a header that does not end': [
    '8bit-header-name',
    'header-cut-in-name',
    'body-without-colon-lines',
    'folded-first-line',
    'one-octet',
    'only-dot',
    'header-name-with-space',
    'header-without-name',
  ],
}

describeForeign(`${randomCount} usual mails and every hostile one, Dovecot to Postfix`, ['dovecot', 'postfix'], () => {
  const folder = makeWorkFolder('corpus')
  const mails: readonly NamedMail[] = [...hostileMails(), ...randomMails(seed, randomCount)]
  let dovecot: Dovecot
  let postfix: Postfix
  let hub: HubUnderTest
  /** What the hub took in, by the name of the mail. */
  const messages = new Map<string, SeenDetail>()

  beforeAll(async () => {
    dovecot = await startDovecot({ users: [mailbox] })
    postfix = await startPostfix({ keep: 'maildir' })
    mkdirSync(join(folder.path, 'flow'))
    writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
    writeFileSync(join(folder.path, 'flow', 'flow.yaml'), flow(dovecot, postfix))
    dovecot.seed(
      mailbox,
      mails.map(mail => mail.bytes),
    )
    hub = new HubUnderTest({
      dataFolder: join(folder.path, 'data'),
      flowFiles: [join(folder.path, 'flow', 'flow.yaml')],
      basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    })
    await hub.start()
    await waitFor('every mail to leave INBOX', arriveMs, () => dovecot.unreadCount(mailbox) === 0).catch(
      async (error: Error) => {
        throw new Error(`${error.message}\n${JSON.stringify(await hub.flow('mail-corpus'), null, 1)}\n${hub.output()}`)
      },
    )
    // The first mail of a mailbox has UID 1.
    for (const message of await hub.details()) messages.set(mails[message.attributes.uid - 1]?.name ?? '', message)
  })
  afterAll(async () => {
    await Promise.all([hub?.stop(), dovecot?.stop(), postfix?.stop()])
    folder.remove()
  })

  test('each arrives or is set aside with a reason, and none stops the others', async () => {
    const isDelivered = (name: string) => messages.get(name)?.state === 'delivered'
    expect(
      mails
        .map(({ name }) => name)
        .filter(name => !isDelivered(name))
        .toSorted(),
    ).toEqual(Object.keys(setAside).toSorted())
    const troubles = hub.log().map(({ code, error }) => `${code}: ${error}`)
    for (const [name, reason] of Object.entries(setAside)) {
      const error = messages.get(name)?.error
      // A mail that was not taken in has no message; the link tells of it.
      const reasons = error ? [`${error.code}: ${error.message}`] : troubles
      expect([name, reasons.filter(text => reason.test(text)).length]).toEqual([name, 1])
    }
    for (const mail of mails) {
      if (mail.expectation !== 'either') expect([mail.name, mail.expectation]).toEqual([mail.name, expectedOf(mail)])
    }
  })

  test('what arrives is byte for byte what the mail server served', async () => {
    const delivered = mails.filter(({ name }) => !(name in setAside))
    await postfix.waitForDelivered(delivered.length, arriveMs)
    const kept = new Map(postfix.received().map(mail => [mail.queueId, mail.bytes]))
    expect(kept.size).toBe(delivered.length)
    const changed: string[] = []
    for (const { name, bytes } of delivered) {
      const served = asDovecotServes(bytes)
      // The id that Postfix gave stands in the receipt, so each mail is compared with the one it came from.
      const queueId = messages.get(name)?.terms.at(-1) ?? ''
      const arrived = kept.get(queueId) ?? Buffer.from(`nothing under "${queueId}"`)
      expect([name, textOf(arrived)]).toEqual([name, name === 'only-cr' ? '' : textOf(asPostfixKeeps(served))])
      if (Buffer.compare(arrived, served) !== 0) changed.push(name)
    }
    expect(changed.toSorted()).toEqual(Object.values(changedByPostfix).flat().toSorted())
  })

  test('what DATA would change goes by BDAT', () => {
    const modes = mails
      .filter(({ name }) => !(name in setAside))
      .map(({ name, bytes }) => {
        const mode = messages.get(name)?.receipts[0]?.fields?.['mode']
        return { name, mode, expected: survivesData(asDovecotServes(bytes)) ? 'data-pipelined' : 'bdat' }
      })
    expect(modes.filter(({ mode, expected }) => mode !== expected)).toEqual([])
  })

  test('the mailbox is sorted: delivered ones in Processed, the others in Error, all of them as they were', () => {
    const inFolder = (name: string) => dovecot.list(mailbox, name).map(mail => textOf(mail.bytes))
    const failed = (mail: NamedMail) => mail.name in setAside
    const textsOf = (some: readonly NamedMail[]) => some.map(mail => textOf(mail.bytes)).toSorted()
    expect(inFolder('Error').toSorted()).toEqual(textsOf(mails.filter(failed)))
    expect(inFolder('Processed').toSorted()).toEqual(textsOf(mails.filter(mail => !failed(mail))))
    expect(inFolder('INBOX')).toEqual([])
  })
})

function expectedOf({ name }: NamedMail): string {
  return name in setAside ? 'set-aside' : 'as-is'
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('latin1')
}
