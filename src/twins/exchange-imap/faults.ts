import { z } from 'zod'
import { strike, times } from '../twin.ts'

const verbs = [
  'AUTHENTICATE',
  'LOGIN',
  'SELECT',
  'EXAMINE',
  'STATUS',
  'LIST',
  'CREATE',
  'SEARCH',
  'FETCH',
  'STORE',
  'COPY',
  'MOVE',
  'EXPUNGE',
  'APPEND',
  'IDLE',
  'NOOP',
] as const
const commands = z.array(z.enum(verbs)).min(1).meta({ description: 'Which commands; UID FETCH counts as FETCH.' })
const uids = z.array(z.int().min(1)).max(10_000)
const speed = z.strictObject({ bytesPerSecond: z.int().min(1) })

/** The faults of the mailbox twin. Those with `times` are used up; the others stay until they are cleared. */
export const imapFaults = z.strictObject({
  throttle: z
    .strictObject({
      commands,
      times,
      backoffMs: z.int().min(0).default(299_961),
      answer: z.enum(['BAD', 'NO']).default('BAD'),
      bye: z.boolean().default(false),
    })
    .optional()
    .meta({ description: '"Request is throttled. Suggested Backoff Time: …"; with bye the connection ends.' }),
  refuse: z
    .strictObject({
      commands,
      times,
      answer: z.enum(['BAD', 'NO']).default('NO'),
      text: z
        .string()
        .regex(/^[\x20-\x7e]{1,200}$/)
        .default('Server Unavailable. 15'),
    })
    .optional()
    .meta({ description: 'Commands that are answered with NO or BAD and do nothing.' }),
  loseAnswer: z
    .strictObject({ commands, times })
    .optional()
    .meta({ description: 'The command acts, then the connection is cut before its tagged answer.' }),
  drop: z
    .strictObject({ times, afterRows: z.int().min(0) })
    .optional()
    .meta({ description: 'The connection is cut after so many rows of a FETCH.' }),
  cutLiteral: z
    .strictObject({ times, atOctet: z.int().min(0) })
    .optional()
    .meta({ description: 'The connection is cut after so many octets of a literal of FETCH.' }),
  refuseConnection: z.strictObject({ times }).optional().meta({ description: 'Cut before the greeting.' }),
  refuseLogin: z.strictObject({ times }).optional().meta({ description: '"NO AUTHENTICATE failed."' }),
  challengeRefusals: z
    .literal(true)
    .optional()
    .meta({ description: 'A refused token is first answered with a base64 JSON challenge.' }),
  notConnected: z
    .strictObject({ times })
    .optional()
    .meta({ description: 'Log-ins that succeed and then get "User is authenticated but not connected."' }),
  connectionsMax: z
    .int()
    .min(0)
    .optional()
    .meta({ description: 'Above so many connections of a mailbox a log-in is authenticated but not connected.' }),
  tokenExpired: z
    .literal(true)
    .optional()
    .meta({ description: 'Once: connections that are open now get "BYE Session invalidated - AccessTokenExpired".' }),
  uidValidityChanged: z
    .strictObject({ mailbox: z.string(), folder: z.string().default('INBOX') })
    .optional()
    .meta({ description: 'Once: the folder gets a new UIDVALIDITY and its mails are numbered from 1.' }),
  missingRows: uids.optional().meta({ description: 'UIDs for which FETCH of the body answers OK without a row.' }),
  syntheticMails: uids.optional().meta({ description: 'UIDs whose body is "Retrieval using the IMAP4 … failed".' }),
  sizeEstimated: z.literal(true).optional().meta({ description: 'RFC822.SIZE is an estimate.' }),
  uidAfterLiteral: z.literal(true).optional().meta({ description: 'FETCH names the UID after the literal.' }),
  idleSilent: z.literal(true).optional().meta({ description: 'IDLE is accepted and tells nothing.' }),
  moveMissing: z.literal(true).optional().meta({ description: 'MOVE is neither announced nor understood.' }),
  slowWrite: speed.optional().meta({ description: 'Answers come at this speed.' }),
  slowRead: speed.optional().meta({ description: 'Commands and literals are read at this speed.' }),
  slowAnswerMs: z.int().min(0).max(600_000).optional().meta({ description: 'Each tagged answer comes so much later.' }),
})
export type ImapFaultDocument = z.input<typeof imapFaults>
export type ImapFaults = z.output<typeof imapFaults>

/** Takes a strike of a fault that is meant for this command. */
export function strikeCommand(
  fault: { readonly commands: readonly string[]; times: number } | undefined,
  verb: string,
): boolean {
  return fault?.commands.includes(verb) ? strike(fault) : false
}
