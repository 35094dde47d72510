import type { Claimed } from '../../src/store/port.ts'
import { openSqliteStore } from '../../src/store/sqlite/open.ts'
import { type LoopRequest, type LoopResult, LoopWatch, messageBody, produce } from './loop.ts'

const flow = 'bench'

/** The same work as the bare loop, through the port of the store and without an engine: its overhead alone. */
export async function runStoreLoop(request: LoopRequest & { readonly isKeyed?: boolean }): Promise<LoopResult> {
  const store = await openSqliteStore({ folder: request.folder })
  const watch = new LoopWatch(request.messages)
  let running = 0
  let isClaiming = false
  let over: (() => void) | undefined
  const isOver = new Promise<void>(resolve => {
    over = resolve
  })

  const deliver = async (claim: Claimed) => {
    watch.deliver(claim.orderKey ?? '', claim.body.inline)
    await store.finish(claim, {
      state: 'delivered',
      at: Date.now(),
      summary: '250 Ok',
      error: undefined,
      receipts: [],
      terms: [],
    })
    running -= 1
    if (watch.isOver && running === 0) over?.()
    else claimSoon()
  }
  // What becomes free and what becomes ready in one turn is claimed at once.
  const claimSoon = () => {
    if (isClaiming) return
    isClaiming = true
    queueMicrotask(() => void claimMore())
  }
  const claimMore = async () => {
    const free = request.workers - running
    isClaiming = false
    if (free === 0) return
    const { deliveries } = await store.claim({
      owner: 'bench',
      max: free,
      now: Date.now(),
      leaseMs: 60_000,
      places: new Map([[flow, free]]),
    })
    running += deliveries.length
    for (const claim of deliveries) void deliver(claim)
  }
  store.onWork(claimSoon)
  await produce(request, watch, (number, key) =>
    store.accept({
      flow,
      keys: request.isKeyed ? [`bench-${number}`] : [],
      remember: [],
      orderKey: key,
      holds: true,
      headers: {},
      attributes: {},
      body: {
        bytes: request.bytes,
        type: 'application/octet-stream',
        sha256: undefined,
        inline: messageBody(request.bytes, number),
      },
      terms: [],
      acceptedAt: Date.now(),
      isProbe: false,
      replayOf: undefined,
    }),
  )
  await isOver
  const result = watch.result()
  await store.close()
  return result
}
