import { readdirSync, readFileSync } from 'node:fs'
import { dirname, join, relative, resolve } from 'node:path'
import { describe, expect, test } from 'vitest'
import { lateDeclarations } from '../src/flow/late-declarations.ts'
import { knownErrors } from '../src/kernel/error.ts'
import { builtIn } from '../src/main.ts'

const root = resolve(import.meta.dirname, '..')
const source = join(root, 'src')

/** Who may import whom (ARCHITECTURE.md, "Layout"). Tests may import anything. */
const mayImport: Record<string, readonly string[]> = {
  kernel: [],
  flow: ['kernel'],
  protocols: ['kernel'],
  mapping: ['kernel', 'protocols'],
  store: ['kernel'],
  steps: ['kernel', 'flow', 'mapping'],
  adapters: ['kernel', 'flow', 'protocols'],
  engine: ['kernel', 'flow', 'store'],
  auth: ['kernel', 'store', 'protocols'],
  connector: ['kernel', 'store', 'auth', 'protocols'],
  groupware: ['kernel', 'store', 'protocols'],
  monitor: ['kernel', 'store', 'protocols', 'engine', 'flow'],
  api: ['kernel', 'store', 'flow', 'engine', 'monitor', 'auth', 'connector', 'groupware'],
  twins: ['kernel', 'protocols'],
  testing: ['kernel', 'flow', 'store', 'engine', 'adapters', 'steps', 'protocols', 'twins'],
}
const everything = new Set(['cli', 'main.ts'])
const forbiddenNames = new Set(['utils', 'util', 'common', 'shared', 'helpers', 'helper', 'core', 'misc'])

function filesBelow(folder: string, isWanted: (path: string) => boolean): string[] {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter(entry => entry.isFile())
    .map(entry => join(entry.parentPath, entry.name))
    .filter(path => !path.includes('node_modules') && isWanted(path))
}

const isTestCode = (path: string) => /\.test\.ts$|-(contract|world)\.ts$/.test(path)
const sourceFiles = filesBelow(source, path => path.endsWith('.ts') && !isTestCode(path))

const consoleFiles = filesBelow(join(root, 'console/src'), path => /\.tsx?$/.test(path) && !isTestCode(path))

test('the console takes nothing from the hub but types', () => {
  const taken = consoleFiles.flatMap(file =>
    [
      ...readFileSync(file, 'utf8').matchAll(
        /^(import|export)(?! type)[^\n]*(?:\n(?!import|export)[^\n]*)*?'[./]*\/src\/[^']+'/gm,
      ),
    ].map(() => relative(root, file)),
  )
  expect(consoleFiles.length).toBeGreaterThan(30)
  expect(taken).toEqual([])
})

describe('who imports whom', () => {
  const violations: string[] = []
  for (const file of sourceFiles) {
    const area = relative(source, file).split('/')[0] ?? ''
    if (everything.has(area)) continue
    const allowed = mayImport[area]
    if (!allowed) {
      violations.push(`${relative(root, file)}: the folder ${area} has no rule`)
      continue
    }
    for (const [, target = ''] of readFileSync(file, 'utf8').matchAll(/(?:from|import)\s*\(?\s*'(\.[^']+)'/g)) {
      const imported = relative(source, resolve(dirname(file), target)).split('/')[0] ?? ''
      if (imported !== area && !allowed.includes(imported)) violations.push(`${relative(root, file)} imports ${target}`)
    }
  }
  test('every import stays within the rules', () => {
    expect(violations).toEqual([])
  })
})

