import { z } from 'zod'
import { signingAlgorithms } from '../auth/token-server/token-limits.ts'
import { wordIssues } from '../flow/issue-words.ts'
import { parseOptions } from '../flow/one-key.ts'
import type { Problem } from '../flow/problem.ts'
import { YamlSource } from '../flow/yaml-source.ts'
import { defineErrors, type HubError } from '../kernel/error.ts'
import { defaultLimits } from '../kernel/limit.ts'
import { credentialName, duration, port, size } from '../kernel/schema.ts'
import { DAY, SECOND } from '../kernel/time.ts'
import { defaultAlertPolicy } from '../monitor/expectations.ts'
import { logLevels } from '../monitor/log.ts'
import { defaultAuditKeepMs } from '../monitor/retention.ts'
import { adminSignIn } from './admin-section.ts'
import { connectorsSection } from './connectors-section.ts'
import { outgoingProxySection } from './outgoing-proxy-section.ts'
import { storeSection } from './store-section.ts'

export const configErrors = defineErrors('CONFIG', {
  WRONG: {
    side: 'flow',
    retry: 'never',
    means: 'The configuration of the hub is wrong. {text}',
    next: 'Correct the named place; docs/reference/hub-config.md lists every key.',
  },
  UNREADABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The configuration {file} cannot be read: {text}',
    next: 'Name the file with --config or ISTHMUS_CONFIG, or leave both out for the defaults.',
  },
  FILE_UNUSABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The file {file}, which isthmus.yaml names under {key}, cannot be used: {text}',
    next: 'Correct its path in isthmus.yaml, its rights or what it holds.',
  },
  FLOWS_MISSING: {
    side: 'flow',
    retry: 'never',
    means: 'There is nothing at {path}, which isthmus.yaml names under flows.',
    next: 'Correct the path; a folder that stays empty for now has to be made.',
  },
  ADAPTER_UNUSABLE: {
    side: 'flow',
    retry: 'never',
    means: 'The adapter module {file} cannot be used: {text}',
    next: 'Let it export what defineSender or defineReceiver returns, and correct its path under adapters.',
  },
})

const listenHost = z
  .string()
  .min(1)
  .meta({ description: 'Address to listen on.', examples: ['127.0.0.1'] })

const limitSizes = new Set(['messageBytes', 'headerBytes', 'parseBytes', 'inlineBytes'])

/** Each limit by its name; the unit follows from the name. */
const limits = z.strictObject(
  Object.fromEntries(
    Object.keys(defaultLimits).map(name => {
      const kind = limitSizes.has(name) ? size : name.endsWith('Ms') ? duration : z.number().int().min(1)
      return [name, kind.optional()]
    }),
  ),
)

// The name of the channel is checked where it is used; a mail channel takes the settings of the smtp receiver.
const channel = z.union([
  z.strictObject({ log: z.strictObject({}) }),
  z.strictObject({
    webhook: z.strictObject({
      url: z.url({ protocol: /^https?$/ }),
      auth: credentialName.optional().meta({ description: 'Credential of kind secret that signs each request.' }),
    }),
  }),
  z.strictObject({
    mail: z.strictObject({
      from: z.email(),
      to: z.array(z.email()).min(1).max(50),
      server: z.record(z.string(), z.json()).meta({ description: 'How the mail server is reached, as for smtp.' }),
    }),
  }),
])

const alerts = z
  .strictObject({
    channels: z.record(z.string(), channel).default({}).meta({ description: 'Channels by name; log is always there.' }),
    default: z.array(z.string()).default(['log']).meta({ description: 'Channels for flows that name none.' }),
    'look-every': duration
      .refine(ms => ms >= SECOND, 'at least 1s')
      .default(defaultAlertPolicy.lookEveryMs)
      .meta({ description: 'How often all is looked at.' }),
    'link-down': duration
      .default(defaultAlertPolicy.linkDownMs)
      .meta({ description: 'How long a link may be down, or something stay undone on it.' }),
    'queue-age': duration.default(defaultAlertPolicy.queueAgeMs).meta({ description: 'How long a delivery may wait.' }),
    'credential-ends': duration.default(defaultAlertPolicy.credentialEndsMs).meta({
      description:
        'How long before its end a certificate is warned of; one that lives shorter: when a quarter of its life is left.',
    }),
  })
  .superRefine(({ channels, default: told }, context) => {
    for (const [index, name] of told.entries()) {
      if (name === 'log' || name in channels) continue
      const message = `there is no channel ${name} under alerts.channels, so nobody would hear of an alert`
      context.addIssue({ code: 'custom', path: ['default', index], message })
    }
  })

const origin = z.url({ protocol: /^https?$/ }).refine(text => URL.parse(text)?.origin === text.replace(/\/$/, ''), {
  error: 'it must be an origin, without a path',
})

const endpointTls = z.union([
  z.literal('by-proxy').meta({ description: 'A proxy on another machine ends TLS and adds no callers of its own.' }),
  z.strictObject({
    certificate: z
      .string()
      .meta({ description: 'PEM file, the chain after the certificate; renewed ones count at once.' }),
    key: z.string().meta({ description: 'PEM file of its private key.' }),
  }),
])

