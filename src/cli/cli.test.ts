import { spawn } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, expect, test } from 'vitest'
import { smtp } from '../adapters/smtp.ts'
import { timer } from '../adapters/timer.ts'
import { type ApiWorld, apiWorld } from '../api/api-world.ts'
import { createFlowEndpoints } from '../api/flow-endpoints.ts'
import type { Act } from '../engine/engine-world.ts'
import { defineErrors } from '../kernel/error.ts'
import { silentLog } from '../kernel/log.ts'
import { MiB } from '../kernel/size.ts'
import { lateSteps } from '../steps/late-steps.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import type { CliIo, HubProgram } from './io.ts'
import { run } from './run.ts'

const testErrors = defineErrors('CLITEST', {
  CUT: { side: 'receiver', retry: 'never', means: 'It was cut.', next: 'Ask.', isOutcomeUnknown: true },
  REFUSED: { side: 'receiver', retry: 'never', means: 'The server refused: {text}', next: 'Correct the recipient.' },
})

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

async function temporaryFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-cli-'))
  closing.push(() => rm(folder, { recursive: true, force: true }))
  return folder
}

async function open(options?: Parameters<typeof apiWorld>[0]): Promise<ApiWorld> {
  const world = await apiWorld(options)
  closing.push(() => world.close())
  return world
}

interface Setting {
  readonly world?: Pick<ApiWorld, 'url' | 'tokenFile'>
  readonly stdin?: string | Buffer
  readonly cwd?: string
  readonly env?: Record<string, string>
  readonly isTerminal?: boolean
  readonly signal?: AbortSignal
  readonly startHub?: HubProgram['startHub']
  readonly onOutput?: (text: string) => void
  readonly moreCommands?: NonNullable<CliIo['moreCommands']>
}

/** Runs a command line and collects what it printed. */
async function isthmus(line: readonly string[], setting: Setting = {}) {
  const out: Buffer[] = []
  const err: Buffer[] = []
  const { world } = setting
  const io: CliIo = {
    stdin: Readable.from([setting.stdin ?? '']),
    stdout: {
      isTTY: setting.isTerminal ?? false,
      write(text) {
        out.push(Buffer.from(text))
        setting.onOutput?.(String(text))
      },
    },
    stderr: { write: text => err.push(Buffer.from(text)) },
    env: { ...(world && { ISTHMUS_URL: world.url, ISTHMUS_TOKEN_FILE: world.tokenFile }), ...setting.env },
    cwd: setting.cwd ?? '/nowhere',
    signal: setting.signal ?? new AbortController().signal,
    moreCommands: setting.moreCommands ?? [],
    program: async () => ({
      builtIn: {
        senders: { timer: async () => timer },
        receivers: { smtp: async () => smtp },
        steps: lateSteps,
      } as unknown as HubProgram['builtIn'],
      startHub: setting.startHub ?? (() => Promise.reject(new Error('no hub is started here'))),
    }),
  }
  const code = await run(line, io)
  return { code, bytes: Buffer.concat(out), out: Buffer.concat(out).toString(), err: Buffer.concat(err).toString() }
}

test('the version is that of the package', async () => {
  const { version } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')) as {
    version: string
  }
  expect(await isthmus(['--version'])).toMatchObject({ code: 0, out: `${version}\n` })
})

test('flows are listed, shown, checked, stopped and started', async () => {
  const world = await open()
  expect((await isthmus(['flow', 'list'], { world })).out).toMatch(/^orders +running +0\/0 up +0 +0/m)
  expect((await isthmus(['flow', 'show', 'orders'], { world })).out).toMatch(/^Way: +script to script-0$/m)
  expect(await isthmus(['flow', 'check', 'orders'], { world })).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^to\[0\] +yes/m),
  })
  expect((await isthmus(['flow', 'stop', 'orders'], { world })).out).toBe('Flow orders is stopped.\n')
  expect((await isthmus(['flow', 'start', 'orders'], { world })).out).toBe('Flow orders is running.\n')
})

test('a value that the hub does not take is named, and where a terminal says what it may be', async () => {
  const refused = await isthmus(['message', 'find', '--limit', '5000'], { world: await open() })
  expect(refused.err).toMatch(/The request does not fit: limit: Too big: .*\d\.\n/)
  expect(refused.err).toContain('--help lists what a command of isthmus takes')
})

test('documents are read anew, and what comes of each is told', async () => {
  const world = await open()
  const reload = async (...options: string[]) => {
    const { code, out } = await isthmus(['flow', 'reload', ...options], { world })
    return [code, out.split('\n').map(line => line.replace(/ {2,}/g, ' | '))]
  }
  const mistake =
    'The document of flow broken has 1 mistakes; the first: broken.yaml:3:5 There is no sender imapp. | Run isthmus lint broken.yaml, correct the document and start the flow again.'
  const heading = 'FLOW | OUTCOME | DETAIL | NEXT'
  expect(await reload()).toEqual([1, [heading, `broken | failed | ${mistake}`, '1 flow unchanged.', '']])
  await isthmus(['flow', 'stop', 'orders'], { world })
  expect(await reload('--dry-run')).toEqual([
    1,
    [
      heading,
      `broken | would be failed | ${mistake}`,
      'orders | left-stopped | Somebody stopped it. | isthmus flow start orders',
      '0 flows unchanged.',
      '',
    ],
  ])
})

