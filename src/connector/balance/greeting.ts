import type { Duplex } from 'node:stream'
import type { HubError } from '../../kernel/error.ts'
import { asHubError, hubErrors } from '../../kernel/error.ts'
import type { Clock } from '../../kernel/time.ts'
import { smtpErrors } from '../../protocols/smtp/errors.ts'
import { formatReply, type Reply, ReplyReader } from '../../protocols/smtp/reply.ts'
import { balanceLimits } from './limits.ts'

export interface GreetingOptions {
  /** host:port, for sentences. */
  readonly server: string
  readonly timeoutMs: number
  readonly clock: Clock
  readonly signal: AbortSignal
}

export interface Greeting {
  /** Every octet that was read, to be passed on as it is. */
  readonly bytes: Uint8Array
  readonly reply: Reply
}

/**
 * Reads the greeting of a mail server and leaves the socket paused. Anything but 220 (a refusal, no SMTP, silence, a
 * close) destroys the socket and throws an SMTP_… error.
 */
export async function readGreeting(socket: Duplex, options: GreetingOptions): Promise<Greeting> {
  const { server, timeoutMs, clock, signal } = options
  const { promise, resolve, reject } = Promise.withResolvers<Greeting>()
  const reader = new ReplyReader(server)
  const chunks: Uint8Array[] = []
  let size = 0
  const lost = (text: string) => smtpErrors.CONNECTION_LOST({ server, phase: 'greeting', text })
  const onData = (chunk: Buffer) => {
    chunks.push(chunk)
    size += chunk.length
    try {
      const [reply] = reader.push(chunk)
      if (reply) resolve({ bytes: Buffer.concat(chunks), reply })
      else if (size > balanceLimits.greetingBytes) reject(smtpErrors.PROTOCOL({ server, text: 'an endless greeting' }))
    } catch (error) {
      reject(asHubError(error))
    }
  }
  const onError = (error: Error) => reject(lost(error.message))
  const onEnd = () => reject(lost('the other side closed it'))
  const onAbort = () => reject(hubErrors.STOPPING())
  const cancel = clock.after(timeoutMs, () => reject(smtpErrors.TIMEOUT({ server, phase: 'greeting', timeoutMs })))
  socket.on('error', onError).on('end', onEnd).on('close', onEnd).on('data', onData)
  signal.addEventListener('abort', onAbort)
  if (signal.aborted) onAbort()
  else if (socket.destroyed) onEnd()
  try {
    const greeting = await promise
    socket.pause()
    const refusal = refusalOf(greeting.reply, server)
    if (refusal) throw refusal
    return greeting
  } catch (error) {
    // What it still says or reports concerns nobody.
    socket.on('error', () => {}).destroy()
    throw error
  } finally {
    cancel()
    signal.removeEventListener('abort', onAbort)
    socket.off('data', onData).off('error', onError).off('end', onEnd).off('close', onEnd)
  }
}

/** Why a server with this greeting cannot take a mail now. */
export function refusalOf(greeting: Reply, server: string): HubError | undefined {
  if (greeting.code === 220) return undefined
  const reply = formatReply(greeting)
  if (greeting.code >= 500) return smtpErrors.GREETING_REFUSED({ server, reply })
  if (greeting.code >= 400) return smtpErrors.REFUSED_FOR_NOW({ server, phase: 'greeting', reply })
  return smtpErrors.PROTOCOL({ server, text: `"${reply}" at greeting` })
}
