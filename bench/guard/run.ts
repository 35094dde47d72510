import { fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { sendLoad } from './load.ts'

/**
 * `npm run bench:guard`: CPU of the hub's process per call of an endpoint with a check beside the same endpoint
 * without one, alternating in one run. The bar is 1.25 times. Exit code 1 when it is not held.
 */
const bar = 1.25
const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '3000' },
    rounds: { type: 'string', default: '25' },
    connections: { type: 'string', default: '16' },
    bytes: { type: 'string', default: '1024' },
  },
})
const requests = Number(values.requests)
const connections = Number(values.connections)
const bytes = Number(values.bytes)

const server = fork(join(import.meta.dirname, 'server.ts'), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
const [{ url, clientId, secret }] = (await once(server, 'message')) as [
  { url: string; clientId: string; secret: string },
]
const basic = `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`
const contestants = [
  { name: 'without check', path: '/open', authorization: undefined },
  { name: 'Basic, warm', path: '/checked', authorization: basic },
  { name: 'Bearer, warm', path: '/checked', authorization: `Bearer ${await fetchToken()}` },
]
const micros = new Map<string, number[]>(contestants.map(({ name }) => [name, []]))

// The first round only warms up.
for (let round = 0; round <= Number(values.rounds); round++) {
  for (let turn = 0; turn < contestants.length; turn++) {
    const contestant = contestants[(round + turn) % contestants.length]
    if (!contestant) continue
    const before = await cpuMicros()
    await sendLoad({ ...contestant, url, requests, connections, bytes })
    const spent = ((await cpuMicros()) - before) / requests
    if (round > 0) micros.get(contestant.name)?.push(spent)
  }
}
server.send('end')
await once(server, 'exit')

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
const bare = micros.get('without check') ?? []
console.log(`${requests} calls of ${bytes} bytes a round over ${connections} connections, ${values.rounds} rounds`)
for (const [name, spent] of micros) {
  // Each against its neighbour in the same round: what else runs on the machine comes and goes.
  const ratios = spent.map((each, round) => each / (bare[round] ?? 0))
  const least = Math.min(...spent) / Math.min(...bare)
  const ratio = median(ratios)
  if (ratio > bar) process.exitCode = 1
  console.log(
    `${name.padEnd(16)} ${median(spent).toFixed(1).padStart(6)} CPU µs a call (least ${Math.min(...spent).toFixed(1)})  ` +
      `${ratio.toFixed(3)} × without check (least by least ${least.toFixed(3)})${ratio > bar ? '  above the bar' : ''}`,
  )
}

async function cpuMicros(): Promise<number> {
  server.send('cpu')
  const [{ cpuMicros: spent }] = (await once(server, 'message')) as [{ cpuMicros: number }]
  return spent
}

async function fetchToken(): Promise<string> {
  const answer = await fetch(`${new URL(url).origin}/oauth/token`, {
    method: 'POST',
    headers: { authorization: basic, 'content-type': 'application/x-www-form-urlencoded' },
    body: 'grant_type=client_credentials',
  })
  const { access_token: token } = (await answer.json()) as { access_token?: string }
  if (token === undefined) throw new Error(`The token server answered ${answer.status}`)
  return token
}