test('all set-aside messages of a flow are replayed or skipped, and what waits is tried now', async () => {
  const world = await open({ engine: { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] } })
  const message = async (...line: string[]) => {
    const { code, out, err } = await isthmus(['message', ...line], { world })
    return [code, out || err]
  }
  for (const name of ['a', 'b', 'c']) await world.accept(name)
  await world.engine().idle()
  const flow = ['--flow', 'orders']
  expect(await message('replay', ...flow, '--dry-run')).toEqual([
    0,
    '3 set-aside messages of orders would travel again.\n',
  ])
  expect(await message('replay', ...flow, '--code', 'OTHER')).toEqual([
    0,
    '0 set-aside messages of orders travel again.\n',
  ])
  expect(await message('replay', ...flow, '--since', '1h')).toEqual([
    0,
    '0 set-aside messages of orders travel again.\n',
  ])
  expect(await message('replay', ...flow)).toEqual([0, '3 set-aside messages of orders travel again.\n'])
  await world.engine().idle()
  expect(await message('skip', ...flow)).toEqual([2, expect.stringContaining('skip needs --reason')])
  expect(await message('skip', ...flow, '--reason', 'trial')).toEqual([
    0,
    '3 set-aside messages of orders are skipped.\n',
  ])
  expect(await message('replay')).toEqual([2, expect.stringContaining('Give the id of a message, or --flow.')])
  expect(await message('replay', 'X', ...flow)).toEqual([2, expect.stringContaining('not both')])
  // Nothing travels for somebody who asks for a trial, or for some of them.
  for (const option of [['--dry-run'], ['--code', 'OTHER'], ['--since', '1h'], ['--in-doubt']]) {
    expect(await message('replay', 'X', ...option)).toEqual([2, expect.stringContaining('go with --flow')])
  }
  expect(await message('skip', 'X', '--code', 'OTHER', '--reason', 'trial')).toEqual([
    2,
    expect.stringContaining('go with --flow'),
  ])
  expect(await isthmus(['flow', 'retry', 'orders'], { world })).toMatchObject({
    code: 0,
    out: '0 messages are tried now.\n',
  })
})

test('what stays set aside is told with the reason', async () => {
  const inDoubt: Act = async (_message, effect) => {
    await effect.intend()
    throw testErrors.CUT()
  }
  const world = await open({ engine: { receivers: [inDoubt] } })
  const { id } = await world.accept('a')
  await world.engine().idle()
  const { code, out } = await isthmus(['message', 'replay', '--flow', 'orders'], { world })
  expect([code, out.replace(/ {2,}/g, ' | ').split('\n')]).toEqual([
    1,
    [
      '0 set-aside messages of orders travel again.',
      '1 set-aside message stays set aside:',
      'MESSAGE | WHY | NEXT',
      `${id} | it may have arrived already | ask the other side, or say --in-doubt`,
      '',
    ],
  ])
})

test('a message is found, shown, repaired with the very bytes and found delivered', async () => {
  const world = await open({ engine: { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] } })
  const { id } = await world.accept('broken', { terms: ['<a@b>'], headers: { subject: 'x\u001b[2J' } })
  await world.engine().idle()
  const found = await isthmus(['message', 'find', '<a@b>', '--state', 'set-aside'], { world })
  expect(found.out).toContain(id)
  const shown = await isthmus(['message', 'show', id], { world })
  expect(shown.out).toMatch(/^Next: +Correct the recipient\.$/m)
  expect(shown.out).not.toContain('\u001b')
  world.setActs(() => ({ summary: '250 ok' }))
  const bytes = Buffer.from([0, 1, 255, 13, 10, 46])
  const repaired = await isthmus(['message', 'repair', id, '--body', '-'], { world, stdin: bytes })
  expect([repaired.code, repaired.err]).toEqual([0, ''])
  await world.engine().idle()
  const body = await isthmus(['message', 'body', id], { world })
  expect(body.bytes.equals(bytes)).toBe(true)
  const found_ = await isthmus(['--json', 'message', 'find', '--flow', 'orders'], { world })
  expect(JSON.parse(found_.out)).toMatchObject({ messages: [{ id, state: 'delivered' }] })
})

