import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'
import { makeWorkFolder } from './work-folder.ts'

const startMs = 5_000
const startTries = 3

export interface Haproxy {
  readonly port: number
  readonly pid: number
  stop(): Promise<void>
}

/**
 * HAProxy as one sets it up in front of mail servers: least connections, an SMTP probe every second (2 bad: down, 1 good:
 * up), another server when a connection is refused. One thread, as the connector has one.
 */
export async function startHaproxy(targetPorts: readonly number[]): Promise<Haproxy> {
  const folder = makeWorkFolder('hap')
  const { server, port } = await withFreshPorts(startTries, async () => {
    const port = (await freePorts(1))[0] ?? 0
    const file = join(folder.path, 'haproxy.cfg')
    writeFileSync(file, configOf(port, targetPorts))
    const server = startProcess('/usr/sbin/haproxy', ['-db', '-f', file])
    try {
      await waitFor('haproxy to listen', startMs, async () => {
        if (!server.isRunning()) throw new Error('haproxy ended at once.')
        return isListening(port)
      })
      return { server, port }
    } catch (cause) {
      await server.kill9()
      throw new Error(`haproxy did not start: ${server.output()}`, { cause })
    }
  })
  return {
    port,
    pid: server.pid,
    async stop() {
      await server.stop()
      folder.remove()
    },
  }
}

function configOf(port: number, targetPorts: readonly number[]): string {
  return [
    'global',
    '  nbthread 1',
    '  maxconn 4000',
    'defaults',
    '  mode tcp',
    '  timeout connect 3s',
    '  timeout client 60s',
    '  timeout server 60s',
    '  timeout check 5s',
    'listen mail',
    `  bind 127.0.0.1:${port}`,
    '  balance leastconn',
    '  option smtpchk EHLO probe.isthmus.invalid',
    '  option redispatch 1',
    '  retries 3',
    ...targetPorts.map(
      (target, index) => `  server s${index} 127.0.0.1:${target} check inter 1s fall 2 rise 1 maxconn 100`,
    ),
    '',
  ].join('\n')
}
