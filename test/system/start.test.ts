import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, dirname, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { expect, onTestFinished, test } from 'vitest'
import { startProcess } from '../foreign/servers/server-process.ts'
import { waitFor } from '../foreign/servers/wait.ts'
import type { ModuleRecord } from '../hub/module-record.ts'

const root = resolve(import.meta.dirname, '../..')
const startMs = 60_000

/** Everything that `isthmus serve` loads until this flow runs. */
async function modulesOf(flow: string): Promise<ModuleRecord> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-start-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  writeFileSync(join(folder, 'flow.yaml'), flow)
  writeFileSync(join(folder, 'isthmus.yaml'), 'flows: [flow.yaml]\nadmin: { port: 0 }\nendpoints: { port: 0 }\n')
  const record = join(folder, 'modules.json')
  const hub = startProcess(
    process.execPath,
    ['--import', join(root, 'test/hub/module-record.ts'), join(root, 'src/cli/isthmus.js'), 'serve'],
    { cwd: folder, env: { ...process.env, MODULE_RECORD: record } },
  )
  onTestFinished(() => hub.stop())
  await waitFor('the flow to run', startMs, () => {
    if (!hub.isRunning()) throw new Error(`The hub ended: ${hub.output()}`)
    return hub.output().includes('flow.started')
  })
  await hub.stop()
  return JSON.parse(readFileSync(record, 'utf8')) as ModuleRecord
}

/** The modules below these paths that were loaded, each with the way from it to the program. */
function waysTo(paths: readonly string[], { loaded, importedBy }: ModuleRecord): readonly string[] {
  const below = paths.map(path => pathToFileURL(join(root, path)).href)
  return loaded
    .filter(url => below.some(each => url === each || url.startsWith(each)))
    .map(url => {
      const way: string[] = []
      for (let at: string | undefined = url; at && !way.includes(at); at = importedBy[at]) way.push(at)
      return way.map(each => each.replace(`${pathToFileURL(root).href}/`, '')).join(' <- ')
    })
}

const mail = `flow: mail
from:
  imap: { host: 127.0.0.1, port: 1, security: none, user: orders@contoso.com, auth: mailbox, done: { delete: true, failed: F } }
to:
  smtp: { host: 127.0.0.1, port: 1, security: none, to: sap@s4.example }
`

/** What a hub without such flows, administrators at work or connectors never needs; a folder, or the start of a name. */
const unneeded = [
  'src/adapters/answers',
  'src/adapters/dataverse',
  'src/adapters/http',
  'src/adapters/idoc',
  'src/adapters/odata',
  'src/adapters/soap',
  'src/adapters/timer',
  'src/adapters/xi',
  'src/api/server.ts',
  'src/cli/reference',
  'src/connector/',
  'src/groupware/organizations/open-groupware.ts',
  'src/mapping/',
  'src/protocols/c4c/',
  'src/protocols/dataverse/',
  'src/protocols/ews/',
  'src/protocols/graph/',
  'src/protocols/idoc/',
  'src/protocols/odata/',
  'src/protocols/soap/',
  'src/protocols/time-zone/',
  'src/protocols/xi/',
  'src/protocols/xml/',
  'src/steps/map.ts',
  'src/testing/',
  'src/twins/',
  'node_modules/@fastify/',
  'node_modules/@peculiar/',
  'node_modules/fastify/',
  'node_modules/jose/',
  'node_modules/oidc-provider/',
  'node_modules/saxes/',
  'node_modules/undici/',
  'node_modules/xml-crypto/',
]

test('what is not to be loaded is there under that name', () => {
  const isThere = (path: string) => readdirSync(join(root, dirname(path))).some(name => name.startsWith(basename(path)))
  expect(unneeded.filter(path => !isThere(path))).toEqual([])
})

test('a hub with a mail flow loads what mail needs, and nothing of the other systems', async () => {
  const record = await modulesOf(mail)
  expect(waysTo(['src/adapters/imap.ts', 'src/adapters/smtp.ts'], record)).toHaveLength(2)
  expect(waysTo(unneeded, record)).toEqual([])
  // Importing it loads the client behind fetch, too (src/api/http-server.ts).
  expect(record.loaded.filter(url => /^node:https?$/.test(url)).map(url => record.importedBy[url])).toEqual([])
  const commands = record.loaded.filter(url => /\/src\/cli\/[a-z-]+-commands?\.ts$/.test(url))
  expect(commands.map(url => url.split('/').at(-1))).toEqual(['serve-command.ts'])
})
