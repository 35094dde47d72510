import { z } from 'zod'
import { templateSchema } from '../flow/expression-schema.ts'
import { credentialName, duration, host, location, port, size, someTime } from '../kernel/schema.ts'

const heloName = z
  .string()
  .regex(/^[A-Za-z0-9]([A-Za-z0-9.-]{0,253}[A-Za-z0-9])?$/, 'a host name with its domain')
  .meta({ examples: ['hub.contoso.com'] })

/** How a mail server is reached; the same for the receiver and for a server that takes bounces. */
const serverFields = {
  host: host.meta({ description: 'Name of the mail server, or the virtual host of a connector.' }),
  port: port.optional().meta({
    description: 'Port of the mail server. Default: 465 with security: tls, 587 with auth, else 25.',
  }),
  via: location.optional(),
  security: z.enum(['starttls', 'starttls-if-offered', 'tls', 'none']).default('starttls').meta({
    description:
      'starttls: encryption is needed, else nothing is sent. tls: from the first byte. starttls-if-offered: somebody between the two can switch it off. none: only where the network is trusted, for example behind a connector.',
  }),
  ca: z
    .string()
    .min(1)
    .optional()
    .meta({
      description: 'PEM file of a certificate authority to trust, relative to the flow.',
      examples: ['s4-ca.pem'],
    }),
  auth: credentialName.optional().meta({
    description: 'Credential: basic (PLAIN or LOGIN) or oauth2 (XOAUTH2). Without it nobody logs in.',
  }),
  user: z
    .string()
    .regex(/^[^\s\p{Cc}]{1,254}$/u, 'a user name without blanks')
    .optional()
    .meta({
      description: 'Mailbox to log in as, where it is not the one that signed in (app-only tokens, shared mailboxes).',
    }),
  helo: heloName.optional().meta({ description: 'Name of this client for EHLO. Default: its address.' }),
}

const smtpServer = z.strictObject(serverFields).superRefine(refuseOpenLogin)

const timeouts = z
  .strictObject({
    connect: someTime.prefault('15s').meta({ description: 'Until the connection stands.' }),
    greeting: someTime.prefault('5m').meta({ description: 'Until the server greets.' }),
    command: someTime.prefault('5m').meta({ description: 'For each command.' }),
    'data-start': someTime.prefault('2m').meta({ description: 'Until the server takes the mail.' }),
    'data-block': someTime.prefault('3m').meta({ description: 'For each piece of the mail.' }),
    'data-end': someTime
      .prefault('10m')
      .meta({ description: 'For the answer to the whole mail; too short makes doubles.' }),
  })
  .prefault({})

const bounceServer = z.strictObject({
  server: smtpServer.meta({ description: 'Mail server that takes bounces to the outside.' }),
  from: z
    .email()
    .optional()
    .meta({ description: 'Address in the From header. Default: mailer-daemon of this client.' }),
})

const headerName = z.string().regex(/^[!-9;-~]{1,76}$/, 'the name of a header field')

