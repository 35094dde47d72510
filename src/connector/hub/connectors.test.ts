import { once } from 'node:events'
import http2, { constants, type ServerHttp2Stream } from 'node:http2'
import type { Duplex } from 'node:stream'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { traceOf } from '../../kernel/socket.ts'
import { MINUTE } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import {
  dial,
  echo,
  enrolAt,
  type HubWorld,
  type OnConnect,
  refuseWith,
  type StandIn,
  type StandInOptions,
  startHubSide,
  startStandIn,
  until,
} from './connector-world.ts'
import { hubLimits } from './limits.ts'

let hub: HubWorld
const standIns: StandIn[] = []

beforeEach(async () => {
  hub = await startHubSide()
})
afterEach(async () => {
  await Promise.all(standIns.splice(0).map(each => each.close()))
  await hub.close()
})

/** What the hub says with GOAWAY to a program that gives this name to its process. */
async function turnedAway(socket: tls.TLSSocket, run: string): Promise<{ words: string; code: number }> {
  const session = http2.performServerHandshake(socket)
  session.on('error', () => {})
  session.on('stream', stream => {
    stream.respond({ ':status': 200 })
    stream.end(JSON.stringify({ version: '0.1.0', mode: 'active', run, virtualHosts: [] }))
  })
  const [code, , words] = (await once(session, 'goaway')) as [number, number, Buffer]
  return { words: words.toString(), code }
}

async function connector(location = 'dc-frankfurt', options: StandInOptions = {}): Promise<StandIn & { id: string }> {
  const identity = await enrolAt(hub, location)
  const standIn = await startStandIn(hub, identity, options)
  standIns.push(standIn)
  return Object.assign(standIn, { id: identity.connector })
}

const open = (more: object = {}) =>
  hub.connectors.tunnel({ via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25, timeoutMs: 10_000, ...more })

async function readAll(stream: Duplex): Promise<Buffer> {
  const chunks: Buffer[] = []
  for await (const chunk of stream) chunks.push(chunk as Buffer)
  return Buffer.concat(chunks)
}

