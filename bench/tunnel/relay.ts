import { connect, createServer, type Socket } from 'node:net'

/**
 * A distant line: `relay.ts <port> <ms>` passes each byte on after so many milliseconds, in both directions, with room
 * for what is on its way. A process of its own.
 */
const [, , toPort = '0', ms = '0'] = process.argv
const delayMs = Number(ms)
/** More than any window that is measured: the line itself holds nobody up. */
const onTheWayMax = 256 * 1024 * 1024

const server = createServer({ noDelay: true, allowHalfOpen: true }, near => {
  const far = connect({ port: Number(toPort), host: '127.0.0.1', noDelay: true, allowHalfOpen: true })
  carry(near, far)
  carry(far, near)
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 }))
})
process.once('SIGTERM', () => process.exit(0))

function carry(from: Socket, to: Socket): void {
  const due: { readonly at: number; readonly chunk: Buffer | undefined }[] = []
  let waiting = 0
  let timer: NodeJS.Timeout | undefined
  const wait = () => {
    const [next] = due
    if (next && !timer) timer = setTimeout(passOn, Math.max(0, next.at - performance.now()))
  }
  function passOn() {
    timer = undefined
    const now = performance.now()
    while (due[0] && due[0].at <= now) {
      const { chunk } = due.shift() ?? {}
      if (!chunk) to.end()
      else {
        waiting -= chunk.length
        to.write(chunk)
      }
    }
    if (from.isPaused() && waiting + to.writableLength < onTheWayMax) from.resume()
    wait()
  }
  from.on('data', chunk => {
    waiting += chunk.length
    due.push({ at: performance.now() + delayMs, chunk })
    if (waiting + to.writableLength > onTheWayMax) from.pause()
    wait()
  })
  from.on('end', () => {
    due.push({ at: performance.now() + delayMs, chunk: undefined })
    wait()
  })
  from.on('error', () => to.destroy())
  from.on('close', () => {
    if (!from.readableEnded) to.destroy()
  })
}
