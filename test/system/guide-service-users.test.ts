import { spawn } from 'node:child_process'
import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { delimiter, dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ServerProcess, startProcess } from '../foreign/servers/server-process.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'

const root = resolve(import.meta.dirname, '../..')
const guide = readFileSync(join(root, 'docs/guides/service-users.md'), 'utf8')
const blocks = [...guide.matchAll(/^```(yaml|sh|json) ?(\S*)\n([\s\S]*?)^```/gm)].map(
  ([, kind, info = '', text = '']) => ({ kind, info, text }),
)

/** A newcomer's machine: an empty folder and `isthmus` among the commands. */
let folder: string
let environment: NodeJS.ProcessEnv
let hub: ServerProcess | undefined
let ports: readonly [number, number]

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  ports = [admin, endpoints]
  const bin = join(folder, 'bin')
  mkdirSync(bin)
  const command = join(bin, 'isthmus')
  writeFileSync(command, `#!/bin/sh\nexec '${process.execPath}' '${join(root, 'src/cli/isthmus.js')}' "$@"\n`)
  chmodSync(command, 0o755)
  environment = {
    ...process.env,
    ISTHMUS_URL: `http://127.0.0.1:${admin}`,
    NO_COLOR: '1',
    PATH: [bin, dirname(process.execPath), process.env['PATH']].join(delimiter),
  }
})
afterAll(async () => {
  await hub?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works, from an empty hub to calls by secret, token and certificate', async () => {
  const outputs: string[] = []
  for (const { kind, info, text } of blocks) {
    const file = /^file=(\S+)$/.exec(info)?.[1]
    if (file !== undefined) write(file, text)
    else if (info === 'background') await serve()
    else if (kind === 'json') expect(outputs.at(-1)).toBe(text.trim())
    else for (const line of text.trim().split('\n')) outputs.push(await run(line))
  }
  const answers = outputs.filter(output => output.includes('DE-1000'))
  expect(answers).toEqual([
    '{"caller":"cpi-user-secret","costCentres":["DE-1000","DE-2000"]}',
    '{"caller":"cpi-user-secret","costCentres":["DE-1000","DE-2000"]}',
    '{"caller":"cpi-certificate","costCentres":["DE-1000","DE-2000"]}',
    '{"caller":"cpi-certificate","costCentres":["DE-1000","DE-2000"]}',
  ])
  expect(outputs).toContain('401')
  expect(outputs.join('\n')).toMatch(/caller\.refused.*unknown-client/)
  const keys = outputs.find(output => output.includes('REPLACED BY')) ?? ''
  expect(keys.match(/ active /g)).toHaveLength(2)
  expect(outputs.join('\n')).not.toContain(secretOf('postman.json').slice(16))
  // What the guide says of the end of it all: the revoked key and the revoked certificate count no more.
  const call = 'curl --silent --output last.json --write-out %{http_code} --cacert hub.crt'
  const url = 'https://localhost:8081/flows/costs'
  expect(await run(`${call} --cert partner.crt --key partner.key ${url}`)).toBe('401')
  expect(await run(`${call} --cert machine.crt --key machine.key ${url}`)).toBe('200')
  expect(await run('isthmus audit list --limit 100')).toMatch(/key\.revoke[\s\S]*key\.rotate[\s\S]*role\.create/)
}, 300_000)

function write(file: string, text: string): void {
  mkdirSync(dirname(join(folder, file)), { recursive: true })
  writeFileSync(join(folder, file), localised(text))
}

/** The ports of the guide may be taken on this machine. */
function localised(text: string): string {
  return text.replaceAll('8080', String(ports[0])).replaceAll('8081', String(ports[1]))
}

function secretOf(file: string): string {
  const { oauth } = JSON.parse(readFileSync(join(folder, file), 'utf8')) as { oauth: { clientsecret: string } }
  return oauth.clientsecret
}

/** Runs a line as a person types it; it must end well. */
async function run(line: string): Promise<string> {
  const child = spawn('sh', ['-c', localised(line)], { cwd: folder, env: environment })
  let output = ''
  for (const stream of [child.stdout, child.stderr]) {
    stream.on('data', chunk => {
      output += chunk
    })
  }
  const code = await new Promise<number>(done => child.once('close', exit => done(exit ?? -1)))
  expect(code, `${line}\n${output}`).toBe(0)
  return output.trim()
}

async function serve(): Promise<void> {
  await hub?.stop()
  const command = join(root, 'src/cli/isthmus.js')
  const started = startProcess(process.execPath, [command, 'serve'], { cwd: folder, env: environment })
  hub = started
  await waitFor('the hub', 30_000, async () => {
    if (!started.isRunning()) throw new Error(started.output())
    const answer = await fetch(`http://127.0.0.1:${ports[0]}/readyz`).catch(() => undefined)
    return answer?.ok
  })
}