describe('a stream', () => {
  test('of a connector that does not know the question how far its bytes came: no answer, at once', async () => {
    await connector()
    const stream = await open()
    const at = performance.now()
    const never = new AbortController().signal
    const trace = traceOf(stream) ?? expect.fail('the stream has no name')
    expect(await hub.connectors.fateOf(trace, { mailAt: 0, written: 1 }, never)).toBeUndefined()
    expect(performance.now() - at).toBeLessThan(hubLimits.fateMs / 2)
    stream.destroy()
  })

  test('carries bytes both ways, half-closes, and is gone afterwards', async () => {
    const { id } = await connector()
    const stream = await open()
    stream.end('EHLO hub\r\n')
    expect((await readAll(stream)).toString()).toBe('EHLO hub\r\n')
    await until(() => stream.closed && hub.connectors.get(id).openStreams === 0)
    expect(hub.connectors.traffic()).toMatchObject([
      { location: 'dc-frankfurt', opened: 1, sentBytes: 10, receivedBytes: 10 },
    ])
  })

  test('moves megabytes unchanged, and waits while the other side does not read', async () => {
    let resume = () => {}
    await connector('dc-frankfurt', {
      onConnect: stream => {
        stream.respond({ ':status': 200 })
        resume = () => stream.pipe(stream)
      },
    })
    const stream = await open()
    const block = Buffer.alloc(1024 * 1024, 'abcdefgh')
    let written = 0
    while (stream.write(block, () => written++)) await new Promise(setImmediate)
    const blocks = 24
    for (let sent = 1; sent < blocks; sent++) stream.write(block, () => written++)
    stream.end()
    await until(() => written > 0)
    // 4 MiB of the stream and what the layers between hold; not all of it.
    expect(written).toBeLessThan(blocks - 4)
    resume()
    const back = await readAll(stream)
    expect(back.length % block.length).toBe(0)
    expect(back.length).toBeGreaterThanOrEqual(blocks * block.length)
    expect(back.subarray(-block.length).equals(block)).toBe(true)
  })

  test('that nobody reads does not hold up another one', async () => {
    await connector('dc-frankfurt', {
      virtualHosts: ['flood.virtual:25', 's4-smtp.virtual:25'],
      onConnect: (stream, headers) => {
        if (headers[':authority'] !== 'flood.virtual:25') return echo(stream, headers)
        stream.respond({ ':status': 200 })
        stream.write(Buffer.alloc(16 * 1024 * 1024))
      },
    })
    const floods = await Promise.all(Array.from({ length: 10 }, () => open({ host: 'flood.virtual' })))
    const stream = await open()
    stream.end('through')
    expect((await readAll(stream)).toString()).toBe('through')
    for (const flood of floods) flood.destroy()
  })

  test.each([
    [
      'the connector resets it',
      (stream: ServerHttp2Stream) => stream.destroy(new Error('cut')),
      'LOCATION_STREAM_RESET',
    ],
    ['the connector dies', (stream: ServerHttp2Stream) => stream.session?.socket.destroy(), 'LOCATION_TUNNEL_LOST'],
  ])('ends with an error and never with a quiet end when %s', async (_, cut, code) => {
    await connector('dc-frankfurt', {
      onConnect: stream => {
        stream.respond({ ':status': 200 })
        stream.write('220 half a ban')
        stream.once('data', () => cut(stream))
      },
    })
    const stream = await open()
    let hasEnded = false
    stream.on('end', () => {
      hasEnded = true
    })
    await once(stream, 'data')
    stream.write('x')
    const [error] = await once(stream, 'error')
    expect(error).toMatchObject({ code, retry: 'soon' })
    await until(() => stream.closed)
    expect(hasEnded).toBe(false)
  })

  test('that the hub destroys is reset over there', async () => {
    const codes: number[] = []
    const { id } = await connector('dc-frankfurt', {
      onConnect: stream => {
        stream.respond({ ':status': 200 })
        stream.resume()
        stream.on('end', () => codes.push(-1))
        stream.on('close', () => codes.push(stream.rstCode))
      },
    })
    const stream = await open()
    stream.write('half a mail')
    stream.destroy()
    await until(() => codes.length === 1 && hub.connectors.get(id).openStreams === 0)
    expect(codes).toEqual([constants.NGHTTP2_INTERNAL_ERROR])
  })

  test('carries TLS of the hub, whose first bytes travel with the request', async () => {
    const { cert, key, ca } = await makeTwinCertificate(['s4-smtp.virtual'])
    const firstBytes: number[] = []
    await connector('dc-frankfurt', {
      onConnect: stream => {
        // Answers only when the client hello is here already: otherwise both sides would wait for ever.
        stream.once('readable', () => {
          firstBytes.push(stream.readableLength)
          stream.respond({ ':status': 200 })
          const secure = new tls.TLSSocket(stream, { isServer: true, cert, key })
          secure.on('error', () => {})
          secure.pipe(secure)
        })
      },
    })
    const connect = makeConnect({ tunnel: hub.connectors.tunnel })
    const request = { via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25, timeoutMs: 10_000 }
    const socket = await connect({ ...request, tls: { ca } })
    socket.end('secret')
    expect((await readAll(socket)).toString()).toBe('secret')
    expect(firstBytes[0]).toBeGreaterThan(100)
  })

  test('with TLS that is refused fails with the refusal, not with a TLS error', async () => {
    await connector('dc-frankfurt', { onConnect: refuseWith(502, 'connection refused by 10.0.0.7:25') })
    const connect = makeConnect({ tunnel: hub.connectors.tunnel })
    const request = { via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25, timeoutMs: 10_000 }
    await expect(connect({ ...request, tls: {} })).rejects.toMatchObject({
      code: 'LOCATION_NO_TARGET',
      message: expect.stringContaining('10.0.0.7:25'),
    })
  })

  test('with TLS moves on to the next connector with its first bytes', async () => {
    const { cert, key, ca } = await makeTwinCertificate(['s4-smtp.virtual'])
    const refuse: OnConnect = stream => stream.once('readable', () => refuseWith(503, 'all down')(stream, {}))
    const serve: OnConnect = stream => {
      stream.respond({ ':status': 200 })
      const secure = new tls.TLSSocket(stream, { isServer: true, cert, key })
      secure.on('error', () => {})
      secure.pipe(secure)
    }
    const one = await connector('dc-frankfurt', { onConnect: refuse })
    const two = await connector('dc-frankfurt', { onConnect: serve })
    const connect = makeConnect({ tunnel: hub.connectors.tunnel })
    const request = { via: 'dc-frankfurt', host: 's4-smtp.virtual', port: 25, timeoutMs: 10_000 }
    for (let turn = 0; turn < 4; turn++) {
      const socket = await connect({ ...request, tls: { ca } })
      socket.end('x')
      expect((await readAll(socket)).toString()).toBe('x')
    }
    expect(two.asked).toHaveLength(4)
    expect(one.asked.length).toBeGreaterThan(0)
  })
})

