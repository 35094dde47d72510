import { once } from 'node:events'
import http2 from 'node:http2'
import net from 'node:net'
import tls from 'node:tls'
import { afterEach, beforeEach, describe, expect, test } from 'vitest'
import { DAY, HOUR, MINUTE } from '../../kernel/time.ts'
import {
  dial,
  enrolAt,
  type HubWorld,
  makeKeyAndRequest,
  over,
  postToHub,
  startHubSide,
  startStandIn,
  until,
  type WorldIdentity,
} from './connector-world.ts'
import { hubLimits } from './limits.ts'

let hub: HubWorld
let foreign: HubWorld | undefined

beforeEach(async () => {
  hub = await startHubSide()
})
afterEach(async () => {
  await foreign?.close()
  foreign = undefined
  await hub.close()
})

const enrol = (body: object) => postToHub(hub.port, '/connector/enrol', body)

describe('enrolment', () => {
  test('gives a certificate of the hub for the location of the token, and stands in the audit log', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt', 'vm-17')
    expect(identity).toMatchObject({ location: 'dc-frankfurt', nodes: [`127.0.0.1:${hub.port}`] })
    expect(identity.authorities).toEqual(hub.authority.authorities().map(({ certificate }) => certificate))
    expect(hub.connectors.get(identity.connector)).toMatchObject({ name: 'vm-17', state: 'away' })
    expect(hub.records.entries).toMatchObject([
      { action: 'connector.enrolled', detail: { connector: identity.connector, location: 'dc-frankfurt' } },
    ])
  })

  test('the name that the hub gave with the token goes before the one that the connector gives itself', async () => {
    const token = await hub.connectors.makeToken('dc-frankfurt', 'edge-1')
    const { csr } = await makeKeyAndRequest()
    await enrol({ token: token.text, csr, name: 'localhost' })
    expect(hub.connectors.list()).toMatchObject([{ name: 'edge-1' }])
  })

  test('nothing that is kept would let anybody enrol', async () => {
    const { text } = await hub.connectors.makeToken('dc-frankfurt', undefined)
    expect(text).toMatch(/^isthmus-enrol\.[0-9a-f]{12}\.[0-9A-Za-z]{43}\.[0-9a-f]{64}$/)
    expect(text.split('.')[3]).toBe(hub.authority.authorities()[0]?.fingerprint)
    expect(hub.records.dump()).not.toContain(text.split('.')[2])
  })

  test('a token that ten use at the same moment works once', async () => {
    const { text } = await hub.connectors.makeToken('dc-frankfurt', undefined)
    const { csr } = await makeKeyAndRequest()
    const answers = await Promise.all(Array.from({ length: 10 }, () => enrol({ token: text, csr, name: 'x' })))
    expect(answers.map(({ status }) => status).toSorted((left, right) => left - right)).toEqual([
      201,
      ...Array(9).fill(403),
    ])
    expect(hub.connectors.list()).toHaveLength(1)
    const refused = answers.filter(({ status }) => status === 403).map(({ body }) => body.code)
    expect(new Set(refused)).toEqual(new Set(['ENROL_TOKEN_USED']))
  })

  test('a request that cannot be signed does not use the token up', async () => {
    const { text } = await hub.connectors.makeToken('dc-frankfurt', undefined)
    const { csr } = await makeKeyAndRequest()
    expect((await enrol({ token: text, csr: 'nothing', name: 'x' })).body).toMatchObject({
      code: 'CERTIFICATE_REQUEST_REFUSED',
    })
    expect((await enrol({ token: text, csr, name: 'x' })).status).toBe(201)
  })

  const flip = (text: string, at: number) => text.slice(0, at) + (text[at] === 'a' ? 'b' : 'a') + text.slice(at + 1)
  const tokens: [string, (good: string) => string | Promise<string>, string][] = [
    ['a secret with one other letter', good => flip(good, 40), 'ENROL_TOKEN_REFUSED'],
    ['another id', good => flip(good, 16), 'ENROL_TOKEN_REFUSED'],
    ['no token at all', () => 'please', 'ENROL_TOKEN_REFUSED'],
    [
      'the secret of another token',
      async good => {
        const other = (await hub.connectors.makeToken('dc-walldorf', undefined)).text.split('.')
        return good
          .split('.')
          .with(2, other[2] ?? '')
          .join('.')
      },
      'ENROL_TOKEN_REFUSED',
    ],
    [
      'a token that was used',
      async good => {
        const { csr } = await makeKeyAndRequest()
        await enrol({ token: good, csr, name: 'first' })
        return good
      },
      'ENROL_TOKEN_USED',
    ],
    [
      'a token of a quarter of an hour ago',
      good => {
        hub.clock.offsetMs = 15 * MINUTE + 1
        return good
      },
      'ENROL_TOKEN_ENDED',
    ],
  ]
  test.each(tokens)(
    '%s is refused, and audited',
    async (_, make, code) => {
      const good = (await hub.connectors.makeToken('dc-frankfurt', undefined)).text
      const { csr } = await makeKeyAndRequest()
      const token = await make(good)
      const before = hub.connectors.list().length
      const { status, body } = await enrol({ token, csr, name: 'x' })
      expect(status).toBe(403)
      expect(body).toMatchObject({
        code,
        side: 'caller',
        next: expect.stringMatching(/isthmus connector enrol|make a new token/),
      })
      expect(hub.connectors.list()).toHaveLength(before)
      expect(hub.records.entries.at(-1)).toMatchObject({ action: 'connector.enrol-refused', detail: { code } })
      expect(JSON.stringify(hub.records.entries)).not.toContain(token.split('.')[2] ?? 'please')
    },
    30_000,
  )

  const bodies: [string, unknown][] = [
    ['no JSON', '{"token":'],
    ['an array', []],
    ['nothing in it', {}],
    ['a further field', { token: 'x', csr: 'x', name: 'x', location: 'dc-walldorf' }],
    ['a number for a name', { token: 'x', csr: 'x', name: 7 }],
    ['a request of a megabyte', { token: 'x', csr: 'A'.repeat(1 << 20), name: 'x' }],
    ['a prototype', '{"__proto__":{"token":"x"},"csr":"x","name":"x"}'],
  ]
  test.each(bodies)('a body with %s is answered with 400', async (_, body) => {
    expect(await postToHub(hub.port, '/connector/enrol', body)).toMatchObject({
      status: 400,
      body: { code: 'ENROL_REQUEST_INVALID' },
    })
    expect(hub.records.entries).toEqual([])
  })

  test('other paths and a flood from one address are refused', async () => {
    expect(await postToHub(hub.port, '/api/connectors', {})).toMatchObject({ status: 400 })
    const statuses: number[] = []
    for (let turn = 0; turn <= hubLimits.requestsPerMinute; turn++) statuses.push((await enrol({})).status)
    expect(new Set(statuses.slice(0, -1))).toEqual(new Set([400]))
    expect(statuses.at(-1)).toBe(429)
    hub.clock.offsetMs = MINUTE
    expect((await enrol({})).status).toBe(400)
  }, 30_000)

  test('a name that is no location gets no token', async () => {
    for (const name of ['', 'DC Frankfurt', '-dc', 'a'.repeat(64), '../x']) {
      await expect(hub.connectors.makeToken(name, undefined)).rejects.toMatchObject({
        code: 'LOCATION_LOCATION_INVALID',
      })
    }
  })
})

