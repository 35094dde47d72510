import type { CredentialLookup } from '../../kernel/credential.ts'
import type { Log } from '../../kernel/log.ts'
import type { Connect } from '../../kernel/socket.ts'
import type { Clock } from '../../kernel/time.ts'
import type { Alert, AlertChannel } from './alert.ts'
import { alertErrors } from './alert-errors.ts'
import { alertSubject, alertText } from './alert-text.ts'
import { sendWebhook, type WebhookSettings } from './webhook.ts'

export interface Mail {
  readonly from: string
  readonly to: readonly string[]
  readonly subject: string
  readonly text: string
}

/** Hands a mail over; resolves with what the server answered. */
export type SendMail = (mail: Mail) => Promise<string>

/** How a channel of isthmus.yaml is set up. Mail settings beyond the addresses belong to whoever makes `SendMail`. */
export type ChannelSettings =
  | { readonly log: object }
  | { readonly webhook: WebhookSettings }
  | { readonly mail: { readonly from: string; readonly to: readonly string[] } }

export interface ChannelParts {
  readonly log: Log
  readonly clock: Clock
  readonly connect: Connect
  readonly credential: CredentialLookup
  /** Ends what is being sent: a channel that hangs must not keep the hub from stopping. */
  readonly stop: AbortSignal
  /** Makes the sender of mails for one channel by its name. */
  readonly mailSender: (channel: string) => SendMail
}

/** The channels of isthmus.yaml by name. `log` is always there, so that no alert is without a place. */
export function createChannels(
  settings: Readonly<Record<string, ChannelSettings>>,
  parts: ChannelParts,
): ReadonlyMap<string, AlertChannel> {
  const channels = new Map<string, AlertChannel>([['log', logChannel('log', parts.log)]])
  for (const [name, setting] of Object.entries(settings)) channels.set(name, makeChannel(name, setting, parts))
  return channels
}

function makeChannel(name: string, setting: ChannelSettings, parts: ChannelParts): AlertChannel {
  if ('webhook' in setting) return { name, send: alert => sendWebhook(name, setting.webhook, alert, parts) }
  if ('mail' in setting) return mailChannel(name, setting.mail, parts.mailSender(name))
  return logChannel(name, parts.log)
}

function logChannel(name: string, log: Log): AlertChannel {
  return {
    name,
    async send({ id, flow, state, what, turn, next, command, since }: Alert) {
      const fields = { alert: id, flow, what, since: new Date(since).toISOString(), turn, next, command }
      if (state === 'open') log.warn('alert.raised', fields)
      else log.info('alert.resolved', { alert: id, flow, what })
    },
  }
}

function mailChannel(
  name: string,
  { from, to }: { readonly from: string; readonly to: readonly string[] },
  sendMail: SendMail,
): AlertChannel {
  return {
    name,
    async send(alert) {
      try {
        await sendMail({ from, to, subject: alertSubject(alert), text: alertText(alert) })
      } catch (cause) {
        const text = cause instanceof Error ? cause.message : String(cause)
        throw alertErrors.NOT_SENT({ channel: name, text }, { cause })
      }
    },
  }
}
