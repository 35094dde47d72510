import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { KiB } from '../../src/kernel/size.ts'
import type { Claimed, Store } from '../../src/store/port.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { corpusSeed, seededRandom } from '../../test/corpus/seeded-random.ts'

// What the store costs for mail: bodies of 5 to 200 KiB (log-uniform), each accepted with a key and a word, claimed,
// its intent written down, and ended. `node bench/engine/mail-loop.ts [mails] [rounds] [producers]`

const flow = 'bench'
const workers = 8
const smallest = 5 * KiB
const largest = 200 * KiB

interface MailLoopResult {
  readonly seconds: number
  /** How long the event loop was busy: what the store takes away from everybody else. */
  readonly loopSeconds: number
  /** CPU of all threads. */
  readonly cpuSeconds: number
}

async function runMailLoop(store: Store, bodies: readonly Uint8Array[], producers: number): Promise<MailLoopResult> {
  let endedCount = 0
  let running = 0
  let isClaiming = false
  let allEnded = () => {}
  const end = new Promise<void>(resolve => {
    allEnded = resolve
  })

  const deliver = async (claim: Claimed) => {
    const at = Date.now()
    await store.receipt(claim, {
      effect: 'to[0]',
      state: 'intended',
      at,
      summary: 'handing over',
      fields: undefined,
      answer: undefined,
    })
    const receipt = {
      effect: 'to[0]',
      state: 'done',
      at,
      summary: '250 Ok',
      fields: undefined,
      answer: undefined,
    } as const
    await store.finish(claim, {
      state: 'delivered',
      at,
      summary: '250 Ok',
      error: undefined,
      receipts: [receipt],
      terms: [`queued-as-${claim.id}`],
    })
    running -= 1
    endedCount += 1
    if (endedCount === bodies.length) allEnded()
    else claimSoon()
  }
  const claimSoon = () => {
    if (isClaiming) return
    isClaiming = true
    setImmediate(() => void claimMore())
  }
  const claimMore = async () => {
    isClaiming = false
    const free = workers - running
    if (free === 0 || endedCount === bodies.length) return
    const request = { owner: 'bench', max: free, now: Date.now(), leaseMs: 60_000, places: new Map([[flow, free]]) }
    const { deliveries } = await store.claim(request)
    running += deliveries.length
    for (const claim of deliveries) void deliver(claim)
  }
  store.onWork(claimSoon)

  const startedAt = performance.now()
  const loopBefore = performance.eventLoopUtilization()
  const cpuBefore = process.cpuUsage()
  let next = 0
  const produce = async () => {
    while (next < bodies.length) {
      const number = next
      next += 1
      await accept(store, number, bodies[number] ?? new Uint8Array())
    }
  }
  await Promise.all(Array.from({ length: producers }, produce))
  await end
  const cpu = process.cpuUsage(cpuBefore)
  return {
    seconds: (performance.now() - startedAt) / 1000,
    loopSeconds: performance.eventLoopUtilization(loopBefore).active / 1000,
    cpuSeconds: (cpu.user + cpu.system) / 1e6,
  }
}

async function accept(store: Store, number: number, content: Uint8Array): Promise<void> {
  const body = await store.bodies.write(content, { type: 'message/rfc822', bytesMax: largest, hash: false })
  const messageId = `<${number}.${body.bytes}@bench.example>`
  await store.accept({
    flow,
    keys: [`source INBOX/1/${number}`],
    remember: [],
    orderKey: undefined,
    holds: false,
    headers: { 'message-id': messageId, subject: `Order ${number}`, from: 'ada@contoso.com' },
    attributes: { uid: number, folder: 'INBOX', size: body.bytes },
    body,
    terms: [messageId],
    acceptedAt: Date.now(),
    isProbe: false,
    replayOf: undefined,
  })
}

function makeBodies(count: number): readonly Uint8Array[] {
  const random = seededRandom(corpusSeed)
  return Array.from({ length: count }, () => {
    const bytes = Math.round(smallest * (largest / smallest) ** random())
    // Each in memory of its own, as a mail off the wire is.
    return Buffer.alloc(bytes, `${bytes} of the order 4711, please confirm\r\n`)
  })
}

async function main(): Promise<void> {
  const [mails = 2000, rounds = 3, producers = 32] = process.argv.slice(2).map(Number)
  const bodies = makeBodies(mails)
  const megabytes = bodies.reduce((sum, body) => sum + body.length, 0) / 1e6
  console.log(`${mails} mails, ${megabytes.toFixed(1)} MB, ${producers} producers, ${workers} workers`)
  for (let round = 1; round <= rounds; round += 1) {
    const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
    const store = await openSqliteStore({ folder })
    const { seconds, loopSeconds, cpuSeconds } = await runMailLoop(store, bodies, producers)
    await store.close()
    rmSync(folder, { recursive: true })
    console.log(
      `round ${round}  ${seconds.toFixed(2)} s, event loop busy ${loopSeconds.toFixed(2)} s, CPU ${cpuSeconds.toFixed(2)} s`,
    )
  }
}

await main()
