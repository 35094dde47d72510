import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { HttpProxyServer, HttpProxyWish } from './http-proxies.ts'
import { startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor, withFreshPorts } from './wait.ts'

const startMs = 5_000
const startTries = 3

/** Tinyproxy in the foreground; `port` where it takes the place of one that is gone. */
export async function startTinyproxy(
  folder: string,
  { logIn, refuse = [] }: HttpProxyWish,
  port?: number,
): Promise<HttpProxyServer> {
  return withFreshPorts(startTries, async () => {
    const taken = port ?? (await freePorts(1))[0] ?? 0
    const [file, filter] = [join(folder, `tinyproxy-${taken}.conf`), join(folder, `tinyproxy-${taken}.filter`)]
    writeFileSync(filter, refuse.map(host => `^${host.replaceAll('.', '\\.')}$\n`).join(''))
    const lines = [
      `Port ${taken}`,
      'Listen 127.0.0.1',
      'Allow 127.0.0.1',
      'Timeout 600',
      'MaxClients 100',
      'LogLevel Connect',
      'FilterExtended On',
      `Filter "${filter}"`,
      ...(logIn ? [`BasicAuth ${logIn.user} ${logIn.password}`] : []),
    ]
    writeFileSync(file, `${lines.join('\n')}\n`)
    const server = startProcess('/usr/bin/tinyproxy', ['-d', '-c', file])
    try {
      await waitFor('tinyproxy to listen', startMs, async () => {
        if (!server.isRunning()) throw new Error('tinyproxy ended at once.')
        return isListening(taken)
      })
    } catch (cause) {
      await server.kill9()
      throw new Error(`tinyproxy did not start: ${server.output()}`, { cause })
    }
    return { port: taken, output: server.output, stop: server.stop, kill9: server.kill9 }
  })
}
