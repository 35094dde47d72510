import { once } from 'node:events'
import { cpSync, existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { startProcess } from '../foreign/servers/server-process.ts'
import { freePorts, waitFor } from '../foreign/servers/wait.ts'
import { GuideMachine, isHubReady } from '../hub/guide.ts'

// In the row, in a segment, in a file of its own.
const bodyBytes = [500, 30_000, 400_000] as const
const largeBytes = 30_000_000
const largeNumbers = [90_000, 90_003, 90_006]

let root: string
let first: Machine
let receiver: Awaited<ReturnType<typeof startReceiver>>
/** What the hub had said yes to when the backup began, and the receiver has not. */
let waiting: readonly number[] = []

interface Machine {
  readonly machine: GuideMachine
  readonly adminPort: number
  readonly endpointsPort: number
}

beforeAll(async () => {
  root = mkdtempSync(join(tmpdir(), 'isthmus-store-backup-'))
  receiver = await startReceiver()
  first = await newMachine('first')
})
afterAll(async () => {
  await first?.machine.stop()
  await receiver?.stop()
  rmSync(root, { recursive: true, force: true })
})

/** A folder with the configuration of the hub, and ports of its own. */
async function newMachine(name: string): Promise<Machine> {
  const [adminPort = 0, endpointsPort = 0] = await freePorts(2)
  const environment = { ISTHMUS_URL: `http://127.0.0.1:${adminPort}` }
  const machine = new GuideMachine({ folder: join(root, name), environment, replacements: [] })
  machine.write('isthmus.yaml', `admin: { port: ${adminPort} }\nendpoints: { port: ${endpointsPort} }\n`)
  machine.write(
    'flows/orders/flow.yaml',
    `
flow: orders
from: { https: { path: /orders } }
to: { http: { url: "${receiver.url}" } }
delivery: { retry: { every: 1h, for: 2d } }
`,
  )
  return { machine, adminPort, endpointsPort }
}

const start = ({ machine, adminPort }: Machine) => machine.start('isthmus serve', () => isHubReady(adminPort))

/** What message `number` holds: the receiver can tell which it is, and whether all of it is there. */
function contentOf(number: number): Buffer {
  const bytes = largeNumbers.includes(number) ? largeBytes : (bodyBytes[number % bodyBytes.length] ?? 0)
  return Buffer.alloc(bytes, `order ${number}\n`)
}

/** Every third message is refused for now, until `takesAll`. */
async function startReceiver() {
  const arrived = new Map<number, number>()
  const wrong: string[] = []
  let takesAll = false
  const take = (content: Buffer): number => {
    const number = Number(/order (\d+)/.exec(content.subarray(0, 40).toString())?.[1])
    if (!takesAll && number % 3 === 0) return 503
    if (!content.equals(contentOf(number))) wrong.push(`order ${number}: ${content.length} bytes`)
    arrived.set(number, (arrived.get(number) ?? 0) + 1)
    return 204
  }
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => response.writeHead(take(Buffer.concat(chunks))).end())
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/orders`,
    arrived,
    wrong,
    takeAll() {
      takesAll = true
      arrived.clear()
    },
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

async function post(number: number): Promise<void> {
  const answer = await fetch(`http://127.0.0.1:${first.endpointsPort}/flows/orders`, {
    method: 'POST',
    headers: { 'content-type': 'text/plain' },
    body: contentOf(number),
  })
  if (!answer.ok) throw new Error(`${answer.status} ${await answer.text()}`)
}

test('a backup is taken while the hub accepts and delivers', async () => {
  await start(first)
  const accepted: number[] = []
  const over = new AbortController()
  let next = 1
  const producing = async () => {
    while (!over.signal.aborted) {
      const number = next++
      await post(number)
      accepted.push(number)
    }
  }
  const producers = [producing(), producing(), producing(), producing()]
  await waitFor('the first messages', 60_000, () => accepted.length > 60)
  waiting = accepted.filter(number => number % 3 === 0)
  const output = await first.machine.run('isthmus store backup ../monday --json')
  over.abort()
  await Promise.all(producers)
  const { waiting: told } = JSON.parse(output) as { waiting: number }
  expect(told).toBeGreaterThanOrEqual(waiting.length)
  expect(await first.machine.run('isthmus store verify ../monday')).toContain('is a whole backup')
  // No key, no token and no lock of the hub.
  expect(readdirSync(join(root, 'monday')).toSorted()).toEqual(['backup.json', 'bodies', 'files.sha256', 'isthmus.db'])
  // Without Isthmus, too, one can see that it is whole.
  expect(await first.machine.run('cd ../monday && sha256sum --quiet --check files.sha256')).toBe('')
  expect(await first.machine.try('isthmus store backup ../monday')).toMatchObject({
    code: 2,
    output: expect.stringContaining('STORE_BACKUP_THERE'),
  })
}, 180_000)