test('a body as large as a flow takes replaces the one that was wrong', async () => {
  const limits = { messageBytes: 40 * MiB }
  const world = await open({
    engine: { limits, receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] },
  })
  const { id } = await world.accept('broken', { headers: { subject: 'order' } })
  await world.engine().idle()
  const tooLarge = await isthmus(['message', 'repair', id, '--body', '-'], { world, stdin: Buffer.alloc(41 * MiB) })
  expect([tooLarge.code, tooLarge.err]).toEqual([
    4,
    expect.stringMatching(/one message \(messageBytes\).*\(BODY_TOO_LARGE\)/s),
  ])
  world.setActs(() => ({ summary: '250 ok' }))
  const bytes = randomBytes(20 * MiB)
  const repaired = await isthmus(['message', 'repair', id, '--body', '-'], { world, stdin: bytes })
  expect([repaired.code, repaired.err]).toEqual([0, ''])
  await world.engine().idle()
  const shown = JSON.parse((await isthmus(['--json', 'message', 'show', id], { world })).out)
  expect(shown).toMatchObject({ state: 'delivered', headers: { subject: 'order' }, original: { body: { bytes: 6 } } })
  expect((await isthmus(['message', 'body', id], { world })).bytes.equals(bytes)).toBe(true)
})

test('a body beside headers has the limit of calls to the API, and its refusal names it', async () => {
  const world = await open()
  const cwd = await temporaryFolder()
  await writeFile(join(cwd, 'headers.json'), '{}')
  const line = ['message', 'repair', 'X', '--body', '-', '--headers', 'headers.json']
  expect(await isthmus(line, { world, cwd, stdin: Buffer.alloc(30 * MiB) })).toMatchObject({
    code: 4,
    err: expect.stringMatching(/above 5657942 bytes\..*without --headers.*API_BODY_TOO_LARGE/s),
  })
})

test('a body on a terminal cannot act, and a file is never overwritten', async () => {
  const world = await open()
  const { id } = await world.accept('a\u001b]0;evil\u0007\n\tb')
  const shown = await isthmus(['message', 'body', id], { world, isTerminal: true })
  expect(shown.out).toBe('a\\u001b]0;evil\\u0007\n\tb\n')
  const cwd = await temporaryFolder()
  expect((await isthmus(['message', 'body', id, '--out', 'body.bin'], { world, cwd })).code).toBe(0)
  expect(await readFile(join(cwd, 'body.bin'), 'utf8')).toBe('a\u001b]0;evil\u0007\n\tb')
  for (const file of ['body.bin', 'no-folder/body.bin']) {
    expect(await isthmus(['message', 'body', id, '--out', file], { world, cwd })).toMatchObject({
      code: 2,
      err: expect.stringContaining('CLI_FILE_NOT_MADE'),
    })
  }
})

test('a message is found by its own id, beside what replays it and within the rest of the question', async () => {
  const world = await open()
  const { id } = await world.accept('x')
  await world.engine().idle()
  const replayed = await isthmus(['--json', 'message', 'replay', id], { world })
  const { id: replay } = JSON.parse(replayed.out) as { id: string }
  await world.engine().idle()
  const find = async (...more: string[]) => {
    const { out } = await isthmus(['--json', 'message', 'find', id.toLowerCase(), ...more], { world })
    return (JSON.parse(out) as { messages: { id: string }[] }).messages.map(each => each.id)
  }
  expect((await isthmus(['message', 'find', id], { world })).out).toContain(replay)
  expect(await find()).toEqual([id])
  expect(await find('--flow', 'orders', '--state', 'delivered', '--from', '1970-01-01', '--limit', '1')).toEqual([id])
  for (const other of [
    ['--flow', 'others'],
    ['--state', 'dropped'],
    ['--from', '2199-01-01T00:00+01:00'],
    ['--to', '1970-01-01T00:00'],
    ['--before', id],
  ]) {
    expect([other, await find(...other)]).toEqual([other, []])
  }
})

test('messages are skipped and replayed with a reason in the audit log, whose chain is verified', async () => {
  const world = await open({ engine: { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] } })
  const { id } = await world.accept('x')
  await world.engine().idle()
  expect((await isthmus(['message', 'skip', id], { world })).code).toBe(2)
  expect((await isthmus(['message', 'skip', id, '--reason', 'by telephone'], { world })).out).toContain('is skipped')
  expect((await isthmus(['message', 'replay', id], { world })).out).toMatch(/^Message \w{11} travels\.$/m)
  const audit = await isthmus(['audit'], { world })
  expect(audit.out).toMatch(/message\.skip +\{.*by telephone/)
  expect(await isthmus(['audit', 'verify'], { world })).toMatchObject({ code: 0 })
})

