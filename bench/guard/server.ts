import { createFlowEndpoints } from '../../src/api/flow-endpoints.ts'
import { openPeople } from '../../src/auth/people/people.ts'
import { createGuard } from '../../src/auth/service/guard.ts'
import { serviceWorld } from '../../src/auth/service/service-world.ts'
import { openTokenServer, type TokenServer } from '../../src/auth/token-server/token-server.ts'
import { hubErrors } from '../../src/kernel/error.ts'
import { silentLog } from '../../src/kernel/log.ts'

/** The endpoints under test in a process of their own, so that its CPU time is theirs alone. Speaks over IPC. */
const world = await serviceWorld()
const users = world.users()
let tokens: TokenServer | undefined
const endpoints = createFlowEndpoints({
  log: silentLog,
  guard: createGuard({ users, tokens: () => tokens, clock: world.clock, log: silentLog }),
})
for (const [path, role] of [
  ['/open', undefined],
  ['/checked', 'ESBMessaging.send'],
] as const) {
  endpoints.serve({
    flow: 'bench',
    path,
    role,
    methods: ['POST'],
    bodyBytesMax: 10_000,
    async handle(request) {
      let bytes = 0
      for await (const chunk of request.body) bytes += chunk.length
      if (bytes === 0) throw hubErrors.UNEXPECTED({ text: 'the body is missing' })
      return { status: 200, headers: { 'content-type': 'text/plain' }, body: 'ok' }
    },
  })
}
const url = await endpoints.listen({ host: '127.0.0.1', port: 0 })
const issuer = new URL(url).origin
const people = await openPeople({ records: world.records, clock: world.clock })
const { records, vault, clock } = world
tokens = await openTokenServer({ issuer, records, vault, users, people, clock, log: silentLog })
const server = tokens
endpoints.mount((request, response) => server.handle(request, response))
const { clientId, secret } = await world.caller('bench')

process.on('message', message => {
  if (message === 'end') {
    void Promise.all([endpoints.close(0), server.close()])
      .then(() => world.close())
      .then(() => process.exit(0))
  } else {
    const { user, system } = process.cpuUsage()
    process.send?.({ cpuMicros: user + system })
  }
})
process.send?.({ url, clientId, secret })
