import { readFileSync } from 'node:fs'
import { ImapFlow } from 'imapflow'
import { createTransport } from 'nodemailer'
import type { Course } from '../contestant.ts'

/** One mail after the other, as the examples of both libraries show it. */
const course = JSON.parse(process.argv[2] ?? '{}') as Course
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
  maxMessages: Number.POSITIVE_INFINITY,
  ignoreTLS: true,
})

await client.connect()
await client.mailboxOpen('INBOX')
const uids = (await client.search({ seen: false }, { uid: true })) || []
for (const uid of uids) {
  const mail = await client.fetchOne(String(uid), { source: true }, { uid: true })
  const raw = (mail ? mail.source : undefined) ?? ''
  await smtp.sendMail({ envelope: { from: 'bounce@contoso.com', to: course.recipient }, raw })
  await client.messageFlagsAdd(String(uid), ['\\Seen'], { uid: true })
}
smtp.close()
await client.logout()
