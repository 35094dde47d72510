import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { pathToFileURL } from 'node:url'
import { type LoopRequest, type LoopResult, LoopWatch, messageBody, produce } from './loop.ts'
import { runStoreLoop } from './store-loop.ts'

/**
 * The least that a durable, ordered queue on `node:sqlite` does: WAL, `synchronous = FULL`, one transaction per turn of
 * the event loop, one table, a queue of keys in memory. Producers put messages in and wait for the commit; workers take
 * a key, read what is pending of it, and mark it done. The engine is measured against this loop.
 */
export async function runBareLoop(request: LoopRequest): Promise<LoopResult> {
  const database = new DatabaseSync(join(request.folder, 'bare.db'))
  database.exec(`
    pragma page_size = ${request.pageBytes ?? 4096};
    pragma journal_mode = wal;
    pragma synchronous = full;
    create table delivery (
      seq integer primary key, id text not null unique, flow text not null, key text not null, state text not null,
      attempt integer not null, due_at integer not null, body blob not null
    );
    create index delivery_pending on delivery (key, seq) where state = 'pending'`)
  const insert = database.prepare(`
    insert into delivery (id, flow, key, state, attempt, due_at, body) values (?, 'bench', ?, 'pending', 0, ?, ?)`)
  const pending = database.prepare(`
    select seq, id, body from delivery where key = ? and state = 'pending' order by seq limit 16`)
  const done = database.prepare(`update delivery set state = 'done' where seq = ?`)
  const group = openGroup(database)
  const keys = new KeyQueue()
  const watch = new LoopWatch(request.messages)

  const accept = async (number: number, key: string) => {
    const body = messageBody(request.bytes, number)
    await group(() => insert.run(`bench-${number}`, key, Date.now(), body))
    keys.add(key)
  }
  const work = async () => {
    for (;;) {
      const key = await keys.take()
      if (key === undefined) return
      const rows = pending.all(key)
      for (const row of rows) watch.deliver(key, row['body'])
      await group(() => {
        for (const row of rows) done.run(Number(row['seq']))
      })
      keys.release(key, rows.length)
      if (watch.isOver) keys.close()
    }
  }
  const workers = Array.from({ length: request.workers }, work)
  await produce(request, watch, accept)
  await Promise.all(workers)
  const result = watch.result()
  database.close()
  return result
}

/** Writes asked for in one turn of the event loop commit together. */
function openGroup(database: DatabaseSync): (write: () => void) => Promise<void> {
  const begin = database.prepare('begin immediate')
  const commit = database.prepare('commit')
  let waiting: { readonly write: () => void; readonly resolve: () => void }[] = []
  const run = () => {
    const group = waiting
    waiting = []
    begin.run()
    for (const one of group) one.write()
    commit.run()
    for (const one of group) one.resolve()
  }
  return write =>
    new Promise(resolve => {
      waiting.push({ write, resolve })
      if (waiting.length === 1) setImmediate(run)
    })
}

/** Keys with pending messages; a key that is being worked on is not handed out again. */
class KeyQueue {
  readonly #pendingCounts = new Map<string, number>()
  readonly #busy = new Set<string>()
  readonly #waiting: ((key: string | undefined) => void)[] = []
  readonly #ready: string[] = []
  #isClosed = false

  add(key: string): void {
    const count = this.#pendingCounts.get(key) ?? 0
    this.#pendingCounts.set(key, count + 1)
    if (count === 0 && !this.#busy.has(key)) this.#offer(key)
  }

  take(): Promise<string | undefined> {
    if (this.#isClosed) return Promise.resolve(undefined)
    const key = this.#ready.shift()
    return key === undefined ? new Promise(resolve => this.#waiting.push(resolve)) : Promise.resolve(key)
  }

  release(key: string, count: number): void {
    const left = (this.#pendingCounts.get(key) ?? 0) - count
    this.#pendingCounts.set(key, left)
    this.#busy.delete(key)
    if (left > 0) this.#offer(key)
  }

  close(): void {
    this.#isClosed = true
    for (const resolve of this.#waiting.splice(0)) resolve(undefined)
  }

  #offer(key: string): void {
    this.#busy.add(key)
    const waiting = this.#waiting.shift()
    if (waiting) waiting(key)
    else this.#ready.push(key)
  }
}

/** `node bench/engine/bare-loop.ts [messages]`: the bare loop and the store behind its port, alternating. */
async function main(): Promise<void> {
  const messages = Number(process.argv[2] ?? 50_000)
  const rounds = 3
  const loops = [
    ['bare loop, 4 KiB pages', (request: LoopRequest) => runBareLoop(request)],
    ['bare loop, 8 KiB pages', (request: LoopRequest) => runBareLoop({ ...request, pageBytes: 8192 })],
    ['store port', (request: LoopRequest) => runStoreLoop(request)],
    ['store port, one key that is remembered', (request: LoopRequest) => runStoreLoop({ ...request, isKeyed: true })],
  ] as const
  for (let round = 0; round < rounds; round += 1) {
    for (const [name, run] of loops) {
      const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
      const result = await run({ messages, keys: 1000, bytes: 2048, producers: 64, workers: 64, folder })
      rmSync(folder, { recursive: true })
      console.log(
        `${name.padEnd(42)} ${result.cpuMicrosPerMessage.toFixed(1).padStart(6)} CPU µs/message` +
          ` ${Math.round(result.deliveredPerSecond).toString().padStart(7)}/s end to end` +
          ` ${Math.round(result.acceptedPerSecond).toString().padStart(7)}/s accepted` +
          `  ${result.orderBreaks} out of order`,
      )
    }
  }
}

if (import.meta.url === pathToFileURL(process.argv[1] ?? '').href) await main()
