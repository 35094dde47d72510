import { type ChildProcess, fork } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import { Pool } from 'undici'

/**
 * `npm run bench:token`: CPU per token (client credentials, ES256) of the hub beside bare oidc-provider with its
 * in-memory store, alternating in one run. The bar is 90 % of its tokens per CPU second. Exit code 1 below it.
 */
const bar = 0.9
const { values } = parseArgs({
  options: {
    tokens: { type: 'string', default: '1500' },
    rounds: { type: 'string', default: '15' },
    connections: { type: 'string', default: '8' },
  },
})
const tokens = Number(values.tokens)
const connections = Number(values.connections)

interface Contestant {
  readonly name: string
  readonly process: ChildProcess
  readonly ask: () => Promise<void>
  readonly micros: number[]
  close(): Promise<void>
}

async function start(name: string, kind: string): Promise<Contestant> {
  const child = fork(join(import.meta.dirname, 'server.ts'), [kind], { stdio: ['ignore', 'ignore', 'inherit', 'ipc'] })
  const [{ tokenUrl, clientId, secret }] = (await once(child, 'message')) as [
    { tokenUrl: string; clientId: string; secret: string },
  ]
  const { origin, pathname } = new URL(tokenUrl)
  const pool = new Pool(origin, { connections })
  const headers = {
    authorization: `Basic ${Buffer.from(`${clientId}:${secret}`).toString('base64')}`,
    'content-type': 'application/x-www-form-urlencoded',
  }
  const body = 'grant_type=client_credentials&scope=ESBMessaging.send'
  return {
    name,
    process: child,
    micros: [],
    async ask() {
      const answer = await pool.request({ method: 'POST', path: pathname, headers, body })
      const { access_token: token } = (await answer.body.json()) as { access_token?: string }
      if (token?.split('.').length !== 3) throw new Error(`${name} answered ${answer.statusCode} without a JWT.`)
    },
    async close() {
      await pool.close()
      child.send('end')
      await once(child, 'exit')
    },
  }
}

async function cpuMicros(child: ChildProcess): Promise<number> {
  child.send('cpu')
  const [{ cpuMicros: spent }] = (await once(child, 'message')) as [{ cpuMicros: number }]
  return spent
}

async function runRound(contestant: Contestant): Promise<number> {
  const before = await cpuMicros(contestant.process)
  let left = tokens
  const worker = async () => {
    while (left-- > 0) await contestant.ask()
  }
  await Promise.all(Array.from({ length: connections }, worker))
  return ((await cpuMicros(contestant.process)) - before) / tokens
}

const hub = await start('isthmus', 'hub')
const bare = await start('bare oidc-provider', 'bare')
// The first rounds only warm up: the compiler is not done before some thousand tokens.
const warmUps = 2
for (let round = -warmUps; round < Number(values.rounds); round++) {
  for (const contestant of round % 2 === 0 ? [hub, bare] : [bare, hub]) {
    const spent = await runRound(contestant)
    if (round >= 0) contestant.micros.push(spent)
  }
}
await Promise.all([hub.close(), bare.close()])

const median = (numbers: readonly number[]) => numbers.toSorted((a, b) => a - b)[Math.floor(numbers.length / 2)] ?? 0
// Each against its neighbour in the same round: what else runs on the machine comes and goes.
const share = median(bare.micros.map((spent, round) => spent / (hub.micros[round] ?? 0)))
const leastByLeast = Math.min(...bare.micros) / Math.min(...hub.micros)
console.log(`${tokens} tokens a round over ${connections} connections, ${values.rounds} rounds, ES256`)
for (const { name, micros } of [hub, bare]) {
  const spent = median(micros)
  console.log(
    `${name.padEnd(20)} ${spent.toFixed(0).padStart(6)} CPU µs a token (least ${Math.min(...micros).toFixed(0)}), ` +
      `${(1e6 / spent).toFixed(0)} tokens per CPU second`,
  )
}
console.log(
  `isthmus issues ${(share * 100).toFixed(1)} % of the tokens of bare oidc-provider per CPU second ` +
    `(least by least ${(leastByLeast * 100).toFixed(1)} %)${share < bar ? ', below the bar of 90 %' : ''}`,
)
if (share < bar) process.exitCode = 1
