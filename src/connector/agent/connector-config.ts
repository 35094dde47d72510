import { z } from 'zod'
import { duration, host, size, someTime } from '../../kernel/schema.ts'
import type { HttpProxy } from '../../protocols/net/http-proxy.ts'
import { virtualHostProtocol } from '../wire.ts'

/** A port has one spelling, as the hub asks for it. */
export const hostPort = z
  .string()
  .regex(/^(?:[A-Za-z0-9](?:[A-Za-z0-9._-]*[A-Za-z0-9])?|\[[0-9A-Fa-f:]+\]):[1-9]\d{0,4}$/, 'write host:port')
  .refine(text => isPort(Number(text.slice(text.lastIndexOf(':') + 1))), 'a port is a number from 1 to 65535')
  .transform(text => text.toLowerCase())

/** A colon would end it (RFC 7617 section 2). */
const proxyUser = z.string().regex(/^[^:\p{Cc}]{1,256}$/u, 'a name without a colon')

const count = z.number().int().min(1)

const target = z.union([
  hostPort.transform(address => ({ address, weight: 1, 'connections-max': 100 })),
  z.strictObject({
    address: hostPort.meta({ description: 'Internal host:port; the name is resolved on the connector.' }),
    weight: count.max(100).default(1).meta({ description: 'Share of the load beside the other targets.' }),
    'connections-max': count.max(10_000).default(100).meta({ description: 'Connections it has at the same time.' }),
  }),
])

const tls = z.strictObject({
  ca: z.string().optional().meta({ description: 'PEM file of the authority to trust instead of the system’s.' }),
  servername: host.optional().meta({ description: 'Name in the certificate; the host of the target by default.' }),
})

const health = z.strictObject({
  every: duration.prefault('5s').meta({ description: 'Time between two probes of a target; 0s: none.' }),
  timeout: someTime.prefault('5s').meta({ description: 'The longest a probe may take.' }),
  'down-after': count.default(3).meta({ description: 'Failed probes in a row until a target is down.' }),
  'up-after': count.default(2).meta({ description: 'Good probes in a row until it is up again.' }),
  path: z.string().startsWith('/').optional().meta({ description: 'http: what a probe asks for with GET.' }),
  ehlo: host.default('probe.isthmus.invalid').meta({ description: 'smtp: the name a probe gives with EHLO.' }),
})

const ejection = z.strictObject({
  after: count.default(3).meta({
    description:
      'Failures in a row of real connections until a target is ejected; http: an answer of 502, 503 or 504 is one.',
  }),
  first: duration.prefault('10s').meta({ description: 'The first ejection; each further one takes longer.' }),
  'up-to': duration.prefault('5m').meta({ description: 'The longest ejection.' }),
  'at-most': z.number().min(0).max(1).default(0.5).meta({ description: 'Share of the targets that may be ejected.' }),
})

