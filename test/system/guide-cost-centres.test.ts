import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type S4ODataTwin, s4User, startS4OData } from '../../src/twins/s4-odata/s4-odata.ts'
import { freePorts } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'

const guide = readGuide('cost-centres')
let folder: string
let machine: GuideMachine
let s4: S4ODataTwin
let adminPort = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  const { cert, key, ca } = await makeTwinCertificate()
  s4 = await startS4OData({ tls: { cert, key }, count: 4, pageSize: 1 })
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
      ['https://s4.contoso.com', s4.origin],
    ],
  })
  machine.write('s4-ca.pem', ca)
  machine.write('password.txt', s4User.password)
  const { cert: certificate, key: privateKey } = await makeTwinCertificate(['sb-hub'])
  const certurl = 'https://contoso.authentication.cert.eu10.hana.ondemand.com'
  machine.write('service-key.json', JSON.stringify({ clientid: 'sb-hub', certurl, certificate, key: privateKey }))
})
afterAll(async () => {
  await machine?.stop()
  await s4?.stop()
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works, from an empty hub to cost centres of S/4HANA', async () => {
  const outputs: string[] = []
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (info === 'answer') expect(outputs.at(-1)).toBe(text.trim())
    else if (kind === 'sh') {
      for (const line of text.trim().split('\n')) outputs.push((await machine.run(line)).trim())
    }
  }
  expect(outputs).toContain('401')
  expect(outputs.at(-1)).toMatch(/costs +delivered/)
  // Each page of S/4HANA holds one: all of them were read.
  expect(s4.requests.filter(({ url }) => url.includes('A_CostCenter?')).length).toBeGreaterThanOrEqual(2)
}, 120_000)

test('what the guide says of refusals is so', async () => {
  const call = async (query: string, key = 'planning') => {
    const user = `$(node -p 'const { oauth } = require("./${key}.json"); oauth.clientid + ":" + oauth.clientsecret')`
    const answer = "--output answer.json --write-out '%{http_code} %header{x-isthmus-message}'"
    return machine.run(`curl --silent ${answer} --user "${user}" 'http://localhost:8081/flows/cost-centres${query}'`)
  }
  await machine.run('isthmus instance create others -c \'{"roles": ["ESBMessaging.send"]}\'')
  await machine.run('isthmus key create others laptop --out others.json')
  expect(await call('?company=1010', 'others')).toMatch(/^403/)
  expect(await call('')).toMatch(/^422/)
  s4.setFaults({ fail: { status: 400, times: 1 } })
  const [status, id = ''] = (await call('?company=1010')).split(' ')
  expect(status).toBe('502')
  expect(await machine.run(`isthmus message show ${id}`)).toMatch(/set-aside/)
})
