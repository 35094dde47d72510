import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { readConnectorConfig } from './read-config.ts'

let folder: string

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'isthmus-config-'))
})

afterEach(() => rm(folder, { recursive: true, force: true }))

async function read(yaml: string) {
  const file = join(folder, 'connector.yaml')
  await writeFile(file, yaml)
  return readConnectorConfig(file)
}

const problemOf = (yaml: string) =>
  read(yaml).then(
    () => 'none',
    (error: Error) => error.message.replaceAll(join(folder, 'connector.yaml'), 'FILE'),
  )

test('a short file is enough: what it does not say is what a careful person would pick', async () => {
  const { config, files } = await read(
    'virtual-hosts:\n  S4-smtp.Virtual:25: { protocol: smtp, targets: [s4app1:25] }\n',
  )
  expect(files).toEqual([join(folder, 'connector.yaml')])
  expect(config).toMatchObject({ dataFolder: join(folder, 'data'), mode: 'active', hub: { tunnels: 2 } })
  expect(config.virtualHosts).toMatchObject([
    {
      address: 's4-smtp.virtual:25',
      targets: [{ address: 's4app1:25', weight: 1, 'connections-max': 100 }],
      'streams-max': 500,
      idle: 900_000,
      health: { every: 5000, 'down-after': 3 },
    },
  ])
})

test('the certificate of an authority is read from beside the file, and watched with it', async () => {
  const { ca } = await makeTwinCertificate(['s4.corp'])
  await writeFile(join(folder, 'sap.pem'), `SAP root\n${ca}${ca}`)
  const { config, files } = await read(
    'virtual-hosts:\n  s4:443:\n    protocol: tcp-tls\n    targets: ["[::1]:44300"]\n    tls: { ca: sap.pem, servername: s4.corp }\n',
  )
  expect(config.virtualHosts[0]?.tls).toEqual({ ca: `SAP root\n${ca}${ca}`, servername: 's4.corp' })
  expect(config.virtualHosts[0]?.targets[0]?.address).toBe('[::1]:44300')
  expect(files).toEqual([join(folder, 'connector.yaml'), join(folder, 'sap.pem')])
})

test('the proxy to the hub: an address alone, or with a user whose password lies beside the file and is watched', async () => {
  const rest = 'virtual-hosts: {}\n'
  const { config } = await read(`${rest}hub: { proxy: "Proxy.contoso.com:8080" }\n`)
  expect(config.hub).toMatchObject({ tunnels: 2, proxy: { host: 'proxy.contoso.com', port: 8080, logIn: undefined } })
  await writeFile(join(folder, 'proxy.txt'), ' p: ä \n')
  const more = await read(`${rest}hub:\n  proxy: { address: "[::1]:3128", user: isthmus, password-file: proxy.txt }\n`)
  expect(more.config.hub.proxy).toMatchObject({
    host: '::1',
    port: 3128,
    logIn: { user: 'isthmus', password: ' p: ä ' },
  })
  expect(more.files).toEqual([join(folder, 'connector.yaml'), join(folder, 'proxy.txt')])
})

