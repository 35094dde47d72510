import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Contestant } from '../contestant.ts'

/** fetchmail, told to change as little of a mail as it can and to fetch all in one go. */
export const fetchmail: Contestant = {
  name: 'fetchmail',
  setting: 'one poll, keep, norewrite, nomimedecode, no limits',
  needs: ['fetchmail'],
  sink: 'smtp',
  endsItself: true,
  async prepare(course) {
    const rcFile = join(course.folder, 'fetchmailrc')
    const lines = [
      'set invisible',
      'set no bouncemail',
      `poll 127.0.0.1 service ${course.imapsPort} protocol IMAP`,
      `  user "${course.user}" password "${course.password}"`,
      `  smtphost "127.0.0.1/${course.sinkPort}" smtpname "${course.recipient}"`,
      '  ssl sslproto "auto" no sslcertck',
      '  keep norewrite nomimedecode nodropdelivered forcecr fetchlimit 0 batchlimit 0',
      '',
    ]
    // It refuses settings that others may read.
    writeFileSync(rcFile, lines.join('\n'), { mode: 0o600 })
    const args = ['-f', rcFile, '--silent', '--nodetach', '--pidfile', join(course.folder, 'pid')]
    return { program: 'fetchmail', args, env: { FETCHMAILHOME: course.folder } }
  },
}
