import { mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { lateDeclarations } from '../flow/late-declarations.ts'
import { builtIn } from '../main.ts'
import { createFlowCatalog } from './flow-catalog.ts'

const document = (every: string) => `flow: clock
params: { url: { type: url } }
from: { timer: { every: ${every} } }
to: { http: { url: "\${params.url}" } }
`

/** A catalog of one document with its parameters, and what the store was told of it. */
function catalogWorld() {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-catalog-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  mkdirSync(join(folder, 'params'))
  const write = (name: string, text: string) => writeFileSync(join(folder, name), text)
  write('params/dev.yaml', 'url: http://127.0.0.1:9\n')
  write('flow.yaml', document('1h'))
  const kept = new Map<string, { value: { shouldRun: boolean }; revision: number }>()
  const catalog = createFlowCatalog({
    declarations: lateDeclarations(builtIn),
    folders: [folder, join(folder, 'team')],
    files: () =>
      readdirSync(folder, { recursive: true, encoding: 'utf8' })
        .filter(name => name.endsWith('flow.yaml'))
        .toSorted()
        .map(name => join(folder, name)),
    stage: 'dev',
    store: {
      read: async (_area, id) => kept.get(id),
      async write(_area, id, value) {
        kept.set(id, { value: value as { shouldRun: boolean }, revision: 1 })
        return 1
      },
    },
  })
  return {
    catalog,
    write,
    makeFolder: (name: string) => mkdirSync(join(folder, name)),
    remove: (name: string) => rmSync(join(folder, name), { recursive: true }),
  }
}

test('a document that is changed is seen at once, with its mistakes', async () => {
  const { catalog, write } = catalogWorld()
  expect(await catalog.list()).toMatchObject([{ name: 'clock', problems: [], shouldRun: true }])
  write('flow.yaml', document('often'))
  expect(await catalog.list()).toMatchObject([{ name: 'clock', problems: [{ line: 3 }] }])
  write('flow.yaml', document('2h'))
  expect(await catalog.list()).toMatchObject([{ problems: [] }])
  expect(await catalog.document('clock')).toMatchObject({ text: document('2h') })
})

test('whether a flow shall run is never an old answer', async () => {
  const { catalog } = catalogWorld()
  await catalog.list()
  await catalog.remember('clock', false)
  expect(await catalog.list()).toMatchObject([{ shouldRun: false }])
})

test('a list does not lint anew what is the same on disk; a start reads everything that stands beside it', async () => {
  const { catalog, write } = catalogWorld()
  await catalog.list()
  write('params/dev.yaml', 'url: 5\n')
  expect(await catalog.list()).toMatchObject([{ problems: [] }])
  await expect(catalog.load('clock')).rejects.toMatchObject({ code: 'CATALOG_DOES_NOT_LINT' })
  // With the document, its parameters are read again.
  write('flow.yaml', `${document('1h')}\n`)
  expect((await catalog.list())[0]?.problems).not.toEqual([])
})

test('a slip in the name of an adapter is told with all that there are, whatever the document loads', async () => {
  const { catalog, write } = catalogWorld()
  write('flow.yaml', document('1h').replace('timer', 'tmer'))
  const [entry] = await catalog.list()
  expect(entry?.problems).toMatchObject([{ message: 'There is no sender "tmer".', next: 'Did you mean timer?' }])
  write('flow.yaml', document('1h').replace('http:', 'carrier-pigeon:'))
  const [other] = await catalog.list()
  expect(other?.problems).toMatchObject([{ next: expect.stringContaining('smtp, http, odata, idoc') }])
})

test('a name that the text spells in another way is found all the same', async () => {
  const { catalog, write } = catalogWorld()
  write('flow.yaml', document('1h').replace('timer:', '"\\x74imer":'))
  expect(await catalog.list()).toMatchObject([{ name: 'clock', problems: [] }])
  expect((await catalog.load('clock')).from.declaration.id).toBe('timer')
})

test('a document that comes or goes is known from the next reload on, and not for a dry run', async () => {
  const { catalog, write, remove } = catalogWorld()
  const names = async () => (await catalog.list()).map(({ name }) => name)
  write('night.flow.yaml', document('1h').replace('clock', 'night'))
  expect(await names()).toEqual(['clock'])
  expect((await catalog.loadAll({ isDryRun: true })).map(({ name }) => name)).toEqual(['clock', 'night'])
  expect(await names()).toEqual(['clock'])
  await catalog.loadAll()
  expect(await names()).toEqual(['clock', 'night'])
  remove('flow.yaml')
  await catalog.loadAll()
  expect(await names()).toEqual(['night'])
  remove('night.flow.yaml')
  await expect(catalog.loadAll()).rejects.toMatchObject({ code: 'CATALOG_FOLDER_EMPTY' })
  expect(await names()).toHaveLength(1)
})

test.each([
  ['a folder that isthmus.yaml names holds none any more', 'team', 'team/flow.yaml'],
  ['a folder that isthmus.yaml names is gone', 'team', 'team'],
  ['a folder below one stands there bare', 'orders', 'orders/flow.yaml'],
])('%s, beside others: nothing is taken for gone, unless somebody allows it', async (_case, inside, goes) => {
  const { catalog, write, makeFolder, remove } = catalogWorld()
  makeFolder(inside)
  write(`${inside}/flow.yaml`, document('1h').replace('clock', 'night'))
  const names = async () => (await catalog.list()).map(({ name }) => name)
  await catalog.loadAll()
  remove(goes)
  for (const isDryRun of [true, false]) {
    await expect(catalog.loadAll({ isDryRun })).rejects.toMatchObject({
      code: 'CATALOG_FOLDER_EMPTY',
      message: expect.stringMatching(new RegExp(`/${inside}; there were 1\\.$`)),
    })
  }
  expect(await names()).toHaveLength(2)
  await catalog.loadAll({ allowsEmpty: true })
  expect(await names()).toEqual(['clock'])
  await catalog.loadAll()
})

test('a folder below one that is taken away with its flow is no loss', async () => {
  const { catalog, write, makeFolder, remove } = catalogWorld()
  makeFolder('orders')
  write('orders/flow.yaml', document('1h').replace('clock', 'night'))
  await catalog.loadAll()
  remove('orders')
  expect(await catalog.loadAll()).toHaveLength(1)
})

test('a start reads all documents anew, each once, and tells of those that it cannot start', async () => {
  const { catalog, write } = catalogWorld()
  await catalog.list()
  write('params/dev.yaml', 'url: http://127.0.0.1:10\n')
  const [entry] = await catalog.loadAll()
  expect(entry).toMatchObject({ name: 'clock', shouldRun: true })
  expect(entry?.flow().params).toEqual({ url: 'http://127.0.0.1:10' })
  write('flow.yaml', document('often'))
  const [broken] = await catalog.loadAll()
  expect(() => broken?.flow()).toThrow(expect.objectContaining({ code: 'CATALOG_DOES_NOT_LINT' }))
})

test('of two documents with one name the first runs, and neither a start nor a person puts the second in its place', async () => {
  const { catalog, write } = catalogWorld()
  write('late.flow.yaml', document('2h'))
  const [first, second] = await catalog.loadAll()
  expect([first?.name, first?.flow().name]).toEqual(['clock', 'clock'])
  const refused = { code: 'CATALOG_NAME_TAKEN', message: expect.stringContaining('late.flow.yaml') as string }
  expect(second?.shouldRun).toBe(true)
  expect(() => second?.flow()).toThrow(expect.objectContaining(refused))
  await expect(catalog.load(second?.name ?? '')).rejects.toMatchObject(refused)
  expect((await catalog.load('clock')).file).toBe(first?.file)
})

test('a description of a service that has changed is a change of its flow', async () => {
  const { catalog, write } = catalogWorld()
  write(
    'prices.flow.yaml',
    'flow: prices\nparams: { url: { type: url } }\nfrom: { soap: { path: /prices, wsdl: ./prices.wsdl } }\nto: []\n',
  )
  write('prices.wsdl', '<definitions/>')
  await catalog.loadAll()
  const { revision } = await catalog.load('prices')
  write('prices.wsdl', '<definitions name="new"/>')
  expect((await catalog.load('prices')).revision).not.toBe(revision)
})

test('a document of nothing but line ends does not keep the hub busy', async () => {
  const { catalog } = catalogWorld()
  const from = performance.now()
  expect(await catalog.lint('\n'.repeat(100_000))).toHaveLength(1)
  expect(performance.now() - from).toBeLessThan(3000)
})
