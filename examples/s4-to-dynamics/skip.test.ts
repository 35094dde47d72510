import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test, vi } from 'vitest'
import { run } from '../../src/cli/run.ts'
import { createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { type ExampleWorld, startExample } from './landscape-world.ts'

vi.setConfig({ testTimeout: 60_000, hookTimeout: 60_000 })

let world: ExampleWorld
let folder: string
let tokenFile: string

beforeAll(async () => {
  world = await startExample(['s4-materials', 's4-idoc-answers'])
  folder = await mkdtemp(join(tmpdir(), 'isthmus-skip-'))
  tokenFile = join(folder, 'admin.token')
  await writeFile(tokenFile, world.hub.adminToken, { mode: 0o600 })
})
afterAll(async () => {
  await world.close()
  await rm(folder, { recursive: true })
})

async function isthmus(...words: readonly string[]) {
  const out: string[] = []
  const err: string[] = []
  const code = await run(words, {
    stdin: Readable.from([]),
    stdout: { write: text => out.push(String(text)) },
    stderr: { write: text => err.push(String(text)) },
    env: { ISTHMUS_URL: world.hub.adminUrl, ISTHMUS_TOKEN_FILE: tokenFile },
    cwd: '/',
    signal: new AbortController().signal,
    program: () => Promise.reject(new Error('no hub is started here')),
  })
  return { code, out: out.join(''), err: err.join('') }
}

test('whoever skips an IDoc reads what is lost with it, before and after, and what brings it back', async () => {
  const { s4, hub, dynamics } = world
  createMaterial(s4.data, '4711', { name: 'Pump' })
  s4.runChangePointers('MATMAS')
  await s4.dispatch()
  await expect.poll(() => dynamics.records('product'), { timeout: 40_000 }).toHaveLength(1)
  // A text that changed, in an IDoc that Dynamics 365 does not take for another reason.
  s4.data.change('MARA', { MATNR: '4711' }, { MTART: 'ZZZZ' })
  s4.data.change('MAKT', { MATNR: '4711', SPRAS: 'E' }, { MAKTX: 'Pump, new' })
  s4.runChangePointers('MATMAS')
  await s4.dispatch()
  const held = async () => (await hub.store.find({ flow: 's4-materials', state: 'set-aside', limit: 1 }))[0]?.id
  await expect.poll(held, { timeout: 40_000 }).toBeDefined()
  const id = (await held()) ?? ''

  const lost =
    'E1MARAM of MATMAS 4711 comes again with its next IDoc. What stands in E1MAKTM comes again only when it changes: ' +
    'send the object as a whole (BD10).\n  E1MARAM/E1MAKTM: SPRAS, MAKTX, SPRAS_ISO\n'
  expect(await isthmus('message', 'skip', id, '--dry-run')).toMatchObject({ code: 0, out: lost })
  expect(await held()).toBe(id)
  expect(await isthmus('message', 'skip', id)).toMatchObject({ code: 2, err: expect.stringContaining('--reason') })
  expect(await isthmus('message', 'skip', id, '--reason', 'corrected in SAP')).toMatchObject({
    code: 0,
    out: `Message ${id} is skipped.\n${lost}`,
  })

  // The next change brings the first segment, and not the text; the whole object does.
  s4.data.change('MARA', { MATNR: '4711' }, { MTART: 'FERT', NTGEW: '9' })
  s4.runChangePointers('MATMAS')
  await s4.dispatch()
  const product = () => dynamics.records('product')[0]
  await expect.poll(product, { timeout: 40_000 }).toMatchObject({ stockweight: 9, name: 'Pump' })
  s4.sendWhole('MATMAS', '000000000000004711')
  await s4.dispatch()
  await expect.poll(product, { timeout: 40_000 }).toMatchObject({ name: 'Pump, new' })
})
