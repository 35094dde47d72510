import { once } from 'node:events'
import { createServer, type IncomingHttpHeaders } from 'node:http'

export interface SeenRequest {
  readonly url: string
  readonly headers: IncomingHttpHeaders
  readonly body: Buffer
}

export type WebReply =
  | { readonly status: number; readonly headers?: Readonly<Record<string, string>>; readonly body?: string }
  | 'cut'

/** A web service on a real socket that answers what a test says, then 204; it can be held for a while. */
export async function webService() {
  const requests: SeenRequest[] = []
  const replies: WebReply[] = []
  let held: Promise<void> = Promise.resolve()
  let release = () => {}
  const server = createServer((request, response) => {
    const chunks: Buffer[] = []
    request.on('data', (chunk: Buffer) => chunks.push(chunk))
    request.on('end', () => {
      requests.push({ url: request.url ?? '', headers: request.headers, body: Buffer.concat(chunks) })
      void held.then(() => {
        const reply = replies.shift() ?? { status: 204 }
        if (reply === 'cut') request.socket.destroy()
        else response.writeHead(reply.status, reply.headers).end(reply.body)
      })
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  return {
    url: `http://127.0.0.1:${typeof address === 'object' && address ? address.port : 0}`,
    requests,
    /** The next answers, in this order. */
    replies,
    /** Answers nothing until `release`. */
    hold() {
      held = new Promise(resolve => {
        release = resolve
      })
    },
    release: () => release(),
    async stop() {
      release()
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}
