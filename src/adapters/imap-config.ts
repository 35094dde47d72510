import { z } from 'zod'
import { credentialName, host, location, port, size, someTime } from '../kernel/schema.ts'

const mailbox = z
  .string()
  .regex(/^[^\s\p{Cc}]{1,254}$/u, 'the address of a mailbox, without blanks')
  .meta({ title: 'mailbox', examples: ['orders@contoso.com'] })

const folderName = z
  .string()
  .regex(/^[^\p{Cc}]{1,1000}$/u, 'the name of a folder, levels as the server writes them (INBOX/Done)')
  .meta({ title: 'folder', examples: ['INBOX', 'Processed'] })

const done = z
  .strictObject({
    move: folderName.optional().meta({ description: 'Moves mails that were delivered to this folder.' }),
    mark: z.literal('read').optional().meta({ description: 'Leaves them where they are, marked as read.' }),
    delete: z.literal(true).optional().meta({ description: 'Deletes them.' }),
    failed: folderName.optional().meta({
      description:
        'Folder for mails that were rejected, set aside or could not be taken in. Without it they stay, marked as read and flagged. The hub takes none from it; one whose message is delivered later, or skipped, is moved or deleted from there as `done` says, or marked as read (where the server has UIDPLUS; the latest 1,000).',
    }),
  })
  .superRefine((value, check) => {
    const count = [value.move, value.mark, value.delete].filter(choice => choice !== undefined).length
    if (count !== 1) check.addIssue({ code: 'custom', message: 'say one of move, mark or delete' })
  })

/** What a flow document says under `from.imap`. */
export const imapConfig = z
  .strictObject({
    host: host.meta({ description: 'Name of the mail server.', examples: ['outlook.office365.com'] }),
    port: port.optional().meta({ description: 'Port of the mail server; 993 for tls, else 143.' }),
    security: z.enum(['tls', 'starttls', 'none']).default('tls').meta({
      description: 'TLS from the first byte, by STARTTLS (then mandatory), or none (this machine only).',
    }),
    ca: z
      .string()
      .min(1)
      .optional()
      .meta({ description: 'PEM file of a certificate authority to trust, relative to the flow.' }),
    via: location.optional(),
    user: z.union([mailbox, z.array(mailbox).min(1)]).meta({
      description: 'The mailbox, own or shared, or a list of them; each has a connection and a state of its own.',
      examples: ['orders@contoso.com'],
    }),
    auth: credentialName.meta({
      description: 'Credential: oauth2 (of the mailbox, of a delegate, or app-only) or basic.',
    }),
    folder: folderName.default('INBOX').meta({ description: 'Folder that is read.' }),
    select: z.enum(['unread', 'all']).default('unread').meta({ description: 'Which mails of the folder are taken.' }),
    order: z
      .enum(['oldest-first', 'newest-first'])
      .default('oldest-first')
      .meta({ description: 'Which mails are taken first.' }),
    every: someTime.prefault('1m').meta({ description: 'How often the folder is searched.' }),
    idle: z.boolean().default(true).meta({
      description: 'Also waits in IDLE, so that a new mail is noticed at once; needs a server that offers it.',
    }),
    'per-poll': z.number().int().min(1).max(10_000).default(1_000).meta({
      description: 'Mails taken at once; when more are waiting the next ones follow without a pause.',
    }),
    done: done.default({ mark: 'read' }).meta({
      description: 'What happens to a mail after the flow is through with it, never before.',
      examples: [{ move: 'Processed', failed: 'Failed' }],
    }),
    ahead: z.number().int().min(1).max(100_000).default(500).meta({
      description:
        'Mails of a mailbox that may be on their way through the flow; more are not read. Those that `order-by` holds behind one that is set aside do not count.',
    }),
    'max-size': size.optional().meta({
      description:
        'The largest mail that is taken; a larger one goes to the failed folder. Default: limits.messageBytes.',
      examples: ['50MiB'],
    }),
    'received-max': z.number().int().min(1).max(1000).default(50).meta({
      description: 'Received lines that a mail may have; one with more runs in circles and goes to the failed folder.',
    }),
    timeout: someTime.prefault('30s').meta({
      description: 'How long the server may take to connect and to answer, and how long it may be silent in a mail.',
    }),
  })
  .superRefine((config, check) => {
    const refuse = (message: string, ...path: string[]) => check.addIssue({ code: 'custom', message, path })
    const { done: after, folder } = config
    if (config.security === 'none' && (config.via !== undefined || !isLoopback(config.host))) {
      refuse(
        'without TLS passwords and mails could be read on the way; only 127.0.0.1, ::1 and localhost may do that',
        'security',
      )
    }
    if (config.select === 'all' && after.mark) {
      refuse(
        'with select: all a mail that is only marked as read would be taken again; use move or delete',
        'done',
        'mark',
      )
    }
    if (config.select === 'all' && after.failed === undefined) {
      refuse('with select: all a mail that failed would be found again for ever; name a folder under failed', 'done')
    }
    for (const name of ['move', 'failed'] as const) {
      if (after[name]?.toUpperCase() === folder.toUpperCase())
        refuse('must not be the folder that is read', 'done', name)
    }
    const users = [config.user].flat().map(user => user.toLowerCase())
    if (new Set(users).size < users.length) refuse('a mailbox is named twice', 'user')
  })

export type ImapConfig = z.output<typeof imapConfig>

function isLoopback(name: string): boolean {
  return name === 'localhost' || name === '::1' || /^127(\.\d{1,3}){3}$/.test(name)
}
