import { once } from 'node:events'
import { createServer } from 'node:http'

/** A call that came to the other side of a webhook. */
export interface Call {
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly text: string
  readonly json: Readonly<Record<string, unknown>>
}

/** Takes the calls of a webhook; `statuses` are answered one after the other, then 204. */
export async function webhookServer(statuses: readonly number[] = []) {
  const calls: Call[] = []
  const left = [...statuses]
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      const text = Buffer.concat(chunks).toString()
      calls.push({ headers: request.headers, text, json: JSON.parse(text) as Record<string, unknown> })
      response.writeHead(left.shift() ?? 204).end()
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  const port = typeof address === 'object' && address ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/alerts`,
    calls,
    async stop() {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
