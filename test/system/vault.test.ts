import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { type Hub, startHub } from '../../src/main.ts'

const closing: (() => Promise<unknown>)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

function machine() {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-vault-'))
  closing.push(async () => rmSync(folder, { recursive: true, force: true }))
  const keyFile = join(folder, 'data', 'master.key')
  let hub: Hub | undefined
  closing.push(async () => hub?.close())
  return {
    folder,
    keyFile,
    async start(): Promise<Hub> {
      await hub?.close()
      hub = undefined
      hub = await startHub({
        dataFolder: join(folder, 'data'),
        stage: 'test',
        flowFiles: [],
        admin: { host: '127.0.0.1', port: 0 },
        endpoints: { host: '127.0.0.1', port: 0 },
        connectors: { host: '127.0.0.1', port: 0, nodes: [] },
        log: { level: 'error', format: 'json', output: process.stderr },
      })
      return hub
    },
    async isthmus(...line: readonly string[]) {
      let output = ''
      const write = (text: string | Uint8Array) => {
        output += text.toString()
      }
      const code = await run([...(hub ? ['--url', hub.adminUrl] : []), ...line], {
        stdin: (async function* () {})(),
        stdout: { write },
        stderr: { write },
        env: { ISTHMUS_TOKEN: hub?.adminToken },
        cwd: folder,
        signal: new AbortController().signal,
        program: () => import('../../src/main.ts'),
      })
      return { code, output }
    },
  }
}

test('a new master key takes over: everything opens with it alone, and the old one opens nothing any more', async () => {
  const { keyFile, start, isthmus } = machine()
  const first = await start()
  await first.credentials.create('s4', { kind: 'basic', user: 'HUB', password: 'Secret-1' })
  const { id } = await first.serviceUsers.createInstance({ name: 'caller' })
  const { document } = await first.serviceUsers.createKey(id, { name: 'key' })
  const before = readFileSync(keyFile, 'utf8')

  expect(await isthmus('vault', 'new-key')).toMatchObject({ code: 0, output: expect.stringContaining('in front of 1') })
  expect(readFileSync(keyFile, 'utf8').endsWith(`\n${before}`)).toBe(true)
  expect(statSync(keyFile).mode & 0o777).toBe(0o600)
  // Who believed that all is sealed anew would take the old key out of the file, and lose everything with the next start.
  expect((await isthmus('vault', 'rotate')).output).toContain('VAULT_KEY_NOT_LOADED')
  const second = await start()
  expect(await isthmus('vault', 'rotate')).toMatchObject({
    code: 0,
    output: expect.stringMatching(/^[1-9]\d* records/),
  })
  expect((await isthmus('audit', 'list')).output).toContain('vault.rotate')
  expect(await second.credentials.lookup('s4')).toMatchObject({ user: 'HUB', password: 'Secret-1' })

  const [newest = ''] = readFileSync(keyFile, 'utf8').split('\n')
  writeFileSync(keyFile, `${newest}\n`)
  const third = await start()
  expect(await third.credentials.lookup('s4')).toMatchObject({ user: 'HUB', password: 'Secret-1' })
  const { clientid, clientsecret = '' } = document.oauth
  expect(third.serviceUsers.checkSecret(clientid, clientsecret).ok).toBe(true)

  writeFileSync(keyFile, before)
  await expect(start()).rejects.toMatchObject({ code: 'VAULT_KEY_MISSING' })
})

test('a key file that is not there, or that others can read, gets no new key', async () => {
  const { folder, keyFile, start, isthmus } = machine()
  const missing = await isthmus('vault', 'new-key', '--file', join(folder, 'nowhere.key'))
  expect(missing).toMatchObject({ code: 2, output: expect.stringContaining('VAULT_KEY_FILE_GONE') })
  await start()
  writeFileSync(keyFile, 'k1:tooshort\n')
  expect((await isthmus('vault', 'new-key')).output).toContain('VAULT_KEY_MALFORMED')
  expect(readFileSync(keyFile, 'utf8')).toBe('k1:tooshort\n')
})
