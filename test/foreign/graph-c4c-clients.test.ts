import { execFile } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import tls from 'node:tls'
import { promisify } from 'node:util'
import {
  BatchRequestContent,
  BatchResponseContent,
  Client,
  GraphError,
  PageIterator,
} from '@microsoft/microsoft-graph-client'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'
import { c4cUser, startC4C } from '../../src/twins/c4c/c4c.ts'
import { makeTwinCertificate, type TwinCertificate } from '../../src/twins/certificate.ts'
import { startGraph } from '../../src/twins/graph/graph.ts'
import { contosoClientId, contosoSecret } from '../../src/twins/sign-in/contoso.ts'
import { startSignIn } from '../../src/twins/sign-in/sign-in.ts'
import { describeForeign } from './servers/needs.ts'
import { makeWorkFolder, type WorkFolder } from './servers/work-folder.ts'

// The twins of Graph and of Cloud for Customer, judged by clients that nobody here has written.

const run = promisify(execFile)
let certificate: TwinCertificate
let trustedBefore: string[]

beforeAll(async () => {
  certificate = await makeTwinCertificate()
  trustedBefore = tls.getCACertificates('default')
  // Microsoft's client sends tokens over HTTPS only, and trusts whom the process trusts.
  tls.setDefaultCACertificates([...trustedBefore, certificate.ca])
})
afterAll(() => tls.setDefaultCACertificates(trustedBefore))

describe("Microsoft's JavaScript client and the twin of Graph", () => {
  let signIn: Awaited<ReturnType<typeof startSignIn>>
  let graph: Awaited<ReturnType<typeof startGraph>>
  let client: Client
  beforeAll(async () => {
    signIn = await startSignIn()
    signIn.grantAdminConsent()
    graph = await startGraph({ mailboxes: ['ada@contoso.com'], verify: signIn.verify, tls: certificate, pageSize: 5 })
    client = Client.initWithMiddleware({
      baseUrl: graph.root.replace(/\/v1\.0\/$/, '/'),
      customHosts: new Set(['127.0.0.1']),
      authProvider: { getAccessToken: () => token(signIn.endpoints().token) },
    })
  })
  afterAll(async () => {
    await graph.stop()
    await signIn.stop()
  })

  const user = '/users/ada@contoso.com'
  const event = (subject: string) => ({
    subject,
    start: { dateTime: '2026-11-23T09:00:00', timeZone: 'W. Europe Standard Time' },
    end: { dateTime: '2026-11-23T10:00:00', timeZone: 'W. Europe Standard Time' },
  })

  test('creates, reads, changes and deletes an event, and is told when it has changed meanwhile', async () => {
    const made = await client.api(`${user}/events`).post(event('Jour fixe'))
    const read = await client
      .api(`${user}/events/${made.id}`)
      .header('Prefer', 'outlook.timezone="W. Europe Standard Time"')
      .select(['subject', 'start'])
      .get()
    expect(read).toMatchObject({ subject: 'Jour fixe', start: { dateTime: '2026-11-23T09:00:00.0000000' } })
    await client.api(`${user}/events/${made.id}`).header('If-Match', made['@odata.etag']).patch({ subject: 'New' })
    const stale = client
      .api(`${user}/events/${made.id}`)
      .header('If-Match', made['@odata.etag'])
      .patch({ subject: 'Old' })
    await expect(stale).rejects.toMatchObject({ statusCode: 412, code: 'ErrorIrresolvableConflict' })
    await client.api(`${user}/events/${made.id}`).delete()
    const gone = client.api(`${user}/events/${made.id}`).get()
    await expect(gone).rejects.toBeInstanceOf(GraphError)
    await expect(gone).rejects.toMatchObject({ statusCode: 404, code: 'ErrorItemNotFound' })
  })

  test('walks the pages of a delta round to its link, and hears of a change', async () => {
    for (let index = 0; index < 12; index += 1) await client.api(`${user}/events`).post(event(`e${index}`))
    const window = { startDateTime: '2026-11-01T00:00:00Z', endDateTime: '2026-12-01T00:00:00Z' }
    const subjects: string[] = []
    const first = await client.api(`${user}/calendarView/delta`).query(window).get()
    const pages = new PageIterator(client, first, (row: { subject: string }) => {
      subjects.push(row.subject)
      return true
    })
    await pages.iterate()
    expect(subjects).toHaveLength(12)
    await client.api(`${user}/events`).post(event('another'))
    const next = await client.api(pages.getDeltaLink() ?? '').get()
    expect(next.value).toMatchObject([{ subject: 'another' }])
  })

  test('sends a batch, and repeats by itself what it was told to send later', async () => {
    const request = (id: string, subject: string) => ({
      id,
      request: new Request(`https://127.0.0.1${user}/contacts`, {
        method: 'POST',
        headers: { 'Content-Type': 'application/json' },
        body: JSON.stringify({ surname: subject }),
      }),
    })
    const batch = new BatchRequestContent([request('a', 'Anders'), request('b', 'Berg')])
    const answer = new BatchResponseContent(await client.api('/$batch').post(await batch.getContent()))
    expect([answer.getResponseById('a').status, answer.getResponseById('b').status]).toEqual([201, 201])
    graph.setFaults({ throttle: { times: 1, retryAfterS: 1 } })
    const contacts = await client.api(`${user}/contacts`).get()
    expect(contacts.value.map((each: { surname: string }) => each.surname)).toEqual(['Anders', 'Berg'])
  })
})

