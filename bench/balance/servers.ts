import { writeFileSync } from 'node:fs'
import { startTroubledServers } from '../../test/foreign/servers/troubled-servers.ts'

/** The three mail servers in a process of their own: `servers.ts <file>`. Says its ports; at the end it writes what each took. */
const servers = await startTroubledServers({ slowMs: 50, flap: { upMs: 4000, downMs: 2000 } })
console.log(JSON.stringify({ ports: servers.ports }))
process.once('SIGTERM', () => {
  writeFileSync(process.argv[2] ?? '', JSON.stringify(servers.taken))
  void servers.stop().then(() => process.exit(0))
})
