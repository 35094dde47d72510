import { defineSender, type Sender } from '../flow/adapter.ts'
import { asHubError } from '../kernel/error.ts'
import type { CheckResult } from '../kernel/socket.ts'
import { imapErrors } from '../protocols/imap/errors.ts'
import { appendMail, selectFolder } from '../protocols/imap/folder.ts'
import { imapConfig } from './imap-config.ts'
import { MailboxReader } from './imap-mailbox.ts'
import { describeMail, mailAttributes, readHead } from './imap-message.ts'
import { composeProbe, rememberProbe } from './imap-probe.ts'
import { type ImapContext, imapContext, openSession } from './imap-session.ts'

/**
 * Reads mails from mailboxes. A message has the headers of its mail (first value of each) and the attributes `from`,
 * `to` (Delivered-To, X-Original-To, To and Cc, each once), `cc`, `subject`, `messageId` (`<a@b>`), `date` (ISO 8601),
 * `returnPath`, `receivedCount`, `isAutomatic`, `mailbox`, `folder` and `uid`; its body are the very bytes.
 */
export const imap = defineSender({
  id: 'imap',
  title: 'IMAP mailbox',
  summary: 'Reads mail from a folder and hands over one message per mail, with the very bytes as its body.',
  config: imapConfig,
  examples: [
    {
      title: 'A shared Microsoft 365 mailbox; delivered mails are moved',
      config: {
        host: 'outlook.office365.com',
        user: 'orders@contoso.com',
        auth: 'm365-mail',
        done: { move: 'Processed', failed: 'Failed' },
      },
    },
    {
      title: 'Two mailboxes behind an on-premise connector, everything in the folder',
      config: {
        host: 'mail.virtual',
        via: 'dc-frankfurt',
        ca: 'company-ca.pem',
        user: ['orders@contoso.com', 'invoices@contoso.com'],
        auth: 'mail-reader',
        select: 'all',
        every: '30s',
        done: { delete: true, failed: 'Failed' },
      },
    },
  ],
  errors: imapErrors,
  attributes: mailAttributes,
  sample({ user, folder }, body) {
    const place = { mailbox: [user].flat()[0] ?? '', folder, uidValidity: 1, uid: 1 }
    return describeMail(place, readHead(body), body, false, undefined)
  },
  async open(given): Promise<Sender> {
    const context = imapContext(given)
    const mailboxes = [context.config.user].flat()
    const closing = new AbortController()
    const signal = AbortSignal.any([context.signal, closing.signal])
    let probeCount = 0
    return {
      async receive() {
        // Each mailbox has a link of its own: a slow or broken one holds up nobody.
        await Promise.all(
          mailboxes.map(mailbox => {
            const reader = new MailboxReader(context, mailbox)
            return context.supervise(mailbox, link => reader.run(link))
          }),
        )
      },
      check: () => checkMailboxes(context, mailboxes, signal),
      async probe(token) {
        // One after the other, so that in time every mailbox is probed.
        const mailbox = mailboxes[probeCount++ % mailboxes.length]
        if (mailbox !== undefined) await sendProbe(context, mailbox, signal, token)
      },
      async close() {
        closing.abort()
      },
    }
  },
})

async function checkMailboxes(
  context: ImapContext,
  mailboxes: readonly string[],
  signal: AbortSignal,
): Promise<CheckResult> {
  const details: string[] = []
  for (const mailbox of mailboxes) {
    try {
      const { connection } = await openSession(context, mailbox, signal)
      try {
        const { folder, mailCount } = await selectFolder(connection, context.config.folder, 'examine')
        details.push(`${mailbox}: ${mailCount} mails in ${folder}`)
      } finally {
        await connection.logout()
      }
    } catch (thrown) {
      return { ok: false, error: asHubError(thrown) }
    }
  }
  return { ok: true, detail: details.join('; ') }
}

async function sendProbe(context: ImapContext, mailbox: string, signal: AbortSignal, token: string): Promise<void> {
  const { memory, calendar, config } = context
  await rememberProbe(memory, token)
  const { connection } = await openSession(context, mailbox, signal)
  try {
    await appendMail(connection, config.folder, composeProbe(mailbox, token, calendar.now()))
  } finally {
    await connection.logout()
  }
}