test('a secret comes from standard input or a file and never from the arguments', async () => {
  const world = await open()
  const cwd = await temporaryFolder()
  const set = ['--set', 'kind=basic', '--set', 'user=mail']
  const refused = await isthmus(['credential', 'create', 'relay', ...set, '--set', 'password=hunter22'], { world })
  expect([refused.code, refused.err]).toEqual([2, expect.stringContaining('Use --secret password')])
  const created = await isthmus(['credential', 'create', 'relay', ...set, '--secret', 'password'], {
    world,
    stdin: 'hunter22\n',
  })
  expect(created).toMatchObject({ code: 0, out: expect.stringMatching(/^State: +ready$/m) })
  expect(await world.credentials.lookup('relay')).toMatchObject({ kind: 'basic', user: 'mail', password: 'hunter22' })
  await writeFile(join(cwd, 'secret'), 'other\n')
  await isthmus(['credential', 'update', 'relay', ...set, '--secret-file', 'password=secret'], { world, cwd })
  expect(await world.credentials.lookup('relay')).toMatchObject({ password: 'other' })
  const renew = ['credential', 'renew', 'relay']
  expect((await isthmus([...renew, '--secret', 'password'], { world, stdin: 'newest\n' })).code).toBe(0)
  expect(await world.credentials.lookup('relay')).toEqual({ kind: 'basic', user: 'mail', password: 'newest' })
  expect((await isthmus(renew, { world })).code).not.toBe(0)
  expect((await isthmus(['credential', 'list'], { world })).out).not.toMatch(/other|newest/)
  expect((await isthmus(['credential', 'create', 'evil', '--set', '__proto__.kind=basic'], { world })).code).toBe(4)
  expect((await isthmus(['credential', 'delete', 'relay'], { world })).out).toBe('Credential relay is deleted.\n')
})

test('a key pair comes from two files; its end and thumbprint are shown, its key never', async () => {
  const world = await open()
  const cwd = await temporaryFolder()
  const { cert, key } = await makeTwinCertificate(['hub.example'])
  await writeFile(join(cwd, 'hub.pem'), cert)
  await writeFile(join(cwd, 'hub.key'), key)
  const args = ['credential', 'create', 's4-client', '--set', 'kind=certificate', '--file', 'certificate=hub.pem']
  const created = await isthmus([...args, '--secret-file', 'privateKey=hub.key'], { world, cwd })
  expect(created).toMatchObject({ code: 0, out: expect.stringMatching(/^Certificate: +CN=hub\.example, issued by/m) })
  expect(created.out).toMatch(/^Certificate until: +\d{4}-/m)
  expect(created.out).not.toContain('PRIVATE KEY')
  expect(await world.credentials.lookup('s4-client')).toMatchObject({ kind: 'certificate', certificate: cert })
  const wrongWay = await isthmus(['credential', 'create', 'x', '--file', 'privateKey=hub.key'], { world, cwd })
  expect([wrongWay.code, wrongWay.err]).toEqual([2, expect.stringContaining('--secret-file takes it')])
})

test('settings of a credential come from YAML, and a sign-in begins with an address', async () => {
  const world = await open()
  const yaml = 'kind: oauth2-authorization-code\nprovider:\n  microsoft365: { tenant: contoso.com }\nclientId: app\n'
  const created = await isthmus(['credential', 'create', 'm365', '--from', '-'], { world, stdin: yaml })
  expect([created.code, created.err]).toEqual([0, ''])
  expect((await isthmus(['credential', 'status', 'm365'], { world })).code).toBe(1)
  const begun = await isthmus(['credential', 'authorise', 'm365'], { world })
  expect(begun.out).toMatch(/^Open: +http:\/\/localhost:\d+\/oauth\/start\?ticket=[\w-]{43}$/m)
})

test('health, alerts and metrics: the exit code says whether all is well', async () => {
  const world = await open()
  expect(await isthmus(['health'], { world })).toMatchObject({ code: 0, out: expect.stringMatching(/^Status: +ok$/m) })
  world.failed.push({
    name: 'broken',
    since: 0,
    error: { code: 'X', side: 'flow', message: 'It does not lint.', next: 'Correct it.' },
  })
  await world.monitor.look()
  expect(await isthmus(['health'], { world })).toMatchObject({ code: 1, out: expect.stringContaining('Correct it.') })
  expect((await isthmus(['alert', 'acknowledge', 'flow-failed:broken'], { world })).code).toBe(0)
  expect((await isthmus(['alert', '--open'], { world })).out).toContain('flow-failed:broken')
  expect((await isthmus(['metrics'], { world })).out).toMatch(/^isthmus_alerts_open 1$/m)
})

test('the log is shown, and followed until the person ends it', async () => {
  const world = await open()
  world.logBook.log.warn('delivery.failed', { flow: 'orders', text: 'no route' })
  expect((await isthmus(['log', '--flow', 'orders'], { world })).out).toMatch(
    /WARN +delivery\.failed flow=orders text="no route"/,
  )
  const stop = new AbortController()
  const following = isthmus(['log', '--follow', '--limit', '0'], {
    world,
    signal: stop.signal,
    onOutput: text => {
      if (text.includes('second')) stop.abort()
    },
  })
  await expect
    .poll(() => {
      world.logBook.log.info('first')
      world.logBook.log.info('second')
      return stop.signal.aborted
    })
    .toBe(true)
  expect(await following).toMatchObject({ code: 130, out: expect.stringMatching(/first\n.*second/) })
})

test('a log that the hub ends is told of, so that nobody watches a log without lines', async () => {
  const world = await open()
  const following = isthmus(['log', '--follow', '--limit', '0'], {
    world,
    onOutput: text => void (text.includes('last') && world.close()),
  })
  const write = setInterval(() => world.logBook.log.info('last'), 20)
  const followed = await following
  clearInterval(write)
  expect([followed.code, followed.err]).toEqual([3, expect.stringContaining('it ended its log')])
})

