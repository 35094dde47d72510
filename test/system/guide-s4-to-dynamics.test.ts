import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../src/twins/certificate.ts'
import { type DataverseTwin, startDataverse } from '../../src/twins/dataverse/dataverse.ts'
import { type S4AleTwin, s4AleUser, startS4Ale } from '../../src/twins/s4-ale/s4-ale.ts'
import { createMaterial } from '../../src/twins/s4-ale/seed.ts'
import { contoso, contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { type SignInTwin, startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'

const guide = readGuide('s4-to-dynamics')
let folder: string
let machine: GuideMachine
let signIn: SignInTwin
let dynamics: DataverseTwin
let s4: S4AleTwin
let adminPort = 0
let endpointsPort = 0

beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
  const [admin = 0, endpoints = 0] = await freePorts(2)
  adminPort = admin
  endpointsPort = endpoints
  const { cert, key, ca } = await makeTwinCertificate()
  const tls = { cert, key }
  signIn = await startSignIn({ tls, tenants: [contoso()] })
  dynamics = await startDataverse({ tls, verify: token => signIn.verify(token), applications: [contosoClientId] })
  s4 = await startS4Ale({ tls })
  machine = new GuideMachine({
    folder,
    environment: { ISTHMUS_URL: `http://127.0.0.1:${admin}` },
    replacements: [
      ['8080', String(admin)],
      ['8081', String(endpoints)],
      ['https://s4.contoso.com:44300', s4.origin],
      ['https://contoso.crm4.dynamics.com', dynamics.origin],
      ['{ tenant: contoso.com }', `{ tenant: contoso.com, authority: "${signIn.origin}" }`],
    ],
  })
  machine.write('authorities.pem', ca)
  machine.write('client-secret.txt', contosoSecret)
  machine.write('password.txt', s4AleUser.password)
})
afterAll(async () => {
  await machine?.stop()
  await Promise.all([s4?.stop(), dynamics?.stop(), signIn?.stop()])
  rmSync(folder, { recursive: true, force: true })
})

test('every command of the guide works, from an empty hub to a product of Dynamics 365', async () => {
  const outputs: string[] = []
  for (const { kind, info, text, file } of guide.blocks) {
    if (file !== undefined) machine.write(file, text)
    else if (info === 'background') await machine.start(text.trim(), () => isHubReady(adminPort))
    else if (kind === 'sh') {
      for (const line of text.trim().split('\n')) outputs.push((await machine.run(line)).trim())
    }
  }
  expect(outputs.find(output => output.includes('<TransferId>'))).toMatch(
    /<TransferId>0000000000000017<\/TransferId><DbId>[0-9A-Z]{11}<\/DbId>/,
  )
  const product = () => dynamics.records('product').find(({ productnumber }) => productnumber === '4711')
  await waitFor('the product', 30_000, () => product() !== undefined)
  expect(product()).toMatchObject({ name: 'Pump', new_sapkey: '4711', stockweight: 4.5 })
}, 120_000)

test('SAP sees what the guide says: 03 and 12 by the call, then 39 and 41; a refusal as 02, and the bytes are kept', async () => {
  const { oauth } = JSON.parse(readFileSync(join(folder, 's4hana.json'), 'utf8')) as {
    oauth: { clientid: string; clientsecret: string }
  }
  const user = { user: oauth.clientid, password: oauth.clientsecret }
  s4.setPort('*', { destination: { url: `http://127.0.0.1:${endpointsPort}/flows/idoc`, user } })
  createMaterial(s4.data, '4712', { name: 'Valve' })
  const [docnum = ''] = s4.runChangePointers('MATMAS').map(idoc => idoc.docnum)
  s4.setFaults({ malformed: { times: 1 } })
  await s4.dispatch()
  expect(s4.statusOf(docnum)).toBe('02')
  expect(await machine.run('isthmus message find --state set-aside')).toContain('materials')
  await s4.dispatchAgain()
  await waitFor('status 41', 30_000, () => s4.statusOf(docnum) === '41')
  const statuses = s4
    .idocs()
    .find(idoc => idoc.docnum === docnum)
    ?.statuses.map(({ status }) => status)
  expect(statuses).toEqual(['01', '30', '02', '03', '12', '39', '41'])
}, 60_000)