test('a backup that is killed in its midst is none, and the hub and the next one go on', async () => {
  for (const number of largeNumbers) await post(number)
  const program = resolve(import.meta.dirname, '../../src/cli/isthmus.js')
  const killed = startProcess(process.execPath, [program, 'store', 'backup', join(root, 'tuesday')], {
    cwd: join(root, 'first'),
  })
  await waitFor('a half backup', 60_000, () => existsSync(join(root, 'tuesday.unfinished/bodies')))
  await killed.kill9()
  expect(existsSync(join(root, 'tuesday'))).toBe(false)
  expect(await first.machine.try('isthmus store verify ../tuesday.unfinished')).toMatchObject({
    code: 2,
    output: expect.stringContaining('STORE_BACKUP_DAMAGED'),
  })
  expect(await first.machine.run('isthmus store backup ../tuesday')).toMatch(/data\/master\.key at another place/)
  expect(existsSync(join(root, 'tuesday.unfinished'))).toBe(false)
  await post(2)
}, 180_000)

test('a disk without room leaves no half backup', async () => {
  const full = await first.machine.try(`trap '' XFSZ; ulimit -f 4000; isthmus store backup ../wednesday`)
  expect(full).toMatchObject({ code: 2, output: expect.stringContaining('STORE_BACKUP_NOT_WRITTEN') })
  expect(readdirSync(root).filter(name => name.startsWith('wednesday'))).toEqual([])
  await post(2)
}, 60_000)

test('another machine has every message that waited, with its very bytes, and sends none before somebody says so', async () => {
  await first.machine.stop()
  const second = await newMachine('second')
  try {
    const restored = await second.machine.run('isthmus store restore ../monday')
    expect(restored).toContain('put the master key of that hub into')
    expect(await second.machine.try('isthmus store restore ../monday')).toMatchObject({
      code: 2,
      output: expect.stringContaining('STORE_FOLDER_TAKEN'),
    })
    cpSync(join(root, 'first/data/master.key'), join(root, 'second/data/master.key'))
    receiver.takeAll()
    await start(second)
    expect(await second.machine.try('isthmus store restore ../monday')).toMatchObject({
      code: 2,
      output: expect.stringContaining('STORE_LOCKED'),
    })
    expect(await second.machine.run('isthmus audit list')).toMatch(/store\.restore/)
    await sleep(500)
    expect([...receiver.arrived]).toEqual([])
    // What may have arrived is not sent again by the way.
    expect(await second.machine.try('isthmus message replay --flow orders --code STORE_RESTORED')).toMatchObject({
      code: 1,
      output: expect.stringContaining('it may have arrived already'),
    })
    await second.machine.run('isthmus message replay --flow orders --code STORE_RESTORED --in-doubt')
    await waitFor('all that waited', 60_000, () => waiting.every(number => receiver.arrived.has(number)))
    expect(receiver.wrong).toEqual([])
    expect([...receiver.arrived.values()].every(times => times === 1)).toBe(true)
  } finally {
    await second.machine.stop()
  }
}, 180_000)

test('a damaged backup is refused, and its store is not there', async () => {
  const [large = ''] = readdirSync(join(root, 'tuesday/bodies'), { recursive: true, withFileTypes: true })
    .filter(each => each.isFile() && each.name.length === 64)
    .map(each => join(each.parentPath, each.name))
  const content = readFileSync(large)
  content.writeUInt8((content[1000] ?? 0) ^ 1, 1000)
  writeFileSync(large, content)
  const third = await newMachine('third')
  expect(await third.machine.try('isthmus store verify ../tuesday')).toMatchObject({
    code: 1,
    output: expect.stringContaining(large.slice(join(root, 'tuesday/').length)),
  })
  expect(await third.machine.try('isthmus store restore ../tuesday')).toMatchObject({
    code: 2,
    output: expect.stringContaining('STORE_BACKUP_DAMAGED'),
  })
  expect(existsSync(join(root, 'third/data/isthmus.db'))).toBe(false)
  expect(existsSync(join(root, 'third/data/bodies'))).toBe(false)
}, 60_000)

test('of a store on PostgreSQL it says with what that is backed up', async () => {
  const { machine } = await newMachine('fourth')
  machine.write('isthmus.yaml', 'flows: []\nstore: { postgres: { host: db.contoso.com, schema: hub } }\n')
  for (const command of ['backup', 'restore']) {
    const { code, output } = await machine.try(`isthmus store ${command} ../monday`)
    expect(code).toBe(2)
    expect(output).toMatch(
      /db\.contoso\.com, database isthmus, schema hub[\s\S]*pg_dump[\s\S]*STORE_NOT_BACKED_UP_HERE/,
    )
  }
})