describe('a connection that is not opened says why', () => {
  const cases: [string, OnConnect, object][] = [
    [
      'not listed',
      refuseWith(403, 'not on the list'),
      { code: 'LOCATION_NOT_ALLOWED', side: 'flow', retry: 'after-change' },
    ],
    ['too many', refuseWith(429, '500 open'), { code: 'LOCATION_TOO_MANY_STREAMS', retry: 'soon', isThrottling: true }],
    ['no target', refuseWith(502, 'refused'), { code: 'LOCATION_NO_TARGET', side: 'receiver', retry: 'soon' }],
    ['none healthy', refuseWith(503, 'all ejected'), { code: 'LOCATION_NONE_HEALTHY', retry: 'soon' }],
    ['stopping', refuseWith(410, 'stops'), { code: 'LOCATION_REFUSED', retry: 'soon' }],
    ['another status', refuseWith(418, ''), { code: 'LOCATION_REFUSED' }],
    ['words that are no percent code', refuseWith(502, '%'), { code: 'LOCATION_NO_TARGET' }],
    ['a reset', stream => stream.close(constants.NGHTTP2_REFUSED_STREAM), { code: 'LOCATION_TUNNEL_LOST' }],
  ]
  test.each(cases)('%s', async (_, onConnect, expected) => {
    const { id } = await connector('dc-frankfurt', { onConnect })
    await expect(open()).rejects.toMatchObject(expected)
    await until(() => hub.connectors.get(id).openStreams === 0)
  })

  test('no connector enrolled, none connected, and silence', async () => {
    await expect(open()).rejects.toMatchObject({ code: 'NET_NO_CONNECTOR' })
    await enrolAt(hub, 'dc-frankfurt')
    await expect(open({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'LOCATION_NOT_CONNECTED', retry: 'soon' })
    await connector('dc-frankfurt', { onConnect: () => {} })
    await expect(open({ timeoutMs: 200 })).rejects.toMatchObject({ code: 'NET_CONNECT_TIMEOUT' })
    const stop = new AbortController()
    const opening = expect(open({ signal: stop.signal })).rejects.toMatchObject({ code: 'HUB_STOPPING' })
    stop.abort()
    await opening
  })

  test('what is not listed is asked all the same, and audited with the flow', async () => {
    const { asked } = await connector('dc-frankfurt', { onConnect: refuseWith(403, 'not on the list') })
    const ask = () => open({ host: 'DB.intern', port: 5432, purpose: 'mail-o365-to-s4' })
    await expect(ask()).rejects.toMatchObject({ code: 'LOCATION_NOT_ALLOWED' })
    await expect(ask()).rejects.toMatchObject({ code: 'LOCATION_NOT_ALLOWED' })
    expect(asked).toEqual(['db.intern:5432', 'db.intern:5432'])
    const entries = hub.records.entries.filter(({ action }) => action === 'connector.refused-stream')
    expect(entries).toHaveLength(1)
    expect(entries[0]).toMatchObject({ who: 'flow:mail-o365-to-s4', detail: { virtualHost: 'db.intern:5432' } })
  })

  test('a list that was extended meanwhile acts at once', async () => {
    const standIn = await connector('dc-frankfurt', { virtualHosts: [] })
    standIn.virtualHosts.push('s4-smtp.virtual:25')
    const stream = await open()
    stream.destroy()
    await until(() => hub.connectors.get(standIn.id).virtualHosts.length === 1)
  })
})

describe('of several connectors', () => {
  test('whoever waits is told when a location is there, and when it lists what it did not list', async () => {
    const told: string[] = []
    hub.connectors.onReachable(location => told.push(location))
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const tunnel = async (...virtualHosts: string[]) => {
      standIns.push(await startStandIn(hub, identity, { virtualHosts }))
      return told.splice(0)
    }
    expect(await tunnel('s4-smtp.virtual:25')).toEqual(['dc-frankfurt'])
    expect(await tunnel('s4-smtp.virtual:25')).toEqual([])
    expect(await tunnel('s4-smtp.virtual:25', 's4-odata.virtual:80')).toEqual(['dc-frankfurt'])
    expect(await tunnel('s4-odata.virtual:80', 's4-smtp.virtual:25')).toEqual([])
  })

  test('the least loaded takes the next stream', async () => {
    const one = await connector()
    const two = await connector()
    const streams = await Promise.all(Array.from({ length: 10 }, () => open()))
    expect([one.asked.length, two.asked.length]).toEqual([5, 5])
    for (const stream of streams) stream.destroy()
  })

  test('one that cannot reach a server leaves it to the other', async () => {
    await connector('dc-frankfurt', { onConnect: refuseWith(502, 'refused') })
    const two = await connector()
    for (let turn = 0; turn < 4; turn++) (await open()).destroy()
    expect(two.asked).toHaveLength(4)
  })

  test('only those of the location and with the virtual host are asked', async () => {
    const other = await connector('dc-walldorf')
    const without = await connector('dc-frankfurt', { virtualHosts: ['other.virtual:25'] })
    const right = await connector()
    for (let turn = 0; turn < 4; turn++) (await open()).destroy()
    expect([other.asked, without.asked, right.asked.length]).toEqual([[], [], 4])
  })

  test('a shadow carries streams only while no active one is there', async () => {
    const shadow = await connector('dc-frankfurt', { mode: 'shadow' })
    const active = await connector()
    for (let turn = 0; turn < 3; turn++) (await open()).destroy()
    expect([active.asked.length, shadow.asked.length]).toEqual([3, 0])
    await active.close()
    await until(() => hub.connectors.get(active.id).state === 'away')
    ;(await open()).destroy()
    expect(shadow.asked).toHaveLength(1)
  })

  test('a connector that becomes a shadow keeps nobody out, however long its last streams stay', async () => {
    const active = await connector()
    const stream = await open()
    const shadow = await connector('dc-frankfurt', { mode: 'shadow' })
    active.session.goaway()
    await until(() => hub.connectors.get(active.id).tunnels.length === 1)
    // As with one that takes no new streams: asked until the hub has heard it.
    await until(async () => {
      ;(await open()).destroy()
      return shadow.asked.length > 0
    })
    stream.end('to the end')
    expect((await readAll(stream)).toString()).toBe('to the end')
  })

  test('one that falls silent is found within seconds, and what it carried fails at once', async () => {
    const frozen = await connector()
    const stream = await open()
    const lost = once(stream, 'error')
    const at = performance.now()
    frozen.freeze()
    const other = await connector()
    const [error] = await lost
    expect(error).toMatchObject({ code: 'LOCATION_TUNNEL_LOST', retry: 'soon' })
    expect(performance.now() - at).toBeLessThan(6000)
    expect(hub.connectors.get(frozen.id).state).toBe('away')
    ;(await open()).destroy()
    expect(other.asked).toHaveLength(1)
  })

  test('an open that waits for a silent one goes to the other', async () => {
    const frozen = await connector()
    const other = await connector()
    frozen.freeze()
    // Least loaded first: one of two goes to the silent one and must come back.
    const streams = await Promise.all([open(), open()])
    expect(other.asked).toHaveLength(2)
    for (const stream of streams) stream.destroy()
  })

  test('a connector that was started anew takes the place of its earlier self', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const before = await startStandIn(hub, identity, { run: 'run-1' })
    before.freeze()
    const after = await startStandIn(hub, identity, { run: 'run-2' })
    standIns.push(before, after)
    await until(() => hub.connectors.get(identity.connector).tunnels.length === 1)
    ;(await open()).destroy()
    expect(after.asked).toHaveLength(1)
  })

  test('a connection waits a moment for a connector that is about to come back', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const opening = open()
    standIns.push(await startStandIn(hub, identity))
    ;(await opening).destroy()
  })

  test('two programs with one identity do not cut each other: the one that was started later stays', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const original = await startStandIn(hub, identity, { run: 'run-1' })
    const copy = await startStandIn(hub, identity, { run: 'run-2' })
    standIns.push(original, copy)
    await until(() => original.socket.destroyed)
    const again = await dial(hub.port, identity)
    const { words, code } = await turnedAway(again, 'run-1')
    expect(code).toBe(constants.NGHTTP2_INADEQUATE_SECURITY)
    expect(words).toContain(`Connector ${identity.connector} runs twice`)
    expect(copy.socket.destroyed).toBe(false)
    expect(hub.records.entries.map(({ detail }) => detail['code'])).toContain('ENROL_IDENTITY_TWICE')

    await copy.close()
    await until(() => hub.connectors.get(identity.connector).state === 'away')
    standIns.push(await startStandIn(hub, identity, { run: 'run-1' }))
    expect(hub.connectors.get(identity.connector).state).toBe('connected')
  })

  test('a connection waits a moment for one that stops and is started anew', async () => {
    const stopping = await connector('dc-frankfurt', { onConnect: refuseWith(410, 'The connector stops.') })
    hub.clock.offsetMs += 5 * MINUTE
    const comeBack = async () => {
      await until(() => stopping.asked.length > 0)
      await connector('dc-frankfurt', { run: 'run-2' })
    }
    const [stream] = await Promise.all([open(), comeBack()])
    stream.end('through')
    expect((await readAll(stream)).toString()).toBe('through')
  })

  test('one that says goodbye and is not heard of again is gone within seconds', async () => {
    const gone = await connector()
    Object.assign(hub.clock, { offsetMs: 5 * MINUTE, timesFaster: 20 })
    const stream = await open()
    stream.destroy()
    const leftAt = Date.now() + hub.clock.offsetMs
    gone.session.goaway(constants.NGHTTP2_NO_ERROR)
    gone.freeze()
    await until(() => hub.connectors.locations()[0]?.connected === 0)
    expect(hub.connectors.locations()[0]?.awaySince).toBeGreaterThanOrEqual(leftAt)
    // Written when its connection is closed.
    await until(() => (hub.connectors.get(gone.id).lastSeenAt ?? 0) >= leftAt)
  })

  test('tunnels that only wait for their last streams keep no new one out', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const streams: Duplex[] = []
    for (let count = 0; count < hubLimits.tunnelsPerConnector; count++) {
      const ending = await startStandIn(hub, identity)
      standIns.push(ending)
      const stream = await open()
      streams.push(stream.on('error', () => {}))
      ending.session.goaway(constants.NGHTTP2_NO_ERROR)
    }
    standIns.push(await startStandIn(hub, identity))
    const stream = await open()
    stream.end('through')
    expect((await readAll(stream)).toString()).toBe('through')
    expect(streams.map(each => each.destroyed)).toEqual([true, ...streams.slice(1).map(() => false)])
  })

  test('one that says goodbye gets no new streams, and what it carries goes on', async () => {
    const leaving = await connector()
    const stream = await open()
    leaving.session.goaway()
    const other = await connector()
    await until(async () => {
      ;(await open()).destroy()
      return other.asked.length > 1
    })
    stream.end('to the end')
    expect((await readAll(stream)).toString()).toBe('to the end')
  })
})

