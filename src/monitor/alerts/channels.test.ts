import { createHmac } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type IncomingMessage } from 'node:http'
import type { AddressInfo } from 'node:net'
import { afterEach, expect, test } from 'vitest'
import type { CredentialValue } from '../../kernel/credential.ts'
import type { Log } from '../../kernel/log.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { standInClock } from '../stand-ins.ts'
import type { Alert } from './alert.ts'
import { type ChannelSettings, createChannels, type Mail } from './channels.ts'

const alert: Alert = {
  id: 'quiet:orders',
  kind: 'quiet',
  flow: 'orders',
  state: 'open',
  what: 'Flow orders has taken in nothing for 4h.\r\nBcc: evil@example.com',
  turn: 'Whoever sends to this flow.',
  next: 'Prove that the links work.',
  command: 'isthmus flow check orders',
  since: Date.UTC(2026, 0, 5, 8),
  raisedAt: Date.UTC(2026, 0, 5, 12),
  raises: [Date.UTC(2026, 0, 5, 12)],
  isFlapping: false,
  channels: ['ops'],
  untold: ['ops'],
}

const closing: (() => unknown)[] = []
afterEach(async () => {
  for (const close of closing.splice(0)) await close()
})

async function webhookServer(status: number) {
  const requests: { request: IncomingMessage; body: string }[] = []
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ request, body: Buffer.concat(chunks).toString() })
      response.writeHead(status, { location: 'http://127.0.0.1:1/' }).end('answer')
    })
  })
  await once(server.listen(0, '127.0.0.1'), 'listening')
  closing.push(() => server.close())
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hook`, requests }
}

function channel(setting: ChannelSettings, extra: { value?: CredentialValue; mails?: Mail[]; lines?: unknown[] } = {}) {
  const { clock } = standInClock(Date.UTC(2026, 0, 5, 12))
  const say = (event: string, fields?: object) => void extra.lines?.push({ event, ...fields })
  const log: Log = { debug: say, info: say, warn: say, error: say, with: () => log }
  const channels = createChannels(
    { ops: setting },
    {
      log,
      clock,
      connect: makeConnect(),
      credential: async () => extra.value ?? { kind: 'secret', secret: 'webhook-secret' },
      stop: new AbortController().signal,
      mailSender: () => async mail => {
        if (!extra.mails) throw new Error('421 try later')
        extra.mails.push(mail)
        return '250 Ok'
      },
    },
  )
  const made = channels.get('ops')
  if (!made) throw new Error('no channel was made')
  return made
}

test('a webhook receives the alert as JSON with a signature that its secret verifies', async () => {
  const { url, requests } = await webhookServer(204)
  await channel({ webhook: { url, auth: 'hook' } }).send(alert)
  const [received] = requests
  expect(received?.request.headers['content-type']).toBe('application/json')
  expect(JSON.parse(received?.body ?? '')).toMatchObject({
    id: 'quiet:orders',
    state: 'open',
    since: '2026-01-05T08:00:00.000Z',
    turn: 'Whoever sends to this flow.',
    command: 'isthmus flow check orders',
  })
  const [, seconds, mac] =
    /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(received?.request.headers['isthmus-signature'])) ?? []
  expect(mac).toBe(createHmac('sha256', 'webhook-secret').update(`${seconds}.${received?.body}`).digest('hex'))
})

test.each([500, 429, 404, 302])('a webhook that answers %i has not been told', async status => {
  const { url, requests } = await webhookServer(status)
  await expect(channel({ webhook: { url } }).send(alert)).rejects.toMatchObject({
    code: 'ALERT_NOT_SENT',
    retry: 'soon',
    message: expect.stringContaining(String(status)),
  })
  expect(requests).toHaveLength(1)
})

test('a webhook that nobody serves, and one with the wrong kind of credential, are errors with a next step', async () => {
  await expect(channel({ webhook: { url: 'http://127.0.0.1:1/' } }).send(alert)).rejects.toMatchObject({
    code: 'ALERT_NOT_SENT',
  })
  const basic: CredentialValue = { kind: 'basic', user: 'u', password: 'p' }
  await expect(
    channel({ webhook: { url: 'http://127.0.0.1:1/', auth: 'hook' } }, { value: basic }).send(alert),
  ).rejects.toThrow('credential hook is of kind basic, not secret')
})

test('a mail says what, since when, whose turn it is and what to do; line ends cannot add headers', async () => {
  const mails: Mail[] = []
  await channel({ mail: { from: 'hub@example.com', to: ['ops@example.com'] } }, { mails }).send({
    ...alert,
    state: 'resolved',
    resolvedAt: Date.UTC(2026, 0, 5, 13),
  })
  const [mail] = mails
  expect(mail?.subject).toBe(
    '[Isthmus] Resolved: Flow orders has taken in nothing for 4h.\\u000d\\u000aBcc: evil@example.com',
  )
  expect(mail?.text.split('\n')).toEqual([
    'Flow orders has taken in nothing for 4h.\\u000d\\u000aBcc: evil@example.com',
    '',
    'Since:  2026-01-05T08:00:00.000Z',
    'Until:  2026-01-05T13:00:00.000Z',
    'Flow:   orders',
    'Turn:   Whoever sends to this flow.',
    'Next:   Nothing; it works again.',
    'Look:   isthmus flow check orders',
    'Alert:  quiet:orders',
    '',
  ])
})

test('a mail server that refuses is an error of the channel', async () => {
  const failing = channel({ mail: { from: 'hub@example.com', to: ['ops@example.com'] } })
  await expect(failing.send(alert)).rejects.toMatchObject({
    code: 'ALERT_NOT_SENT',
    message: expect.stringContaining('421'),
  })
})

test('the log is told of beginning and end', async () => {
  const lines: unknown[] = []
  await channel({ log: {} }, { lines }).send(alert)
  await channel({ log: {} }, { lines }).send({ ...alert, state: 'resolved' })
  expect(lines).toMatchObject([
    { event: 'alert.raised', alert: 'quiet:orders', next: 'Prove that the links work.' },
    { event: 'alert.resolved', alert: 'quiet:orders' },
  ])
})
