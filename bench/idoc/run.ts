import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { isDeepStrictEqual, parseArgs } from 'node:util'
import { Pool } from 'undici'
import { makeDocuments } from './document.ts'
import { installNodeRed } from './node-red.ts'

/**
 * `npm run bench:idoc`: CPU per IDoc on its way through accept (durable), parse, map and PATCH, beside a bare pipe of
 * Fastify, saxes, the same mapping and undici, and beside Node-RED; both without any durability; alternating in one run.
 * The bars are 1.5 times the bare pipe at most and Node-RED 4 times the hub at least. Exit code 1 beyond one of them.
 */
const bars = { bare: 1.5, nodeRed: 4 }
const kinds = { isthmus: 'hub', bare: 'bare', 'node-red': 'node-red' } as const
type Name = keyof typeof kinds
const { values } = parseArgs({
  options: {
    idocs: { type: 'string', default: '1500' },
    rounds: { type: 'string', default: '9' },
    connections: { type: 'string', default: '8' },
    only: { type: 'string', default: 'isthmus,bare,node-red' },
    'node-red': { type: 'string', default: join(tmpdir(), 'isthmus-bench-node-red') },
  },
})
const idocs = Number(values.idocs)
const connections = Number(values.connections)
const nodeRedFolder = values['node-red']
const documentOf = makeDocuments()

let arrived = 0
let lastBody = ''
let wake = () => {}
const target = createServer((request, response) => {
  // Only the first ones are looked at: the bench must not slow down what it measures.
  if (arrived < Object.keys(kinds).length) {
    lastBody = ''
    request.setEncoding('utf8').on('data', (piece: string) => {
      lastBody += piece
    })
  }
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
  readonly name: Name
  readonly process: ChildProcess
  readonly pool: Pool
  readonly path: string
  readonly micros: number[]
  sent: number
}

async function start(name: Name): Promise<Contestant> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [kinds[name], targetUrl, nodeRedFolder], {
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
async function runRound(contestant: Contestant, count: number): Promise<number> {
  const before = await cpuMicros(contestant.process)
  const until = arrived + count
  let left = count
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
  await Promise.all(Array.from({ length: Math.min(connections, count) }, worker))
  await new Promise<void>(resolve => {
    wake = () => {
      if (arrived >= until) resolve()
    }
    wake()
  })
  return ((await cpuMicros(contestant.process)) - before) / count
}

const wanted = (Object.keys(kinds) as Name[]).filter(name => values.only.split(',').includes(name))
const contestants: Contestant[] = []
for (const name of wanted) {
  try {
    if (name === 'node-red') await installNodeRed(nodeRedFolder)
  } catch (thrown) {
    console.log(`node-red is left out, it cannot be installed: ${String(thrown).split('\n')[0]}`)
    continue
  }
  contestants.push(await start(name))
}

// All of them must do the same: the first IDoc has to arrive as the same JSON.
let sameBody: unknown
for (const contestant of contestants) {
  await runRound(contestant, 1)
  const body: unknown = JSON.parse(lastBody)
  sameBody ??= body
  if (!isDeepStrictEqual(body, sameBody)) throw new Error(`${contestant.name} sends something else: ${lastBody}`)
}

// The first rounds only warm up: servers run for weeks, and V8 goes on compiling for half a minute under load.
const warmUps = 14
for (let round = -warmUps; round < Number(values.rounds); round++) {
  for (const contestant of round % 2 === 0 ? contestants : contestants.toReversed()) {
    const spent = await runRound(contestant, idocs)
    if (round >= 0) contestant.micros.push(spent)
  }
}
for (const contestant of contestants) {
  await contestant.pool.close()
  contestant.process.send('end')
  await once(contestant.process, 'exit')
}
target.closeAllConnections()
target.close()

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
console.log(
  `${idocs} MATMAS05 of ${Buffer.byteLength(documentOf(1))} bytes a round over ${connections} connections, ${values.rounds} rounds`,
)
for (const { name, micros } of contestants) {
  const spent = median(micros)
  console.log(
    `${name.padEnd(10)} ${spent.toFixed(0).padStart(6)} CPU µs an IDoc (least ${Math.min(...micros).toFixed(0)}), ` +
      `${(1e6 / spent).toFixed(0)} IDocs per CPU second`,
  )
}

/** Each against its neighbour in the same round, as what else runs on the machine comes and goes; and least by least. */
function compare(one: Contestant, other: Contestant) {
  const ratio = median(one.micros.map((spent, round) => spent / (other.micros[round] ?? 0)))
  return { ratio, least: Math.min(...one.micros) / Math.min(...other.micros) }
}

const named = (name: Name) => contestants.find(contestant => contestant.name === name)
const [hub, bare, nodeRed] = [named('isthmus'), named('bare'), named('node-red')]
if (hub && bare) {
  const { ratio, least } = compare(hub, bare)
  const verdict = ratio > bars.bare ? `, above the bar of ${bars.bare}` : ''
  console.log(
    `isthmus takes ${ratio.toFixed(2)} times the CPU of the bare pipe (least by least ${least.toFixed(2)})${verdict}`,
  )
  if (verdict) process.exitCode = 1
}
if (hub && nodeRed) {
  const { ratio, least } = compare(nodeRed, hub)
  const verdict = ratio < bars.nodeRed ? `, below the bar of ${bars.nodeRed}` : ''
  console.log(
    `node-red takes ${ratio.toFixed(2)} times the CPU of isthmus (least by least ${least.toFixed(2)})${verdict}`,
  )
  if (verdict) process.exitCode = 1
}
