import { connect, createServer } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'

const pollMs = 20

/** Waits until `probe` gives something other than undefined or false; throws with `what` in the sentence when late. */
export async function waitFor<T>(
  what: string,
  timeoutMs: number,
  probe: () => T | undefined | false | Promise<T | undefined | false>,
): Promise<T> {
  const deadline = Date.now() + timeoutMs
  for (;;) {
    const value = await probe()
    if (value !== undefined && value !== false) return value
    if (Date.now() > deadline) throw new Error(`Waited ${timeoutMs} ms in vain for ${what}.`)
    await sleep(pollMs)
  }
}

/** Free ports of 127.0.0.1, all different. Somebody else may take one before it is used: whoever starts a server tries again. */
export async function freePorts(count: number): Promise<number[]> {
  const servers = Array.from({ length: count }, () => createServer())
  const ports = await Promise.all(
    servers.map(
      server =>
        new Promise<number>((resolve, reject) => {
          server.once('error', reject)
          server.listen(0, '127.0.0.1', () => {
            const address = server.address()
            resolve(typeof address === 'object' && address ? address.port : 0)
          })
        }),
    ),
  )
  await Promise.all(servers.map(server => new Promise(resolve => server.close(resolve))))
  return ports
}

/** True when somebody accepts connections there now. */
export function isListening(port: number): Promise<boolean> {
  return new Promise(resolve => {
    const socket = connect({ host: '127.0.0.1', port })
    const answer = (isOpen: boolean) => {
      socket.destroy()
      resolve(isOpen)
    }
    socket.once('connect', () => answer(true))
    socket.once('error', () => answer(false))
  })
}

/** Tries again with other ports: between the look for a free port and its use somebody else may take it. */
export async function withFreshPorts<T>(tries: number, start: () => Promise<T>): Promise<T> {
  for (let tryCount = 1; ; tryCount++) {
    try {
      return await start()
    } catch (error) {
      if (tryCount >= tries || !/in use/i.test(String(error))) throw error
    }
  }
}
