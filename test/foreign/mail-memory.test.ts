import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { forgetPeak, memoryOf } from '../../bench/mail/measure.ts'
import { formatSize, MiB } from '../../src/kernel/size.ts'
import { largeMail } from '../corpus/large-mail.ts'
import { randomMails } from '../corpus/random-mails.ts'
import { corpusSeed } from '../corpus/seeded-random.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { type Dovecot, dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postfix, startPostfix } from './servers/postfix.ts'
import { waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const mailbox = 'orders@contoso.com'
const largeBytes = 50 * MiB
const moreBytesMax = 30 * MiB
const usualCount = 20
/** Long enough for the hub to come to rest after its start and after the usual mails. */
const restMs = 2_000
const arriveMs = 60_000

const flow = (dovecot: Dovecot, postfix: Postfix) => `
flow: mail-memory
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
    to: orders@s4.local
`

describeForeign('a mail of 50 MiB from Dovecot to Postfix', ['dovecot', 'postfix'], () => {
  const folder = makeWorkFolder('memory')
  let dovecot: Dovecot
  let postfix: Postfix
  let hub: HubUnderTest
  let startedBytes = 0
  let restingBytes = 0

  beforeAll(async () => {
    dovecot = await startDovecot({ users: [mailbox] })
    postfix = await startPostfix()
    mkdirSync(join(folder.path, 'flow'))
    writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
    writeFileSync(join(folder.path, 'flow', 'flow.yaml'), flow(dovecot, postfix))
    hub = new HubUnderTest({
      dataFolder: join(folder.path, 'data'),
      flowFiles: [join(folder.path, 'flow', 'flow.yaml')],
      basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    })
    await hub.start()
    await sleep(restMs)
    startedBytes = memoryOf(hub.pid)?.rssBytes ?? Number.NaN
    // All code has run once, as in a hub that has been up for a while.
    await carry([...randomMails(corpusSeed, usualCount)].map(mail => mail.bytes))
    await sleep(restMs)
    restingBytes = memoryOf(hub.pid)?.rssBytes ?? Number.NaN
  })
  afterAll(async () => {
    await Promise.all([hub?.stop(), dovecot?.stop(), postfix?.stop()])
    folder.remove()
  })

  test.each([
    ['DATA', 'data-pipelined', ''],
    ['BDAT', 'bdat', 'The last line does not end'],
  ])('takes less than 30 MiB more memory, by %s', async (_name, mode, lastLine) => {
    const parts = [...largeMail(largeBytes, corpusSeed).chunks(), Buffer.from(lastLine)]
    forgetPeak(hub.pid)
    await carry([Buffer.concat(parts)])
    const peakBytes = memoryOf(hub.pid)?.peakBytes ?? Number.NaN
    const moreBytes = peakBytes - restingBytes
    const sinceStart = formatSize(peakBytes - startedBytes)
    console.info(`${mode}: ${formatSize(moreBytes)} more than at rest, ${sinceStart} more than before the first mail`)
    expect((await hub.details()).at(-1)?.receipts[0]?.fields).toMatchObject({
      mode,
      bytes: largeBytes + lastLine.length,
    })
    expect(moreBytes).toBeLessThan(moreBytesMax)
  })

  /** Puts mails into the mailbox and waits until they have arrived and were moved. */
  async function carry(mails: readonly Uint8Array[]): Promise<void> {
    const before = postfix.delivered().length
    dovecot.seed(mailbox, mails)
    await postfix.waitForDelivered(before + mails.length, arriveMs)
    await waitFor('the mailbox to be empty', arriveMs, () => dovecot.unreadCount(mailbox) === 0)
  }
})
