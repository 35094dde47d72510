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
import { type ServerProcess, startProcess } from './servers/server-process.ts'
import { waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const program = `${import.meta.dirname}/../../src/cli/isthmus.js`
const mailbox = 'orders@contoso.com'
const largeBytes = 50 * MiB
const moreBytesMax = 30 * MiB
const usualCount = 20
/** Long enough for the hub to come to rest after its start and after the usual mails. */
const restMs = 3_000
const arriveMs = 60_000
/** A last line without an end is what DATA would change, so such a mail goes by BDAT. */
const endings = { 'data-pipelined': '', bdat: 'The last line does not end' }

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

describeForeign('mails of 50 MiB from Dovecot to Postfix, by isthmus serve', ['dovecot', 'postfix'], () => {
  const folder = makeWorkFolder('memory')
  const dataFolder = join(folder.path, 'data')
  const flowFiles = [join(folder.path, 'flow.yaml')]
  let dovecot: Dovecot
  let postfix: Postfix
  let serve: ServerProcess
  let startedBytes = 0
  let restingBytes = 0

  beforeAll(async () => {
    dovecot = await startDovecot({ users: [mailbox] })
    postfix = await startPostfix()
    writeFileSync(join(folder.path, 'dovecot-ca.pem'), dovecot.ca)
    writeFileSync(join(folder.path, 'flow.yaml'), flow(dovecot, postfix))
    const ports = 'admin: { port: 0 }\nendpoints: { port: 0 }\n'
    writeFileSync(join(folder.path, 'isthmus.yaml'), `flows: [flow.yaml]\ndata: data\n${ports}`)
    mkdirSync(dataFolder, { mode: 0o700 })
    const basic = { mailbox: { user: mailbox, password: dovecotPassword } }
    await briefly(new HubUnderTest({ dataFolder, flowFiles: [], basic }), async () => {})

    serve = startProcess(process.execPath, [program, 'serve'], { cwd: folder.path })
    await waitFor('isthmus serve to listen', arriveMs, () => {
      if (!serve.isRunning()) throw new Error(`isthmus serve ended: ${serve.output()}`)
      return serve.output().includes('Isthmus listens')
    })
    await sleep(restMs)
    startedBytes = memoryOf(serve.pid)?.rssBytes ?? Number.NaN
    // All code has run once, as in a hub that has been up for a while.
    await carry([...randomMails(corpusSeed, usualCount)].map(mail => mail.bytes))
    await sleep(restMs)
    restingBytes = memoryOf(serve.pid)?.rssBytes ?? Number.NaN
  })
  afterAll(async () => {
    await Promise.all([serve?.stop(), dovecot?.stop(), postfix?.stop()])
    folder.remove()
  })

  test.each(Object.entries(endings))('one takes less than 30 MiB more memory (%s)', async (mode, ending) => {
    forgetPeak(serve.pid)
    await carry([Buffer.concat([...largeMail(largeBytes, corpusSeed).chunks(), Buffer.from(ending)])])
    const peakBytes = memoryOf(serve.pid)?.peakBytes ?? Number.NaN
    const [sinceRest, sinceStart] = [peakBytes - restingBytes, peakBytes - startedBytes]
    console.info(
      `${mode}: ${formatSize(sinceRest)} more than at rest, ${formatSize(sinceStart)} more than before the first mail`,
    )
    expect(sinceRest).toBeLessThan(moreBytesMax)
    expect(sinceStart).toBeLessThan(moreBytesMax)
  })

  test('they went whole, one by DATA and one by BDAT', async () => {
    await serve.stop()
    await briefly(new HubUnderTest({ dataFolder, flowFiles }), async hub => {
      const fields = (await hub.details()).map(({ receipts }) => receipts[0]?.fields)
      const wanted = Object.entries(endings).map(([mode, ending]) => ({ mode, bytes: largeBytes + ending.length }))
      expect(fields.slice(-wanted.length)).toMatchObject(wanted)
    })
  })

  /** Puts mails into the mailbox and waits until they have arrived and were moved. */
  async function carry(mails: readonly Uint8Array[]): Promise<void> {
    const before = postfix.delivered().length
    dovecot.seed(mailbox, mails)
    await postfix.waitForDelivered(before + mails.length, arriveMs)
    await waitFor('the mailbox to be empty', arriveMs, () => dovecot.unreadCount(mailbox) === 0)
  }
})

async function briefly(hub: HubUnderTest, act: (hub: HubUnderTest) => Promise<void>): Promise<void> {
  await hub.start()
  try {
    await act(hub)
  } finally {
    await hub.stop()
  }
}
