import { createServer, type Socket } from 'node:net'
import { pieceBytes, questionBytes } from './work.ts'

/**
 * The server on premise, in a process of its own. The first octet of a connection says what it is for: `q` answers each
 * question of a fixed size with as many bytes, `u` (with a length) takes so many bytes and says so with one octet, `d`
 * (with a length) sends so many.
 */
const server = createServer({ noDelay: true }, socket => {
  socket.on('error', () => {})
  socket.once('data', first => {
    const kind = String.fromCharCode(first[0] ?? 0)
    if (kind === 'q') {
      answerQuestions(socket, first.length - 1)
      return
    }
    const length = Number(first.readBigUInt64BE(1))
    if (kind === 'u') takeBytes(socket, length, first.length - 9)
    else sendBytes(socket, length)
  })
})
server.listen(0, '127.0.0.1', () => {
  const address = server.address()
  console.log(JSON.stringify({ port: typeof address === 'object' ? address?.port : 0 }))
})
process.once('SIGTERM', () => process.exit(0))

function answerQuestions(socket: Socket, begun: number): void {
  const answer = Buffer.alloc(questionBytes, 'a')
  let open = begun
  const look = () => {
    for (; open >= questionBytes; open -= questionBytes) socket.write(answer)
  }
  socket.on('data', chunk => {
    open += chunk.length
    look()
  })
  look()
}

function takeBytes(socket: Socket, length: number, begun: number): void {
  let taken = begun
  socket.on('data', chunk => {
    taken += chunk.length
    if (taken >= length) socket.end('.')
  })
}

function sendBytes(socket: Socket, length: number): void {
  const piece = Buffer.alloc(pieceBytes, 'd')
  let left = length
  const send = () => {
    while (left > 0) {
      const part = left >= piece.length ? piece : piece.subarray(0, left)
      left -= part.length
      if (!socket.write(part)) {
        socket.once('drain', send)
        return
      }
    }
    socket.end()
  }
  send()
}
