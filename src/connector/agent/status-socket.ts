import { once } from 'node:events'
import { chmod, rm } from 'node:fs/promises'
import http from 'node:http'
import { join } from 'node:path'
import { SECOND } from '../../kernel/time.ts'
import { connectorErrors } from './errors.ts'

const askMs = 5 * SECOND

/** Where the running connector answers; only its own user may open it. */
function socketPath(dataFolder: string): string {
  return join(dataFolder, 'connector.sock')
}

/** Answers every GET with what `describe` returns. Throws CONNECTOR_ALREADY_RUNNING. */
export async function serveStatus(dataFolder: string, describe: () => unknown): Promise<{ close(): Promise<void> }> {
  const path = socketPath(dataFolder)
  const isTaken = await askStatus(dataFolder).then(
    () => true,
    () => false,
  )
  if (isTaken) throw connectorErrors.ALREADY_RUNNING({ folder: dataFolder })
  const server = http.createServer((_request, response) => {
    response.setHeader('content-type', 'application/json')
    response.end(JSON.stringify(describe()))
  })
  server.keepAliveTimeout = 1
  try {
    // Left behind by one that was killed.
    await rm(path, { force: true })
    server.listen(path)
    await once(server, 'listening')
    await chmod(path, 0o600)
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw connectorErrors.SOCKET_REFUSED({ path, text }, { cause })
  }
  return {
    async close() {
      const closed = once(server, 'close')
      server.close()
      server.closeAllConnections()
      await closed
    },
  }
}

/** What the connector that runs with this data folder says. Throws CONNECTOR_NOT_RUNNING. */
export async function askStatus(dataFolder: string): Promise<unknown> {
  const asked = http.get({ socketPath: socketPath(dataFolder), path: '/', signal: AbortSignal.timeout(askMs) })
  try {
    const [response] = (await once(asked, 'response')) as [http.IncomingMessage]
    const chunks: Buffer[] = []
    for await (const chunk of response) chunks.push(chunk as Buffer)
    return JSON.parse(Buffer.concat(chunks).toString('utf8')) as unknown
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw connectorErrors.NOT_RUNNING({ folder: dataFolder, text }, { cause })
  }
}
