import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from '../contestant.ts'

/** getmail6 over LMTP: one connection for all mails, instead of a process per mail. */
export const getmail6: Contestant = {
  name: 'getmail6',
  setting: 'MDA_lmtp, read_all, no delete, no added headers',
  needs: ['getmail6'],
  sink: 'lmtp',
  endsItself: true,
  async prepare(course) {
    const lines = [
      '[retriever]',
      'type = SimpleIMAPSSLRetriever',
      'server = 127.0.0.1',
      `port = ${course.imapsPort}`,
      `username = ${course.user}`,
      `password = ${course.password}`,
      'mailboxes = ("INBOX",)',
      '[destination]',
      'type = MDA_lmtp',
      'host = 127.0.0.1',
      `port = ${course.sinkPort}`,
      `override = ${course.recipient}`,
      '[options]',
      'read_all = true',
      'delete = false',
      'received = false',
      'delivered_to = false',
      'verbose = 0',
      '',
    ]
    writeFileSync(join(course.folder, 'getmailrc'), lines.join('\n'), { mode: 0o600 })
    return { program: 'getmail', args: ['--getmaildir', course.folder, '--rcfile', 'getmailrc', '--quiet'] }
  },
}
