import net from 'node:net'

/** Questions and answers between the process of the hub and that of the twins: one line of JSON each, in their order. */
export interface LinePort {
  ask<T>(question: string, details?: object): Promise<T>
  close(): void
}

export async function openLinePort(port: number): Promise<LinePort> {
  const socket = net.connect({ host: '127.0.0.1', port, noDelay: true })
  const waiting: { readonly resolve: (value: unknown) => void; readonly reject: (error: Error) => void }[] = []
  forEachLine(socket, line => {
    const { answer, error } = JSON.parse(line) as { answer?: unknown; error?: string }
    const asker = waiting.shift()
    if (error === undefined) asker?.resolve(answer)
    else asker?.reject(new Error(`The twins: ${error}`))
  })
  socket.on('error', error => {
    for (const { reject } of waiting.splice(0)) reject(error)
  })
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject))
  return {
    ask<T>(question: string, details: object = {}) {
      return new Promise<T>((resolve, reject) => {
        waiting.push({ resolve: value => resolve(value as T), reject })
        socket.write(`${JSON.stringify({ question, ...details })}\n`)
      })
    },
    close: () => socket.destroy(),
  }
}

/** Answers questions one after the other; returns the port. */
export async function answerLines(answer: (question: Record<string, unknown>) => Promise<unknown>): Promise<number> {
  const server = net.createServer({ noDelay: true }, socket => {
    let last: Promise<void> = Promise.resolve()
    socket.on('error', () => {})
    forEachLine(socket, line => {
      last = last.then(async () => {
        const reply = await answer(JSON.parse(line) as Record<string, unknown>).then(
          value => ({ answer: value ?? null }),
          (thrown: unknown) => ({ error: thrown instanceof Error ? (thrown.stack ?? thrown.message) : String(thrown) }),
        )
        socket.write(`${JSON.stringify(reply)}\n`)
      })
    })
  })
  await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve))
  return (server.address() as net.AddressInfo).port
}

function forEachLine(socket: net.Socket, take: (line: string) => void): void {
  let waiting = ''
  socket.setEncoding('utf8').on('data', (chunk: string) => {
    const lines = (waiting + chunk).split('\n')
    waiting = lines.pop() ?? ''
    for (const line of lines) take(line)
  })
}
