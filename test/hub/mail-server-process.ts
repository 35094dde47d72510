import { appendFileSync } from 'node:fs'
import { SmtpFaults } from '../../src/twins/smtp/faults.ts'
import { startSmtpServer } from '../../src/twins/smtp/server.ts'

/**
 * A mail server that can be killed: `mail-server-process.ts <port> <file>`. What it answers with 250 stands in the file
 * by then, one line a mail: milliseconds since 1970 UTC, Message-ID. It takes its time before and after that, as a system
 * does that commits each mail, so that a fault finds mails in every state.
 */
const [, , port = '0', file = ''] = process.argv
const name = `s4-${port}.example`
const faults = new SmtpFaults(name)
for (const at of ['data', 'end', 'answer'] as const) faults.delay({ at, ms: 25, times: 1_000_000 })
const server = await startSmtpServer({
  name,
  faults,
  port: Number(port),
  keep: 'digest',
  mailsMax: 1,
  policy: {
    onReceived({ messageId }) {
      appendFileSync(file, `${Date.now()} ${messageId}\n`)
      return undefined
    },
  },
})
process.stdout.write(`${JSON.stringify({ port: server.port })}\n`)
process.once('SIGTERM', () => void server.stop().then(() => process.exit(0)))