const allowedPath = z.strictObject({
  path: z
    .string()
    .regex(/^\/[A-Za-z0-9/_.~!$&'()*+,;=:@-]*$/, 'a path begins with / and has no query and no escapes')
    .meta({ description: 'Whole path, or with / at its end everything below.', examples: ['/sap/opu/odata/'] }),
  methods: z
    .array(z.string().regex(/^[A-Z]+$/, 'a method in capital letters'))
    .min(1)
    .default(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE'])
    .meta({ description: 'Methods that are let through.' }),
})

const virtualHost = z
  .strictObject({
    protocol: virtualHostProtocol.meta({
      description: 'tcp: bytes as they are; tcp-tls: the connector adds TLS; smtp, http: also looks into them.',
    }),
    targets: z.array(target).min(1).max(100).meta({ description: 'Internal servers, host:port or with more words.' }),
    'streams-max': count.max(4000).default(500).meta({ description: 'Streams at the same time.' }),
    timeout: someTime.prefault('10s').meta({ description: 'Until a target has taken the connection.' }),
    idle: someTime.prefault('15m').meta({ description: 'A stream without a byte for so long is reset.' }),
    tls: tls.optional().meta({ description: 'tcp-tls and http: TLS to the targets.' }),
    allow: z.array(allowedPath).min(1).max(1000).optional().meta({ description: 'http: what may be asked for.' }),
    health: health.prefault({}).meta({ description: 'How targets are looked at.' }),
    ejection: ejection.prefault({}).meta({ description: 'When a target that fails is left out for a while.' }),
    'slow-start': duration.prefault('30s').meta({ description: 'Time in which the share of a new target rises.' }),
  })
  .refine(each => each.tls === undefined || each.protocol === 'tcp-tls' || each.protocol === 'http', {
    path: ['tls'],
    message: 'only tcp-tls and http speak TLS to the targets; with tcp and smtp the hub speaks it end to end',
  })
  .refine(each => (each.protocol === 'http') === (each.allow !== undefined), {
    path: ['allow'],
    message: 'http needs allow: the paths that may be asked for; the other protocols have none',
  })
  .refine(each => new Set(each.targets.map(({ address }) => address)).size === each.targets.length, {
    path: ['targets'],
    message: 'a target stands here twice',
  })

const proxy = z.union([
  hostPort.transform(address => ({ address, user: undefined, 'password-file': undefined })),
  z
    .strictObject({
      address: hostPort.meta({ description: 'host:port of the proxy.', examples: ['proxy.contoso.com:8080'] }),
      user: proxyUser.optional().meta({ description: 'Shown with the password as Basic, where the proxy wants that.' }),
      'password-file': z.string().optional().meta({ description: 'File with the password.' }),
    })
    .refine(each => (each.user === undefined) === (each['password-file'] === undefined), {
      path: ['user'],
      message: 'user and password-file belong together',
    }),
])

/** connector.yaml: what this connector lets the hub reach, and how it reaches the hub. Paths are relative to the file. */
export const connectorConfig = z.strictObject({
  data: z.string().default('data').meta({ description: 'Folder of key, certificate, audit log and status socket.' }),
  hub: z
    .strictObject({
      nodes: z
        .array(hostPort)
        .min(1)
        .max(64)
        .optional()
        .meta({ description: 'host:port of each node, where the list of the hub is not to be used.' }),
      tunnels: count.max(8).default(2).meta({ description: 'Tunnels to each node.' }),
      proxy: proxy.optional().meta({
        description:
          'HTTP proxy that leads out of this network, by CONNECT; targets are never reached through it. HTTPS_PROXY of the environment does not count.',
        examples: ['proxy.contoso.com:8080'],
      }),
    })
    .prefault({})
    .meta({ description: 'How the hub is reached; what was learned at enrolment by default.' }),
  mode: z
    .enum(['active', 'shadow'])
    .default('active')
    .meta({ description: 'shadow: carries streams only while no active connector of the location is there.' }),
  'virtual-hosts': z
    .record(hostPort, virtualHost)
    .refine(hosts => Object.keys(hosts).length <= 10_000, 'at most 10000 virtual hosts')
    .meta({ description: 'Everything the hub may reach, by virtual host:port. Nothing else can be reached.' }),
  limits: z
    .strictObject({
      streams: count.max(16_000).default(4000).meta({ description: 'Streams of all virtual hosts together.' }),
      bytesInFlight: size
        .prefault('256MiB')
        .meta({ description: 'Bytes that wait for slow targets; above it the slowest stream is reset.' }),
      auditBytes: size.prefault('16MiB').meta({ description: 'Size at which a new file of the audit log begins.' }),
      auditFiles: count.max(10_000).default(64).meta({ description: 'Files of the audit log that are kept.' }),
    })
    .prefault({})
    .meta({ description: 'Limits by name.' }),
  log: z
    .strictObject({
      level: z.enum(['debug', 'info', 'warn', 'error']).default('info'),
      format: z.enum(['auto', 'text', 'json']).default('auto').meta({ description: 'auto: text on a terminal.' }),
    })
    .prefault({})
    .meta({ description: 'What is written to standard output.' }),
})

type Written = z.output<typeof connectorConfig>
type WrittenHost = z.output<typeof virtualHost>

/** A virtual host with its address, and with PEM texts in the place of file names. */
export interface VirtualHost extends Omit<WrittenHost, 'tls'> {
  /** Virtual host:port in lower case. */
  readonly address: string
  readonly tls?: { readonly ca?: string; readonly servername?: string }
}

/** connector.yaml as it is in force. */
export interface ConnectorConfig extends Omit<Written, 'virtual-hosts' | 'data' | 'hub'> {
  /** Absolute. */
  readonly dataFolder: string
  readonly hub: Omit<Written['hub'], 'proxy'> & { readonly proxy?: HttpProxy }
  readonly virtualHosts: readonly VirtualHost[]
}

function isPort(number: number): boolean {
  return number >= 1 && number <= 65_535
}
