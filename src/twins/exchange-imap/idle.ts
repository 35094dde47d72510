import type { Command } from './command-reader.ts'
import { type Connection, ConnectionOver } from './connection.ts'
import { badArgument, texts } from './reply.ts'
import { isTokenOver, tellNews } from './session-news.ts'

const lineBytesMax = 64

/** IDLE (RFC 2177): tells what others do to the folder at once, until the client says DONE. */
export async function idle(connection: Connection, { text }: Command): Promise<string> {
  text.end()
  const { wire, reader, world } = connection
  wire.line('+ IDLE accepted, awaiting DONE command.')
  const wake = () => {
    // A client that idles sends nothing, so the end of its token has to be told without being asked.
    if (isTokenOver(connection)) {
      wire.line(`* BYE ${texts.tokenExpired}`)
      void wire.cut()
      return
    }
    if (world.faults().idleSilent) return
    tellNews(connection, true)
    void wire.flush()
  }
  connection.wake = wake
  const cancelExpiry = watchExpiry(connection)
  try {
    wake()
    await wire.flush()
    const line = await reader.line(lineBytesMax)
    if (line === undefined) throw new ConnectionOver()
    if (line.toUpperCase() !== 'DONE') throw badArgument()
  } finally {
    cancelExpiry()
    connection.wake = () => {}
  }
  return 'IDLE completed.'
}

/** Wakes the connection when its token ends by time. */
function watchExpiry(connection: Connection): () => void {
  const { token, world } = connection
  const claims = token === undefined ? undefined : world.signIn.verify(token)
  if (!claims) return () => {}
  return world.clock.after(Math.max(0, claims.exp * 1000 - world.clock.now()) + 1, () => connection.wake())
}
