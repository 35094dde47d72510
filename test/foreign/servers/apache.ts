import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerProcess, startProcess } from './server-process.ts'
import { freePorts, waitFor } from './wait.ts'

const startMs = 15_000
const modulesFolder = '/usr/lib/apache2/modules'

export interface Apache {
  readonly url: string
  readonly port: number
  output(): string
  stop(): Promise<void>
  kill9(): Promise<void>
}

/**
 * Apache in the foreground on a free port, with one page at `/protected/` that says who the user is. `configure` gets
 * the address and says how the page is protected. No system service and no file outside of the folder is touched.
 * `wantedPort`: the one of an Apache that is gone.
 */
export async function startApache(
  folder: string,
  modules: readonly string[],
  configure: (url: string) => string,
  wantedPort?: number,
): Promise<Apache> {
  const port = wantedPort ?? (await freePorts(1))[0] ?? 0
  const url = `http://127.0.0.1:${port}`
  const root = join(folder, `apache-${port}`)
  mkdirSync(join(root, 'site', 'protected'), { recursive: true, mode: 0o755 })
  writeFileSync(join(root, 'site', 'protected', 'index.html'), 'the protected page\n')
  const errorLog = join(root, 'error.log')
  const common = ['mpm_event', 'authn_core', 'authz_core', 'authz_user', 'dir', 'mime', 'headers']
  const isRoot = process.getuid?.() === 0
  const lines = [
    `ServerRoot "${root}"`,
    `ServerName 127.0.0.1`,
    `Listen 127.0.0.1:${port}`,
    `PidFile "${join(root, 'apache.pid')}"`,
    `DefaultRuntimeDir "${root}"`,
    `Mutex file:${root} default`,
    `ErrorLog "${errorLog}"`,
    'LogLevel warn',
    ...(isRoot ? ['User nobody', 'Group nogroup'] : []),
    'StartServers 1',
    'ThreadsPerChild 16',
    'MaxRequestWorkers 16',
    ...[...common, ...modules].map(name => `LoadModule ${name}_module ${modulesFolder}/mod_${name}.so`),
    'TypesConfig /dev/null',
    `DocumentRoot "${join(root, 'site')}"`,
    '<Directory />',
    '  Require all denied',
    '</Directory>',
    configure(url),
    '<Location "/protected/">',
    '  Header always set X-User "expr=%{REMOTE_USER}"',
    '</Location>',
  ]
  const file = join(root, 'apache.conf')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const server: ServerProcess = startProcess('/usr/sbin/apache2', ['-f', file, '-D', 'FOREGROUND'])
  const output = () => server.output() + (existsSync(errorLog) ? readFileSync(errorLog, 'utf8') : '')
  try {
    await waitFor('Apache to answer', startMs, async () => {
      if (!server.isRunning()) throw new Error(`Apache ended at once:\n${output()}`)
      return fetch(`${url}/`, { redirect: 'manual' }).then(
        () => true,
        () => false,
      )
    })
  } catch (error) {
    await server.stop()
    throw error
  }
  return { url, port, output, stop: () => server.stop(), kill9: () => server.kill9() }
}
