import { type Command, Option } from 'commander'
import { setAsideView } from '../api/views.ts'
import { parseDuration } from '../kernel/time.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { table } from './print.ts'

export interface SetAsideOptions {
  readonly flow?: string
  readonly code?: string
  readonly since?: string
  readonly reason?: string
  readonly inDoubt?: true
  readonly dryRun?: true
}

export const ofFlow = () => new Option('--flow <name>', 'all set-aside messages of this flow')
export const withCode = () => new Option('--code <code>', 'of those only the ones with this error, as in SMTP_REFUSED')
export const within = () => new Option('--since <duration>', 'of those only the ones accepted within this time')

const words = {
  replay: { done: 'travel again', would: 'would travel again' },
  skip: { done: 'are skipped', would: 'would be skipped' },
}

const reasons = {
  'in-doubt': ['it may have arrived already', 'ask the other side, or say --in-doubt'],
  lossy: ['something would be lost with it', 'isthmus message skip ID --dry-run says what'],
  failed: [],
}

/** What chooses among many says nothing of a single message; nobody may replay one who asked for a trial. */
export function refuseForOne(action: 'replay' | 'skip', { code, since, inDoubt, dryRun }: SetAsideOptions): void {
  const isTrial = action === 'replay' && dryRun
  if (code === undefined && since === undefined && !inDoubt && !isTrial) return
  const options = action === 'replay' ? '--code, --since, --in-doubt and --dry-run' : '--code and --since'
  throw cliErrors.ARGUMENT_WRONG({ text: `${options} go with --flow, not with an id.`, command: `message ${action}` })
}

/** Replays or skips set-aside messages of a flow, call after call, and says what stays. Exit code 1 when something does. */
export async function actOnSetAside(
  action: 'replay' | 'skip',
  id: string | undefined,
  { flow, code, since, reason, inDoubt, dryRun }: SetAsideOptions,
  { cli, command }: { readonly cli: Cli; readonly command: Command },
): Promise<void> {
  const wrong = (text: string) => cliErrors.ARGUMENT_WRONG({ text, command: `message ${action}` })
  if (flow === undefined) throw wrong('Give the id of a message, or --flow.')
  if (id !== undefined) throw wrong('Give the id of a message or --flow, not both.')
  if (action === 'skip' && reason === undefined && !dryRun) throw wrong('skip needs --reason: why, for the audit log')
  const from = since === undefined ? undefined : new Date(Date.now() - parseDuration(since)).toISOString()
  const total = { done: 0, kept: { inDoubt: 0, lossy: 0, failed: 0 }, examples: [] as Answer['examples'] }
  let after: string | undefined
  do {
    const sent = await cli.hub(command).send('POST', `/api/flows/${encodeURIComponent(flow)}/set-aside/${action}`, {
      code,
      from,
      after,
      dryRun,
      ...(action === 'skip' ? { reason: reason ?? 'dry run' } : { inDoubt }),
    })
    const answer = readAnswer(setAsideView, sent)
    total.done += answer.done
    for (const why of ['inDoubt', 'lossy', 'failed'] as const) total.kept[why] += answer.kept[why]
    total.examples = [...total.examples, ...answer.examples].slice(0, 10)
    after = answer.next
    if (after !== undefined) cli.io.stderr.write(`${total.done} so far, up to ${after}\n`)
  } while (after !== undefined)
  const { inDoubt: doubtful, lossy, failed } = total.kept
  const kept = doubtful + lossy + failed
  if (kept > 0) cli.exitWith(exitCodes.notInOrder)
  cli.show(command, total, () => {
    const done = `${count(total.done)} of ${flow} ${words[action][dryRun ? 'would' : 'done']}.\n`
    if (kept === 0) return done
    const rows = total.examples.map(({ id: message, why, error }) => [
      message,
      ...(error ? [error.message, error.next] : reasons[why]),
    ])
    return `${done}${count(kept)} ${kept === 1 ? 'stays' : 'stay'} set aside:\n${table(['MESSAGE', 'WHY', 'NEXT'], rows)}`
  })
}

type Answer = ReturnType<typeof readAnswer<typeof setAsideView>>

function count(messages: number): string {
  return `${messages} set-aside ${messages === 1 ? 'message' : 'messages'}`
}
