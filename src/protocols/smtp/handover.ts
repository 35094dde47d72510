import { z } from 'zod'
import type { JsonObject } from '../../kernel/json.ts'
import type { Connect } from '../../kernel/socket.ts'
import { type Refuser, refusalError } from './refusal.ts'
import { type Reply, readReply } from './reply.ts'
import type { SentMail } from './transaction.ts'

/**
 * A mail on a connection through a connector, of which only the answer is due or will be: all that it takes to learn
 * later what became of it, also in another process of the hub.
 */
const handover = z.object({
  trace: z.object({ location: z.string(), connector: z.string(), stream: z.string() }),
  /** Octets of the connection before the command MAIL, and at least so many up to the end of the mail. */
  mailAt: z.number(),
  written: z.number(),
  /** `host:port` of the server that has it. */
  server: z.string(),
  /** Empty: the null sender. */
  from: z.string(),
  bytes: z.number(),
  accepted: z.array(z.string()).readonly(),
  refused: z.array(z.object({ recipient: z.string(), reply: z.string() })).readonly(),
  mode: z.enum(['data', 'data-pipelined', 'bdat']),
  hasRepairedLineEnds: z.boolean(),
})
export type Handover = z.infer<typeof handover>

/** A handover that was kept; undefined where this is none. */
export function readHandover(kept: JsonObject | undefined): Handover | undefined {
  return handover.safeParse(kept).data
}

/**
 * Asks the connector what became of a mail whose answer did not come. `fell-short`: the server certainly lacks some of its
 * octets, and gets no more. Undefined: nobody knows. Throws as sending does where the server refused it.
 */
export async function fateOfMail(
  mail: Handover,
  connect: Pick<Connect, 'fateOf'>,
  signal: AbortSignal,
): Promise<'fell-short' | SentMail | undefined> {
  const { trace, mailAt, written } = mail
  const fate = await connect.fateOf?.(trace, { mailAt, written }, signal)
  if (!fate) return undefined
  if (fate.passedOn < written) return 'fell-short'
  const reply = fate.reply && readReply(fate.reply)
  return reply && isAnswer(reply) ? concludeMail(reply, mail, { server: mail.server, user: undefined }) : undefined
}

/** What the answer to a whole mail means. Throws SMTP_REFUSED and the like. */
export function concludeMail(
  reply: Reply,
  mail: Omit<Handover, 'trace' | 'mailAt' | 'written' | 'server'>,
  refuser: Refuser,
): SentMail {
  const { accepted, refused, mode, bytes, hasRepairedLineEnds } = mail
  if (reply.code >= 400) throw refusalError(refuser, reply, { phase: 'end of mail', from: mail.from || '<>', bytes })
  return { reply, accepted, refused, mode, bytes, hasRepairedLineEnds }
}

/** Whether it says what became of a mail; 3xx asks for more. */
export function isAnswer({ code }: Reply): boolean {
  return code < 300 || code >= 400
}
