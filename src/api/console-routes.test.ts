import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, expect, test } from 'vitest'
import { type ApiWorld, type ApiWorldOptions, apiWorld } from './api-world.ts'

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})

const script = `console.log(${JSON.stringify('x'.repeat(4000))})`

/** A folder as the build leaves it; empty: nothing was built. */
function builtFolder(isBuilt = true): string {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-console-'))
  closing.push(() => rmSync(folder, { recursive: true, force: true }))
  if (isBuilt) build(folder)
  return folder
}

function build(folder: string): void {
  mkdirSync(join(folder, 'assets'))
  writeFileSync(join(folder, 'index.html'), '<!doctype html><title>Isthmus</title>')
  writeFileSync(join(folder, 'assets', 'index-abc123.js'), script)
  writeFileSync(join(folder, 'stamp'), 'not for browsers')
}

async function open(options: ApiWorldOptions): Promise<ApiWorld> {
  const world = await apiWorld(options)
  closing.push(() => world.close())
  return world
}

/** As a browser asks that nobody is signed in with. */
function visit(world: ApiWorld, path: string, headers: Record<string, string> = {}): Promise<Response> {
  return fetch(`${world.url}${path}`, { redirect: 'manual', headers })
}

test('whoever opens the hub is led to the console, which anybody may load', async () => {
  const world = await open({ console: builtFolder() })
  for (const path of ['/', '/console']) {
    const { status, headers } = await visit(world, path)
    expect([status, headers.get('location')]).toEqual([303, '/console/'])
  }
  const page = await visit(world, '/console/')
  expect(page.status).toBe(200)
  expect(await page.text()).toContain('<title>Isthmus</title>')
  expect(page.headers.get('cache-control')).toBe('no-cache')
  // The paths of its pages are told apart in the browser; all of them load the same.
  expect((await visit(world, '/console/flows/orders?x=1')).status).toBe(200)
})

test('nothing but its own files runs in it, and no other page frames it', async () => {
  const world = await open({ console: builtFolder() })
  const policy = (await visit(world, '/console/')).headers.get('content-security-policy') ?? ''
  expect(policy).toContain("default-src 'none'")
  expect(policy).toContain("script-src 'self';")
  expect(policy).toContain("frame-ancestors 'none'")
  expect(policy).not.toMatch(/unsafe|https?:|\*/)
})

test('files whose name holds a hash are kept by browsers, and come small', async () => {
  const world = await open({ console: builtFolder() })
  const file = await visit(world, '/console/assets/index-abc123.js', { 'accept-encoding': 'gzip' })
  expect(file.headers.get('cache-control')).toBe('public, max-age=31536000, immutable')
  expect(file.headers.get('content-type')).toMatch(/^text\/javascript/)
  expect(file.headers.get('content-encoding')).toBe('gzip')
  expect(await file.text()).toBe(script)
  const etag = file.headers.get('etag') ?? ''
  expect((await visit(world, '/console/assets/index-abc123.js', { 'if-none-match': etag })).status).toBe(304)
})

test.each(['/console/assets/index-000000.js', '/console/assets/..%2f..%2fadmin.token'])('%s is no file', async path => {
  const world = await open({ console: builtFolder() })
  expect((await visit(world, path)).status).toBe(404)
})

test.each(['/console/stamp', '/console/..%2fadmin.token', '/console/../admin.token'])(
  '%s leads to no other file',
  async path => {
    const world = await open({ console: builtFolder() })
    const answer = await visit(world, path)
    const text = await answer.text()
    expect(text).not.toContain('not for browsers')
    expect(text).not.toContain('isthmus_')
  },
)

test('a console that is not built says how it is, and shows once it is', async () => {
  const folder = builtFolder(false)
  const world = await open({ console: folder })
  const before = await visit(world, '/console/')
  expect(before.status).toBe(503)
  expect(await before.text()).toContain('npm run console')
  build(folder)
  expect((await visit(world, '/console/')).status).toBe(200)
})

test('a hub without a console says nothing of one', async () => {
  const world = await open({})
  for (const path of ['/', '/console/']) expect((await visit(world, path)).status).toBe(401)
})

test('the page of the sign-in learns how one gets in, before and after the first administrator', async () => {
  const world = await open({ console: builtFolder() })
  const ways = async () => (await visit(world, '/api/session/ways')).json()
  expect(await ways()).toEqual({ setup: true, provider: false, hasCookie: false })
  await world.ask(201, 'POST', '/api/administrators', {
    name: 'anna.berg',
    roles: ['AuthGroup.Administrator'],
    password: 'correct horse battery',
  })
  expect(await ways()).toEqual({ setup: false, provider: false, hasCookie: false })
})

test('the document of a flow is shown as it stands', async () => {
  const world = await open({})
  expect(await world.ask(200, 'GET', '/api/flows/orders/document')).toMatchObject({
    file: 'orders.yaml',
    text: 'flow: orders # of all shops\n',
    params: {},
  })
  await world.ask(404, 'GET', '/api/flows/nobody/document')
})
