import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const mailbox = 'orders@contoso.com'
const waitMs = 30_000

describeForeign('a Dovecot that keeps folders below INBOX, as Courier does', ['dovecot'], () => {
  test('delivers all the same, and whoever wrote the flow reads what the folder is called there', async () => {
    const folder = makeWorkFolder('ns')
    onTestFinished(() => folder.remove())
    const dovecot = await startDovecot({ users: [mailbox], namespace: { prefix: 'INBOX.', separator: '.' } })
    onTestFinished(() => dovecot.stop())
    const s4 = await startS4Smtp()
    onTestFinished(() => s4.stop())
    mkdirSync(join(folder.path, 'flow'))
    writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
    const file = join(folder.path, 'flow', 'flow.yaml')
    const write = (target: string) =>
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
    done: { move: ${target} }
to:
  smtp: { host: 127.0.0.1, port: ${s4.port}, security: none, to: orders@s4.example }
`,
      )
    write('Archive/Done')
    const hub = new HubUnderTest({
      dataFolder: join(folder.path, 'data'),
      flowFiles: [file],
      basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    })
    onTestFinished(() => hub.stop())
    dovecot.seed(
      mailbox,
      [1, 2, 3].map(number => Buffer.from(`Subject: ${number}\r\nMessage-ID: <${number}@contoso.com>\r\n\r\nx\r\n`)),
    )
    await hub.start()
    await waitFor('the mails to arrive', waitMs, () => s4.received.length === 3)
    const told = () => hub.log().find(({ code }) => code === 'IMAP_FOLDER_PLACE')
    await waitFor('the name to be told', waitMs, () => told() !== undefined)
    expect(told()?.next).toContain('"INBOX.Archive.Done"')
    expect(dovecot.list(mailbox)).toHaveLength(3)

    await hub.stop()
    write('INBOX.Archive.Done')
    await hub.start()
    await waitFor('the mails to be moved', waitMs, () => dovecot.list(mailbox, 'Archive/Done').length === 3)
    expect([dovecot.list(mailbox).length, s4.received.length]).toEqual([0, 3])
  }, 120_000)
})