describe('renewal', () => {
  test('gives a second certificate, and both are good until the first ends', async () => {
    const first = await enrolAt(hub, 'dc-frankfurt')
    const { key, csr } = await makeKeyAndRequest()
    const answer = await postToHub(hub.port, '/connector/renew', { csr }, first)
    expect(answer).toMatchObject({ status: 201, body: { connector: first.connector, location: 'dc-frankfurt' } })
    const second = { ...(answer.body as unknown as WorldIdentity), key }
    for (const [run, identity] of [first, second].entries()) {
      const standIn = await startStandIn(hub, identity, { run: `run-${run}` })
      expect(hub.connectors.get(first.connector).state).toBe('connected')
      await standIn.close()
    }
    expect(hub.records.actions()).toEqual(['connector.enrolled', 'connector.renewed'])
  })

  test('needs a certificate, and the one of a revoked connector gets none', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const { csr } = await makeKeyAndRequest()
    expect(await postToHub(hub.port, '/connector/renew', { csr })).toMatchObject({
      status: 403,
      body: { code: 'ENROL_CERTIFICATE_REFUSED' },
    })
    await hub.connectors.revoke(identity.connector, 'laptop lost', 'admin')
    expect(await postToHub(hub.port, '/connector/renew', { csr }, identity)).toMatchObject({
      status: 403,
      body: { code: 'ENROL_CERTIFICATE_REFUSED', title: expect.stringContaining('revoked') },
    })
  })

  test('of a connector that renews again and again leaves it three certificates', async () => {
    let identity = await enrolAt(hub, 'dc-frankfurt')
    const first = identity
    for (let turn = 0; turn < hubLimits.certificatesKept; turn++) {
      const { key, csr } = await makeKeyAndRequest()
      const { body } = await postToHub(hub.port, '/connector/renew', { csr }, identity)
      identity = { ...(body as unknown as WorldIdentity), key }
    }
    const { csr } = await makeKeyAndRequest()
    expect((await postToHub(hub.port, '/connector/renew', { csr }, first)).status).toBe(403)
    expect((await postToHub(hub.port, '/connector/renew', { csr }, identity)).status).toBe(201)
  })

  test('of a connector whose disk keeps none of the new ones never costs it the one it has', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const standIn = await startStandIn(hub, identity, { run: 'run-1' })
    for (let turn = 0; turn <= 2 * hubLimits.certificatesKept; turn++) {
      const { csr } = await makeKeyAndRequest()
      expect((await postToHub(hub.port, '/connector/renew', { csr }, identity)).status).toBe(201)
    }
    expect(hub.connectors.get(identity.connector).state).toBe('connected')
    await standIn.close()
  })
})

