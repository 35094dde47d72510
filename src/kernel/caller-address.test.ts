import type { IncomingMessage } from 'node:http'
import { expect, test } from 'vitest'
import { believeProxies, callerAddress } from './caller-address.ts'

const believe = believeProxies(['10.0.0.5', '10.1.0.0/16', '2001:db8::/32'])

function seen(connection: string, forwarded?: string): string {
  const headers = forwarded === undefined ? {} : { 'x-forwarded-for': forwarded }
  const request = { socket: { remoteAddress: connection }, headers } as unknown as IncomingMessage
  believe(request)
  return callerAddress(request)
}

test.each([
  ['what a stranger says counts for nothing', '203.0.113.9', '198.51.100.1', '203.0.113.9'],
  ['a proxy tells who its caller is', '10.0.0.5', '203.0.113.9', '203.0.113.9'],
  ['also over IPv6 that carries IPv4', '::ffff:10.0.0.5', '203.0.113.9', '203.0.113.9'],
  ['and one of a network', '2001:db8::7', '2001:db9::1', '2001:db9::1'],
  ['what the caller wrote before counts for nothing', '10.0.0.5', '127.0.0.1, 203.0.113.9', '203.0.113.9'],
  ['through two proxies', '10.0.0.5', '198.51.100.1, 203.0.113.9,10.1.2.3', '203.0.113.9'],
  ['a proxy that calls by itself', '10.0.0.5', undefined, '10.0.0.5'],
  ['proxies all the way', '10.0.0.5', '10.1.0.1, 10.1.0.2', '10.1.0.1'],
  ['a port behind the address', '10.0.0.5', '203.0.113.9:51442', '203.0.113.9'],
  ['brackets around it', '10.0.0.5', '[2001:db9::1]:443', '2001:db9::1'],
  ['and without a port', '10.0.0.5', '[2001:db9::1]', '2001:db9::1'],
  ['a hidden caller', '10.0.0.5', '203.0.113.9, unknown', '10.0.0.5'],
  ['rubbish', '10.0.0.5', ', ,', '10.0.0.5'],
])('%s', (_what, connection, forwarded, address) => {
  expect(seen(connection, forwarded)).toBe(address)
})

test('without proxies, and for a request that nobody looked at, it is the connection', () => {
  const request = { socket: { remoteAddress: '10.0.0.5' }, headers: { 'x-forwarded-for': '1.2.3.4' } }
  expect(callerAddress(request as unknown as IncomingMessage)).toBe('10.0.0.5')
  believeProxies([])(request as unknown as IncomingMessage)
  expect(callerAddress(request as unknown as IncomingMessage)).toBe('10.0.0.5')
})