test('what was to be done before a message was skipped is no next step any more', async () => {
  const world = await open({ engine: { receivers: [() => Promise.reject(testErrors.REFUSED({ text: '550' }))] } })
  const { id } = await world.accept('broken')
  await world.engine().idle()
  await isthmus(['message', 'skip', id, '--reason', 'a test'], { world })
  const shown = await isthmus(['message', 'show', id], { world })
  expect(shown.out).toMatch(/^State: +skipped$[\s\S]*^Error: .*550/m)
  expect(shown.out).not.toMatch(/^Next:/m)
})

test('every error is a sentence and a next step with an exit code, never a stack', async () => {
  const world = await open()
  const cwd = await temporaryFolder()
  const stranger = createServer((_request, response) => response.writeHead(404).end('no hub'))
  await new Promise<void>(resolve => stranger.listen(0, '127.0.0.1', resolve))
  closing.push(async () => stranger.close())
  const strangerUrl = `http://127.0.0.1:${(stranger.address() as AddressInfo).port}`
  const { tokenFile } = world
  // A page of a proxy that wants people to sign in first, and a hub that dies in the midst of an answer.
  const proxy = createServer((request, response) => {
    response.writeHead(200, { 'content-type': 'text/html' })
    if (request.url?.startsWith('/api/flows')) response.end('<!doctype html>')
    else response.write('event: line\n', () => response.destroy())
  })
  await new Promise<void>(resolve => proxy.listen(0, '127.0.0.1', resolve))
  closing.push(async () => proxy.close())
  const beyond = { world: { url: `http://127.0.0.1:${(proxy.address() as AddressInfo).port}`, tokenFile } }
  const cases: [number, string, readonly string[], Setting][] = [
    [2, 'unknown command', ['floww'], {}],
    [2, 'unknown option', ['flow', 'list', '--nothing'], {}],
    [3, 'No hub answers', ['flow', 'list'], { world: { url: 'http://127.0.0.1:1', tokenFile } }],
    [4, 'is no hub', ['flow', 'list'], { world: { url: strangerUrl, tokenFile } }],
    [2, 'the endpoints of flows', ['flow', 'list'], { world: { url: await endpointsUrl(), tokenFile } }],
    [3, 'speaks no TLS', ['flow', 'list'], { world: { url: world.url.replace('http:', 'https:'), tokenFile } }],
    [4, 'is no hub', ['flow', 'list'], beyond],
    [4, 'is no hub', ['flow', 'start', 'x'], { world: { url: `${beyond.world.url}/api/flows`, tokenFile } }],
    [3, 'No hub answers', ['log', '--follow'], beyond],
    [3, 'No hub answers', ['message', 'body', 'x', '--out', 'half.bin'], { ...beyond, cwd }],
    [3, 'No hub answers', ['health'], beyond],
    [2, 'unencrypted to hub.example', ['flow', 'list'], { world: { url: 'http://hub.example:8080', tokenFile } }],
    [2, 'cannot be read', ['flow', 'list'], { world: { url: world.url, tokenFile: join(cwd, 'none') } }],
    [2, 'makes it at its first start', ['flow', 'list'], { cwd }],
    [4, 'not the one of this hub', ['flow', 'list'], { world, env: { ISTHMUS_TOKEN: 'wrong' } }],
    [4, 'no flow document nothing', ['flow', 'show', 'nothing'], { world }],
    [4, 'known after isthmus flow reload', ['flow', 'start', 'nothing'], { world }],
    [4, 'There is no delivery', ['message', 'show', 'nothing'], { world }],
    [2, 'not a duration', ['message', 'find', '--since', 'yesterday'], { world }],
    [2, 'It takes a whole number', ['message', 'find', '--limit', 'all'], { world }],
    [2, 'It takes a whole number', ['audit', 'list', '--before', '-1'], { world }],
    [2, 'It takes a whole number', ['log', '--limit', '1.5'], { world }],
    [2, 'It takes a time', ['message', 'find', '--from', 'yesterday'], { world }],
    [2, 'It takes a time', ['message', 'find', '--to', '2026-13-01'], { world }],
    [2, 'cannot be used with', ['message', 'find', '--since', '2h', '--from', '2026-11-22'], { world }],
    [2, 'Name addresses, or --all.', ['mailbox', 'pause', 'contoso'], { world }],
    [2, 'is no address of a hub', ['--url', 'localhost:8080', 'flow', 'list'], { world }],
    [2, 'is no address of a hub', ['--url', '', 'flow', 'list'], { world }],
    [2, 'cannot be read', ['message', 'repair', 'x', '--headers', 'none.json'], { world, cwd }],
    [70, 'no hub is started here', ['serve'], { cwd }],
  ]
  for (const [code, text, line, setting] of cases) {
    const result = await isthmus(line, setting)
    expect([line.join(' '), result.code, result.err]).toEqual([line.join(' '), code, expect.stringContaining(text)])
    expect(result.err).not.toMatch(/^\s+at /m)
    expect(result.out).toBe('')
  }
  const json = await isthmus(['--json', 'flow', 'show', 'nothing'], { world })
  expect(JSON.parse(json.err)).toMatchObject({ error: { code: 'API_FLOW_UNKNOWN', next: expect.any(String) } })
})

