import { once } from 'node:events'
import net from 'node:net'

/** A talk with an IMAP server by hand, for tests that care about every line. */
export interface Conversation {
  /**
   * Sends a line and returns the lines up to the answer with its tag (its first word, unless another is named), a
   * continuation, or the end of the connection.
   */
  say(line: string, tag?: string): Promise<string[]>
  /** Sends octets and waits for nothing. */
  send(octets: string | Uint8Array): void
  /** Lines until one fits, or all that came before the connection ended. */
  until(line: RegExp): Promise<string[]>
  /** Everything that has not been read yet, once the server has ended the connection. */
  rest(): Promise<string>
  /** What came and was not read. */
  unread(): string
  end(): void
}

/** Connects to a plain IMAP port on loopback and reads the greeting. Octets are letters (latin1). */
export async function openConversation(port: number): Promise<Conversation> {
  const socket = net.connect(port, '127.0.0.1')
  socket.setEncoding('latin1')
  let text = ''
  socket.on('data', (chunk: string) => {
    text += chunk
    socket.emit('progress')
  })
  // A server that cuts the connection is what some tests wait for: they see the end.
  socket.on('error', () => {})
  socket.on('close', () => socket.emit('progress'))

  async function until(isLast: (line: string) => boolean): Promise<string[]> {
    for (;;) {
      const lines = text.split('\r\n').slice(0, -1)
      const last = lines.findIndex(isLast)
      if (last >= 0 || socket.destroyed) {
        const read = last >= 0 ? lines.slice(0, last + 1) : lines
        text = text.slice(read.join('\r\n').length + 2)
        return read
      }
      await once(socket, 'progress')
    }
  }
  await until(() => true)
  return {
    say(line, tag = line.split(' ')[0] ?? '') {
      socket.write(`${line}\r\n`)
      return until(answer => answer.startsWith('+ ') || answer.startsWith(`${tag} `))
    },
    send: octets => void socket.write(octets),
    until: line => until(candidate => line.test(candidate)),
    async rest() {
      while (!socket.destroyed) await once(socket, 'progress')
      return text
    },
    unread: () => text,
    end: () => void socket.destroy(),
  }
}

/** The initial response of XOAUTH2. */
export function sasl(user: string, token: string): string {
  return Buffer.from(`user=${user}\x01auth=Bearer ${token}\x01\x01`).toString('base64')
}
