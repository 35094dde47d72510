import { fork } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { HubReport, HubTask } from './hub.ts'
import { startAt } from './items.ts'
import type { Landscape } from './landscape.ts'
import { openLinePort } from './line-port.ts'
import { load, printHub } from './report.ts'

/**
 * `npm run bench:groupware`: the groupware sync against the twins of Exchange (or Graph) and Cloud for Customer over
 * sockets, with TLS: a first sync, steady hours, idle hours. Each part has a process of its own, the twins too. Time is
 * simulated; requests, CPU, memory and disk are real. `--part alone` is the sync with sides in memory.
 */
const { values } = parseArgs({
  options: {
    part: { type: 'string', default: 'first,idle,alone' },
    access: { type: 'string', default: 'ews,graph' },
    first: { type: 'string', default: '1000' },
    items: { type: 'string', default: '50' },
    mailboxes: { type: 'string', default: '10000' },
    'idle-items': { type: 'string', default: '4' },
    polled: { type: 'string', default: '60' },
    node: { type: 'string', default: '' },
  },
})
const parts = values.part.split(',')
const polledMinutes = Number(values.polled)

for (const access of values.access.split(',') as ('ews' | 'graph')[]) {
  if (parts.includes('first')) {
    await withTwins(access, Number(values.first), Number(values.items), async run => {
      await run({ isWatched: false, steps: ['activate', 'first', 'steady'], isTimed: true })
      await run({ isWatched: true, steps: ['steady'] })
    })
  }
  if (parts.includes('idle')) {
    await withTwins(access, Number(values.mailboxes), Number(values['idle-items']), async run => {
      await run({ isWatched: false, steps: ['activate', 'first'] })
      await run({ isWatched: true, steps: ['idle'], idleMinutes: 60 })
      await run({ isWatched: false, steps: ['idle'], idleMinutes: polledMinutes })
    })
  }
}
if (parts.includes('alone')) {
  const { first, items, mailboxes } = values
  const alone = fork(join(import.meta.dirname, 'alone.ts'), [
    '--first',
    first,
    '--items',
    items,
    '--mailboxes',
    mailboxes,
  ])
  const [code] = (await once(alone, 'exit')) as [number]
  if (code !== 0) process.exitCode = 1
}

type Wish = Pick<HubTask, 'isWatched' | 'steps' | 'idleMinutes' | 'isTimed'>

/** Starts twins with that many mailboxes, fills them, and lets hubs work with them, one after the other. */
async function withTwins(
  access: 'ews' | 'graph',
  mailboxes: number,
  items: number,
  work: (run: (wish: Wish) => Promise<void>) => Promise<void>,
): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'isthmus-bench-'))
  const options = { execArgv: ['--max-old-space-size=12000'] }
  const twins = fork(join(import.meta.dirname, 'twins.ts'), [JSON.stringify({ access, mailboxes })], options)
  try {
    const [landscape] = (await once(twins, 'message')) as [Landscape]
    const port = await openLinePort(landscape.port)
    const began = performance.now()
    const made = await port.ask<number>('seed', { from: 0, to: mailboxes, items })
    port.close()
    const seconds = ((performance.now() - began) / 1000).toFixed(0)
    console.log(`\n${access}: ${mailboxes} mailboxes, ${made} items, put in within ${seconds} s; ${load()}`)
    let now = startAt
    await work(async wish => {
      const task: HubTask = { landscape, folder, now, mailboxes, items, ...wish }
      const report = await runHub(task)
      now = report.now
      printHub(task, report)
    })
  } finally {
    twins.kill()
    await once(twins, 'exit')
    rmSync(folder, { recursive: true, force: true })
  }
}

async function runHub(task: HubTask): Promise<HubReport> {
  const execArgv = ['--expose-gc', ...(values.node === '' ? [] : values.node.split(' '))]
  const hub = fork(join(import.meta.dirname, 'hub.ts'), [JSON.stringify(task)], { execArgv })
  const report = once(hub, 'message')
  const [first] = (await Promise.race([report, once(hub, 'exit')])) as [HubReport | number]
  if (typeof first === 'number' || first === null) throw new Error(`the hub ended with ${first}`)
  if (hub.exitCode === null) await once(hub, 'exit')
  return first
}