/** What a flow document says under `smtp` as receiver. */
export const smtpConfig = z
  .strictObject({
    ...serverFields,
    from: z
      .union([z.enum(['return-path', 'none']), templateSchema])
      .default('return-path')
      .meta({
        description:
          'Envelope sender. return-path: the original Return-Path, else From. none: the null sender. Else a template. Bounces always go with the null sender; so do automatic mails, unless auth and a template say as whom: a mailbox may not send as nobody.',
        examples: ['return-path', 'none', 'bounces@hub.contoso.com'],
      }),
    to: z
      .union([templateSchema, z.array(templateSchema).min(1)])
      .optional()
      .meta({
        description:
          'Envelope recipients: one template, or a list; each gives an address or a list of addresses. In S/4HANA they decide the business process. Default: message.to.',
        examples: ['orders@s4.contoso.com', ['orders@s4.contoso.com', '${message.to}']],
      }),
    body: z.literal('as-received').default('as-received').meta({
      description: 'The very bytes of the message, whatever they are.',
    }),
    headers: z
      .strictObject({
        add: z
          .record(headerName, templateSchema)
          .default({})
          .meta({
            description: 'Header lines put on top; the rest stays as it is, so signatures stay valid.',
            examples: [{ 'X-Isthmus-Id': '${message.id}' }],
          }),
        received: z.boolean().default(false).meta({
          description: 'Puts a Received line on top, as mail servers do.',
        }),
      })
      .prefault({}),
    'max-size': size.optional().meta({
      description:
        'The largest mail that is sent; larger ones are set aside. The limit the server announces counts too.',
      examples: ['50MiB'],
    }),
    loop: z
      .strictObject({
        'received-max': z.number().int().min(1).max(1000).default(50).meta({
          description: 'Received lines that a mail may have.',
        }),
        'own-domains': z
          .array(heloName)
          .default([])
          .meta({
            description: 'Domains of the receiving system: a mail from there must not go back there.',
            examples: [['s4.contoso.com']],
          }),
      })
      .prefault({})
      .meta({ description: 'What shows that a mail goes round in circles.' }),
    'some-refused': z.enum(['deliver', 'refuse']).default('deliver').meta({
      description:
        'When some of several recipients are refused for good, or have letters beyond ASCII at a server without SMTPUTF8: deliver to the others (the receipt names the refused), or to nobody. A recipient refused for now makes the whole mail wait.',
    }),
    'on-unknown': z.enum(['set-aside', 'send-again']).default('set-aside').meta({
      description:
        'When the connection was lost after the mail was handed over and before the answer: let a person look for the Message-ID, or send it again and perhaps twice.',
    }),
    bounce: z
      .union([z.enum(['none', 'sender']), bounceServer])
      .default('none')
      .meta({
        description:
          'Tells the envelope sender when a mail is refused for good, through the same server (sender) or another one. Once for each mail, and never for automatic mails. It has no sender, so that a mailbox that logs in to Exchange Online cannot send it: name a server that takes it, such as a relay of the company.',
      }),
    connections: z.number().int().min(1).max(100).default(16).meta({
      description:
        'Connections that may be open at the same time. Exchange lets one address have 20 by default, Postfix 50, Exchange Online 3 for a mailbox that sends. A server that says that there are too many is believed: the hub goes on with fewer, and tries one more every five minutes. More mails under way also share more flushes of the disk.',
    }),
    'mails-per-connection': z.number().int().min(1).max(100_000).optional().meta({
      description:
        'Mails after which a connection is closed. Default: 100; 1 with via, since a connector chooses a server for each connection, and so each mail goes to the one that is well and least busy. With 1 no mail is told to the server before the one before it is answered.',
    }),
    'again-at-once': z.number().int().min(0).max(10).default(2).meta({
      description:
        'How often a mail is tried again at once, on another connection, when one broke before the mail was handed over; with via also when the server had no time, since there may be others. After that the retry of the flow goes on.',
    }),
    idle: duration.prefault('30s').meta({ description: 'How long an unused connection is kept.' }),
    timeouts,
  })
  .superRefine(refuseOpenLogin)

export type SmtpConfig = z.output<typeof smtpConfig>
export type SmtpServerConfig = z.output<typeof smtpServer>

// `via` leads through an encrypted tunnel into a network that the author of the flow knows.
function refuseOpenLogin(
  config: { security: string; auth?: string | undefined; via?: string | undefined; host: string },
  check: z.RefinementCtx,
): void {
  const isOpen = config.security === 'none' || config.security === 'starttls-if-offered'
  const isNear = config.via !== undefined || /^(localhost|127\.\d+\.\d+\.\d+|::1)$/.test(config.host)
  if (!isOpen || config.auth === undefined || isNear) return
  const message = 'a password or token could be read on the way; use starttls or tls where auth is set'
  check.addIssue({ code: 'custom', path: ['security'], message })
}
