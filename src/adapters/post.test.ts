import { afterEach, beforeEach, expect, test } from 'vitest'
import { z } from 'zod'
import type { ReceiverContext } from '../flow/adapter.ts'
import type { CredentialLookup, TokenCredential } from '../kernel/credential.ts'
import type { HubError } from '../kernel/error.ts'
import { httpContext, WebService } from './http-world.ts'
import { Post } from './post.ts'
import { checkCleartext, type PostConfig, postFields, postUrl } from './post-config.ts'

const config = z.strictObject({ url: postUrl, ...postFields }).superRefine(checkCleartext)

let service: WebService
let post: Post | undefined
beforeEach(async () => {
  service = await new WebService().start()
})
afterEach(async () => {
  await post?.close()
  post = undefined
  await service.stop()
})

async function open(more: object = {}, credential?: CredentialLookup): Promise<Post> {
  const parsed = config.parse({ url: `${service.url}/in?client=100`, ...more })
  const context: ReceiverContext<PostConfig> = { ...httpContext({ url: service.url }, credential), config: parsed }
  post = await Post.open(context)
  return post
}

const content = Buffer.from('<A/>')
const document = () => ({
  url: new URL(`${service.url}/in?client=100`),
  headers: { 'content-type': 'text/xml' },
  bytes: content.length,
  async *stream() {
    yield content
  },
})
const never = { signal: new AbortController().signal, onUnknown: 'soon' as const, intend: async () => {} }
const failure = (work: Promise<unknown>) =>
  work.then(
    () => 'no error',
    (thrown: unknown) => thrown as HubError,
  )

test('a document goes out with its length, logged in, and every answer comes back whatever its status', async () => {
  service.replies = [{ status: 500, body: 'fault' }]
  const sender = await open({ auth: 'sap' }, async () => ({ kind: 'basic', user: 'U', password: 'p' }))
  const order: string[] = []
  const answer = await sender.send(document(), {
    ...never,
    onUnknown: 'never',
    intend: async () => void order.push(`intended, ${service.requests.length} requests so far`),
  })
  expect([answer.status, Buffer.from(answer.body).toString()]).toEqual([500, 'fault'])
  expect(order).toEqual(['intended, 0 requests so far'])
  // What may be sent again needs no note.
  await sender.send(document(), { ...never, intend: async () => void order.push('noted all the same') })
  expect(order).toHaveLength(1)
  expect(service.requests[0]).toMatchObject({
    method: 'POST',
    url: '/in?client=100',
    headers: { 'content-length': '4', authorization: `Basic ${Buffer.from('U:p').toString('base64')}` },
    body: content,
  })
})

test('a token that is not taken is renewed once, and the document sent again whole', async () => {
  service.replies = [{ status: 401 }, { status: 200 }]
  const given = ['old', 'new']
  const credential: TokenCredential = {
    kind: 'oauth2',
    user: undefined,
    token: async refused => ({ value: given[refused === 'old' ? 1 : 0] ?? '', expiresAt: 0 }),
  }
  const sender = await open({ auth: 'sap' }, async () => credential)
  expect((await sender.send(document(), never)).status).toBe(200)
  expect(service.requests.map(({ headers }) => headers.authorization)).toEqual(['Bearer old', 'Bearer new'])
  expect(service.requests.map(({ body }) => body.toString())).toEqual(['<A/>', '<A/>'])
  // A server that refuses the new one too is believed.
  service.replies = [{ status: 401 }]
  expect((await sender.send(document(), never)).status).toBe(401)
})

test.each([['never' as const], ['soon' as const]])('what became of a document is not known: %s', async onUnknown => {
  for (const end of ['cut', 'never'] as const) {
    service.replies = [{ end }]
    const sender = await open({ timeout: '300ms' })
    const error = await failure(sender.send(document(), { ...never, onUnknown }))
    expect(error).toMatchObject({ code: 'HTTP_OUTCOME_UNKNOWN', retry: onUnknown, isOutcomeUnknown: true })
    await sender.close()
  }
})

test('nobody listens: nothing went out, and a check says so', async () => {
  const sender = await open()
  expect(await sender.check()).toMatchObject({ ok: true })
  const { url } = service
  await service.stop()
  const error = await failure(sender.send({ ...document(), url: new URL(`${url}/in`) }, never))
  expect(error).toMatchObject({ code: 'NET_CONNECT_REFUSED', isOutcomeUnknown: false })
  expect(await sender.check()).toMatchObject({ ok: false, error: { code: 'NET_CONNECT_REFUSED' } })
  service = await new WebService().start()
})

test('an answer beyond its limit, and a credential that cannot log in', async () => {
  service.replies = [{ body: 'x'.repeat(2000) }]
  const limited = await open({ 'max-answer': '1KiB' })
  expect(await failure(limited.send(document(), never))).toMatchObject({ code: 'HTTP_ANSWER_TOO_LARGE' })
  await limited.close()
  const unfit = await open({ auth: 'hosts' }, async () => ({ kind: 'known-hosts', knownHosts: '' }))
  expect(await failure(unfit.send(document(), never))).toMatchObject({ code: 'HTTP_CREDENTIAL_UNFIT' })
})

test.each([
  ['http://s4.example/in', { auth: 'sap' }, /everybody on the way/],
  ['https://user:secret@s4.example/in', {}, /no user/],
  ['https://s4.example/in#a', {}, /no #/],
  ['ftp://s4.example/in', {}, /url/i],
])('%s with %j is refused', (url, more, reason) => {
  expect(JSON.stringify(config.safeParse({ url, ...more }).error?.issues)).toMatch(reason)
})

test.each([
  ['http://s4.example/in', { auth: 'sap', via: 'dc' }],
  ['http://s4.example/in', { auth: 'sap', cleartext: true }],
  ['http://127.0.0.1:1/in', { auth: 'sap' }],
])('%s with %j is fine', (url, more) => {
  expect(config.safeParse({ url, ...more }).error).toBeUndefined()
})
