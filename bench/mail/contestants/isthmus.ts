import { writeFileSync } from 'node:fs'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import type { Contestant } from '../contestant.ts'

/** The hub as it is meant to run: durable store, receipts, marks after the delivery. Only host names are the bench's. */
export const isthmus: Contestant = {
  name: 'isthmus',
  setting: 'the whole hub: SQLite store with full durability, defaults of imap and smtp, marked as read',
  needs: [],
  sink: 'smtp',
  endsItself: false,
  async prepare(course) {
    const flowFile = join(course.folder, 'flow.yaml')
    writeFileSync(
      flowFile,
      `flow: bench-mail
about: Carries the mails of one mailbox to a sink.
from:
  imap:
    host: 127.0.0.1
    port: ${course.imapsPort}
    ca: ${relative(course.folder, course.caFile)}
    user: ${course.user}
    auth: mailbox
    every: 1s
    done: { mark: read }
to:
  smtp:
    host: 127.0.0.1
    port: ${course.sinkPort}
    security: none
    to: ${course.recipient}
`,
    )
    const script = fileURLToPath(new URL('isthmus-hub.ts', import.meta.url))
    const settings = { flowFile, dataFolder: join(course.folder, 'data'), user: course.user, password: course.password }
    return { program: process.execPath, args: [script, JSON.stringify(settings)] }
  },
}
