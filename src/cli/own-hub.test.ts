import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { ownHub } from './own-hub.ts'

let cwd: string
beforeEach(() => {
  cwd = mkdtempSync(join(tmpdir(), 'isthmus-own-'))
})
afterEach(() => rmSync(cwd, { recursive: true }))

const usual = () => ({ url: 'http://127.0.0.1:8080', tokenFile: join(cwd, 'data/admin.token') })

test('without isthmus.yaml it is the usual one', () => {
  expect(ownHub({ env: {}, cwd })).toEqual(usual())
})

test.each([
  ['admin: { port: 9090 }', 'http://127.0.0.1:9090', 'data'],
  ['data: state', 'http://127.0.0.1:8080', 'state'],
  ['data: /var/lib/isthmus\nadmin: { host: 0.0.0.0, port: 80 }', 'http://127.0.0.1:80', '/var/lib/isthmus'],
  ['admin: { host: "::" }', 'http://127.0.0.1:8080', 'data'],
  ['admin: { host: "::1" }', 'http://[::1]:8080', 'data'],
  ['admin: { host: localhost, port: 0 }', 'http://localhost:8080', 'data'],
])('%j: it is asked at %s', (yaml, url, data) => {
  writeFileSync(join(cwd, 'isthmus.yaml'), yaml)
  const tokenFile = join(data.startsWith('/') ? data : join(cwd, data), 'admin.token')
  expect(ownHub({ env: {}, cwd })).toEqual({ url, tokenFile })
})

test('ISTHMUS_CONFIG names another, whose paths are relative to it', () => {
  mkdirSync(join(cwd, 'etc'))
  writeFileSync(join(cwd, 'etc/hub.yaml'), 'admin: { port: 9090 }')
  const expected = { url: 'http://127.0.0.1:9090', tokenFile: join(cwd, 'etc/data/admin.token') }
  expect(ownHub({ env: { ISTHMUS_CONFIG: 'etc/hub.yaml' }, cwd })).toEqual(expected)
})

test.each(['admin: { port: [', 'admin: 7\ndata: [x]', 'admin: { port: no, url: 7, more: x }\nflows: 3', 'text', ''])(
  '%j: mistakes in it keep nobody from asking',
  yaml => {
    writeFileSync(join(cwd, 'isthmus.yaml'), yaml)
    expect(ownHub({ env: {}, cwd })).toEqual(usual())
  },
)
