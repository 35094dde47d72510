import { execFileSync } from 'node:child_process'
import { mkdtemp, readFile, rm, stat, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Readable } from 'node:stream'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { type ApiWorld, apiWorld } from '../api/api-world.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import { run } from './run.ts'

let world: ApiWorld
let folder = ''
beforeEach(async () => {
  world = await apiWorld()
  folder = await mkdtemp(join(tmpdir(), 'isthmus-cli-'))
})
afterEach(async () => {
  await world.close()
  await rm(folder, { recursive: true, force: true })
})

/** Runs a command line and collects what it printed. */
async function isthmus(line: string, { stdin = '' } = {}) {
  const out: string[] = []
  const err: string[] = []
  // Quoted words are one argument.
  const words = [...line.matchAll(/'([^']*)'|(\S+)/g)].map(([, quoted, word]) => quoted ?? word ?? '')
  const code = await run(words, {
    stdin: Readable.from([stdin]),
    stdout: { write: text => out.push(String(text)) },
    stderr: { write: text => err.push(String(text)) },
    env: { ISTHMUS_URL: world.url, ISTHMUS_TOKEN_FILE: world.tokenFile },
    cwd: folder,
    signal: new AbortController().signal,
    program: () => Promise.reject(new Error('no hub is started here')),
  })
  return { code, out: out.join(''), err: err.join('') }
}

/** The command must work; what it printed. */
async function done(line: string, options?: { stdin?: string }): Promise<string> {
  const { code, out, err } = await isthmus(line, options)
  if (code !== 0) throw new Error(`isthmus ${line} ended with ${code}: ${err}`)
  return out
}

function secretIn(json: string): { clientid: string; clientsecret: string } {
  return (JSON.parse(json) as { oauth: { clientid: string; clientsecret: string } }).oauth
}

test('from a role to a key, rotated and revoked', async () => {
  expect(await done("role create ESBMessaging_DE --about 'Germany only'")).toBe('Role ESBMessaging_DE is created.\n')
  const created = await done(`instance create cpi-de -c '{"roles": ["ESBMessaging_DE"]}'`)
  expect(created).toMatch(/^Roles: +ESBMessaging_DE$/m)
  expect(created).toMatch(/^Next: +isthmus key create cpi-de /m)
  const first = secretIn(await done('key create cpi-de postman'))
  const works = ({ clientid, clientsecret }: typeof first) => world.serviceUsers.checkSecret(clientid, clientsecret).ok
  const second = secretIn(await done('key rotate cpi-de postman --overlap 1d'))
  expect([works(first), works(second)]).toEqual([true, true])
  const list = await done('key list cpi-de')
  expect(list).toMatch(/^[0-9a-f]{12} +postman +secret +active +\d{4}-.* +never +[0-9a-f]{12}$/m)
  expect(list).toMatch(/^[0-9a-f]{12} +postman +secret +active +never +never$/m)
  // The name is that of the new key now.
  expect(await done('key revoke cpi-de postman')).toMatch(/^Key postman \([0-9a-f]{12}\) is revoked\.\n$/)
  expect([works(first), works(second)]).toEqual([true, false])
  expect(await done('instance list')).toMatch(
    /^cpi-de +default +integration-flow +ci[0-9a-f]{24} +ESBMessaging_DE +client_credentials +1 +enabled$/m,
  )
  expect(await done('role list --plan integration-flow')).toMatch(
    /^ESBMessaging_DE +integration-flow +people +cpi-de +Germany only$/m,
  )
  expect(await isthmus('role delete ESBMessaging_DE')).toMatchObject({
    code: 4,
    err: expect.stringContaining('cpi-de'),
  })
  await done('role delete ESBMessaging_DE --force')
  expect(await done('instance show cpi-de')).toMatch(/^Roles: +none$/m)
  await done('instance delete cpi-de')
  expect(await isthmus('instance show cpi-de')).toMatchObject({ code: 4, err: expect.stringContaining('SERVICE_') })
})

