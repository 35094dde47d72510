import type { CredentialInput } from '../../src/auth/credential-input.ts'
import { type HubOptions, startHub } from '../../src/main.ts'

/** What a test tells the hub it starts as a process of its own. */
export interface HubSettings {
  readonly dataFolder: string
  readonly flowFiles: readonly string[]
  readonly params?: HubOptions['params']
  readonly limits?: HubOptions['limits']
  readonly adminPort?: number
  /** Where connectors come in; a port that stays the same lets them find the hub again. */
  readonly connectors?: HubOptions['connectors']
  /** Credentials by name; created at the first start. */
  readonly basic?: Readonly<Record<string, { readonly user: string; readonly password: string }>>
  /** Credentials of any kind, by name; created at the first start. */
  readonly credentials?: Readonly<Record<string, CredentialInput>>
}

if (import.meta.main) {
  const settings = JSON.parse(process.argv[2] ?? '{}') as HubSettings
  const hub = await startHub({
    dataFolder: settings.dataFolder,
    stage: 'test',
    flowFiles: settings.flowFiles,
    admin: { host: '127.0.0.1', port: settings.adminPort ?? 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'warn', format: 'json', output: process.stderr },
    ...(settings.params && { params: settings.params }),
    connectors: settings.connectors,
    ...(settings.limits && { limits: settings.limits }),
    async beforeFlows({ credentials }) {
      const known = new Set((await credentials.list()).map(({ name }) => name))
      const basic = Object.entries(settings.basic ?? {}).map(([name, fields]) => {
        return [name, { kind: 'basic', ...fields }] satisfies [string, CredentialInput]
      })
      for (const [name, input] of [...basic, ...Object.entries(settings.credentials ?? {})]) {
        if (!known.has(name)) await credentials.create(name, input)
      }
    },
  })
  const { adminUrl, adminToken, endpointsUrl } = hub
  process.stdout.write(`${JSON.stringify({ adminUrl, adminToken, endpointsUrl })}\n`)
  process.once('SIGTERM', () => void hub.close().then(() => process.exit(0)))
}