/** The other address of a hub, which people take for that of the admin API. */
async function endpointsUrl(): Promise<string> {
  const endpoints = createFlowEndpoints({ log: silentLog })
  closing.push(() => endpoints.close())
  return endpoints.listen({ host: '127.0.0.1', port: 0 })
}

const flowText = `flow: ticks
from:
  timer: { every: 1h }
to:
  smtp: { host: s4.example, from: hub@example.com, to: [sap@example.com] }
`

test('documents are linted with file, line and column', async () => {
  const cwd = await temporaryFolder()
  await writeFile(join(cwd, 'bad.yaml'), flowText.replace('timer:', 'tmer:'))
  const bad = await isthmus(['lint', 'bad.yaml'], { cwd })
  expect(bad.code).toBe(1)
  expect(bad.out).toMatch(/bad\.yaml:3:3 /)
  expect(bad.out).toContain('timer')
  const json = await isthmus(['--json', 'lint', 'bad.yaml'], { cwd })
  expect(JSON.parse(json.out)).toMatchObject({ ok: false, problems: [{ line: 3, column: 3 }] })
  const none = await isthmus(['lint', 'none.yaml'], { cwd })
  expect([none.code, none.out]).toEqual([1, expect.stringContaining('none.yaml:1:1')])
  const schema = await isthmus(['schema'], { cwd })
  expect(JSON.parse(schema.out)).toMatchObject({ title: 'Isthmus flow document' })
})

test('documents are linted with the values of the stage that isthmus.yaml names, unless another is asked for', async () => {
  const cwd = await temporaryFolder()
  await mkdir(join(cwd, 'params'))
  await writeFile(join(cwd, 'params', 'prod.yaml'), 'sap: s4.example\n')
  const text = flowText.replace('host: s4.example', `host: '\${params.sap}'`)
  await writeFile(join(cwd, 'flow.yaml'), `params: { sap: { type: host } }\n${text}`)
  expect((await isthmus(['lint', 'flow.yaml'], { cwd })).out).toContain('no value for the stage dev')
  await writeFile(join(cwd, 'isthmus.yaml'), 'stage: prod\n')
  expect((await isthmus(['lint', 'flow.yaml'], { cwd })).out).toContain('0 errors')
  expect((await isthmus(['lint', '--stage', 'test', 'flow.yaml'], { cwd })).out).toContain('for the stage test')
})

test('a folder is linted with the documents that a hub finds in it', async () => {
  const cwd = await temporaryFolder()
  await mkdir(join(cwd, 'flows', 'ticks'), { recursive: true })
  for (const name of ['flow.yaml', 'late.flow.yaml', 'notes.yaml']) {
    await writeFile(join(cwd, 'flows', 'ticks', name), flowText)
  }
  expect((await isthmus(['lint', 'flows'], { cwd })).out).toBe('2 documents, 0 errors, 0 warnings.\n')
})

test('adapters that isthmus.yaml names are known to lint, schema and reference', async () => {
  const cwd = await temporaryFolder()
  const adapter = JSON.stringify(new URL('../flow/adapter.ts', import.meta.url).href)
  const zod = JSON.stringify(import.meta.resolve('zod'))
  const module = `import { z } from ${zod}
import { defineSender } from ${adapter}
export const pager = defineSender({
  id: 'pager', title: 'Pager', summary: 'Takes calls.', config: z.strictObject({ number: z.string() }),
  examples: [{ title: 'One', config: { number: '4711' } }], errors: {}, open: async () => { throw new Error('unused') },
})`
  await writeFile(join(cwd, 'pager.mjs'), module)
  await writeFile(join(cwd, 'isthmus.yaml'), 'adapters: [pager.mjs]\n')
  await writeFile(join(cwd, 'flow.yaml'), flowText.replace('timer: { every: 1h }', "pager: { number: '4711' }"))
  const away = await temporaryFolder()
  const config = join(cwd, 'isthmus.yaml')
  expect((await isthmus(['lint', 'flow.yaml'], { cwd })).out).toContain('0 errors')
  expect((await isthmus(['lint', join(cwd, 'flow.yaml')], { cwd: away })).code).toBe(1)
  expect((await isthmus(['lint', join(cwd, 'flow.yaml'), '--config', config], { cwd: away })).code).toBe(0)
  expect((await isthmus(['schema'], { cwd, env: { ISTHMUS_CONFIG: config } })).out).toContain('"pager"')
  const world = await open()
  const startHub: HubProgram['startHub'] = async () => ({
    adminUrl: world.url,
    endpointsUrl: '',
    adminToken: world.token,
    close: async () => {},
  })
  expect(await isthmus(['reference', '--write', 'ref'], { cwd, startHub })).toMatchObject({ code: 0 })
  expect(await readFile(join(cwd, 'ref', 'sender-pager.md'), 'utf8')).toContain('| `number` |')
})

