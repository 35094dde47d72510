import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Duplex } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import {
  type ConnectorWorld,
  readAll,
  startConnector,
  startTarget,
  type Target,
  waitFor,
} from '../../src/connector/agent/agent-world.ts'
import { type HubWorld, startHubSide } from '../../src/connector/hub/connector-world.ts'
import { MiB } from '../../src/kernel/size.ts'
import { makeConnect } from '../../src/protocols/net/connect.ts'
import { connectThroughProxy } from '../../src/protocols/net/http-proxy.ts'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import { type HttpProxyServer, type HttpProxyWish, httpProxies } from './servers/http-proxies.ts'
import { describeForeign } from './servers/needs.ts'
import { makeWorkFolder, type WorkFolder } from './servers/work-folder.ts'

const logIn = { user: 'isthmus', password: 'geheim-42' }
const forbidden = '127.0.0.2'

for (const [name, needs, start, noWay] of httpProxies) {
  describeForeign(`behind ${name}`, needs, () => {
    let hub: HubWorld
    let target: Target
    let folder: WorkFolder
    let proxy: HttpProxyServer | undefined
    let world: ConnectorWorld | undefined

    beforeEach(async () => {
      folder = makeWorkFolder('px')
      hub = await startHubSide()
      target = await startTarget(socket => socket.pipe(socket))
    })
    afterEach(async () => {
      await world?.close()
      world = undefined
      await proxy?.stop()
      await target.close()
      await hub.close()
      folder.remove()
    })

    async function started(wish: HttpProxyWish): Promise<HttpProxyServer> {
      proxy = await start(folder.path, wish)
      return proxy
    }

    async function connect({ port }: HttpProxyServer, wish: HttpProxyWish): Promise<ConnectorWorld> {
      const { text: token } = await hub.connectors.makeToken('dc-frankfurt', undefined)
      const file = join(folder.path, 'proxy.txt')
      writeFileSync(file, `${wish.logIn?.password ?? ''}\n`)
      const who = wish.logIn ? `, user: ${wish.logIn.user}, password-file: ${file}` : ''
      const yaml = [
        `hub: { proxy: { address: "127.0.0.1:${port}"${who} } }`,
        'virtual-hosts:',
        `  echo.virtual:7: { protocol: tcp, targets: ['${target.address}'], health: { every: 0s } }`,
      ]
      world = await startConnector(`${yaml.join('\n')}\n`, { port: hub.port, token })
      await isConnected()
      return world
    }

    const isConnected = () => waitFor(() => hub.connectors.locations()[0]?.tunnels === 2, 60_000)
    const open = (): Promise<Duplex> =>
      hub.connectors.tunnel({ via: 'dc-frankfurt', host: 'echo.virtual', port: 7, timeoutMs: 10_000, purpose: 'test' })

    async function echoes(): Promise<void> {
      const stream = await open()
      const sent = randomBytes(8 * MiB)
      const back = readAll(stream)
      stream.end(sent)
      const hash = (bytes: Buffer) => createHash('sha256').update(bytes).digest('hex')
      expect(hash(await back)).toBe(hash(sent))
    }

    const wayTo = ({ port }: HttpProxyServer, host: string, at: number, who?: HttpProxyWish['logIn']) =>
      connectThroughProxy(
        { host: '127.0.0.1', port, logIn: who, setting: 'hub.proxy' },
        { host, port: at, timeoutMs: 10_000 },
      )

    test.each([{}, { logIn }])('a connector enrols, and carries eight MiB there and back: %j', async wish => {
      await connect(await started(wish), wish)
      await echoes()
    })

    test('is killed in the midst of a stream: the connector is back as soon as the proxy is', async () => {
      const { port, kill9 } = await started({})
      const connected = await connect({ ...proxy, port } as HttpProxyServer, {})
      const stream = await open()
      const ended = new Promise<string>(resolve => {
        stream.on('end', () => resolve('a quiet end')).on('error', error => resolve(error.message))
      })
      stream.resume()
      stream.write('half of something')
      await waitFor(() => target.sockets.size === 1)
      await kill9()
      expect(await ended).not.toBe('a quiet end')
      await waitFor(() => target.sockets.size === 0)
      await waitFor(() => connected.lines.find(({ fields }) => fields.code === 'NET_PROXY_UNREACHABLE'))
      proxy = await start(folder.path, {}, port)
      await isConnected()
      await echoes()
    })

    test('carries mail as the hub sends it: a server that greets first, then TLS on the same connection', async () => {
      const server = await started({ logIn })
      const { cert, key, ca } = await makeTwinCertificate(['localhost'])
      const s4 = await startS4Smtp({ tls: { cert, key } })
      try {
        const connect = makeConnect({
          wayOut: (request, dial) =>
            connectThroughProxy({ host: '127.0.0.1', port: server.port, logIn, setting: 'test' }, request, dial),
        })
        const dial = { host: 'localhost', port: s4.port, timeoutMs: 10_000 }
        const socket = await connect(dial)
        const said = async (line?: string) => {
          if (line !== undefined) socket.write(`${line}\r\n`)
          const [chunk] = (await once(socket, 'data')) as [Buffer]
          return chunk.toString()
        }
        expect(await said()).toMatch(/^220 /)
        expect(await said('EHLO hub.example')).toMatch(/STARTTLS/)
        expect(await said('STARTTLS')).toMatch(/^220 /)
        const secure = await connect.upgrade(socket, { ...dial, tls: { ca } })
        secure.write('EHLO hub.example\r\n')
        expect(String((await once(secure, 'data'))[0])).toMatch(/^250/)
        secure.destroy()
      } finally {
        await s4.stop()
      }
    })

    test('refuses a wrong password, none, and a host; cannot reach a port: each is told as what it is', async () => {
      const server = await started({ logIn, refuse: [forbidden] })
      await expect(wayTo(server, '127.0.0.1', hub.port, { ...logIn, password: 'wrong' })).rejects.toMatchObject({
        code: 'NET_PROXY_SIGN_IN',
        message: expect.stringContaining('does not take user isthmus with this password'),
      })
      await expect(wayTo(server, '127.0.0.1', hub.port)).rejects.toMatchObject({
        code: 'NET_PROXY_SIGN_IN',
        message: expect.stringContaining('wants a user and a password'),
      })
      await expect(wayTo(server, forbidden, hub.port, logIn)).rejects.toMatchObject({
        code: 'NET_PROXY_REFUSED',
        message: expect.stringContaining('(403)'),
      })
      await expect(wayTo(server, '127.0.0.1', 1, logIn)).rejects.toMatchObject({
        code: 'NET_PROXY_NO_WAY',
        message: expect.stringContaining(`(${noWay})`),
      })
    })
  })
}