describeForeign('curl and the twins', ['curl'], () => {
  test('Graph over HTTPS: a token of the sign-in, an event, and refusals in the words of Graph', async () => {
    const signIn = await startSignIn()
    signIn.grantAdminConsent()
    const graph = await startGraph({ mailboxes: ['ada@contoso.com'], verify: signIn.verify, tls: certificate })
    const curl = curlWith(certificate)
    try {
      const bearer = `Authorization: Bearer ${await token(signIn.endpoints().token)}`
      const url = `${graph.root}users/ada@contoso.com/contacts`
      const made = await curl([
        url,
        '-H',
        bearer,
        '--json',
        '{"surname":"Müller","emailAddresses":[{"address":"m@x.example"}]}',
      ])
      expect(made).toMatchObject({ surname: 'Müller', emailAddresses: [{ address: 'm@x.example' }] })
      expect(await curl([url])).toMatchObject({ error: { code: 'InvalidAuthenticationToken' } })
      expect(await curl([url, '-H', bearer, '--json', '{"nickName":"x"}'])).toMatchObject({
        error: { code: 'RequestBodyRead' },
      })
      expect(await curl([`${graph.root}users/nobody@contoso.com/contacts`, '-H', bearer])).toMatchObject({
        error: { code: 'ErrorInvalidUser' },
      })
    } finally {
      await graph.stop()
      await signIn.stop()
    }
  })

  test('Cloud for Customer over HTTPS: CSRF token with its cookie, a deep insert, If-Match, a filter it does not know', async () => {
    const twin = await startC4C({ tls: certificate })
    const { path: folder, remove } = makeWorkFolder('c4c-curl')
    const curl = curlWith(certificate)
    try {
      const jar = join(folder, 'cookies')
      const headers = join(folder, 'headers')
      const log = ['-u', `${c4cUser.user}:${c4cUser.password}`, '-b', jar, '-c', jar, '-H', 'Accept: application/json']
      const collection = `${twin.root}AppointmentCollection`
      const refused = await run('curl', [
        '-sS',
        '--cacert',
        caFile(certificate),
        ...log,
        '-o',
        '/dev/null',
        '-w',
        '%{http_code} %header{x-csrf-token}',
        '-X',
        'POST',
        collection,
      ])
      expect(refused.stdout).toBe('403 Required')
      await curl([...log, '-H', 'X-CSRF-Token: fetch', '-D', headers, twin.root])
      const csrf = /^x-csrf-token: (\S+)/im.exec((await run('cat', [headers])).stdout)?.[1]
      const body =
        '{"Subject":"Visit","StartDate":"/Date(1795420800000)/","AppointmentInvolvedParties":[{"RoleCode":"34","PartyEmailURI":"b@x.example"}]}'
      const write = [...log, '-H', `X-CSRF-Token: ${csrf}`, '-H', 'Content-Type: application/json']
      const made = await curl([...write, '-d', body, collection])
      expect(made).toMatchObject({ d: { results: { Subject: 'Visit', StartDate: '/Date(1795420800000+0000)/' } } })
      const { uri, etag } = (made as { d: { results: { __metadata: { uri: string; etag: string } } } }).d.results
        .__metadata
      await curl([...write, '-X', 'PATCH', '-H', `If-Match: ${etag}`, '-d', '{"Subject":"New"}', uri])
      const stale = await curl([...write, '-X', 'PATCH', '-H', `If-Match: ${etag}`, '-d', '{"Subject":"Old"}', uri])
      expect(stale).toMatchObject({ error: { message: { value: expect.stringContaining('Precondition') } } })
      const expanded = await curl([
        ...log,
        `${collection}?$filter=${encodeURIComponent("startswith(Subject,'N')")}&$expand=AppointmentInvolvedParties`,
      ])
      expect(expanded).toMatchObject({
        d: { results: [{ Subject: 'New', AppointmentInvolvedParties: [{ PartyEmailURI: 'b@x.example' }] }] },
      })
      const odd = await curl([...log, `${collection}?$filter=${encodeURIComponent("substringof('x',Subject)")}`])
      expect(odd).toMatchObject({ error: { code: 'OData.BadRequest' } })
    } finally {
      await twin.stop()
      remove()
    }
  })
})

let caFolder: WorkFolder | undefined
afterAll(() => caFolder?.remove())

function caFile({ ca }: TwinCertificate): string {
  caFolder ??= makeWorkFolder('twin-ca')
  const file = join(caFolder.path, 'ca.pem')
  writeFileSync(file, ca)
  return file
}

/** What curl makes of an answer: its JSON, or undefined where there is none. */
function curlWith(trusted: TwinCertificate) {
  return async (args: readonly string[]): Promise<unknown> => {
    const { stdout } = await run('curl', ['-sS', '--cacert', caFile(trusted), ...args])
    return stdout === '' ? undefined : JSON.parse(stdout)
  }
}

async function token(url: string): Promise<string> {
  const form = {
    grant_type: 'client_credentials',
    client_id: contosoClientId,
    client_secret: contosoSecret,
    scope: 'https://graph.microsoft.com/.default',
  }
  const answer = await fetch(url, { method: 'POST', body: new URLSearchParams(form) })
  const document = (await answer.json()) as { access_token: string }
  return document.access_token
}