test('what the hub connects to is reached by `connect`, which knows the proxy and the connectors', () => {
  const opens =
    /(?<![.\w#])fetch\(|\b(?:net|tls|https?)\.(?:connect|request|get)\(|^import (?!type\b).*'undici'|import\('undici'\)/m
  // The connector's own way to the hub; commands that call the hub; what stands in for others.
  const mayOpen = /^(?:protocols\/net|connector\/agent|cli|twins|testing)\//
  const found = sourceFiles.filter(file => {
    const name = relative(source, file)
    return !mayOpen.test(name) && opens.test(readFileSync(file, 'utf8'))
  })
  expect(found.map(file => relative(root, file))).toEqual([])
})

test('no folder or file is named after nothing in particular', () => {
  const named = sourceFiles.flatMap(file => relative(source, file).replace(/\.ts$/, '').split('/'))
  expect(named.filter(name => forbiddenNames.has(name))).toEqual([])
})

test('every file below src has its subject: none is longer than 450 lines', () => {
  const long = [...sourceFiles, ...consoleFiles].filter(file => readFileSync(file, 'utf8').split('\n').length > 450)
  expect(long.map(file => relative(root, file))).toEqual([])
})

test('nothing is left to do later, and no test is skipped or focused', () => {
  const marks = /\b(TODO|FIXME|XXX|HACK)\b|\b(?:it|test|describe)\.(?:skip|only|todo)\(/
  const files = ['src', 'test', 'bench', 'examples', 'console/src'].flatMap(folder =>
    filesBelow(join(root, folder), path => /\.tsx?$/.test(path)),
  )
  // describeForeign skips, by name, what needs a server that is not there.
  const mayMark = new Set([import.meta.filename, join(root, 'test/foreign/servers/needs.ts')])
  const found = files.filter(file => !mayMark.has(file) && marks.test(readFileSync(file, 'utf8')))
  expect(found.map(file => relative(root, file))).toEqual([])
})

test('no machine path and no secret stands in the repository', () => {
  const suspicious = /\/(?:root|home\/[a-z]+|work)\/|-----BEGIN (?:RSA |EC )?PRIVATE KEY-----\n[A-Za-z0-9+/]{40}/
  const wanted = (path: string) => /\.(?:ts|md|yaml|json|sh)$/.test(path) && !path.endsWith('package-lock.json')
  const files = ['src', 'test', 'bench', 'examples', 'docs'].flatMap(folder => filesBelow(join(root, folder), wanted))
  const found = files.filter(file => file !== import.meta.filename && suspicious.test(readFileSync(file, 'utf8')))
  expect(found.map(file => relative(root, file))).toEqual([])
})

const page = (name: string) => readFileSync(join(root, 'docs/reference', name), 'utf8')

const { senders, receivers, steps } = await lateDeclarations(builtIn).all()

test('adapters and steps are loaded by the name that they have', () => {
  const idsOf = (declarations: readonly { readonly id: string }[]) => declarations.map(({ id }) => id)
  expect(idsOf(senders)).toEqual(Object.keys(builtIn.senders))
  expect(idsOf(receivers)).toEqual(Object.keys(builtIn.receivers))
  expect(idsOf(steps)).toEqual(Object.keys(builtIn.steps))
})

describe.each([
  ...senders.map(declaration => ['sender', declaration] as const),
  ...receivers.map(declaration => ['receiver', declaration] as const),
])('the %s $id', (kind, declaration) => {
  test('has examples that parse and a page in the reference', () => {
    expect(declaration.examples.length).toBeGreaterThan(0)
    for (const { config } of declaration.examples) expect(declaration.config.safeParse(config).error).toBeUndefined()
    expect(page(`${kind}-${declaration.id}.md`)).toContain(declaration.title)
  })
})

test('every error code stands in the reference', async () => {
  // Most parts of the hub are loaded when they are needed; here all are.
  const isOurs = (file: string) => !/^(?:cli\/demo|twins|testing)\//.test(relative(source, file))
  const defining = sourceFiles.filter(file => isOurs(file) && /\bdefineErrors\(\s*'/.test(readFileSync(file, 'utf8')))
  expect(defining.length).toBeGreaterThan(50)
  for (const file of defining) await import(file)
  const documented = page('errors.md')
  expect([...knownErrors().keys()].filter(code => !documented.includes(code))).toEqual([])
})
