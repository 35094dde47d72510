import { execFileSync, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'
import { type Apache, startApache } from './servers/apache.ts'
import { makeCertificate } from './servers/certificate.ts'
import { describeForeign } from './servers/needs.ts'
import { startProcess } from './servers/server-process.ts'
import { freePorts, waitFor } from './servers/wait.ts'

const guide = readGuide('production')
const blockOf = (file: string) => guide.blocks.find(block => block.file === file)?.text ?? ''
const root = join(import.meta.dirname, '../..')
const modules = ['ssl', 'proxy', 'proxy_http', 'socache_shmcb']
const flow = 'from: { https: { path: /orders, role: ESBMessaging.send } }\nto: []\n'

describeForeign('the guide of a hub in production', ['apache2', 'openssl', 'curl', 'systemd'], () => {
  let folder: string
  let machine: GuideMachine
  let apache: Apache
  let [adminPort, endpointsPort, httpsPort] = [0, 0, 0]

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
    ;[adminPort = 0, endpointsPort = 0, httpsPort = 0] = await freePorts(3)
    const etc = join(folder, 'etc')
    machine = new GuideMachine({
      folder,
      environment: { ISTHMUS_CONFIG: join(etc, 'isthmus.yaml') },
      replacements: [
        ['/var/lib/isthmus', join(folder, 'data')],
        ['/etc/isthmus/tls/hub-admin', join(etc, 'tls/key')],
        ['/etc/isthmus/tls/hub', join(etc, 'tls/key')],
        [join(etc, 'tls/key.pem'), join(etc, 'tls/cert.pem')],
        [join(etc, 'tls/key.key'), join(etc, 'tls/key.pem')],
        ['/etc/isthmus', etc],
        ['/opt/isthmus/node_modules/.bin/node', process.execPath],
        ['/opt/isthmus', root],
        ['*:443', `127.0.0.1:${httpsPort}`],
        ['.contoso.com\n', `.contoso.com:${httpsPort}\n`],
        ['8080', String(adminPort)],
        ['8081', String(endpointsPort)],
      ],
    })
    mkdirSync(join(etc, 'tls'), { recursive: true })
    makeCertificate(join(etc, 'tls'))
    machine.write('etc/isthmus.yaml', blockOf('isthmus.yaml'))
    machine.write('etc/flows/orders.flow.yaml', `flow: orders\n${flow}`)
    machine.write('usr-local-bin/isthmus', blockOf('usr-local-bin/isthmus'))
    const [, command = ''] = /^ExecStart=(.*)$/m.exec(blockOf('isthmus.service')) ?? []
    await machine.start(command, () => isHubReady(adminPort))
    apache = await startApache(folder, modules, () => {
      return `Listen 127.0.0.1:${httpsPort}\n${machine.localised(blockOf('isthmus.conf'))}`
    })
  })
  afterAll(async () => {
    await apache?.stop()
    await machine?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  /** Asks by name and over HTTPS, as people and callers do, and gives what curl has written. */
  const curlArguments = (name: string, path: string, args: readonly string[]) => {
    const where = ['--resolve', `${name}:${httpsPort}:127.0.0.1`, `https://${name}:${httpsPort}${path}`]
    // The certificate of the test has one name, which is neither of the two.
    return ['--silent', '--show-error', '--insecure', '--max-time', '20', ...args, ...where]
  }
  const curl = (name: string, path: string, ...args: readonly string[]) =>
    execFileSync('curl', curlArguments(`${name}.contoso.com`, path, args), { cwd: folder, encoding: 'utf8' })

  test('people sign in through the proxy, see the console and follow the log; their cookie is for HTTPS', async () => {
    expect(curl('hub-admin', '/console/')).toContain('<div id="root">')
    const first = {
      token: readFileSync(join(folder, 'data/setup.token'), 'utf8').trim(),
      name: 'anna',
      password: 'x'.repeat(14),
    }
    const headers = curl(
      'hub-admin',
      '/api/setup',
      '--json',
      JSON.stringify(first),
      '--dump-header',
      '-',
      '--cookie-jar',
      'jar',
    )
    expect(headers).toMatch(/^set-cookie: __Host-.*; Secure/im)
    expect(JSON.parse(curl('hub-admin', '/api/flows', '--cookie', 'jar'))).toMatchObject({
      flows: [{ name: 'orders' }],
    })
    const follow = startProcess(
      'curl',
      curlArguments('hub-admin.contoso.com', '/api/log?follow=true&limit=0', ['--no-buffer', '--cookie', 'jar']),
      { cwd: folder },
    )
    try {
      await waitFor('the log to follow', 20_000, async () => {
        await machine.run('isthmus flow stop orders && isthmus flow start orders')
        return follow.output().includes('flow.started')
      })
    } finally {
      await follow.stop()
    }
  })

  test('callers get their token and hand over messages by the name that their key says', async () => {
    await machine.run('isthmus instance create shop --role ESBMessaging.send')
    await machine.run('isthmus key create shop first --out shop.json')
    const { oauth } = JSON.parse(readFileSync(join(folder, 'shop.json'), 'utf8')) as { oauth: Record<string, string> }
    expect(oauth['tokenurl']).toBe(`https://hub.contoso.com:${httpsPort}/oauth/token`)
    const user = ['--user', `${oauth['clientid']}:${oauth['clientsecret']}`]
    const answer = JSON.parse(curl('hub', '/oauth/token', ...user, '--data', 'grant_type=client_credentials')) as object
    const token = 'access_token' in answer ? String(answer.access_token) : ''
    const send = (...more: readonly string[]) =>
      curl('hub', '/flows/orders', '--data', 'an order', '--output', 'answer', '--write-out', '%{http_code}', ...more)
    expect(send('--oauth2-bearer', token)).toBe('202')
    expect(send()).toBe('401')
    const monitor = await machine.run('isthmus health')
    expect(monitor).toContain('ok')
  })

  test('the commands for people find the hub and its token', async () => {
    for (const { kind, info, text } of guide.blocks) {
      if (kind !== 'sh' || info !== 'part=look') continue
      for (const line of text.trim().split('\n')) await machine.run(line.replace('isthmus', 'sh usr-local-bin/isthmus'))
    }
    expect(await machine.run('sh usr-local-bin/isthmus lint etc/flows')).toBeDefined()
  })

  test('the units are ones that systemd takes, and what they run exists', () => {
    const units = join(folder, 'units')
    mkdirSync(units)
    const files = ['isthmus.service', 'isthmus-watch.service', 'isthmus-watch.timer']
    for (const file of files) writeFileSync(join(units, file), machine.localised(blockOf(file)))
    const { status, stdout, stderr } = spawnSync(
      '/usr/bin/systemd-analyze',
      ['verify', ...files.map(file => `./${file}`)],
      {
        cwd: units,
        encoding: 'utf8',
      },
    )
    // It tells of units of the machine, too.
    const own = `${stdout}${stderr}`.split('\n').filter(line => line.includes('isthmus'))
    expect({ status, own }).toEqual({ status: 0, own: [] })
    expect(existsSync(join(root, 'src/cli/isthmus.js'))).toBe(true)
  })

  test('what looks after the hub leaves alone one that answers and one that starts, and kills one that hangs', async () => {
    const [, command = ''] = /^ExecStart=\/bin\/sh -c '(.*)'$/m.exec(blockOf('isthmus-watch.service')) ?? []
    const quick = command
      // As systemd reads it.
      .replaceAll('$$', '$')
      .replace('--max-time 10 --retry 5', '--max-time 2 --retry 1')
      .replace('systemctl', 'echo systemctl')
    const look = (port: number) =>
      spawnSync('sh', ['-c', quick.replace('8080', String(port))], { encoding: 'utf8' }).stdout.trim()
    expect(look(adminPort)).toBe('')
    const [freePort = 0] = await freePorts(1)
    expect(look(freePort)).toBe('')
    // The system takes its connections, and while this waits for curl nobody answers them.
    const hanging = createServer().listen(0, '127.0.0.1')
    await once(hanging, 'listening')
    try {
      expect(look((hanging.address() as AddressInfo).port)).toBe('systemctl kill --signal=KILL isthmus.service')
    } finally {
      hanging.close()
    }
  })
})
