import { readFileSync } from 'node:fs'
import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import type { Course } from '../contestant.ts'

/** How many mails one FETCH asks for. */
const windowMails = 100

const course = JSON.parse(process.argv[2] ?? '{}') as Course
/** SMTP connections that share the sending; nodemailer's own default when it is not said. */
const connections = process.argv[3] === undefined ? undefined : Number(process.argv[3])
const client = new ImapFlow({
  host: '127.0.0.1',
  port: course.imapsPort,
  secure: true,
  tls: { ca: readFileSync(course.caFile) },
  logger: false,
  auth: { user: course.user, pass: course.password },
})
const smtp = createTransport({
  host: '127.0.0.1',
  port: course.sinkPort,
  pool: true,
  ...(connections !== undefined && { maxConnections: connections }),
  maxMessages: Number.POSITIVE_INFINITY,
  ignoreTLS: true,
})

await client.connect()
await client.mailboxOpen('INBOX')
const uids = (await client.search({ seen: false }, { uid: true })) || []
let sendingBefore: { range: string; sent: Promise<unknown> } | undefined
for (let first = 0; first < uids.length; first += windowMails) {
  const range = uids.slice(first, first + windowMails).join(',')
  const sends: Promise<unknown>[] = []
  for await (const { source } of client.fetch(range, { source: true }, { uid: true })) {
    sends.push(smtp.sendMail({ envelope: { from: 'bounce@contoso.com', to: course.recipient }, raw: source ?? '' }))
  }
  await markSent(sendingBefore)
  sendingBefore = { range, sent: Promise.all(sends) }
}
await markSent(sendingBefore)
smtp.close()
await client.logout()

async function markSent(sending: { range: string; sent: Promise<unknown> } | undefined): Promise<void> {
  if (!sending) return
  await sending.sent
  await client.messageFlagsAdd(sending.range, ['\\Seen'], { uid: true })
}
