import { Duplex } from 'node:stream'
import { isAway, otherServerHeader } from '../../protocols/net/other-server.ts'
import { wireHeaders } from '../wire.ts'
import { type AllowList, readAsk, refuseAsk } from './http-allow.ts'
import { type Framing, framingOf, type HttpHead, HttpWrong, readHttp } from './http-reader.ts'

/**
 * Stands between a stream of the hub and an HTTP/1.1 server: its readable side gives the requests that the list lets
 * through, byte for byte; what the server answers is written to it. A request that is refused is answered with 403 (or
 * 400) after the answers that are still due, and ends the connection; not a byte of it reaches the server. `noteAnswer`
 * hears the status of each answer, and says whether another server may do what this one cannot.
 */
export function gateHttp(
  stream: Duplex,
  allow: () => AllowList,
  noteRefusal: (what: string) => void,
  noteAnswer: (status: number) => boolean = () => false,
): Duplex {
  /** Methods of requests whose answers are due, oldest first. */
  const due: string[] = []
  let refusal: { readonly status: 400 | 403; readonly because: string } | undefined
  let isAnswered = false
  let isInRequest = false
  let isInterim = false
  /** What the head of the answer that is being read gets at its end. */
  let farewell: string | undefined

  const readRequests = readHttp({
    head(head) {
      const ask = readAsk(head)
      const because = refuseAsk(ask, head.headers, allow())
      if (because !== undefined) {
        noteRefusal(`${ask.method} ${ask.target}`)
        refusal = { status: 403, because }
        throw new HttpWrong(because)
      }
      const framing = framingOf(head.headers) ?? { kind: 'none' }
      due.push(ask.method)
      isInRequest = true
      return framing
    },
    bytes: piece => {
      if (!gate.push(piece)) stream.pause()
    },
    end() {
      isInRequest = false
    },
  })

  const readAnswers = readHttp({
    head: head => framingOfAnswer(head, due[0]),
    bytes: piece => {
      const bytes = farewell === undefined ? piece : withFarewell(piece, farewell)
      farewell = undefined
      if (!stream.destroyed && !isAnswered) stream.write(bytes)
    },
    end() {
      // An interim answer (1xx) is followed by the one that counts.
      if (isInterim) isInterim = false
      else due.shift()
      answerRefusal()
    },
  })

  function framingOfAnswer({ start, headers }: HttpHead, method: string | undefined): Framing {
    const status = Number(/^HTTP\/1\.[01] ([1-5]\d\d)(?: |$)/.exec(start)?.[1])
    if (!(status >= 100) || method === undefined || status === 101) throw new HttpWrong('the answer is none')
    isInterim = status < 200
    if (!isInterim) {
      const hasOther = noteAnswer(status)
      // The next request shall find another server, and a connection that is kept leads to this one.
      if (isAway(status) && due.length === 1)
        farewell = `connection: close\r\n${hasOther ? `${otherServerHeader}: yes\r\n` : ''}`
    }
    if (isInterim || status === 204 || status === 304 || method === 'HEAD') return { kind: 'none' }
    return framingOf(headers) ?? { kind: 'until-close' }
  }

  function answerRefusal(): void {
    if (!refusal || due.length > 0 || isAnswered || stream.destroyed) return
    isAnswered = true
    gate.push(null)
    const { status, because } = refusal
    const text = `The connector does not let this request through: ${because}.\n`
    stream.end(
      `HTTP/1.1 ${status} ${status === 403 ? 'Forbidden' : 'Bad Request'}\r\n` +
        `content-type: text/plain; charset=utf-8\r\ncontent-length: ${Buffer.byteLength(text)}\r\n` +
        `${wireHeaders.error}: CONNECTOR_HTTP_REFUSED\r\nconnection: close\r\n\r\n${text}`,
    )
  }

  const gate: Duplex = new Duplex({
    allowHalfOpen: true,
    read: () => void stream.resume(),
    write(chunk: Buffer, _encoding, done) {
      try {
        readAnswers(chunk)
      } catch (thrown) {
        return done(thrown instanceof Error ? thrown : new Error(String(thrown)))
      }
      if (stream.writableNeedDrain && !stream.destroyed) stream.once('drain', () => done())
      else done()
    },
    final(done) {
      if (!stream.destroyed && !stream.writableEnded) stream.end()
      done()
    },
    destroy(error, done) {
      done(error)
    },
  })

  stream.on('data', (chunk: Buffer) => {
    if (refusal) return
    try {
      readRequests(chunk)
    } catch (thrown) {
      const because = thrown instanceof Error ? thrown.message : String(thrown)
      if (!refusal) noteRefusal(because)
      refusal ??= { status: 400, because }
      // The server has the beginning of a request that never ends: only a reset makes that plain.
      if (isInRequest) gate.destroy()
      else answerRefusal()
    }
  })
  stream.once('end', () => {
    if (!refusal) gate.push(null)
  })
  // A stream that is gone takes its gate along; whether it ended well the gate's own two sides tell.
  stream.once('close', () => {
    if (!gate.readableEnded || !gate.writableFinished) gate.destroy()
  })
  return gate
}

/** The head of an answer, which says that the connection ends with it. */
function withFarewell(head: Buffer, farewell: string): Buffer {
  const lines = head
    .toString('latin1', 0, head.length - 2)
    .replace(/(?<=\r\n)(?:keep-alive|connection):[^\r]*\r\n/gi, '')
  return Buffer.from(`${lines}${farewell}\r\n`, 'latin1')
}
