import { defineReceiver, type Effect, type Receipt, type Receiver, type ReceiverContext } from '../flow/adapter.ts'
import { type Body, heldBody } from '../kernel/body.ts'
import { asHubError, type HubError } from '../kernel/error.ts'
import type { Message } from '../kernel/message.ts'
import type { CheckResult } from '../kernel/socket.ts'
import { hasWholeHeader, headerLimits, mailHeaderOf, readMailHeader } from '../protocols/mime/header.ts'
import { parseAddress } from '../protocols/smtp/address.ts'
import { inspectContent } from '../protocols/smtp/content.ts'
import type { Refusal } from '../protocols/smtp/envelope.ts'
import { smtpErrors } from '../protocols/smtp/errors.ts'
import { fateOfMail, type Handover, readHandover } from '../protocols/smtp/handover.ts'
import type { SmtpPool } from '../protocols/smtp/pool.ts'
import { formatReply, type Reply } from '../protocols/smtp/reply.ts'
import { openSession, type SmtpServer } from '../protocols/smtp/session.ts'
import type { Mail, SentMail } from '../protocols/smtp/transaction.ts'
import { isWorthAnother, markAboutMail } from './smtp-again.ts'
import { isBounced, writeBounce } from './smtp-bounce.ts'
import { type SmtpConfig, smtpConfig } from './smtp-config.ts'
import { readEnvelope, refuseUnknownRecipients } from './smtp-envelope.ts'
import { nameOfMail } from './smtp-facts.ts'
import { renderAddedHeaders } from './smtp-headers.ts'
import { refuseLoop } from './smtp-loop.ts'
import { describeServer, openPool, readTimeouts } from './smtp-server.ts'

export const smtp = defineReceiver({
  id: 'smtp',
  title: 'Mail server',
  summary: 'Hands a mail over SMTP to a mail server (S/4HANA SAPconnect, Exchange Online, any other), byte for byte.',
  answers: false,
  config: smtpConfig,
  examples: [
    {
      title: 'SAPconnect on S/4HANA behind a connector',
      config: { via: 'dc-frankfurt', host: 's4-smtp.virtual', security: 'none', to: 'orders@s4.contoso.com' },
    },
    {
      title: 'Submission to Microsoft 365',
      config: { host: 'smtp.office365.com', auth: 'm365-mail', from: 'hub@contoso.com', to: 'team@contoso.com' },
    },
  ],
  errors: smtpErrors,
  open: context => SmtpReceiver.open(context),
})

class SmtpReceiver implements Receiver {
  readonly #context: ReceiverContext<SmtpConfig>
  readonly #server: SmtpServer
  readonly #pool: SmtpPool
  /** Where bounces go; undefined when there are none. */
  readonly #bouncePool: SmtpPool | undefined

  constructor(
    context: ReceiverContext<SmtpConfig>,
    server: SmtpServer,
    pool: SmtpPool,
    bouncePool: SmtpPool | undefined,
  ) {
    this.#context = context
    this.#server = server
    this.#pool = pool
    this.#bouncePool = bouncePool
  }

  static async open(context: ReceiverContext<SmtpConfig>): Promise<SmtpReceiver> {
    const { config } = context
    const timeouts = readTimeouts(config)
    const server = await describeServer(config, timeouts, context)
    const pool = openPool(server, config, context)
    const { bounce } = config
    if (bounce === 'none') return new SmtpReceiver(context, server, pool, undefined)
    if (bounce === 'sender') return new SmtpReceiver(context, server, pool, pool)
    const bounceServer = await describeServer(bounce.server, timeouts, context)
    return new SmtpReceiver(context, server, pool, openPool(bounceServer, config, context))
  }

