import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { afterEach, beforeEach, expect, test } from 'vitest'
import { claim, delivered, readAll } from '../contract/store-world.ts'
import { openSqliteStore } from './open.ts'

// A hub of a few lines: it accepts bodies of 500 bytes (in the row), 50 KB (in a segment) and 90 KB (in a file of its own),
// delivers, and says what is durable.
const child = `
import { openSqliteStore } from ${JSON.stringify(join(import.meta.dirname, 'open.ts'))}
const store = await openSqliteStore({ folder: process.argv[1], limits: { inlineBytes: 64_000, segmentBytes: 400_000 } })
const say = line => process.stdout.write(line + '\\n')
say('open ' + process.pid)
let number = Number(process.argv[2])
const accept = async producer => {
  for (;;) {
    const key = 'key ' + number++
    const bytes = number % 50 === 0 ? 90_000 : number % 2 === 0 ? 50_000 : 500
    const body = await store.bodies.write(Buffer.alloc(bytes, key), {
      type: 'text/plain', bytesMax: 100_000, hash: false,
    })
    const { id } = await store.accept({
      flow: 'orders', keys: [key], remember: [], orderKey: 'order ' + producer, holds: true, headers: { key },
      attributes: {}, body, terms: [key], acceptedAt: Date.now(), isProbe: false, replayOf: undefined,
    })
    say('accepted ' + id + ' ' + key)
  }
}
const deliver = async () => {
  for (;;) {
    const { deliveries } = await store.claim({
      owner: 'child', max: 8, now: Date.now(), leaseMs: 1000, places: new Map([['orders', 8]]),
    })
    await Promise.all(deliveries.map(async one => {
      await store.receipt(one, {
        effect: 'to[0]', state: 'intended', at: 1, summary: '', fields: undefined, answer: undefined,
      })
      await store.finish(one, {
        state: 'delivered', at: Date.now(), summary: 'ok', error: undefined, receipts: [], terms: [],
      })
      say('ended ' + one.id)
    }))
    await new Promise(resolve => setImmediate(resolve))
  }
}
for (let producer = 0; producer < 16; producer += 1) void accept(producer)
await deliver()
`

let folder: string
let running: ChildProcess | undefined

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'isthmus-kill-'))
})

afterEach(() => {
  running?.kill('SIGKILL')
  rmSync(folder, { recursive: true })
})

test('after kill -9 everything acknowledged is there, once, and the rest can be delivered', {
  timeout: 60_000,
}, async () => {
  const accepted = new Map<string, string>()
  const ended = new Set<string>()
  for (let round = 0; round < 4; round += 1) {
    await runAndKill(round * 1_000_000, 40 + round * 37, line => {
      const [what, id = '', ...key] = line.split(' ')
      if (what === 'accepted') accepted.set(id, key.join(' '))
      if (what === 'ended') ended.add(id)
    })
    const store = await openSqliteStore({ folder })
    for (const [id, key] of accepted) {
      const delivery = await store.get(id)
      expect(delivery?.headers).toEqual({ key })
      if (!delivery) throw new Error(`${id} is lost`)
      const content = await readAll(store.bodies.read(delivery.body))
      expect(Buffer.compare(content, Buffer.alloc(delivery.bytes, key))).toBe(0)
      if (ended.has(id)) expect(delivery?.state).toBe('delivered')
    }
    const known = await store.known('orders', [...accepted.values()])
    expect([...known].map(([key, { id }]) => [id, key])).toEqual([...accepted])
    const counts = await store.counts('orders')
    expect(counts.accepted).toBe(counts.queued + counts.delivered)
    expect(counts.accepted).toBeGreaterThanOrEqual(accepted.size)
    expect(await store.auditBreak()).toBeUndefined()
    await store.close()
  }
  expect(accepted.size).toBeGreaterThan(200)

  const store = await openSqliteStore({ folder })
  let delivering = await claim(store, { now: Date.now() })
  for (let round = 0; delivering.length > 0 && round < 10_000; round += 1) {
    await Promise.all(
      delivering.map(async one => {
        for await (const chunk of store.bodies.read(one.body)) expect(chunk.length).toBeGreaterThan(0)
        await store.finish(one, delivered())
      }),
    )
    delivering = await claim(store, { now: Date.now() })
  }
  expect(await store.counts('orders')).toMatchObject({ queued: 0 })
  await store.close()
})

test('the lock of a killed process does not outlive it; that of a living one holds', async () => {
  const process = startChild(0)
  const lines = createInterface({ input: process.stdout ?? failToRead() })
  const [first] = (await once(lines, 'line')) as [string]
  expect(first).toBe(`open ${process.pid}`)
  await expect(openSqliteStore({ folder })).rejects.toMatchObject({
    code: 'STORE_LOCKED',
    fields: { pid: String(process.pid) },
  })
  process.kill('SIGKILL')
  await once(process, 'exit')
  const store = await openSqliteStore({ folder })
  await store.close()
})

/** Lets the child accept until it has said so many lines, and kills it in mid-work. */
async function runAndKill(firstNumber: number, lineCount: number, read: (line: string) => void): Promise<void> {
  const process = startChild(firstNumber)
  const ended = once(process, 'close')
  let left = lineCount
  for await (const line of createInterface({ input: process.stdout ?? failToRead() })) {
    read(line)
    left -= 1
    if (left === 0) process.kill('SIGKILL')
  }
  const [, signal] = (await ended) as [number | null, string | null]
  expect(signal).toBe('SIGKILL')
}

function startChild(firstNumber: number): ChildProcess {
  const args = ['--input-type=module-typescript', '--eval', child, folder, String(firstNumber)]
  running = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] })
  return running
}

function failToRead(): never {
  throw new Error('the child process has no output')
}
