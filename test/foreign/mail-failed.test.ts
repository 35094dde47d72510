import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { HubUnderTest, type SeenMessage } from '../hub/hub-under-test.ts'
import { dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const mailbox = 'orders@contoso.com'
const waitMs = 30_000

const mail = (number: number) =>
  Buffer.from(
    `From: anna@adatum.example\r\nMessage-ID: <${number}@adatum.example>\r\nSubject: ${number}\r\n\r\nFive.\r\n`,
  )

describeForeign('the failed folder of Dovecot', ['dovecot'], () => {
  test('keeps what nobody has solved: what is replayed or skipped leaves it', async () => {
    const folder = makeWorkFolder('fail')
    onTestFinished(() => folder.remove())
    const dovecot = await startDovecot({ users: [mailbox] })
    onTestFinished(() => dovecot.stop())
    const s4 = await startS4Smtp()
    onTestFinished(() => s4.stop())
    mkdirSync(join(folder.path, 'flow'))
    writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
    const file = join(folder.path, 'flow', 'flow.yaml')
    writeFileSync(
      file,
      `
flow: mail
from:
  imap:
    host: 127.0.0.1
    port: ${dovecot.imapsPort}
    ca: dovecot-ca.pem
    user: ${mailbox}
    auth: mailbox
    every: 500ms
    done: { move: Processed, failed: Failed }
to:
  smtp: { host: 127.0.0.1, port: ${s4.port}, security: none, to: orders@s4.example }
`,
    )
    const hub = new HubUnderTest({
      dataFolder: join(folder.path, 'data'),
      flowFiles: [file],
      basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    })
    onTestFinished(() => hub.stop())
    await hub.start()

    s4.faults.refuse({ at: 'end', code: 554, text: 'No order number found', times: 5 })
    const numbers = [1, 2, 3, 4, 5]
    dovecot.seed(mailbox, numbers.map(mail))
    const lying = (name: string) =>
      dovecot
        .list(mailbox, name)
        .map(({ bytes }) => Number(/^Subject: (\d+)/m.exec(Buffer.from(bytes).toString())?.[1]))
        .toSorted((a, b) => a - b)
    await waitFor('all to fail', waitMs, () => lying('Failed').length === numbers.length)
    const { messages } = await hub.call<{ messages: SeenMessage[] }>('GET', '/api/messages?state=set-aside')
    const idOf = (number: number) =>
      messages.find(({ id }) => details.some(each => each.id === id && each.terms.includes(`${number}@adatum.example`)))
        ?.id
    const details = await hub.details()
    for (const number of [2, 4]) await hub.call('POST', `/api/messages/${idOf(number)}/replay`)
    await hub.call('POST', `/api/messages/${idOf(5)}/skip`, { reason: 'ordered by telephone' })
    await waitFor('three to leave the folder', waitMs, () => lying('Failed').length === 2)
    expect([lying('Failed'), lying('Processed'), s4.received.length]).toEqual([[1, 3], [2, 4, 5], 2])

    // Known also after a restart.
    await hub.stop()
    await hub.start()
    await hub.call('POST', `/api/messages/${idOf(1)}/replay`)
    await waitFor('another to leave the folder', waitMs, () => lying('Failed').length === 1)
    expect([lying('Failed'), lying('Processed'), s4.received.length]).toEqual([[3], [1, 2, 4, 5], 3])
  }, 120_000)
})