test('a hub is served with what isthmus.yaml says, until it is told to stop', async () => {
  const cwd = await temporaryFolder()
  await mkdir(join(cwd, 'flows', 'ticks'), { recursive: true })
  for (const name of ['flow.yaml', 'late.flow.yaml', 'notes.yaml']) {
    await writeFile(join(cwd, 'flows', 'ticks', name), flowText)
  }
  await mkdir(join(cwd, 'flows', 'params.yaml'))
  await writeFile(join(cwd, 'flows', 'prod.yaml'), 'host: s4.example\n')
  await writeFile(
    join(cwd, 'isthmus.yaml'),
    'stage: prod\nadmin: { port: 9090 }\nlimits: { messageBytes: 200MiB, stepMs: 1m }\nalerts: { channels: { ops: { webhook: { url: https://hook.example/x } } }, default: [ops], link-down: 10m }\n',
  )
  const stop = new AbortController()
  const started: unknown[] = []
  let isClosed = false
  const served = await isthmus(['serve'], {
    cwd,
    signal: stop.signal,
    async startHub(options) {
      started.push(options)
      queueMicrotask(() => stop.abort())
      const close = async () => {
        isClosed = true
      }
      return { adminUrl: 'http://127.0.0.1:9090', endpointsUrl: 'http://127.0.0.1:8081/flows', adminToken: 'x', close }
    },
  })
  expect(served).toMatchObject({ code: 0, err: expect.stringContaining('http://127.0.0.1:9090') })
  // A document under another name does not run, and nobody should wonder why.
  expect(served.err).toContain(`${join(cwd, 'flows', 'ticks', 'notes.yaml')} is not looked at`)
  expect(served.err).not.toContain('prod.yaml')
  expect(isClosed).toBe(true)
  expect(started).toMatchObject([
    {
      stage: 'prod',
      dataFolder: join(cwd, 'data'),
      admin: { host: '127.0.0.1', port: 9090 },
      endpoints: { host: '127.0.0.1', port: 8081 },
      limits: { messageBytes: 200 * 1024 * 1024, stepMs: 60_000 },
      alertPolicy: { linkDownMs: 600_000, channels: ['ops'] },
      alertChannels: { ops: { webhook: { url: 'https://hook.example/x' } } },
      log: { format: 'json' },
    },
  ])
})

const wrongConfigs: [string, string, string][] = [
  ['an unknown key', 'stage: dev\nadmin:\n  prt: 1\n', 'isthmus.yaml:3:'],
  ['a wrong value', 'admin: { port: 99999 }\n', 'isthmus.yaml:1:16'],
  ['a size without unit', 'limits:\n  messageBytes: 100\n', 'isthmus.yaml:2:'],
  ['broken YAML', 'admin: [\n', 'isthmus.yaml:'],
  ['an alias of nothing', 'stage: prod\ndata: *s\n', 'isthmus.yaml:2:7: This alias (*) has no anchor (&) above it.'],
  ['text for a number', 'admin: { port: "9390" }\n', 'isthmus.yaml:1:16: port must be a number, and "9390" is text.'],
  [
    'a misspelt key',
    'endpoint: {}\n',
    'isthmus.yaml:1:1: A configuration has no key "endpoint". Did you mean endpoints?',
  ],
  ['a key twice', 'stage: a\nstage: b\n', 'isthmus.yaml:2:'],
  [
    'a line that is indented too far',
    'admin:\n port: 9390\n  host: x\n',
    'isthmus.yaml:3:3: The indentation does not fit the lines above. Align it',
  ],
  ['a channel that is not there', 'alerts:\n  default: [log, on-cal]\n', 'isthmus.yaml:2:18'],
  [
    'a mail channel whose server has an unknown key',
    'alerts: { channels: { post: { mail: { from: a@b.example, to: [c@d.example], server: { host: mx, tls: no } } } } }\n',
    'alerts.channels.post.mail.server: Unrecognized key: "tls"',
  ],
  ['a look at no interval', 'alerts:\n  look-every: 0s\n', 'isthmus.yaml:2:15'],
  ['a folder of flows that is not there', 'flows: [flows, cost]\n', 'cost, which isthmus.yaml names under flows'],
  ['a file that is not there', 'trust: [ca.pem]\n', 'ca.pem, which isthmus.yaml names under trust'],
  ['an authority that is none', 'trust: [isthmus.yaml]\n', 'it holds no certificate'],
  [
    'a client authority that is none',
    'endpoints: { client-authorities: [isthmus.yaml] }\n',
    'names under endpoints.client-authorities, cannot be used: it holds no certificate',
  ],
]
test.each(wrongConfigs)('a configuration with %s is refused at its place', async (_what, text, place) => {
  const cwd = await temporaryFolder()
  await writeFile(join(cwd, 'isthmus.yaml'), text)
  const result = await isthmus(['serve'], { cwd })
  expect([result.code, result.err]).toEqual([2, expect.stringContaining(place)])
})

