import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'
import { makeDocuments } from './document.ts'

/**
 * `npm run bench:idoc`: CPU per IDoc on its way through accept (durable), parse, map and PATCH, beside a bare pipe of
 * Fastify, the same reader and mapping, and undici, without any durability; alternating in one run. The bar is 1.5 times.
 * Exit code 1 above it.
 */
const bar = 1.5
const { values } = parseArgs({
  options: {
    idocs: { type: 'string', default: '1500' },
    rounds: { type: 'string', default: '9' },
    connections: { type: 'string', default: '8' },
  },
})
const idocs = Number(values.idocs)
const connections = Number(values.connections)
const documentOf = makeDocuments()

let arrived = 0
let wake = () => {}
const target = createServer((request, response) => {
  request.resume().on('end', () => {
    response.writeHead(204).end()
    arrived += 1
    wake()
  })
})
target.listen(0, '127.0.0.1')
await once(target, 'listening')
const targetUrl = `http://127.0.0.1:${(target.address() as AddressInfo).port}`

interface Contestant {
  readonly name: string
  readonly process: ChildProcess
  readonly pool: Pool
  readonly path: string
  readonly micros: number[]
  sent: number
}

async function start(name: string, kind: string): Promise<Contestant> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [kind, targetUrl], {
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
  })
  const [{ url }] = (await once(child, 'message')) as [{ url: string }]
  const { origin, pathname } = new URL(url)
  return { name, process: child, pool: new Pool(origin, { connections }), path: pathname, micros: [], sent: 0 }
}

async function cpuMicros(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpuMicros: spent }] = (await once(child, 'message')) as [{ cpuMicros: number }]
  return spent
}

/** CPU per IDoc, until the last of them has arrived at the other side. */
async function runRound(contestant: Contestant): Promise<number> {
  const before = await cpuMicros(contestant.process)
  const until = arrived + idocs
  let left = idocs
  const worker = async () => {
    while (left-- > 0) {
      contestant.sent += 1
      const body = documentOf(contestant.sent)
      const headers = { 'content-type': 'application/x-sap.idoc' }
      const answer = await contestant.pool.request({ method: 'POST', path: contestant.path, headers, body })
      await answer.body.dump()
      if (answer.statusCode !== 200) throw new Error(`${contestant.name} answered ${answer.statusCode}.`)
    }
  }
  await Promise.all(Array.from({ length: connections }, worker))
  await new Promise<void>(resolve => {
    wake = () => {
      if (arrived >= until) resolve()
    }
    wake()
  })
  return ((await cpuMicros(contestant.process)) - before) / idocs
}

const hub = await start('isthmus', 'hub')
const bare = await start('bare pipe', 'bare')
// The first rounds only warm up.
const warmUps = 2
for (let round = -warmUps; round < Number(values.rounds); round++) {
  for (const contestant of round % 2 === 0 ? [hub, bare] : [bare, hub]) {
    const spent = await runRound(contestant)
    if (round >= 0) contestant.micros.push(spent)
  }
}
for (const contestant of [hub, bare]) {
  await contestant.pool.close()
  contestant.process.send('end')
  await once(contestant.process, 'exit')
}
target.closeAllConnections()
target.close()

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
// Each against its neighbour in the same round: what else runs on the machine comes and goes.
const ratio = median(hub.micros.map((spent, round) => spent / (bare.micros[round] ?? 0)))
const least = Math.min(...hub.micros) / Math.min(...bare.micros)
console.log(
  `${idocs} MATMAS05 of ${Buffer.byteLength(documentOf(1))} bytes a round over ${connections} connections, ${values.rounds} rounds`,
)
for (const { name, micros } of [hub, bare]) {
  const spent = median(micros)
  console.log(
    `${name.padEnd(10)} ${spent.toFixed(0).padStart(6)} CPU µs an IDoc (least ${Math.min(...micros).toFixed(0)}), ` +
      `${(1e6 / spent).toFixed(0)} IDocs per CPU second`,
  )
}
console.log(
  `isthmus takes ${ratio.toFixed(2)} times the CPU of the bare pipe (least by least ${least.toFixed(2)})${ratio > bar ? `, above the bar of ${bar}` : ''}`,
)
if (ratio > bar) process.exitCode = 1
