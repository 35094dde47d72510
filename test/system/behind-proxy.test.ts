import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Writable } from 'node:stream'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { type Hub, startHub } from '../../src/main.ts'

const document = `flow: orders
from: { https: { path: /orders, role: ESBMessaging.send } }
to: []
`

let folder: string
let hub: Hub | undefined
let written: string
/** A client that is known, with a secret that is not its own. */
let wrong: string

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-proxy-'))
  writeFileSync(join(folder, 'flow.yaml'), document)
  written = ''
})
afterEach(async () => {
  await hub?.close()
  rmSync(folder, { recursive: true })
})

async function start(proxies: readonly string[]): Promise<void> {
  const output = new Writable({
    write(chunk, _encoding, done) {
      written += String(chunk)
      done()
    },
  })
  hub = await startHub({
    dataFolder: join(folder, 'data'),
    stage: 'test',
    flowFiles: [join(folder, 'flow.yaml')],
    proxies,
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'info', format: 'json', output },
  })
  const { clientId } = await hub.serviceUsers.createInstance({ name: 'portal' })
  wrong = `Basic ${Buffer.from(`${clientId}:wrong`).toString('base64')}`
}

interface Call {
  readonly url: string
  readonly headers: Readonly<Record<string, string>>
  readonly body?: string | URLSearchParams
}

const ways: readonly [string, (hub: Hub) => Call][] = [
  ['a protected endpoint', it => ({ url: `${it.endpointsUrl}/orders`, headers: { authorization: wrong } })],
  [
    'the token server',
    it => ({
      url: new URL('/oauth/token', it.endpointsUrl).href,
      headers: { authorization: wrong },
      body: new URLSearchParams({ grant_type: 'client_credentials' }),
    }),
  ],
  [
    'the log-in of administrators',
    it => ({
      url: `${it.adminUrl}/api/session`,
      headers: { 'content-type': 'application/json' },
      body: '{"name":"anna","password":"a wrong password"}',
    }),
  ],
  ['the admin API', it => ({ url: `${it.adminUrl}/api/flows/x/start`, headers: { authorization: 'Bearer wrong' } })],
]

describe.each(ways)('%s', (_what, wayOf) => {
  /** Statuses of so many wrong calls, each from the next of these addresses, as a proxy on this machine tells them. */
  async function guess(count: number, ...addresses: readonly string[]): Promise<readonly number[]> {
    if (!hub) throw new Error('The hub does not run.')
    const { url, headers, body } = wayOf(hub)
    const statuses: number[] = []
    for (let done = 0; done < count; done++) {
      const forwarded = { 'x-forwarded-for': addresses[done % addresses.length] ?? '' }
      const answer = await fetch(url, { method: 'POST', headers: { ...headers, ...forwarded }, ...(body && { body }) })
      await answer.arrayBuffer()
      statuses.push(answer.status)
    }
    return statuses
  }

  test('slows down whoever guesses behind a proxy that is believed, and nobody else there', async () => {
    await start(['127.0.0.0/8'])
    expect(await guess(30, '203.0.113.7')).toContain(429)
    expect(await guess(1, '203.0.113.8')).toEqual([401])
    // What the caller wrote there itself changes nothing.
    expect(await guess(1, '203.0.113.9, 203.0.113.7')).toEqual([429])
    expect(written).toContain('203.0.113.7')
  })

  test('does not believe any other', async () => {
    await start(['10.0.0.5'])
    expect(await guess(30, '203.0.113.7', '203.0.113.8', '203.0.113.9')).toContain(429)
    expect(written).not.toContain('203.0.113')
  })
})
