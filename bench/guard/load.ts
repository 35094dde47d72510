import { once } from 'node:events'
import { connect } from 'node:net'

export interface Load {
  readonly url: string
  readonly path: string
  readonly authorization?: string | undefined
  readonly requests: number
  readonly connections: number
  readonly bytes: number
}

/** Sends requests over connections that stay open, one at a time on each; throws when one is not answered with 200. */
export async function sendLoad({ url, path, authorization, requests, connections, bytes }: Load): Promise<void> {
  const { port, host } = new URL(url)
  const body = JSON.stringify({ text: 'x'.repeat(bytes - 11) })
  const head = [
    `POST /flows${path} HTTP/1.1`,
    `Host: ${host}`,
    'Content-Type: application/json',
    `Content-Length: ${Buffer.byteLength(body)}`,
    ...(authorization === undefined ? [] : [`Authorization: ${authorization}`]),
  ]
  const request = `${head.join('\r\n')}\r\n\r\n${body}`
  let left = requests
  await Promise.all(Array.from({ length: connections }, work))

  async function work(): Promise<void> {
    const socket = connect(Number(port), '127.0.0.1')
    socket.setNoDelay(true)
    socket.setEncoding('latin1')
    await once(socket, 'connect')
    try {
      while (left > 0) {
        left--
        socket.write(request)
        let answer = ''
        while (!answer.endsWith('\r\n\r\nok')) {
          const [text] = (await once(socket, 'data')) as [string]
          answer += text
          if (!answer.startsWith('HTTP/1.1 200')) throw new Error(`The endpoint answered ${answer}`)
        }
      }
    } finally {
      socket.destroy()
    }
  }
}
