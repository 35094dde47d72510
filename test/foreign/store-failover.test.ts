import { once } from 'node:events'
import { mkdirSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { stringify } from 'yaml'
import { corpusSeed, seededRandom } from '../corpus/seeded-random.ts'
import { describeForeign } from './servers/needs.ts'
import { type Postgresql, startPostgresql } from './servers/postgresql.ts'
import { type ServerProcess, startProcess } from './servers/server-process.ts'
import { freePorts, waitFor } from './servers/wait.ts'
import { makeWorkFolder } from './servers/work-folder.ts'

const seed = Number(process.env['ISTHMUS_FAILOVER_SEED'] ?? corpusSeed)
const orderCount = Number(process.env['ISTHMUS_FAILOVER_ORDERS'] ?? 1200)
const keyCount = 24
const settleMs = 120_000
const program = join(import.meta.dirname, '../../src/cli/isthmus.js')
const masterKey = `first:${Buffer.alloc(32, 7).toString('base64')}`

const random = seededRandom(seed)
const folder = makeWorkFolder('failover')
/** Numbers that were applied for each key, in the order of their application. */
const applied = new Map<string, number[]>()
const seenKeys = new Set<string>()
let repeatCount = 0

/** Applies what comes under a new key, is busy now and then, and sometimes loses its answer. */
const target = createServer((request, response) => {
  const chunks: Buffer[] = []
  request.on('data', (chunk: Buffer) => chunks.push(chunk))
  request.on('end', () => {
    const chance = random()
    if (chance < 0.02) {
      response.writeHead(503).end()
      return
    }
    const once = String(request.headers['idempotency-key'])
    if (seenKeys.has(once)) repeatCount += 1
    else {
      seenKeys.add(once)
      const { key, number } = JSON.parse(Buffer.concat(chunks).toString('utf8')) as { key: string; number: number }
      applied.set(key, [...(applied.get(key) ?? []), number])
    }
    if (chance > 0.99) request.socket.destroy()
    else setTimeout(() => response.writeHead(204).end(), chance * 10)
  })
})

describeForeign('two hubs on one store of PostgreSQL', ['postgresql'], () => {
  let database: Postgresql
  let hubs: readonly [ServedHub, ServedHub]

  beforeAll(async () => {
    target.listen(0, '127.0.0.1')
    await once(target, 'listening')
    database = await startPostgresql()
    const address = target.address()
    const url = `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}/orders`
    const ports = await freePorts(4)
    const hub = (name: string, admin = 0, endpoints = 0) => new ServedHub({ name, admin, endpoints, url, database })
    hubs = [hub('one', ports[0], ports[1]), hub('other', ports[2], ports[3])]
  })
  afterAll(async () => {
    for (const hub of hubs ?? []) await hub.stop()
    await database?.stop()
    target.closeAllConnections()
    target.close()
    await once(target, 'close')
    folder.remove()
  })

  test(`${orderCount} orders while hubs and database are killed: none lost, none twice, none out of order (seed ${seed})`, {
    timeout: 400_000,
  }, async () => {
    for (const hub of hubs) hub.start()
    let sentCount = 0
    const sending = Promise.all(Array.from({ length: keyCount }, (_, index) => send(`key-${index}`)))
    // Looked at in the end; until then a failure must not end the process.
    sending.catch(() => {})
    const kills: string[] = []
    // By turns the hub that works, the one that stands by, and the database under both.
    for (const [index, victim] of (['working', 'working', 'database', 'standing by', 'working'] as const).entries()) {
      const until = ((index + 0.3 + 0.6 * random()) / 5) * orderCount
      await waitFor('its moment', settleMs, () => sentCount >= until)
      kills.push(`${victim} at ${sentCount}`)
      if (victim === 'database') {
        await database.kill9()
        await waitFor('both hubs to end', settleMs, () => hubs.every(hub => !hub.isRunning))
        for (const hub of hubs) expect(hub.output()).toMatch(/STORE_(CONNECTION_LOST|UNREACHABLE)/)
        await database.restart()
        for (const hub of hubs) hub.start()
        continue
      }
      const ready = await waitFor('a hub to work', settleMs, async () => {
        for (const hub of hubs) if (await hub.isReady()) return hub
        return undefined
      })
      const hit = victim === 'working' ? ready : hubs.find(hub => hub !== ready)
      await hit?.kill9()
      hit?.start()
    }
    await sending

    const expected = Array.from({ length: orderCount / keyCount }, (_, number) => number)
    await waitFor('every order to arrive', settleMs, () =>
      [...applied.values()].every(numbers => numbers.length >= expected.length),
    )
    expect([...applied.keys()].toSorted()).toEqual(Array.from({ length: keyCount }, (_, at) => `key-${at}`).toSorted())
    for (const [key, numbers] of applied) expect({ key, numbers }).toEqual({ key, numbers: expected })
    console.info(`seed ${seed}: killed ${kills.join(', ')}; ${repeatCount} requests came again under their key`)

    /** As a caller does: the next order of a key when the one before is safe, whichever hub takes it. */
    async function send(key: string): Promise<void> {
      for (let number = 0; number < orderCount / keyCount; number++) {
        const deadline = Date.now() + settleMs
        while (!(await passes({ key, number }))) {
          if (Date.now() > deadline) throw new Error(`No hub takes orders: ${hubs.map(hub => hub.output()).join('\n')}`)
          await sleep(50)
        }
        sentCount += 1
      }
    }

    async function passes(order: { readonly key: string; readonly number: number }): Promise<boolean> {
      for (const hub of hubs) if (await hub.takes(order)) return true
      return false
    }
  })
})

interface Served {
  readonly name: string
  readonly admin: number
  readonly endpoints: number
  readonly url: string
  readonly database: Postgresql
}

/** `isthmus serve` in a folder of its own. */
class ServedHub {
  readonly #served: Served
  readonly #folder: string
  #process: ServerProcess | undefined

  constructor(served: Served) {
    const { name, admin, endpoints, url, database } = served
    this.#served = served
    this.#folder = join(folder.path, name)
    mkdirSync(this.#folder)
    const { host, port, user, schema, password = '' } = database.address('orders')
    writeFileSync(join(this.#folder, 'password'), `${password}\n`)
    writeFileSync(join(this.#folder, 'ca.pem'), database.ca)
    // As for a server elsewhere: with TLS, and the password from a file.
    const store = { postgres: { host, port, user, schema, 'password-file': 'password', tls: true } }
    const config = {
      flows: ['flow.yaml'],
      admin: { port: admin },
      endpoints: { port: endpoints },
      store,
      trust: ['ca.pem'],
    }
    writeFileSync(join(this.#folder, 'isthmus.yaml'), stringify(config))
    writeFileSync(
      join(this.#folder, 'flow.yaml'),
      `
flow: orders
from: { https: { path: /orders, once-header: Order-Id, headers: [order-key] } }
to: { http: { url: "${url}", idempotency-key: Idempotency-Key, timeout: 10s } }
delivery:
  order-by: message.headers['order-key']
  retry: { every: 100ms, up-to: 1s, for: 1h }
`,
    )
  }

  start(): void {
    const env = { ...process.env, ISTHMUS_MASTER_KEY: masterKey }
    this.#process = startProcess(process.execPath, [program, 'serve'], { cwd: this.#folder, env })
  }

  get isRunning(): boolean {
    return this.#process?.isRunning() ?? false
  }

  output(): string {
    return this.#process?.output() ?? ''
  }

  async isReady(): Promise<boolean> {
    const answer = await fetch(`http://127.0.0.1:${this.#served.admin}/readyz`).catch(() => undefined)
    await answer?.arrayBuffer()
    return answer?.ok ?? false
  }

  async takes(order: { readonly key: string; readonly number: number }): Promise<boolean> {
    try {
      const answer = await fetch(`http://127.0.0.1:${this.#served.endpoints}/flows/orders`, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'order-id': `${order.key}-${order.number}`,
          'order-key': order.key,
        },
        body: JSON.stringify(order),
      })
      await answer.arrayBuffer()
      return answer.ok
    } catch {
      // Nobody listens there, or it was killed while it did.
      return false
    }
  }

  async kill9(): Promise<void> {
    await this.#process?.kill9()
  }

  async stop(): Promise<void> {
    await this.#process?.stop()
  }
}
