import { spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'
import { startS4Smtp } from '../../src/twins/s4-smtp/s4-smtp.ts'
import type { Twin } from '../../src/twins/twin.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'

const root = resolve(import.meta.dirname, '../..')
const guide = readGuide('connector')
const waitMs = 60_000

/** Two machines: the hub's, and the one on premise. Twins where the guide names servers of S/4HANA. */
let folder: string
let hub: GuideMachine
let premise: GuideMachine
let adminPort = 0
let twins: readonly Twin[] = []

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0, connectors = 0] = await freePorts(3)
  adminPort = admin
  const { cert, key, ca } = await makeTwinCertificate(['s4-web.contoso.internal'])
  const mail = await Promise.all(['s4-app1', 's4-app2', 's4-app3'].map(name => startS4Smtp({ name })))
  const odata = await startS4OData({ tls: { cert, key } })
  twins = [...mail, odata]
  const replacements: readonly (readonly [string, string])[] = [
    ['hub.contoso.com:8443', `127.0.0.1:${connectors}`],
    ['8443', String(connectors)],
    ['8080', String(admin)],
    ['8081', String(endpoints)],
    ...mail.map(({ name, port }) => [`${name}.contoso.internal:25`, `127.0.0.1:${port}`] as const),
    ['s4-web.contoso.internal:44300', `127.0.0.1:${odata.port}`],
    // The stand-in speaks OData only; any answer of it shows that it lives.
    ['    health: { path: /sap/public/ping }\n', ''],
  ]
  const environment = { ISTHMUS_URL: `http://127.0.0.1:${admin}` }
  hub = new GuideMachine({ folder: join(folder, 'hub'), environment, replacements })
  premise = new GuideMachine({ folder: join(folder, 'premise'), environment, replacements })
  writeFileSync(join(premise.folder, 'contoso-ca.pem'), ca)
})
afterAll(async () => {
  await premise?.stop()
  await hub?.stop()
  await Promise.all(twins.map(twin => twin.stop()))
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works on both machines, up to the revoked connector', async () => {
  const outputs = new Map<string, string>()
  for (const { kind, info, text, file } of guide.blocks) {
    const machine = info.includes('at=premise') ? premise : hub
    if (file !== undefined) machine.write(file, text)
    else if (info.includes('background'))
      await machine.start(text.trim(), machine === hub ? hubIsReady : connectorIsReady)
    else if (kind === 'sh') for (const line of text.trim().split('\n')) outputs.set(line, await follow(machine, line))
  }
  // What the hub prints is a command of the connector as it is.
  const printed = /^ +(isthmus-connector enrol .+)$/m.exec([...outputs.values()].join('\n'))?.[1] ?? ''
  expect((await premise.try(`echo isthmus-enrol.wrong | ${printed}`)).output).toContain('This is no enrolment token')
  const said = (beginning: string) => [...outputs].find(([line]) => line.startsWith(beginning))?.[1] ?? ''
  expect(said('isthmus connector list')).toMatch(/dc-frankfurt +vm-17 +\S+ +connected +active/)
  expect(said('isthmus-connector status')).toMatch(/s4-odata\.virtual:80 +http/)
  expect(said('isthmus connector hosts').match(/ smtp +127\.0\.0\.1:\d+ +up/g)).toHaveLength(3)
  expect(said('isthmus connector drain')).toMatch(/drained: taken out by an operator/)
  expect(said('isthmus connector undrain')).not.toMatch(/drained/)
  expect(said('isthmus audit list')).toMatch(/connector\.revoke/)
  await waitFor('the connector to hear that it was revoked', waitMs, () => /revoked/.test(premise.output()))
  const after = await hub.try('isthmus connector check dc-frankfurt')
  expect(after).toMatchObject({ code: 1, output: expect.stringContaining('isthmus connector enrol dc-frankfurt') })
}, 240_000)

test('the unit of the guide runs what there is to run, as a user of its own', () => {
  const unit = guide.blocks.find(({ file }) => file === 'isthmus-connector.service')?.text ?? ''
  const [, program = '', ...args] = /^ExecStart=\S*\/(\S+) (.*)$/m.exec(unit) ?? []
  const help = spawnSync(process.execPath, [join(root, 'src/cli', `${program}.js`), 'run', '--help'], {
    encoding: 'utf8',
  })
  expect(help).toMatchObject({ status: 0, stdout: expect.stringContaining('--config <file>') })
  expect(args).toEqual(['run --config /etc/isthmus/connector.yaml'])
  expect(unit).toMatch(/^User=isthmus$/m)
  expect(unit).toMatch(/^Restart=always$/m)
})

test('what the guide says of metrics and error codes exists', () => {
  const errors = readFileSync(join(root, 'docs/reference/errors.md'), 'utf8')
  const codes = [...guide.text.matchAll(/`((?:CONNECTOR|LOCATION|NET)_[A-Z_]+)`/g)].map(([, code = '']) => code)
  expect(codes.length).toBeGreaterThan(5)
  expect(codes.filter(code => !errors.includes(`\`${code}\``))).toEqual([])
  const meters = readFileSync(join(root, 'src/monitor/connector-meters.ts'), 'utf8')
  const metrics = [...guide.text.matchAll(/`isthmus_(connector_[a-z_]+)`/g)].map(([, metric = '']) => metric)
  expect(metrics.length).toBeGreaterThan(4)
  expect(metrics.filter(metric => !meters.includes(`'${metric}'`))).toEqual([])
})

const hubIsReady = () => isHubReady(adminPort)
/** Both tunnels, and a good word of each of the four targets. */
const connectorIsReady = (output: string) =>
  output.split('tunnel.opened').length > 2 && output.split('target.up').length > 4

async function follow(machine: GuideMachine, line: string): Promise<string> {
  const output = await machine.run(line)
  const token = /isthmus-enrol\.\S+/.exec(output)?.[0]
  // A person brings it over.
  if (token !== undefined) writeFileSync(join(premise.folder, 'token.txt'), token)
  return output
}