describe('a tunnel', () => {
  /** Dials and serves; resolves with what the hub says before it closes, or undefined when it asks for the hello. */
  async function refusalOf(identity: { certificate: string; key: string } | undefined): Promise<string | undefined> {
    const socket = await dial(hub.port, identity)
    const session = http2.performServerHandshake(socket, {})
    session.on('error', () => {})
    let words = ''
    session.on('goaway', (_code, _last, text) => {
      words = Buffer.from(text ?? new Uint8Array()).toString()
    })
    const greeted = new Promise<undefined>(resolve => session.once('stream', () => resolve(undefined)))
    const closed = over(socket).then(() => words || 'closed without a word')
    const outcome = await Promise.race([greeted, closed])
    socket.destroy()
    return outcome
  }

  test('of a good certificate is greeted', async () => {
    expect(await refusalOf(await enrolAt(hub, 'dc-frankfurt'))).toBeUndefined()
  })

  test('of a connector whose clock is half a day behind is taken, also right after the start of the hub', async () => {
    foreign = await startHubSide(12 * HOUR)
    const identity = await enrolAt(foreign, 'dc-frankfurt')
    const standIn = await startStandIn(foreign, identity)
    expect(foreign.connectors.get(identity.connector).state).toBe('connected')
    await standIn.close()
  })

  const cases: [string, () => Promise<{ certificate: string; key: string } | undefined>, RegExp][] = [
    ['no certificate', async () => undefined, /without a word/],
    [
      'the certificate of another hub',
      async () => {
        foreign = await startHubSide()
        return enrolAt(foreign, 'dc-frankfurt')
      },
      /without a word/,
    ],
    [
      'a certificate that the hub issued for a service key',
      async () => {
        const { key, csr } = await makeKeyAndRequest()
        const subject = { name: 'orders-caller' }
        return { key, ...(await hub.authority.issue({ key: { csr }, subject, days: 1, usage: 'client' })) }
      },
      /no connector orders-caller/,
    ],
    [
      'a certificate in the name of a connector that the records do not know',
      async () => {
        const { connector, location } = await enrolAt(hub, 'dc-frankfurt')
        const { key, csr } = await makeKeyAndRequest()
        const subject = { name: connector, unit: location }
        return { key, ...(await hub.authority.issue({ key: { csr }, subject, days: 1, usage: 'client' })) }
      },
      /not the one that connector/,
    ],
    [
      'a server certificate of the hub',
      async () => {
        const { key, csr } = await makeKeyAndRequest()
        return {
          key,
          ...(await hub.authority.issue({ key: { csr }, subject: { name: 'hub' }, days: 1, usage: 'server' })),
        }
      },
      /without a word|not meant for a client/,
    ],
    [
      'a certificate that has ended',
      async () => {
        // By every clock, as TLS sees it too.
        hub.clock.offsetMs = -(hubLimits.certificateDays + 1) * DAY
        const identity = await enrolAt(hub, 'dc-frankfurt')
        hub.clock.offsetMs = 0
        return identity
      },
      /is valid from/,
    ],
    [
      'a revoked certificate',
      async () => {
        const identity = await enrolAt(hub, 'dc-frankfurt')
        await hub.connectors.revoke(identity.connector, 'lost', 'admin')
        return identity
      },
      /was revoked/,
    ],
  ]
  test.each(cases)('of %s is refused, and audited', async (_, make, words) => {
    expect(await refusalOf(await make())).toMatch(words)
    await until(() => hub.records.actions().includes('connector.certificate-refused'))
    expect(hub.connectors.locations().every(({ connected }) => connected === 0)).toBe(true)
  })

  test('of strangers, each with another name, fills no audit log', async () => {
    foreign = await startHubSide()
    for (const location of ['dc-a', 'dc-b', 'dc-c']) await refusalOf(await enrolAt(foreign, location))
    await until(() => hub.records.actions().includes('connector.certificate-refused'))
    expect(hub.records.actions().filter(action => action === 'connector.certificate-refused')).toHaveLength(1)
  })

  test('is cut at once when its connector is revoked, with every stream in it, and does not come back', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const standIn = await startStandIn(hub, identity)
    const stream = await hub.connectors.tunnel({
      via: 'dc-frankfurt',
      host: 's4-smtp.virtual',
      port: 25,
      timeoutMs: 5000,
    })
    const lost = once(stream, 'error')
    const at = performance.now()
    await hub.connectors.revoke(identity.connector, 'laptop lost', 'admin')
    expect((await lost)[0]).toMatchObject({ code: 'LOCATION_TUNNEL_LOST', message: expect.stringContaining('revoked') })
    await until(() => standIn.socket.destroyed)
    expect(performance.now() - at).toBeLessThan(2000)
    expect(hub.connectors.get(identity.connector)).toMatchObject({
      state: 'revoked',
      revoked: { reason: 'laptop lost' },
    })
    expect(await refusalOf(identity)).toMatch(/revoked/)
  })

  test('ends when its certificate ends', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const standIn = await startStandIn(hub, identity)
    hub.clock.offsetMs = (hubLimits.certificateDays + 1) * DAY
    await until(() => standIn.socket.destroyed, 15_000)
  })
})