test('the reference is written from the declarations, is then up to date, and a change makes it stale', async () => {
  const cwd = await temporaryFolder()
  const world = await open()
  const startHub: HubProgram['startHub'] = async () => ({
    adminUrl: world.url,
    endpointsUrl: '',
    adminToken: world.token,
    close: async () => {},
  })
  const setting = { cwd, startHub }
  expect(await isthmus(['reference', '--check', 'ref'], setting)).toMatchObject({ code: 1 })
  const written = await isthmus(['reference', '--write', 'ref'], setting)
  expect([written.code, written.err]).toEqual([0, ''])
  const page = (name: string) => readFile(join(cwd, 'ref', name), 'utf8')
  expect(await page('sender-timer.md')).toMatch(/\| `every` \| duration \|/)
  expect(await page('receiver-smtp.md')).toMatch(/^\| `timeouts\.data-end` \| duration \| `10m` \|/m)
  expect(await page('step-choose.md')).toContain('## Fields')
  expect(await page('errors.md')).toMatch(/^\| `STORE_NOT_FOUND` \| caller \|/m)
  expect(await page('limits.md')).toContain('| `messageBytes` | 150MiB |')
  expect(await page('credentials.md')).toMatch(
    /^## oauth2-saml-bearer\n[^#]+\| `assertion\.issuer` \| string \| required/m,
  )
  expect(await page('groupware.md')).toMatch(/^\| `exchange\.logIn` [^#]+^## Rules\n[^#]+\| `brake\.share` /m)
  expect(await page('cli.md')).toContain('## isthmus message find [term]')
  expect(await page('hub-config.md')).toMatch(/^\| `admin\.port` \|/m)
  expect(JSON.parse(await page('openapi.json'))).toMatchObject({ openapi: '3.1.0' })
  expect(await isthmus(['reference', '--check', 'ref'], setting)).toMatchObject({ code: 0 })
  await writeFile(join(cwd, 'ref', 'limits.md'), 'old')
  await writeFile(join(cwd, 'ref', 'sender-gone.md'), 'old')
  const stale = await isthmus(['reference', '--check', 'ref'], setting)
  expect([stale.code, stale.out]).toEqual([1, 'limits.md is stale.\nsender-gone.md is stale.\nNext: npm run docs\n'])
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
])('%s in the middle of a command ends it with %d', async (signal, code) => {
  const stop = new AbortController()
  const server = createServer(() => stop.abort(signal)).listen(0, '127.0.0.1')
  closing.push(async () => {
    server.closeAllConnections()
    server.close()
  })
  await once(server, 'listening')
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`
  const asking = await isthmus(['flow', 'list'], { signal: stop.signal, env: { ISTHMUS_URL: url, ISTHMUS_TOKEN: 'x' } })
  expect(asking).toMatchObject({ code, out: '', err: '' })
})

test.each([
  ['SIGINT', 130],
  ['SIGTERM', 143],
] as const)('%s while the process reads standard input ends it with %d', async (signal, code) => {
  const script = join(import.meta.dirname, 'isthmus.js')
  const child = spawn(process.execPath, [script, 'credential', 'create', 'x', '--from', '-'], {
    env: { ...process.env, ISTHMUS_TOKEN: 'x', NODE_DEBUG: '' },
    stdio: ['pipe', 'pipe', 'pipe'],
  })
  closing.push(async () => void child.kill('SIGKILL'))
  const ended = once(child, 'exit')
  // More than a pipe holds: once it is gone, the command reads, and has listened for signals before.
  child.stdin.write('#'.repeat(1_000_000))
  await expect.poll(() => child.stdin.writableLength, { timeout: 20_000 }).toBe(0)
  child.kill(signal)
  expect(await ended).toEqual([code, null])
})

const wrongInputs: [string, string, readonly string[]][] = [
  ['headers that are no JSON', '{"subject": ', ['message', 'repair', 'X', '--headers', '-']],
  ['headers that are no texts', '{"subject": 7}', ['message', 'repair', 'X', '--headers', '-']],
  ['settings that are no YAML', 'user: [', ['credential', 'create', 'm365', '--from', '-']],
]
test.each(wrongInputs)('%s are told in a sentence as wrong usage', async (_what, stdin, line) => {
  const result = await isthmus(line, { world: await open(), stdin })
  expect(result).toMatchObject({
    code: 2,
    out: '',
    err: expect.stringMatching(/^- does not hold .+\(CLI_INPUT_WRONG\)$/ms),
  })
})

test('a command that is added from outside runs like the others', async () => {
  const seen: string[] = []
  const result = await isthmus(['more', 'x'], {
    moreCommands: [
      (program, io, exitWith) => {
        program.command('more <word>').action((word: string) => {
          seen.push(word)
          io.stdout.write('done\n')
          exitWith(1)
        })
      },
    ],
  })
  expect([result.code, result.out, seen]).toEqual([1, 'done\n', ['x']])
})