test('a key goes into a new file that only its owner can read, and never over another', async () => {
  await done('instance create cpi')
  const said = await done('key create cpi postman --out key.json')
  const file = join(folder, 'key.json')
  const { clientid, clientsecret } = secretIn(await readFile(file, 'utf8'))
  expect(world.serviceUsers.checkSecret(clientid, clientsecret).ok).toBe(true)
  expect((await stat(file)).mode & 0o777).toBe(0o600)
  expect(said).not.toContain(clientsecret)
  const again = await isthmus('key create cpi other --out key.json')
  expect(again).toMatchObject({ code: 2, err: expect.stringContaining('nothing was done') })
  expect((await isthmus('key create none other --out none.json')).code).toBe(4)
  expect((await isthmus('key create cpi postman --out none.json')).code).toBe(4)
  await expect(stat(join(folder, 'none.json'))).rejects.toThrow('ENOENT')
  expect(await done('key list cpi --json')).not.toContain('other')
})

test('certificates: of the hub, and of the caller', async () => {
  await done('instance create cpi --grant-type client_x509 --role ESBMessaging.send')
  await done('key create cpi first --certificate --validity 30 --out key.json')
  const { oauth } = JSON.parse(await readFile(join(folder, 'key.json'), 'utf8')) as { oauth: Record<string, string> }
  await writeFile(join(folder, 'cert.pem'), oauth['certificate'] ?? '')
  await writeFile(join(folder, 'key.pem'), oauth['key'] ?? '')
  const about = execFileSync('openssl', [
    'x509',
    '-in',
    join(folder, 'cert.pem'),
    '-noout',
    '-subject',
    '-ext',
    'extendedKeyUsage',
  ])
  expect(about.toString()).toMatch(
    /OU = service key, CN = ci[0-9a-f]{24} [0-9a-f]{12}[\s\S]*TLS Web Client Authentication/,
  )
  const { cert, key } = await makeTwinCertificate(['partner'])
  const made = await done('key create cpi partner --x509 -', { stdin: cert })
  expect(made).not.toContain('PRIVATE KEY')
  expect(await done('key show cpi partner')).toMatch(/^Stands for: +this very certificate$/m)
  const twice = await isthmus('key create cpi again --x509 -', { stdin: cert })
  expect(twice).toMatchObject({ code: 4, err: expect.stringContaining('SERVICE_CERTIFICATE_TAKEN') })
  const leaked = await isthmus('key create cpi leaked --x509 -', { stdin: `${cert}${key}` })
  expect(leaked).toMatchObject({ code: 4, err: expect.stringContaining('must stay with the caller') })
})

test('what ends soon is an exit code for scripts', async () => {
  await done('instance create cpi')
  expect(await done('key list')).toBe('No key ends within 30d.\n')
  await done('key create cpi short --validity 20')
  expect(await isthmus('key list --expiring-within 30d')).toMatchObject({
    code: 1,
    out: expect.stringContaining('short'),
  })
})

test('instances are changed, disabled and enabled; one name may stand in two spaces', async () => {
  await done("space write dev --quota integration-flow=1 --about 'for trials'")
  await done('instance create cpi')
  await done('instance create cpi --space dev')
  expect(await isthmus('instance show cpi')).toMatchObject({ code: 2, err: expect.stringContaining('--space') })
  expect(await isthmus('instance create more --space dev')).toMatchObject({
    code: 4,
    err: expect.stringContaining('isthmus space write dev --quota integration-flow=<count>'),
  })
  const changed = await done('instance update cpi --space dev --role API.invoke')
  expect(changed).toMatch(/^Roles: +API\.invoke$/m)
  expect(await done('instance disable cpi --space dev')).toMatch(/^Disabled: +\d{4}-/m)
  expect(await done('instance enable cpi --space dev')).not.toContain('Disabled')
  expect(await done('space list')).toMatch(/^dev +1 +1 +of the hub +for trials$/m)
  await done('instance delete cpi --space dev')
  await done('space delete dev')
})

const wrong: readonly [string, string][] = [
  ["instance create cpi -c '{roles}'", 'no JSON'],
  ['instance create cpi -c none.json', 'cannot be read'],
  ['space write dev --quota five', '--quota takes plan=count'],
  ['key create cpi x --validity soon', '--validity takes a number'],
]
test.each(wrong)('isthmus %s is wrong usage', async (line, words) => {
  await done('instance create cpi')
  expect(await isthmus(line)).toMatchObject({ code: 2, err: expect.stringContaining(words) })
})
