import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, onTestFinished, test } from 'vitest'
import { startHub } from '../main.ts'

async function startBareHub() {
  const dataFolder = mkdtempSync(join(tmpdir(), 'isthmus-late-'))
  const local = { host: '127.0.0.1', port: 0 }
  const log = { level: 'error', format: 'json', output: { write: () => true } } as const
  const hub = await startHub({ dataFolder, stage: 'dev', flowFiles: [], admin: local, endpoints: local, log })
  let isOpen = true
  const close = async () => {
    if (isOpen) await hub.close()
    isOpen = false
  }
  onTestFinished(async () => {
    await close()
    rmSync(dataFolder, { recursive: true, force: true })
  })
  return { hub, close }
}

test('calls that come together before the API is loaded are all answered, each by its right', async () => {
  const { hub } = await startBareHub()
  const authorization = `Bearer ${hub.adminToken}`
  const paths = ['/api/flows', '/api/flows', '/api/nothing-here', '/api/openapi.json']
  const answers = await Promise.all(paths.map(path => fetch(hub.adminUrl + path, { headers: { authorization } })))
  expect(answers.map(answer => answer.status)).toEqual([200, 200, 404, 200])
  expect((await fetch(`${hub.adminUrl}/api/flows`)).status).toBe(401)
})

test('a hub whose API nobody called closes, and so does one that is called at that moment', async () => {
  const quiet = await startBareHub()
  await quiet.close()
  await expect(fetch(`${quiet.hub.adminUrl}/api/flows`)).rejects.toThrow()
  const called = await startBareHub()
  const call = fetch(`${called.hub.adminUrl}/api/flows`).then(
    answer => answer.status,
    () => 'cut',
  )
  await called.close()
  expect([401, 'cut']).toContain(await call)
})
