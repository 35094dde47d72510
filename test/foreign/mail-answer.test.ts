import { mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { startRelay } from '../../src/connector/agent/agent-world.ts'
import { ConnectorUnderTest } from '../hub/connector-process.ts'
import { HubUnderTest } from '../hub/hub-under-test.ts'
import { dovecotPassword, startDovecot } from './servers/dovecot.ts'
import { describeForeign } from './servers/needs.ts'
import { startPostfix } from './servers/postfix.ts'
import { freePorts, waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const mailbox = 'orders@contoso.com'
const mailCount = 8
/** Long enough to strike while all of them are due. */
const answerAfterSeconds = 4

const flow = (imapsPort: number) => `
flow: mail
from:
  imap:
    host: 127.0.0.1
    port: ${imapsPort}
    ca: dovecot-ca.pem
    user: ${mailbox}
    auth: mailbox
    every: 1s
    done: { move: Processed, failed: Failed }
to:
  smtp: { via: dc-frankfurt, host: s4-smtp.virtual, security: none, to: orders@s4.local, connections: ${mailCount} }
delivery: { parallel: ${mailCount} }
`

const mails = Array.from({ length: mailCount }, (_unused, index) => {
  const header = `From: anna@adatum.example\r\nTo: ${mailbox}\r\nMessage-ID: <order-${index}@adatum.example>\r\n`
  // Every other one goes by BDAT: no final line end.
  return Buffer.from(`${header}Subject: order ${index}\r\n\r\nFive pumps.\r\n.\r\n..${index % 2 === 0 ? '\r\n' : ''}`)
})

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function startWorld() {
  const folder = makeWorkFolder('answ')
  closing.push(() => folder.remove())
  const dovecot = await startDovecot({ users: [mailbox] })
  closing.push(() => dovecot.stop())
  const postfix = await startPostfix({ keep: 'maildir', answerAfterSeconds })
  closing.push(() => postfix.stop())
  mkdirSync(join(folder.path, 'flow'))
  writeFileSync(join(folder.path, 'flow', 'dovecot-ca.pem'), dovecot.ca)
  const file = join(folder.path, 'flow', 'flow.yaml')
  writeFileSync(file, flow(dovecot.imapsPort))
  const [connectorPort = 0] = await freePorts(1)
  const line = await startRelay(connectorPort)
  closing.push(() => line.close())
  const hub = new HubUnderTest({
    dataFolder: join(folder.path, 'data'),
    flowFiles: [file],
    basic: { mailbox: { user: mailbox, password: dovecotPassword } },
    connectors: { host: '127.0.0.1', port: connectorPort, nodes: [`127.0.0.1:${line.port}`] },
  })
  closing.push(() => hub.stop())
  await hub.start()
  const connector = new ConnectorUnderTest(join(folder.path, 'vm-1'), {
    'virtual-hosts': { 's4-smtp.virtual:25': { protocol: 'smtp', targets: [`127.0.0.1:${postfix.port}`] } },
  })
  const { token } = await hub.call<{ token: string }>('POST', '/api/connectors/enrol', { location: 'dc-frankfurt' })
  const { code, output } = await connector.enrol(`127.0.0.1:${line.port}`, token, 'vm-1')
  if (code !== 0) throw new Error(output)
  connector.start()
  closing.push(() => connector.stop())
  return { dovecot, postfix, hub, line }
}

describeForeign('a mail whose answer comes when the hub cannot hear it', ['dovecot', 'postfix'], () => {
  test.each(['the line breaks', 'the hub is killed'])('is delivered all the same: %s', async what => {
    const { dovecot, postfix, hub, line } = await startWorld()
    dovecot.seed(mailbox, mails)
    // Postfix notes the envelope before the octets come; the rest of a mail follows within milliseconds.
    await waitFor('all mails to be on their way', 60_000, () => queueIds(postfix.log()).size === mailCount)
    expect(postfix.delivered()).toEqual([])
    await new Promise(resolve => setTimeout(resolve, (answerAfterSeconds * 1000) / 4))
    if (what === 'the line breaks') line.cut()
    else await hub.kill9()
    const taken = await postfix.waitForDelivered(mailCount, 60_000)
    if (what === 'the hub is killed') await hub.start()
    await waitFor('every delivery to end', 90_000, async () => {
      const { counts } = await hub.flow('mail')
      return counts.accepted === mailCount && counts.queued === 0
    })
    const details = await hub.details()
    expect(details.map(({ state }) => state)).toEqual(Array(mailCount).fill('delivered'))
    // Each with the queue id that Postfix gave, which only the connector heard.
    for (const { messageId, queueId } of taken) {
      const terms = details.find(detail => detail.terms.includes(messageId.slice(1, -1)))?.terms
      expect(terms).toContain(queueId)
    }
    expect(postfix.received()).toHaveLength(mailCount)
    await waitFor('the mailbox to be empty', 30_000, () => dovecot.list(mailbox).length === 0)
  })
})

/** Of mails that Postfix has begun to take. */
function queueIds(log: string): Set<string> {
  return new Set(Array.from(log.matchAll(/postfix\/smtpd\[\d+\]: (\w+): client=/g), ([, id = '']) => id))
}
