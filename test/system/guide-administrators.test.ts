import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { totpCode } from '../../src/auth/administrators/totp.ts'
import { parseHubConfig } from '../../src/cli/hub-config.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { freePorts } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'

const guide = readGuide('administrators')
/** What the authenticator of the guide shows. */
const shownCode = '492039'
let folder: string
let machine: GuideMachine
let adminPort = 0
let endpointsPort = 0
let secret = ''

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  endpointsPort = endpoints
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
    ],
  })
})
afterAll(async () => {
  await machine?.stop()
  rmSync(folder, { recursive: true, force: true })
})

const read = (file: string) => readFileSync(join(folder, file), 'utf8')

function logIn(password: string, code?: string): Promise<Response> {
  return fetch(`http://127.0.0.1:${adminPort}/api/session`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ name: 'olga', password, ...(code && { code }) }),
  })
}

test('every command of the guide works, from a hub without passwords to a program with one right', async () => {
  const outputs: string[] = []
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (kind === 'sh') {
      for (const line of text.trim().split('\n')) {
        const code = secret === '' ? shownCode : totpCode(secret, Date.now())
        const output = await machine.run(line.replace(shownCode, code))
        secret ||= /\b([A-Z2-7]{32})\b/.exec(output)?.[1] ?? ''
        outputs.push(output.trim())
      }
    }
  }
  expect(machine.output()).toMatch(/setup token setup_[\w-]{43}/)
  expect(existsSync(join(folder, 'data/setup.token'))).toBe(false)
  expect(outputs).toContain('{"flows":[]}')
  expect(outputs).toContain('403')
  expect(JSON.parse(read('refused.json'))).toMatchObject({ code: 'API_FORBIDDEN' })
  expect(outputs.find(output => output.endsWith('that is all it may'))).toContain('API_FORBIDDEN')
  const audit = outputs.find(output => output.includes('administrator.create')) ?? ''
  expect(audit).toMatch(/anna\.berg@127\.0\.0\.1 +administrator\.create/)
  expect(audit).toMatch(/admin@127\.0\.0\.1 +administrator\.totp-confirm/)
  expect(await machine.run('isthmus audit verify')).toMatch(/\S/)
  const restored = await openSqliteStore({ folder: join(folder, 'second/data') })
  expect(await restored.auditBreak()).toBeUndefined()
  expect(await restored.list('administrator')).toHaveLength(2)
  expect(await restored.auditLog({ limit: 1 })).toMatchObject([{ action: 'store.restore' }])
  await restored.close()
}, 120_000)

test('the part of isthmus.yaml about an identity provider is one', () => {
  const part = guide.blocks.find(({ info }) => info === 'part')
  expect(parseHubConfig(part?.text ?? '', 'isthmus.yaml').admin['sign-in']).toMatchObject({
    name: 'preferred_username',
  })
  const wrong = part?.text.replace('[Operator]', '[Emperor]') ?? ''
  expect(() => parseHubConfig(wrong, 'isthmus.yaml')).toThrow(/Isthmus\.Operators/)
})

test('after a restart sessions go on, the second factor is asked for, and used codes stay used', async () => {
  const password = 'twelve letters at least'
  // The next step counts already, so the confirmation cannot have used it.
  const code = totpCode(secret, Date.now() + 30_000)
  expect((await logIn(password, code)).status).toBe(201)
  await machine.start('isthmus serve', () => isHubReady(adminPort))
  expect(machine.output()).not.toContain('setup_')
  expect(await machine.run('curl --silent --fail --cookie anna.jar http://127.0.0.1:8080/api/session')).toContain(
    '"name":"anna.berg"',
  )
  expect((await logIn(password)).status).toBe(401)
  expect((await logIn(password, code)).status).toBe(401)
})

test('a token of the program ends with its key, its role and its plan', async () => {
  const { access_token: token } = JSON.parse(read('token.json')) as { access_token: string }
  const call = async (path: string) => {
    const headers = { authorization: `Bearer ${token}` }
    const { status } = await fetch(`http://127.0.0.1:${adminPort}${path}`, { headers })
    return status
  }
  expect([await call('/api/flows'), await call('/api/audit'), await call('/api/administrators')]).toEqual([
    200, 403, 403,
  ])
  // Nobody but a session has an own password.
  expect(await call('/api/session')).toBe(403)
  // It opens no flow.
  const flows = await fetch(`http://127.0.0.1:${endpointsPort}/flows/x`, {
    headers: { authorization: `Bearer ${token}` },
  })
  expect(flows.status).toBe(404)
  const forged = `${token.slice(0, -4)}AAAA`
  const answer = await fetch(`http://127.0.0.1:${adminPort}/api/flows`, {
    headers: { authorization: `Bearer ${forged}` },
  })
  expect(answer.status).toBe(401)
  await machine.run(`isthmus instance create caller --role ESBMessaging.send`)
  await machine.run('isthmus key create caller first --out caller.json')
  const { oauth } = JSON.parse(read('caller.json')) as { oauth: { clientid: string; clientsecret: string } }
  const form = new URLSearchParams({
    grant_type: 'client_credentials',
    client_id: oauth.clientid,
    client_secret: oauth.clientsecret,
  })
  const issued = await fetch(`http://127.0.0.1:${endpointsPort}/oauth/token`, { method: 'POST', body: form })
  const { access_token: flowToken } = (await issued.json()) as { access_token: string }
  const wrongPlan = await fetch(`http://127.0.0.1:${adminPort}/api/hub`, {
    headers: { authorization: `Bearer ${flowToken}` },
  })
  expect(wrongPlan.status).toBe(401)
  await machine.run(`isthmus instance update monitoring --role WorkspacePackagesRead`)
  expect(await call('/api/flows')).toBe(403)
  await machine.run(`isthmus instance update monitoring --role MonitoringDataRead`)
  expect(await call('/api/flows')).toBe(200)
  const { keyId } = JSON.parse(read('monitoring.json')) as { keyId: string }
  await machine.run(`isthmus key revoke monitoring ${keyId}`)
  expect(await call('/api/flows')).toBe(401)
})