describe('a check of a path says where it ends', () => {
  const check = async (virtualHost?: string) => {
    const { ok, steps } = await hub.connectors.check('dc-frankfurt', virtualHost)
    return { ok, words: steps.map(step => `${step.ok ? 'ok' : 'FAIL'} ${step.what}`), next: steps.at(-1)?.next }
  }

  test('nobody enrolled, nobody connected, nothing listed', async () => {
    expect(await check()).toMatchObject({ ok: false, words: [expect.stringMatching(/^FAIL No connector is enrolled/)] })
    await enrolAt(hub, 'dc-frankfurt')
    expect(await check()).toMatchObject({
      ok: false,
      words: [
        expect.stringMatching(/^ok 1 enrolled/),
        expect.stringMatching(/^FAIL None is connected.*never connected/),
      ],
    })
    await connector('dc-frankfurt', { virtualHosts: [] })
    expect((await check()).words.at(-1)).toMatch(/^FAIL The connectors of dc-frankfurt list no virtual host/)
  })

  test('not on the allow-list', async () => {
    await connector()
    const { ok, words, next } = await check('db.intern:5432')
    expect(ok).toBe(false)
    expect(words.at(-1)).toMatch(/FAIL db.intern:5432 is not on the allow-list.*They list s4-smtp.virtual:25/)
    expect(next).toContain('connector.yaml')
  })

  test('one of two targets does not greet', async () => {
    const targets = [
      { address: '10.0.0.7:25', ok: true, detail: '220 s4 ESMTP', ms: 3 },
      { address: '10.0.0.8:25', ok: false, detail: 'connected, but no 220 banner came', ms: 5000 },
    ]
    await connector('dc-frankfurt', { check: { ok: false, targets } })
    const { ok, words } = await check('S4-SMTP.virtual:25')
    expect(ok).toBe(false)
    expect(words.slice(2)).toEqual([
      expect.stringMatching(/^ok s4-smtp.virtual:25 through c-.*: 10.0.0.7:25 220 s4 ESMTP/),
      expect.stringMatching(/^FAIL .*10.0.0.8:25 connected, but no 220 banner came/),
    ])
  })

  test('all is well', async () => {
    const targets = [{ address: '10.0.0.7:25', ok: true, detail: '220 s4 ESMTP', ms: 3 }]
    await connector('dc-frankfurt', { check: { ok: true, targets } })
    expect((await check()).ok).toBe(true)
  })
})
