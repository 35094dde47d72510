import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { type ProxyWorld, startProxy } from '../../src/protocols/net/proxy-world.ts'
import { freePorts } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'
import { webhookServer } from './webhook-server.ts'

const guide = readGuide('outgoing-proxy')
let folder: string
let machine: GuideMachine
let proxy: ProxyWorld
let partner: Awaited<ReturnType<typeof webhookServer>>
let adminPort = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  partner = await webhookServer()
  const logIn = { user: 'svc-isthmus', password: 'a secret for the proxy' }
  proxy = await startProxy({ logIn, names: { 'api.partner.example': '127.0.0.1' } })
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
      ['proxy.contoso.com:3128', proxy.address],
      ['https://api.partner.example', `http://api.partner.example:${new URL(partner.url).port}`],
    ],
  })
  machine.write('password.txt', logIn.password)
})
afterAll(async () => {
  await machine?.stop()
  await proxy?.close()
  await partner?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works, and the partner is reached through the proxy', async () => {
  const outputs: string[] = []
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (kind === 'sh') for (const line of text.trim().split('\n')) outputs.push(await machine.run(line))
  }
  expect(outputs.at(-1)).toContain('takes connections')
  expect(proxy.asked).toContainEqual({ target: `api.partner.example:${new URL(partner.url).port}`, status: 200 })
}, 120_000)

test('what the guide says of error codes exists', () => {
  const errors = readFileSync(resolve(import.meta.dirname, '../../docs/reference/errors.md'), 'utf8')
  const codes = [...guide.text.matchAll(/`(NET_[A-Z_]+)`/g)].map(([, code = '']) => code)
  expect(codes.length).toBeGreaterThan(5)
  expect(codes.filter(code => !errors.includes(`\`${code}\``))).toEqual([])
})
