import https from 'node:https'
import net from 'node:net'
import type tls from 'node:tls'
import { afterEach, expect, test } from 'vitest'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { makeConnect } from './connect.ts'
import { makeFetch, makeHttpAgent } from './http-client.ts'
import { serversOfTest } from './servers-world.ts'

const timeoutMs = 3000
const { listen, closeAll } = serversOfTest()
afterEach(closeAll)

/** A server that answers the first octets of a handshake with this alert (RFC 5246 section 7.2). */
const alerting = (alert: number) =>
  listen(
    net.createServer(socket => {
      socket.on('error', () => {})
      socket.once('data', () => socket.end(Buffer.from([21, 3, 3, 0, 2, 2, alert])))
    }),
  )

test.each([
  [42, 'broken'],
  [43, 'of this kind'],
  [44, 'revoked'],
  [45, 'ended'],
  [46, 'not known there'],
  [48, 'an authority that it does not know'],
  [49, 'may not come in'],
  [51, 'signature'],
])('alert %i speaks of the client certificate: %s', async (alert, words) => {
  const connected = makeConnect()({ host: '127.0.0.1', port: await alerting(alert), tls: {}, timeoutMs })
  await expect(connected).rejects.toMatchObject({ code: 'NET_TLS_FAILED' })
  await expect(connected).rejects.toThrow(/it does not take the client certificate/)
  await expect(connected).rejects.toThrow(words)
})

test('an alert that is about something else is told as it came', async () => {
  const connected = makeConnect()({ host: '127.0.0.1', port: await alerting(80), tls: {}, timeoutMs })
  await expect(connected).rejects.toMatchObject({ code: 'NET_TLS_FAILED' })
  await expect(connected).rejects.toThrow(/alert internal error/)
})

test('a request learns that a certificate is wanted, also where the server says so after the handshake', async () => {
  const { cert, key, ca } = await makeTwinCertificate(['127.0.0.1'])
  for (const [maxVersion, reason] of [
    ['TLSv1.3', /it wants a client certificate/],
    ['TLSv1.2', /handshake failure/],
  ] as const) {
    const options: tls.TlsOptions = { cert, key, ca, requestCert: true, rejectUnauthorized: true, maxVersion }
    const port = await listen(https.createServer(options, (_request, response) => response.end('in')))
    const connect = makeConnect()
    const agent = makeHttpAgent({
      connect: () => connect,
      tls: { ca },
      connectTimeoutMs: timeoutMs,
      answerBytesMax: 1000,
    })
    const body = new URLSearchParams({ grant_type: 'client_credentials' })
    const asked = makeFetch(agent, 1000)(`https://127.0.0.1:${port}/`, { method: 'POST', body })
    await expect(asked).rejects.toMatchObject({ code: 'NET_TLS_FAILED', retry: 'after-change' })
    await expect(asked).rejects.toThrow(reason)
    await agent.destroy()
  }
})