  async deliver(message: Message, effect: Effect): Promise<Receipt> {
    const since = this.#context.clock.now()
    // First: what became of an earlier attempt does not depend on what the document says by now.
    const sent = effect.isUnknown ? await this.#sentEarlier(message, effect) : undefined
    const { server, ...mail } = sent ?? { server: this.#address, ...(await this.#sendNow(message, effect)) }
    return describeReceipt(mail, server, this.#context.clock.now() - since)
  }

  async #sendNow(message: Message, effect: Effect): Promise<SentMail> {
    const { config, clock } = this.#context
    const envelope = await readEnvelope(config, message, effect.scope)
    const head = await readHead(message.body)
    const header = mailHeaderOf(message.body.held ?? head)
    refuseUnknownRecipients(config, message, header)
    refuseLoop(config, message, header, envelope)
    const added = await renderAddedHeaders(config, message, effect.scope, clock.now())
    const mail = {
      name: nameOfMail(message),
      ...envelope,
      content: await this.#inspect(message, added),
      someRefused: config['some-refused'],
      whenUnknown: config['on-unknown'] === 'send-again' ? ('soon' as const) : ('never' as const),
    }
    const from = envelope.from?.text ?? ''
    let sent: SentMail
    try {
      sent = await this.#send(mail, effect)
    } catch (thrown) {
      const to = envelope.to.map(({ text }) => text)
      throw await this.#failed(thrown, message, { from, to }, effect)
    }
    await this.#bounce(message, from, sent.refused, effect)
    return sent
  }

  /**
   * The mail as an earlier attempt sent it, of which only a connector knows; undefined: it is to be sent. Throws
   * SMTP_OUTCOME_UNKNOWN where nobody knows and it must not go twice, and what the server said where it refused it.
   */
  async #sentEarlier(message: Message, effect: Effect): Promise<(SentMail & { readonly server: string }) | undefined> {
    const name = nameOfMail(message)
    const handover = readHandover(effect.note)
    if (handover) {
      const { server, from, accepted, refused } = handover
      let fate: Awaited<ReturnType<typeof fateOfMail>>
      try {
        fate = await this.#fateOf(handover, name, effect)
      } catch (thrown) {
        // It is in doubt no longer: as an intent of this attempt it is withdrawn with it.
        await effect.intend(effect.note)
        const to = [...accepted, ...refused.map(({ recipient }) => recipient)]
        throw await this.#failed(thrown, message, { from, to }, effect)
      }
      if (fate === 'fell-short') {
        // The same, should it not come to the sending.
        await effect.intend(effect.note)
        return undefined
      }
      if (fate) {
        await this.#bounce(message, from, fate.refused, effect)
        return { ...fate, server }
      }
    }
    if (this.#context.config['on-unknown'] === 'send-again') return undefined
    const text = 'That was in an earlier attempt, and it is not sent twice.'
    throw smtpErrors.OUTCOME_UNKNOWN({ mail: name, server: handover?.server ?? this.#address, text })
  }

  get #address(): string {
    return `${this.#server.host}:${this.#server.port}`
  }

  /** Tries again at once where nothing can have been accepted and another connection may meet a better server. */
  async #send(mail: MailToSend, effect: Effect): Promise<SentMail> {
    const { config, log } = this.#context
    const { signal } = effect
    let recording: Promise<void> | undefined
    for (let again = 1; ; again++) {
      let handover: Handover | undefined
      // A record without a handover holds for every connection that is tried.
      const beforeCommit: Mail['beforeCommit'] = given => {
        handover = given
        if (given) {
          // What this names must not be asked of the connection that may come after it.
          recording = undefined
          return effect.intend({ ...given })
        }
        recording ??= effect.intend()
        return recording
      }
      const onHandedOver = (given: Handover) => {
        handover = given
      }
      try {
        return await this.#pool.send({ ...mail, beforeCommit, onHandedOver }, signal)
      } catch (thrown) {
        let error = asHubError(thrown)
        if (error.isOutcomeUnknown) {
          const fate = handover && (await this.#fateOf(handover, mail.name, effect))
          if (fate === 'fell-short') error = this.#notHandedOver(error)
          else if (fate) return fate
        }
        if (again > config['again-at-once'] || signal.aborted || !isWorthAnother(error, config.via !== undefined))
          throw error
        log.info('smtp.tried-again', { mail: mail.name, again, code: error.code, text: error.message })
      }
    }
  }

  /** What a connector knows of a mail whose answer did not come. Throws what the server said where it refused it. */
  async #fateOf(handover: Handover, mail: string, { signal }: Effect) {
    const { connect, log } = this.#context
    const fate = await fateOfMail(handover, connect, signal)
    if (fate && fate !== 'fell-short')
      log.info('smtp.answer-found', { mail, reply: formatReply(fate.reply), ...handover.trace })
    return fate
  }

  /** The connector knows that the end of the mail did not get through: it is safe to send it again. */
  #notHandedOver(cause: HubError): HubError {
    const text = 'its last octets did not pass the connector.'
    return smtpErrors.CONNECTION_LOST({ server: this.#address, phase: 'end of mail', text }, { cause })
  }

  async #inspect(message: Message, added: Uint8Array | undefined) {
    const bytesMax = this.#context.config['max-size']
    const bytes = message.body.bytes + (added?.length ?? 0)
    if (bytesMax !== undefined && bytes > bytesMax)
      throw smtpErrors.TOO_LARGE({ server: this.#address, bytes, text: `max-size is ${bytesMax} bytes` })
    return inspectContent(message.body, added)
  }

  /** The failure of a mail. Its sender is told where that is for good. */
  async #failed(
    thrown: unknown,
    message: Message,
    { from, to }: { readonly from: string; readonly to: readonly string[] },
    effect: Effect,
  ): Promise<HubError> {
    const error = markAboutMail(thrown)
    const refused = to.map(recipient => ({ recipient, reply: replyOf(error) }))
    if (isBounced(error)) await this.#bounce(message, from, refused, effect)
    return error
  }

  /** `sender`: empty is the null sender, whom nobody tells. */
  async #bounce(message: Message, sender: string, refused: readonly Refusal[], effect: Effect): Promise<void> {
    const { config, clock, log } = this.#context
    const pool = this.#bouncePool
    if (!pool || sender === '' || refused.length === 0) return
    const fields = { message: message.id, sender }
    try {
      const head = await readHead(message.body)
      const bytes = writeBounce({
        message,
        sender,
        refused,
        server: this.#address,
        header: head.subarray(0, readMailHeader(head).bodyAt ?? head.length),
        reporter: config.helo,
        from: typeof config.bounce === 'object' ? config.bounce.from : undefined,
        now: clock.now(),
      })
      // Another receiver of the flow, or a crash, may make this one try again and be refused again.
      if (!(await effect.isFirst('bounce', `bounce to ${sender}; the log says what became of it`))) return
      const sent = await pool.send(
        {
          name: `bounce of ${message.id}`,
          from: undefined,
          to: [parseAddress(sender)],
          content: await inspectContent(heldBody(bytes, 'message/rfc822')),
          someRefused: 'deliver',
          whenUnknown: 'never',
          beforeCommit: async () => {},
        },
        effect.signal,
      )
      log.info('smtp.bounced', { ...fields, reply: formatReply(sent.reply) })
    } catch (error) {
      // The refusal itself is what the delivery reports; that nobody could be told is the smaller trouble.
      log.warn('smtp.bounce-failed', { ...fields, error: asHubError(error).message })
    }
  }

  async check(): Promise<CheckResult> {
    const { signal } = this.#context
    try {
      const connection = await openSession(this.#server, this.#context, signal)
      const reply = await connection.command('NOOP', 'NOOP', this.#server.timeouts.commandMs)
      const { keywords } = connection.extensions
      const rttMs = connection.rttMs.toFixed(1)
      const security = connection.isEncrypted ? 'encrypted' : 'not encrypted'
      const as = connection.user === undefined ? '' : `, logged in as ${connection.user}`
      await connection.quit()
      if (reply.code >= 400)
        throw smtpErrors.REFUSED_FOR_NOW({ server: connection.server, phase: 'NOOP', reply: formatReply(reply) })
      const detail = `${connection.greeting} (${security}${as}, ${rttMs} ms; ${keywords.join(', ') || 'HELO only'})`
      return { ok: true, detail }
    } catch (error) {
      return { ok: false, error: asHubError(error) }
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#pool.close(), this.#bouncePool?.close()])
  }
}

type MailToSend = Omit<Mail, 'beforeCommit'>

/** The beginning of a mail, enough to read its header. */
async function readHead(body: Body): Promise<Uint8Array> {
  if (body.held) return body.held.subarray(0, headerLimits.blockBytes)
  let head: Uint8Array = Buffer.alloc(0)
  for await (const chunk of body.stream()) {
    head = head.length === 0 ? chunk : Buffer.concat([head, chunk])
    if (hasWholeHeader(head)) break
  }
  return head
}

function replyOf(error: HubError): string {
  const { reply, text } = error.fields
  return String(reply ?? text ?? error.message)
}

function describeReceipt(sent: SentMail, server: string, durationMs: number): Receipt {
  const id = queueIdOf(sent.reply)
  return {
    summary: formatReply(sent.reply),
    ...(id !== undefined && { terms: [id] }),
    fields: {
      server,
      recipients: [...sent.accepted],
      ...(sent.refused.length > 0 && { refused: sent.refused.map(refusal => ({ ...refusal })) }),
      mode: sent.mode,
      bytes: sent.bytes,
      durationMs: Math.round(durationMs),
      ...(sent.hasRepairedLineEnds && { lineEnds: 'bare CR or LF became CRLF, since the server offers DATA only' }),
    },
  }
}

/** The id under which the server will know the mail; each brand of server has words of its own for it. */
function queueIdOf(reply: Reply): string | undefined {
  const text = reply.lines.join(' ')
  const forms = [
    /\bqueued as ([A-Za-z0-9-]{4,40})/i,
    /\bInternalId=(\d+)/,
    /\bid=([A-Za-z0-9-]{6,40})/,
    /^2\.0\.0 ([A-Za-z0-9]{8,30}) Message accepted/,
    /\bdocument ([A-Z0-9]{6,60})\b/,
  ]
  return forms.map(form => form.exec(text)?.[1]).find(id => id !== undefined)
}