describe('the listener does not take', () => {
  test('TLS 1.2', async () => {
    await expect(dial(hub.port, undefined, { maxVersion: 'TLSv1.2' })).rejects.toThrow(/protocol version|alert/i)
  })

  test('another protocol by ALPN', async () => {
    await expect(dial(hub.port, undefined, { ALPNProtocols: ['h2'] })).rejects.toThrow(/application protocol|alert/i)
  })

  test('a client without ALPN', async () => {
    const socket = await dial(hub.port, undefined, { ALPNProtocols: [] })
    await over(socket)
    expect(socket.destroyed).toBe(true)
  })

  test('garbage in the place of TLS, of HTTP and of HTTP/2', async () => {
    const plain = net.connect(hub.port, '127.0.0.1')
    plain.write('GET / HTTP/1.1\r\n\r\n'.repeat(100))
    await over(plain)
    for (const [alpn, identity] of [
      ['http/1.1', undefined],
      ['isthmus-tunnel/1', await enrolAt(hub, 'dc-frankfurt')],
    ] as const) {
      const socket = await dial(hub.port, identity, { ALPNProtocols: [alpn] })
      socket.write(Buffer.alloc(100_000, 'garbage'))
      await over(socket)
    }
    expect((await enrolAt(hub, 'dc-frankfurt')).location).toBe('dc-frankfurt')
  })

  test('a client that sends its request letter by letter for ever', async () => {
    const socket = tls.connect({
      port: hub.port,
      host: '127.0.0.1',
      ALPNProtocols: ['http/1.1'],
      rejectUnauthorized: false,
    })
    await once(socket, 'secureConnect')
    const at = performance.now()
    socket.write('POST /connector/enrol HTTP/1.1\r\nhost: hub\r\n')
    const drip = setInterval(() => socket.write('x'), 250)
    await over(socket)
    clearInterval(drip)
    expect(performance.now() - at).toBeLessThan(hubLimits.requestMs + 5000)
  }, 40_000)

  test('so many silent strangers that an enrolled connector stays outside', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    const silent = () => dial(hub.port, undefined, { ALPNProtocols: ['http/1.1'] })
    const strangers = await Promise.all(Array.from({ length: hubLimits.unprovenConnections }, silent))
    await over(await silent())
    const standIn = await startStandIn(hub, identity)
    expect(hub.connectors.get(identity.connector).state).toBe('connected')
    for (const each of [standIn, ...strangers.map(socket => ({ close: async () => socket.destroy() }))])
      await each.close()
  })

  test('more connections of one whose certificate is revoked than of strangers', async () => {
    const identity = await enrolAt(hub, 'dc-frankfurt')
    await hub.connectors.revoke(identity.connector, 'laptop lost', 'admin')
    const silent = () => dial(hub.port, identity, { ALPNProtocols: ['http/1.1'] })
    const sockets = await Promise.all(Array.from({ length: hubLimits.unprovenConnections }, silent))
    const at = performance.now()
    await over(await silent())
    expect(performance.now() - at).toBeLessThan(hubLimits.requestMs / 2)
    for (const socket of sockets) socket.destroy()
  })

  test('a connector that never says hello for long', async () => {
    const socket = await dial(hub.port, await enrolAt(hub, 'dc-frankfurt'))
    await over(socket)
    expect(hub.connectors.locations()).toMatchObject([{ connected: 0 }])
  }, 40_000)
})
