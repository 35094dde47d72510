import { startBalancingFront } from '../../test/foreign/servers/balancing-front.ts'

/** The balancer in a process of its own: `front.ts <port> <port> <port>`. */
const front = await startBalancingFront(process.argv.slice(2).map(Number))
console.log(JSON.stringify({ port: front.port }))
process.once('SIGTERM', () => {
  void front.stop().then(() => process.exit(0))
})