describe('every mistake is told at its line and column', () => {
  test.each([
    ['hub: { proxy: proxy.contoso.com }', 'FILE:2:8: hub > proxy: write host:port.'],
    ['hub: { proxy: "http://proxy.contoso.com:8080" }', 'FILE:2:8: hub > proxy: write host:port.'],
    ['hub:\n  proxy: { address: "p:1", password: secret }', 'FILE:3:28: hub > proxy > password: this key is not known'],
    ['hub:\n  proxy: { address: "p:1", user: u }', 'FILE:3:28: hub > proxy > user: user and password-file belong'],
    ['hub:\n  proxy: { address: "p:1", user: "a:b", password-file: x }', 'hub > proxy > user: a name without a colon'],
    ['hub:\n  proxy: { address: "p:1", user: u, password-file: no.txt }', 'FILE:3:37: hub > proxy > password-file: no'],
    ['hub:\n  proxy: { address: "p:1", user: u, password-file: empty.txt }', 'password-file: empty.txt is empty.'],
  ])('%j', async (yaml, words) => {
    await writeFile(join(folder, 'empty.txt'), '\n')
    expect(await problemOf(`virtual-hosts: {}\n${yaml}\n`)).toContain(words)
  })

  test.each([
    ['', 'FILE:1:1: virtual-hosts'],
    ['virtual-hosts: [\n', 'FILE:2:1: '],
    ['virtual-hosts:\n  a:1: {}\n  a:1: {}\n', 'FILE:3:3: Map keys must be unique'],
    [
      'virtual-hosts:\n  a:1: &a { protocol: tcp, targets: [a:1] }\n  b:1: *a\n',
      'FILE:3:8: an alias (*) is not taken here; write the value out.',
    ],
    [
      'virtual-hosts:\n  s4:025: { protocol: tcp, targets: [a:1] }\n',
      'FILE:2:3: virtual-hosts > s4:025: write host:port.',
    ],
    ['virtual-hosts: {}\ntunnels: 3\n', 'FILE:2:1: tunnels: this key is not known here.'],
    ['virtual-hosts:\n  s4: { protocol: tcp, targets: [a:1] }\n', 'FILE:2:3: virtual-hosts > s4: write host:port.'],
    [
      'virtual-hosts:\n  s4:70000: { protocol: tcp, targets: [a:1] }\n',
      'FILE:2:3: virtual-hosts > s4:70000: a port is',
    ],
    ['virtual-hosts:\n  s4:1: { protocol: udp, targets: [a:1] }\n', 'FILE:2:11: virtual-hosts > s4:1 > protocol: '],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    targets: []\n', 'FILE:4:5: virtual-hosts > s4:1 > targets: '],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    targets:\n      - a:1\n      - b\n', 'FILE:6:9: '],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    targets:\n      - { address: a:1, wait: 1 }\n', 'FILE:5:25: '],
    ['virtual-hosts:\n  s4:1: { protocol: http, targets: [a:1] }\n', 'http needs allow'],
    ['virtual-hosts:\n  s4:1: { protocol: tcp, targets: [a:1], tls: {} }\n', 'only tcp-tls and http speak TLS'],
    ['virtual-hosts:\n  s4:1: { protocol: tcp, targets: [a:1, A:1] }\n', 'a target stands here twice'],
    [
      'virtual-hosts:\n  s4:1: { protocol: tcp, targets: [a:1] }\n  S4:1: { protocol: tcp, targets: [a:1] }\n',
      'FILE:3:3: ',
    ],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp-tls\n    targets: [a:1]\n    tls: { ca: no.pem }\n', 'FILE:5:12: '],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    idle: 5\n    targets: [a:1]\n', 'FILE:4:5: '],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    idle: 0s\n    targets: [a:1]\n', 'idle: longer than 0s, please'],
    ['virtual-hosts:\n  s4:1:\n    protocol: tcp\n    timeout: 0s\n    targets: [a:1]\n', 'timeout: longer than 0s'],
  ])('%j', async (yaml, words) => {
    expect(await problemOf(yaml)).toContain(words)
  })

  test('an address that is not text at all', async () => {
    expect(await problemOf('virtual-hosts:\n  s4:1:\n    protocol: tcp\n    targets: [5]\n')).toContain('FILE:4:15: ')
  })

  test.each([
    ['no certificate at all', 'a key, perhaps', 'holds no PEM certificate'],
    ['half a certificate', '-----BEGIN CERTIFICATE-----\nMIIB\n', 'holds no PEM certificate'],
    [
      'a broken one',
      '-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n',
      'holds a certificate that cannot be read',
    ],
  ])('an authority with %s', async (_, pem, words) => {
    await writeFile(join(folder, 'sap.pem'), pem)
    const yaml = 'virtual-hosts:\n  s4:1:\n    protocol: tcp-tls\n    targets: [a:1]\n    tls: { ca: sap.pem }\n'
    expect(await problemOf(yaml)).toContain(`FILE:5:12: virtual-hosts > s4:1 > tls > ca: sap.pem ${words}`)
  })

  test('a file that is not there', async () => {
    await expect(readConnectorConfig(join(folder, 'none.yaml'))).rejects.toMatchObject({
      code: 'CONNECTOR_CONFIG_UNREADABLE',
    })
  })
})
