import { describe, expect, test } from 'vitest'
import { parseHubConfig } from './hub-config.ts'
import { outgoingProxy } from './outgoing-proxy-section.ts'

const parsed = (yaml: string) => outgoingProxy(parseHubConfig(yaml, 'isthmus.yaml')['outgoing-proxy'])

test('address, credential and exceptions', () => {
  expect(parsed('stage: dev\n')).toBeUndefined()
  expect(parsed('outgoing-proxy: { address: "proxy.contoso.com:8080" }')).toEqual({
    host: 'proxy.contoso.com',
    port: 8080,
    auth: undefined,
    except: [],
  })
  const except = ['*.contoso.internal', 's4', '10.0.0.0/8', '2001:db8::/32']
  const yaml = `outgoing-proxy: { address: "[::1]:3128", auth: proxy, except: ${JSON.stringify(except)} }`
  expect(parsed(yaml)).toEqual({ host: '::1', port: 3128, auth: 'proxy', except })
})

describe('mistakes are told at their place', () => {
  test.each([
    [
      'outgoing-proxy: "proxy:8080"',
      'isthmus.yaml:1:17: outgoing-proxy must be a group of keys, and "proxy:8080" is text.',
    ],
    [
      'outgoing-proxy: { address: "http://proxy:8080" }',
      'isthmus.yaml:1:28: "http://proxy:8080" does not fit address. Write host:port.',
    ],
    [
      'outgoing-proxy: { address: "p:1", except: [".contoso.internal"] }',
      'isthmus.yaml:1:44: a host name, *.domain, an address',
    ],
    [
      'outgoing-proxy: { address: "p:1", except: ["10.0.0.0/40"] }',
      'isthmus.yaml:1:44: a host name, *.domain, an address',
    ],
    [
      'outgoing-proxy: { address: "p:1", password: x }',
      'outgoing-proxy has no key "password". It has address, auth and except.',
    ],
  ])('%s', (yaml, words) => {
    expect(() => parsed(yaml)).toThrow(words)
  })
})
