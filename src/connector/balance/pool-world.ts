import net from 'node:net'
import type { Duplex } from 'node:stream'
import { silentLog } from '../../kernel/log.ts'
import { type Clock, systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { listenOnLoopback } from '../../twins/listen.ts'
import { startSmtpServer } from '../../twins/smtp/server.ts'
import { connectorConfig, type VirtualHost } from '../agent/connector-config.ts'
import type { TargetPool } from '../agent/targets.ts'
import type { TargetStatus } from '../wire.ts'
import { createTargetPool } from './pool.ts'

/** Pools, and servers to put behind them; everything is closed after the test. */
const closing: (() => Promise<unknown>)[] = []
export function willClose(close: () => Promise<unknown>): void {
  closing.push(close)
}
export async function closePools(): Promise<void> {
  for (const close of closing.splice(0).toReversed()) await close()
}

export const virtual = 's4-smtp.virtual:25'
export const options = () => ({ signal: new AbortController().signal, timeoutMs: 5000 })

/** A virtual host as connector.yaml would say it, without probes where nothing else is said. */
export function hostOf(words: Record<string, unknown>): VirtualHost {
  const { 'virtual-hosts': hosts } = connectorConfig.parse({
    'virtual-hosts': { [virtual]: { protocol: 'smtp', health: { every: '0s' }, ...words } },
  })
  const host = hosts[virtual]
  if (!host) throw new Error('no virtual host')
  const { tls: wish, ...rest } = host
  return {
    ...rest,
    address: virtual,
    ...(wish && {
      tls: { ...(wish.ca && { ca: wish.ca }), ...(wish.servername && { servername: wish.servername }) },
    }),
  }
}

export function poolOf(
  words: Record<string, unknown>,
  connect = makeConnect(),
  clock: Clock = systemClock,
): TargetPool {
  const pool = createTargetPool({ virtualHosts: [hostOf(words)], connect, clock, log: silentLog })
  closing.push(() => pool.close())
  return pool
}

export async function smtpTwin() {
  const twin = await startSmtpServer({ name: 'twin.example' })
  closing.push(() => twin.stop())
  return { ...twin, address: `127.0.0.1:${twin.port}` }
}

type MakeServer = (onSocket: (socket: net.Socket) => void) => net.Server

export async function server(
  onSocket: (socket: net.Socket) => void,
  make: MakeServer = listener => net.createServer(listener),
): Promise<string> {
  const listener = await listenOnLoopback(make(socket => onSocket(socket.on('error', () => {}))))
  closing.push(() => listener.stop())
  return `127.0.0.1:${listener.port}`
}

/** An address where nobody listens. */
export async function closedPort(): Promise<string> {
  const listener = await listenOnLoopback(net.createServer())
  await listener.stop()
  return `127.0.0.1:${listener.port}`
}

/** Sends lines one after the other and gives what came back for each; the greeting is the first. */
export async function talk(socket: Duplex, lines: readonly string[]): Promise<string[]> {
  const heard: string[] = []
  let text = ''
  const more = socket[Symbol.asyncIterator]()
  const reply = async () => {
    while (!/^\d{3}(?: .*)?\r\n/m.test(text)) {
      const { value, done } = await more.next()
      if (done === true) throw new Error(`it ended after: ${text}`)
      text += String(value)
    }
    heard.push(text)
    text = ''
  }
  await reply()
  for (const line of lines) {
    socket.write(`${line}\r\n`)
    await reply()
  }
  return heard
}

export async function until(isTrue: () => boolean): Promise<void> {
  const endsAt = Date.now() + 10_000
  while (!isTrue()) {
    if (Date.now() > endsAt) throw new Error('it did not come to that within 10 s')
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

export const stateOf = (pool: TargetPool, address: string): TargetStatus | undefined =>
  pool
    .statuses()
    .flatMap(({ targets }) => targets)
    .find(target => target.address === address)
