import { spawn, spawnSync } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import type { Twin } from '../../src/twins/twin.ts'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'

const root = resolve(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guides/connector.md'), 'utf8')
const blocks = [...guide.matchAll(/^```(yaml|sh|ini) ?(.*)\n([\s\S]*?)^```/gm)].map(
  ([, kind, info = '', text = '']) => ({ kind, info, text, isPremise: info.includes('at=premise') }),
)
const waitMs = 60_000

/** Two machines: the hub's, and the one on premise. Twins where the guide names servers of S/4HANA. */
let folder: string
let environment: NodeJS.ProcessEnv
let twins: readonly Twin[] = []
let replacements: readonly (readonly [string, string])[]
const programs: ServerProcess[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0, connectors = 0] = await freePorts(3)
  const bin = join(folder, 'bin')
  for (const each of [bin, join(folder, 'hub'), join(folder, 'premise')]) mkdirSync(each)
  for (const name of ['isthmus', 'isthmus-connector']) {
    const command = join(bin, name)
    writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'src/cli', name)}.js' "$@"\n`)
    chmodSync(command, 0o755)
  }
  environment = {
    ...process.env,
    ISTHMUS_URL: `http://127.0.0.1:${admin}`,
    NO_COLOR: '1',
    PATH: [bin, dirname(process.execPath), process.env['PATH']].join(delimiter),
  }
  const { cert, key, ca } = await makeTwinCertificate(['s4-web.contoso.internal'])
  writeFileSync(join(folder, 'premise', 'contoso-ca.pem'), ca)
  const mail = await Promise.all(['s4-app1', 's4-app2', 's4-app3'].map(name => startS4Smtp({ name })))
  const odata = await startS4OData({ tls: { cert, key } })
  twins = [...mail, odata]
  replacements = [
    ['hub.contoso.com:8443', `127.0.0.1:${connectors}`],
    ['8443', String(connectors)],
    ['8080', String(admin)],
    ['8081', String(endpoints)],
    ...mail.map(({ name, port }) => [`${name}.contoso.internal:25`, `127.0.0.1:${port}`] as const),
    ['s4-web.contoso.internal:44300', `127.0.0.1:${new URL(odata.services.v2).port}`],
    // The stand-in speaks OData only; any answer of it shows that it lives.
    ['    health: { path: /sap/public/ping }\n', ''],
  ]
})
afterAll(async () => {
  for (const program of programs.toReversed()) await program.stop()
  await Promise.all(twins.map(twin => twin.stop()))
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works on both machines, up to the revoked connector', async () => {
  const outputs = new Map<string, string>()
  for (const { kind, info, text, isPremise } of blocks) {
    const file = /\bfile=(\S+)/.exec(info)?.[1]
    if (file !== undefined) writeFileSync(join(machine(isPremise), file), localised(text))
    else if (info.includes('background')) await start(text.trim(), isPremise)
    else if (kind === 'sh') for (const line of text.trim().split('\n')) outputs.set(line, await run(line, isPremise))
  }
  const said = (beginning: string) => [...outputs].find(([line]) => line.startsWith(beginning))?.[1] ?? ''
  expect(said('isthmus connector list')).toMatch(/dc-frankfurt +vm-17 +\S+ +connected +active/)
  expect(said('isthmus-connector status')).toMatch(/s4-odata\.virtual:80 +http/)
  expect(said('isthmus connector hosts').match(/ smtp +127\.0\.0\.1:\d+ +up/g)).toHaveLength(3)
  expect(said('isthmus connector drain')).toMatch(/drained: taken out by an operator/)
  expect(said('isthmus connector undrain')).not.toMatch(/drained/)
  expect(said('isthmus audit list')).toMatch(/connector\.revoke/)
  await waitFor('the connector to hear that it was revoked', waitMs, () =>
    /revoked/.test(programs.at(-1)?.output() ?? ''),
  )
  const after = spawnSync('isthmus', ['connector', 'check', 'dc-frankfurt'], {
    cwd: machine(false),
    env: environment,
    encoding: 'utf8',
  })
  expect(after).toMatchObject({ status: 1, stdout: expect.stringContaining('isthmus connector enrol dc-frankfurt') })
}, 240_000)

test('the unit of the guide runs what there is to run, as a user of its own', () => {
  const unit = blocks.find(({ info }) => info.includes('file=isthmus-connector.service'))?.text ?? ''
  const [, program = '', ...args] = /^ExecStart=\S*\/(\S+) (.*)$/m.exec(unit) ?? []
  const help = spawnSync(process.execPath, [join(root, 'src/cli', `${program}.js`), 'run', '--help'], {
    encoding: 'utf8',
  })
  expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining('--config <file>') })
  expect(args).toEqual(['run --config /etc/isthmus/connector.yaml'])
  expect(unit).toMatch(/^User=isthmus$/m)
  expect(unit).toMatch(/^Restart=always$/m)
})

test('what the guide says of alerts, metrics and error codes exists', () => {
  const errors = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')
  const codes = [...guide.matchAll(/`((?:CONNECTOR|LOCATION)_[A-Z_]+)`/g)].map(([, code = '']) => code)
  expect(codes.length).toBeGreaterThan(5)
  expect(codes.filter(code => !errors.includes(`\`${code}\``))).toEqual([])
  const meters = readFileSync(join(root, 'src/monitor/connector-meters.ts'), 'utf8')
  const metrics = [...guide.matchAll(/`isthmus_(connector_[a-z_]+)`/g)].map(([, metric = '']) => metric)
  expect(metrics.length).toBeGreaterThan(4)
  expect(metrics.filter(metric => !meters.includes(`'${metric}'`))).toEqual([])
})

const machine = (isPremise: boolean) => join(folder, isPremise ? 'premise' : 'hub')

function localised(text: string): string {
  return replacements.reduce((so, [from, to]) => so.replaceAll(from, to), text)
}

/** Runs a line as a person types it; it must end well. */
async function run(line: string, isPremise: boolean): Promise<string> {
  const child = spawn('sh', ['-c', localised(line)], { cwd: machine(isPremise), env: environment })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const code = await new Promise<number>(done => child.once('close', exit => done(exit ?? -1)))
  expect(code, `${line}\n${output}\n${programs.map(program => program.output().slice(-2000)).join('\n')}`).toBe(0)
  const token = /isthmus-enrol\.\S+/.exec(output)?.[0]
  // A person brings it over.
  if (token !== undefined) writeFileSync(join(machine(true), 'token.txt'), token)
  return output
}

async function start(line: string, isPremise: boolean): Promise<void> {
  const [name = '', ...rest] = line.split(' ')
  const started = startProcess(process.execPath, [join(root, 'src/cli', `${name}.js`), ...rest], {
    cwd: machine(isPremise),
    env: environment,
  })
  programs.push(started)
  await waitFor(`${line} to be ready`, waitMs, async () => {
    if (!started.isRunning()) throw new Error(started.output())
    if (!isPremise) return (await fetch(`${environment['ISTHMUS_URL']}/readyz`).catch(() => undefined))?.ok
    // Both tunnels, and a good word of each of the four targets.
    return started.output().split('tunnel.opened').length > 2 && started.output().split('target.up').length > 4
  })
}
