import { createHmac } from 'node:crypto'
import type { CredentialLookup } from '../../kernel/credential.ts'
import { KiB } from '../../kernel/size.ts'
import type { Connect } from '../../kernel/socket.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { Alert } from './alert.ts'
import { alertErrors } from './alert-errors.ts'

export interface WebhookSettings {
  readonly url: string
  /** Credential of kind `secret`; its value signs each request. */
  readonly auth?: string | undefined
}

interface WebhookParts {
  readonly clock: Clock
  readonly connect: Connect
  readonly credential: CredentialLookup
  readonly stop: AbortSignal
}

const webhookLimits = {
  /** How long the other side may take to answer. */
  timeoutMs: 15 * SECOND,
  /** What is read of its answer. */
  answerBytes: 128 * KiB,
}

/**
 * POSTs an alert as JSON. With a secret, `isthmus-signature: t=<seconds>,v1=<hex>` carries the HMAC-SHA256 over
 * `<seconds>.<body>`, so that the receiver can refuse forged and old requests. Throws ALERT_NOT_SENT.
 */
export async function sendWebhook(
  channel: string,
  settings: WebhookSettings,
  alert: Alert,
  { clock, connect, credential, stop }: WebhookParts,
): Promise<void> {
  const body = JSON.stringify(webhookBody(alert))
  const headers: Record<string, string> = { 'content-type': 'application/json', 'user-agent': 'isthmus' }
  if (settings.auth !== undefined) {
    headers['isthmus-signature'] = sign(body, await readSecret(channel, settings.auth, credential), clock.now())
  }
  const status = await post(channel, settings.url, { headers, body, connect, stop })
  if (status >= 200 && status < 300) return
  throw alertErrors.NOT_SENT({ channel, text: `the other side answered ${status}` })
}

function webhookBody({ untold: _untold, channels: _channels, ...alert }: Alert) {
  return {
    ...alert,
    since: new Date(alert.since).toISOString(),
    raisedAt: new Date(alert.raisedAt).toISOString(),
    resolvedAt: alert.resolvedAt === undefined ? null : new Date(alert.resolvedAt).toISOString(),
    raises: alert.raises.length,
  }
}

/** The value of the signature header over a body at a time (milliseconds since 1970). */
function sign(body: string, secret: string, now: number): string {
  const seconds = Math.floor(now / SECOND)
  return `t=${seconds},v1=${createHmac('sha256', secret).update(`${seconds}.${body}`).digest('hex')}`
}

async function readSecret(channel: string, name: string, credential: CredentialLookup): Promise<string> {
  const value = await credential(name)
  if (value.kind === 'secret') return value.secret
  throw alertErrors.NOT_SENT({ channel, text: `credential ${name} is of kind ${value.kind}, not secret` })
}

interface Post {
  readonly headers: Record<string, string>
  readonly body: string
  readonly connect: Connect
  readonly stop: AbortSignal
}

async function post(channel: string, url: string, { headers, body, connect, stop }: Post): Promise<number> {
  // Loaded with the first alert that goes this way; most hubs never need it.
  const { makeHttpAgent } = await import('../../protocols/net/http-client.ts')
  const { timeoutMs, answerBytes } = webhookLimits
  const agent = makeHttpAgent({ connect: () => connect, connectTimeoutMs: timeoutMs, answerBytesMax: -1 })
  try {
    // Redirects are not followed: the address in isthmus.yaml is the one that was meant.
    const signal = AbortSignal.any([AbortSignal.timeout(timeoutMs), stop])
    const { origin, pathname, search } = new URL(url)
    const response = await agent.request({ origin, path: pathname + search, method: 'POST', headers, body, signal })
    await response.body.dump({ limit: answerBytes })
    return response.statusCode
  } catch (cause) {
    const text = cause instanceof Error ? cause.message : String(cause)
    throw alertErrors.NOT_SENT({ channel, text }, { cause })
  } finally {
    await agent.destroy()
  }
}
