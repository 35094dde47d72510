import type { IncomingMessage, ServerResponse } from 'node:http'
import { MiB } from '../../kernel/size.ts'
import { GraphInbox } from '../graph/inbox.ts'

const paths = { notifications: '/groupware/graph', lifecycle: '/groupware/graph/lifecycle' }
/** A request of Graph holds some dozen notifications of a few hundred octets each. */
const bodyBytesMax = MiB

/** Where Microsoft Graph tells that mailboxes have changed. */
export class GraphEndpoint {
  readonly inbox: GraphInbox

  /** `origin` is the address under which Microsoft reaches the endpoints of this hub; Graph accepts https alone. */
  constructor(origin: string) {
    this.inbox = new GraphInbox({
      notificationUrl: new URL(paths.notifications, origin).href,
      lifecycleUrl: new URL(paths.lifecycle, origin).href,
    })
  }

  /** Answers the request when its path is ours; false: it is somebody else's. */
  handle(incoming: IncomingMessage, response: ServerResponse): boolean {
    const [path, ...search] = (incoming.url ?? '').split('?')
    if (path !== paths.notifications && path !== paths.lifecycle) return false
    if (incoming.method !== 'POST') {
      response.writeHead(405, { allow: 'POST', connection: 'close' }).end()
      return true
    }
    const query = Object.fromEntries(new URLSearchParams(search.join('?')))
    const chunks: Buffer[] = []
    let bytes = 0
    incoming.on('data', (chunk: Buffer) => {
      bytes += chunk.length
      if (bytes <= bodyBytesMax) chunks.push(chunk)
      else if (!response.headersSent) response.writeHead(413, { connection: 'close' }).end()
    })
    incoming.on('error', () => response.destroy())
    incoming.on('end', () => {
      if (response.headersSent) return
      const { status, type, body } = this.inbox.handle(query, Buffer.concat(chunks))
      response.writeHead(status, { 'content-type': type, 'x-content-type-options': 'nosniff' }).end(body)
    })
    return true
  }
}
