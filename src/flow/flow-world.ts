import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import path from 'node:path'
import { z } from 'zod'
import { credentialName, duration, host, location, port, size } from '../kernel/schema.ts'
import { defineReceiver, defineSender } from './adapter.ts'
import { templateSchema } from './expression-schema.ts'

/** Test material: two adapters that only have a configuration, and a folder with a flow document. */

const closed = { check: async () => ({ ok: true, detail: '' }) as const, close: async () => {} }

const mailbox = defineSender({
  id: 'mailbox',
  title: 'Mailbox',
  summary: 'Reads mail.',
  config: z.strictObject({
    host: host.meta({ description: 'Name of the mail server.', examples: ['outlook.office365.com'] }),
    port: port.default(993).meta({ description: 'Port of the mail server.', examples: [993] }),
    user: z
      .string()
      .min(1)
      .meta({ description: 'Address of the mailbox.', examples: ['orders@contoso.com'] }),
    auth: credentialName,
    unread: z.boolean().default(true),
    order: z.enum(['oldest', 'newest']).default('oldest'),
    poll: duration.default(60_000).meta({ description: 'How often it looks.', examples: ['1m'] }),
    'mail-size': size.optional(),
    done: z.union([z.literal('keep'), z.strictObject({ move: z.string(), failed: z.string() })]).default('keep'),
  }),
  examples: [],
  errors: {},
  open: async () => ({ ...closed, receive: async () => {} }),
})

const schedule = defineSender({
  id: 'schedule',
  title: 'Schedule',
  summary: 'Starts by the clock.',
  config: z.strictObject({ every: duration }),
  examples: [],
  errors: {},
  open: async () => ({ ...closed, receive: async () => {} }),
})

const server = defineReceiver({
  id: 'server',
  title: 'Mail server',
  summary: 'Sends mail.',
  answers: false,
  config: z.strictObject({
    host,
    port: port.default(25),
    via: location.optional(),
    recipients: z.union([templateSchema, z.array(templateSchema).min(1)]).optional(),
    queue: z.string().optional(),
  }),
  examples: [],
  errors: {},
  orderedBy: ({ queue }) => (queue === undefined ? undefined : 'queue'),
  open: async () => ({ ...closed, deliver: async () => ({ summary: 'ok' }) }),
})

const asking = defineReceiver({
  id: 'asking',
  title: 'Asking',
  summary: 'Asks and gets an answer.',
  answers: true,
  config: z.strictObject({ url: templateSchema }),
  examples: [],
  errors: {},
  open: async () => ({ ...closed, deliver: async () => ({ summary: 'ok' }) }),
})

export const adapters = { senders: [mailbox, schedule], receivers: [server, asking] } as const

/** A folder with these files; the returned function removes it. */
export async function flowFolder(files: Readonly<Record<string, string>>) {
  const folder = await mkdtemp(path.join(tmpdir(), 'isthmus-flow-'))
  for (const [name, text] of Object.entries(files)) {
    await mkdir(path.dirname(path.join(folder, name)), { recursive: true })
    await writeFile(path.join(folder, name), text)
  }
  return { folder, remove: () => rm(folder, { recursive: true, force: true }) }
}
