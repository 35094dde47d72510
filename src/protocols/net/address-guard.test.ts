import net from 'node:net'
import fc from 'fast-check'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import type { HubError } from '../../kernel/error.ts'
import type { Connect } from '../../kernel/socket.ts'
import { isInNetwork, notPublicBecause } from './address.ts'
import { guardConnect, type ResolveName } from './address-guard.ts'
import { makeConnect } from './connect.ts'

let port = 0
let hits = 0
let server: net.Server

beforeEach(async () => {
  hits = 0
  server = net.createServer(socket => {
    hits += 1
    socket.on('error', () => {}).end()
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  const address = server.address()
  port = typeof address === 'object' && address ? address.port : 0
})
afterEach(() => {
  server.close()
})

const answers =
  (...addresses: string[]): ResolveName =>
  async () =>
    addresses.map(address => ({ address, family: net.isIPv6(address) ? 6 : 4 }))

/** The host that an HTTP client takes from the text of a URL. */
const hostOf = (url: string) => new URL(url).hostname.replace(/^\[(.*)\]$/, '$1')

describe('spellings of an address inside, in a URL that a message chose', () => {
  const spellings = [
    'http://127.0.0.1/',
    'http://2130706433/',
    'http://0177.0.0.1/',
    'http://0x7f.0.0.1/',
    'http://0x7f000001/',
    'http://127.1/',
    'http://0/',
    'http://127.0.0.1./',
    'http://[::1]/',
    'http://[::]/',
    'http://[::ffff:127.0.0.1]/',
    'http://[::ffff:7f00:1]/',
    'http://[::127.0.0.1]/',
    'http://[64:ff9b::7f00:1]/',
    'http://[64:ff9b::169.254.169.254]/',
    'http://[2002:7f00:1::]/',
    'http://[fd00:ec2::254]/',
    'http://[fe80::1]/',
    'http://１２７.０.０.１/',
    'http://169.254.169.254/latest/meta-data/',
    'http://168.63.129.16/',
    'http://10.0.0.8/',
    'http://100.64.3.2/',
    'http://user:secret@192.168.1.1/',
    'http://localhost/',
  ]
  test.each(spellings)('%s is refused before anything is connected', async url => {
    const connect = guardConnect(makeConnect(), { allow: [], resolve: answers('127.0.0.1') })
    const error = await connect({ host: hostOf(url), port, timeoutMs: 500 }).then(
      () => expect.unreachable('it was connected'),
      (thrown: HubError) => thrown,
    )
    expect(error.code).toBe('NET_ADDRESS_FORBIDDEN')
    expect(error.retry).toBe('never')
    expect(hits).toBe(0)
  })
})

test('a name server that answers differently the second time gains nothing', async () => {
  let asked = 0
  const resolve: ResolveName = async () => [{ address: asked++ === 0 ? '93.184.215.14' : '127.0.0.1', family: 4 }]
  const connected: string[] = []
  const connect = guardConnect(recording(connected), { allow: [], resolve })
  await connect({ host: 'rebind.example', port, timeoutMs: 500, tls: {} })
  expect(connected).toEqual(['93.184.215.14 rebind.example'])
  expect(asked).toBe(1)
})

test('one forbidden address among good ones refuses the whole name', async () => {
  const connect = guardConnect(makeConnect(), { allow: [], resolve: answers('93.184.215.14', '127.0.0.1') })
  await expect(connect({ host: 'half.example', port, timeoutMs: 500 })).rejects.toThrow('this machine itself')
  expect(hits).toBe(0)
})

test('a network of the allow list may be called, nothing beside it', async () => {
  const connect = guardConnect(makeConnect(), { allow: ['127.0.0.1/32'], resolve: answers('127.0.0.1') })
  const socket = await connect({ host: 'inside.example', port, timeoutMs: 500 })
  socket.destroy()
  expect(hits).toBe(1)
  await expect(connect({ host: '127.0.0.2', port, timeoutMs: 500 })).rejects.toThrow('this machine itself')
})

test('a name in the allow list narrows the choice to itself', async () => {
  const connected: string[] = []
  const connect = guardConnect(recording(connected), {
    allow: ['api.example', '*.partner.example'],
    resolve: answers('93.184.215.14'),
  })
  await connect({ host: 'API.example', port: 443, timeoutMs: 500 })
  await connect({ host: 'eu.partner.example', port: 443, timeoutMs: 500 })
  expect(connected).toHaveLength(2)
  for (const host of ['evil.example', 'api.example.evil.example', 'xpartner.example', '93.184.215.14']) {
    await expect(connect({ host, port: 443, timeoutMs: 500 })).rejects.toThrow('not in the allow list')
  }
  await expect(connect({ host: 'evil.example', port: 443, via: 'dc', timeoutMs: 500 })).rejects.toThrow('allow list')
})

test('a dead first address leaves time for the second', async () => {
  const connected: string[] = []
  const inner = recording(connected)
  const connect = guardConnect(
    Object.assign(
      async (request: Parameters<Connect>[0]) => {
        if (request.host === '93.184.215.14') throw new Error('no answer')
        return inner(request)
      },
      { upgrade: inner.upgrade },
    ),
    { allow: [], resolve: answers('93.184.215.14', '2606:2800:21f:cb07:6820:80da:af6b:8b2c') },
  )
  await connect({ host: 'two.example', port: 443, timeoutMs: 500 })
  expect(connected[0]).toMatch(/^2606:/)
})

test('every IPv4 address is judged alike in each form that carries it', () => {
  const octet = fc.integer({ min: 0, max: 255 })
  fc.assert(
    fc.property(octet, octet, octet, octet, (a, b, c, d) => {
      const plain = `${a}.${b}.${c}.${d}`
      const high = (a * 256 + b).toString(16)
      const low = (c * 256 + d).toString(16)
      const verdict = notPublicBecause(plain)
      for (const form of [`::ffff:${plain}`, `::ffff:${high}:${low}`, `64:ff9b::${plain}`, `2002:${high}:${low}::1`]) {
        expect(notPublicBecause(form)).toBe(verdict)
      }
    }),
  )
})

test('public addresses pass, and a network holds what is in it', () => {
  for (const address of ['8.8.8.8', '40.99.1.1', '2603:1026:c03::1', '172.32.0.1']) {
    expect(notPublicBecause(address)).toBeUndefined()
  }
  expect(isInNetwork('10.1.255.1', '10.1.0.0/16')).toBe(true)
  expect(isInNetwork('10.2.0.0', '10.1.0.0/16')).toBe(false)
  expect(isInNetwork('192.168.7.129', '192.168.7.128/25')).toBe(true)
  expect(isInNetwork('fd12::5', 'fd12::/16')).toBe(true)
  expect(isInNetwork('::ffff:10.1.2.3', '10.1.0.0/16')).toBe(true)
  expect(isInNetwork('10.1.2.3', 'not-a-network')).toBe(false)
})

function recording(connected: string[]): Connect {
  return Object.assign(
    async (request: Parameters<Connect>[0]) => {
      connected.push(`${request.host} ${request.tls?.servername ?? ''}`.trim())
      return new net.Socket()
    },
    { upgrade: () => Promise.reject(new Error('not used here')) },
  )
}
