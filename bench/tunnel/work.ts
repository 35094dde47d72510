import { once } from 'node:events'
import type { Duplex } from 'node:stream'

export const questionBytes = 512
export const pieceBytes = 64 * 1024

/** Opens a connection to the server on premise, through whatever is measured. */
export type Open = () => Promise<Duplex>

/** New connections one after the other in so many lanes, each with one question and its answer; how many a second. */
export async function connectionsPerSecond(open: Open, options: { count: number; lanes: number }): Promise<number> {
  let left = options.count
  return perSecond(options.count, options.lanes, async () => {
    while (left-- > 0) {
      const stream = await open()
      await ask(stream, true)
      stream.destroy()
    }
  })
}

/** Questions and answers over connections that stay open; how many a second. */
export async function questionsPerSecond(open: Open, options: { count: number; lanes: number }): Promise<number> {
  const streams = await Promise.all(Array.from({ length: options.lanes }, open))
  for (const stream of streams) await ask(stream, true)
  let left = options.count
  const lanes = streams.values()
  const rate = await perSecond(options.count, options.lanes, async () => {
    const stream = lanes.next().value
    if (!stream) return
    while (left-- > 0) await ask(stream, false)
  })
  for (const stream of streams) stream.destroy()
  return rate
}

/** Bytes to the server over so many connections at once; MB (10^6) a second. */
export async function upload(open: Open, options: { bytes: number; lanes: number }): Promise<number> {
  const share = Math.ceil(options.bytes / options.lanes)
  return perSecond((share * options.lanes) / 1e6, options.lanes, async () => {
    const stream = await open()
    stream.write(order('u', share))
    const piece = Buffer.alloc(pieceBytes, 'u')
    for (let left = share; left > 0; left -= pieceBytes) {
      const part = left >= pieceBytes ? piece : piece.subarray(0, left)
      if (!stream.write(part)) await once(stream, 'drain')
    }
    await once(stream, 'data')
    stream.destroy()
  })
}

/** Bytes from the server over so many connections at once; MB (10^6) a second. */
export async function download(open: Open, options: { bytes: number; lanes: number }): Promise<number> {
  const share = Math.ceil(options.bytes / options.lanes)
  return perSecond((share * options.lanes) / 1e6, options.lanes, async () => {
    const stream = await open()
    stream.write(order('d', share))
    let got = 0
    await new Promise<void>((resolve, reject) => {
      stream.on('data', (chunk: Buffer) => {
        got += chunk.length
        if (got >= share) resolve()
      })
      stream.once('error', reject)
      stream.once('close', () => reject(new Error(`the connection ended after ${got} of ${share} bytes`)))
    })
    stream.destroy()
  })
}

/** Connections that were used once and then rest. */
export async function openIdle(open: Open, count: number): Promise<readonly Duplex[]> {
  const streams: Duplex[] = []
  while (streams.length < count) {
    const next = await Promise.all(Array.from({ length: Math.min(50, count - streams.length) }, open))
    await Promise.all(next.map(stream => ask(stream, true)))
    streams.push(...next)
  }
  return streams
}

async function perSecond(amount: number, lanes: number, work: () => Promise<void>): Promise<number> {
  const startedAt = performance.now()
  await Promise.all(Array.from({ length: lanes }, work))
  return amount / ((performance.now() - startedAt) / 1000)
}

const question = Buffer.alloc(questionBytes, 'q')
const firstQuestion = Buffer.concat([Buffer.from('q'), question])

function ask(stream: Duplex, isFirst: boolean): Promise<void> {
  return new Promise((resolve, reject) => {
    let got = 0
    const onData = (chunk: Buffer) => {
      got += chunk.length
      if (got >= questionBytes) end(resolve)
    }
    const onClose = () => end(() => reject(new Error('the connection ended before the answer')))
    const onError = (error: Error) => end(() => reject(error))
    function end(tell: () => void) {
      stream.off('data', onData).off('close', onClose).off('error', onError)
      tell()
    }
    stream.on('data', onData).once('close', onClose).once('error', onError)
    stream.write(isFirst ? firstQuestion : question)
  })
}

function order(kind: 'u' | 'd', length: number): Buffer {
  const order = Buffer.alloc(9, kind)
  order.writeBigUInt64BE(BigInt(length), 1)
  return order
}