const trustedIssuer = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/)
    .meta({ description: 'Stands in tokens as idp.', examples: ['contoso-adfs'] }),
  issuer: z
    .string()
    .min(1)
    .meta({
      description: 'Entity id (SAML) or issuer (JWT).',
      examples: ['https://adfs.contoso.com/adfs/services/trust'],
    }),
  certificates: z
    .array(z.string())
    .default([])
    .meta({ description: 'PEM files of the certificates that sign its SAML assertions.' }),
  jwks: z.string().optional().meta({ description: 'File with the keys (JWK set) that sign its JWT assertions.' }),
  roles: z
    .array(z.string())
    .optional()
    .meta({ description: 'The most that its users may have; all roles of the instance when left out.' }),
})

const tokens = z.strictObject({
  issuer: origin
    .optional()
    .meta({ description: 'Origin under which callers reach the endpoints.', examples: ['https://hub.contoso.com'] }),
  algorithm: z
    .enum(signingAlgorithms)
    .default('ES256')
    .meta({ description: 'What tokens are signed with; RS256 for receivers that know nothing newer.' }),
  trusted: z
    .array(trustedIssuer)
    .default([])
    .meta({ description: 'Identity providers whose assertions about their users count.' }),
})

/** isthmus.yaml: what a hub is, apart from its flows and credentials. Paths are relative to the file. */
export const hubConfig = z.strictObject({
  stage: z
    .string()
    .regex(/^[A-Za-z0-9][A-Za-z0-9_-]*$/)
    .default('dev')
    .meta({ description: 'Stage; flows take their parameters from params/<stage>.yaml.', examples: ['prod'] }),
  data: z.string().default('data').meta({ description: 'Folder of database, bodies, master key and admin token.' }),
  flows: z
    .array(z.string())
    .default(['flows'])
    .meta({ description: 'Flow documents, or folders with flow.yaml or NAME.flow.yaml in them or one level below.' }),
  adapters: z.array(z.string()).default([]).meta({ description: 'Modules with further adapters; they are trusted.' }),
  admin: z
    .strictObject({
      host: listenHost.default('127.0.0.1'),
      port: port.or(z.literal(0)).default(8080),
      url: z
        .url({ protocol: /^https?$/ })
        .optional()
        .meta({ description: 'Where browsers reach the hub, for signing in.', examples: ['https://hub.contoso.com'] }),
      console: z.boolean().default(true).meta({ description: 'Shows the web console below /console/.' }),
      'sign-in': adminSignIn.optional(),
    })
    .prefault({})
    .meta({ description: 'Where the admin API listens; put TLS before it where it leaves the machine.' }),
  endpoints: z
    .strictObject({
      host: listenHost.default('127.0.0.1'),
      port: port.or(z.literal(0)).default(8081),
      url: origin.optional().meta({
        description:
          'Origin under which callers reach them; stands in service keys. Default: tokens.issuer, or else the address.',
        examples: ['https://hub.contoso.com'],
      }),
      tls: endpointTls.optional().meta({
        description:
          'Listens with HTTPS and takes client certificates. Without it, callers with a role are let in from this machine only.',
      }),
      'client-authorities': z
        .array(z.string())
        .default([])
        .meta({ description: 'PEM files of authorities of client certificates that keys name by subject and issuer.' }),
    })
    .prefault({})
    .meta({ description: 'Where the endpoints of flows and the token server listen.' }),
  proxies: z
    .array(
      z.union(
        [z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()],
        'an address (10.0.0.5) or a network (10.1.0.0/16) is meant',
      ),
    )
    .default([])
    .meta({
      description:
        'Reverse proxies before the admin API or the endpoints; what they say in X-Forwarded-For is the caller, for wrong passwords, log and audit.',
      examples: ['10.0.0.5'],
    }),
  'outgoing-proxy': outgoingProxySection,
  connectors: connectorsSection,
  store: storeSection,
  tokens: tokens.prefault({}).meta({ description: 'How the hub issues tokens to its callers.' }),
  trust: z
    .array(z.string())
    .default([])
    .meta({ description: 'PEM files of certificate authorities that every connection trusts beside the system’s.' }),
  limits: limits.prefault({}).meta({ description: 'Limits by name; docs/reference/limits.md says what each is for.' }),
  log: z
    .strictObject({
      level: z.enum(logLevels).default('info'),
      format: z.enum(['auto', 'text', 'json']).default('auto').meta({ description: 'auto: text on a terminal.' }),
    })
    .prefault({})
    .meta({ description: 'What is written to standard output.' }),
  audit: z
    .strictObject({
      keep: duration
        .refine(ms => ms >= 30 * DAY, 'at least 30d')
        .default(defaultAuditKeepMs)
        .meta({
          description: 'How long entries are kept: a year when left out. The newest one always is.',
          examples: ['3650d'],
        }),
    })
    .prefault({})
    .meta({ description: 'The audit log of the hub (isthmus audit list).' }),
  alerts: alerts.prefault({}).meta({ description: 'When trouble becomes an alert, and who is told.' }),
})

export type HubConfig = z.output<typeof hubConfig>

/** Reads the text of isthmus.yaml; throws CONFIG_WRONG with every mistake at its place. */
export function parseHubConfig(text: string, file: string): HubConfig {
  const source = new YamlSource(file, text)
  if (source.problems.length > 0) throw wrong(source.problems)
  const parsed = hubConfig.safeParse(source.value ?? {}, parseOptions)
  if (parsed.success) return parsed.data
  throw wrong(wordIssues(parsed.error.issues, source, hubConfig, 'configuration'))
}

function wrong(problems: readonly Problem[]): HubError {
  const words = problems.map(({ file, line, column, message, next }) =>
    [`${file}:${line}:${column}: ${message}`, next].filter(Boolean).join(' '),
  )
  return configErrors.WRONG({ text: words.join(' ') })
}
