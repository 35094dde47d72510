import { unlink } from 'node:fs/promises'
import { resolve } from 'node:path'
import { pipeline } from 'node:stream/promises'
import { type Command, Option } from 'commander'
import { z } from 'zod'
import { parseDuration } from '../kernel/time.ts'
import { lossView, messageDetailView, messageList, readAnswer, skippedMessageView } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors } from './cli-errors.ts'
import { isoInstant, openNewFile, readBytes, readText, wholeNumber } from './input.ts'
import { facts, printableLines, table } from './print.ts'
import { actOnSetAside, ofFlow, refuseForOne, type SetAsideOptions, withCode, within } from './set-aside-command.ts'

const states = ['queued', 'delivered', 'dropped', 'rejected', 'set-aside', 'skipped']

interface FindOptions {
  readonly flow?: string
  readonly state?: string
  readonly since?: string
  readonly from?: string
  readonly to?: string
  readonly before?: string
  readonly limit: string
}

/** message find, show, body, replay, repair, skip */
export function messageCommands(program: Command, cli: Cli): void {
  const message = program.command('message').description('messages on their way and those that arrived')
  const pathOf = (id: string, action = '') => `/api/messages/${encodeURIComponent(id)}${action}`

  message
    .command('find [term]')
    .description('finds messages by Message-ID, DOCNUM or any id of either side (or its beginning and *)')
    .option('--flow <name>', 'of this flow')
    .addOption(new Option('--state <state>', 'in this state').choices(states))
    .addOption(new Option('--since <duration>', 'accepted within this time, for example 2h').conflicts('from'))
    .option('--from <time>', 'accepted at or after this time (ISO 8601; UTC unless it says otherwise)', isoInstant)
    .option('--to <time>', 'accepted before this time', isoInstant)
    .option('--before <id>', 'older than this one (next page)')
    .option('--limit <count>', 'at most so many', wholeNumber, '50')
    .action(async (term: string | undefined, options: FindOptions, command: Command) => {
      const { since, ...query } = options
      const from = since === undefined ? query.from : new Date(Date.now() - parseDuration(since)).toISOString()
      const answer = readAnswer(messageList, await cli.hub(command).get('/api/messages', { ...query, from, term }))
      cli.show(command, answer, () => {
        const rows = answer.messages.map(each => [
          each.id,
          each.flow,
          each.state,
          each.acceptedAt,
          each.attempts,
          each.bytes,
          `${each.isProbe ? '(probe) ' : ''}${each.error?.message ?? each.summary ?? ''}`,
        ])
        const more = answer.next === undefined ? '' : `More: --before ${answer.next}\n`
        return table(['MESSAGE', 'FLOW', 'STATE', 'ACCEPTED', 'ATTEMPTS', 'BYTES', 'SUMMARY'], rows) + more
      })
    })

  message
    .command('show <id>')
    .description('one message with headers, attempts and receipts')
    .action(async (id: string, _options: object, command: Command) => {
      const answer = readAnswer(messageDetailView, await cli.hub(command).get(pathOf(id)))
      cli.show(command, answer, () => describe(answer))
    })

  message
    .command('body <id>')
    .description('the very bytes of the body')
    .option('--original', 'as it was before a repair')
    .option('--first <bytes>', 'only the first bytes', wholeNumber)
    .option('--out <file>', 'into this file instead of standard output')
    .action(async (id: string, options: { original?: boolean; first?: string; out?: string }, command: Command) => {
      const which = options.original ? 'original' : 'current'
      const hub = cli.hub(command)
      const response = await hub.open(pathOf(id, '/body'), { first: options.first, which })
      if (options.out !== undefined) {
        const file = await openNewFile(resolve(cli.io.cwd, options.out))
        try {
          await pipeline(response.body ?? [], file.handle.createWriteStream())
        } catch (thrown) {
          // Half a body looks like a whole one.
          await unlink(file.path)
          hub.lost(thrown)
        }
        return
      }
      // A body may hold anything; on a terminal it must not act.
      try {
        if (cli.io.stdout.isTTY) cli.io.stdout.write(`${printableLines(await response.text())}\n`)
        else for await (const chunk of response.body ?? []) cli.io.stdout.write(chunk as Uint8Array)
      } catch (thrown) {
        hub.lost(thrown)
      }
    })

  message
    .command('replay [id]')
    .description('lets a message travel again; with --flow all set-aside ones of a flow, the oldest first')
    .addOption(ofFlow())
    .addOption(withCode())
    .addOption(within())
    .option('--in-doubt', 'also what may have arrived already, and arrives twice then')
    .option('--dry-run', 'with --flow: only counts what it would do')
    .action(async (id: string | undefined, options: SetAsideOptions, command: Command) => {
      if (id === undefined || options.flow !== undefined) {
        return actOnSetAside('replay', id, options, { cli, command })
      }
      refuseForOne('replay', options)
      const answer = readAnswer(
        z.object({ id: z.string() }),
        await cli.hub(command).send('POST', pathOf(id, '/replay')),
      )
      cli.show(command, answer, () => `Message ${answer.id} travels.\n`)
    })

  message
    .command('repair <id>')
    .description('replaces body or headers of a set-aside message and lets it travel; the original is kept')
    .option('--body <file>', 'the new body, alone up to limits.messageBytes; - reads standard input')
    .option('--headers <file>', 'all headers as a JSON object; - reads standard input')
    .action(async (id: string, options: { body?: string; headers?: string }, command: Command) => {
      const { body, headers } = options
      if (body === undefined && headers === undefined) {
        throw cliErrors.ARGUMENT_WRONG({ text: 'Give --body or --headers.', command: 'message repair' })
      }
      const hub = cli.hub(command)
      const bytes = body === undefined ? undefined : await readBytes(body, cli.io)
      const answer = readAnswer(
        messageDetailView,
        bytes && headers === undefined
          ? await hub.sendBytes('PUT', pathOf(id, '/body'), bytes)
          : await hub.send('POST', pathOf(id, '/repair'), {
              ...(bytes && { body: { base64: bytes.toString('base64') } }),
              ...(headers !== undefined && { headers: await readHeaders(headers, cli) }),
            }),
      )
      cli.show(command, answer, () => `Message ${answer.id} is ${answer.state}.\n`)
    })

  message
    .command('skip [id]')
    .description('ends a message by hand, so that its successors go on; with --flow all set-aside ones of a flow')
    .addOption(ofFlow())
    .addOption(withCode())
    .addOption(within())
    .option('--reason <text>', 'why; it stands in the audit log')
    .option('--dry-run', 'only says what would be lost; with --flow how many it would end')
    .action(async (id: string | undefined, options: SetAsideOptions, command: Command) => {
      if (id === undefined || options.flow !== undefined) {
        return actOnSetAside('skip', id, options, { cli, command })
      }
      refuseForOne('skip', options)
      if (options.reason === undefined && !options.dryRun) {
        throw cliErrors.ARGUMENT_WRONG({ text: 'skip needs --reason: why, for the audit log', command: 'message skip' })
      }
      if (options.dryRun) {
        const { lost } = readAnswer(lossAnswer, await cli.hub(command).get(pathOf(id, '/loss')))
        cli.show(command, { lost }, () => lossText(lost) || `Nothing is known to be lost with message ${id}.\n`)
        return
      }
      const sent = await cli.hub(command).send('POST', pathOf(id, '/skip'), { reason: options.reason })
      const answer = readAnswer(skippedMessageView, sent)
      cli.show(command, answer, () => `Message ${answer.id} is ${answer.state}.\n${lossText(answer.lost)}`)
    })
}

const lossAnswer = z.object({ lost: lossView.optional() })

function lossText(lost: z.output<typeof lossView> | undefined): string {
  if (!lost) return ''
  const segments = lost.segments.map(({ segment, fields }) => `  ${segment}: ${fields.join(', ')}\n`)
  return `${lost.words}\n${segments.join('')}`
}

const headersInput = z.record(z.string(), z.string())

async function readHeaders(file: string, cli: Cli): Promise<Record<string, string>> {
  const what = 'a JSON object of header names and texts'
  const text = await readText(file, cli.io)
  try {
    return headersInput.parse(JSON.parse(text))
  } catch (cause) {
    const mistake = cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause)
    throw cliErrors.INPUT_WRONG({ file, what, text: mistake }, { cause })
  }
}

function describe(message: z.output<typeof messageDetailView>): string {
  const { error } = message
  const parts = [
    facts([
      ['Message', message.id],
      ['Flow', message.flow],
      ['State', message.state],
      ['Probe', message.isProbe ? 'yes, of the hub itself; it is in no count' : undefined],
      ['Accepted', message.acceptedAt],
      [message.state === 'queued' ? 'Due' : 'Ended', message.at],
      ['Held by', message.heldBy],
      ['Replay of', message.replayOf],
      ['Replayed as', message.replays.map(({ id, state }) => `${id} (${state})`).join(', ')],
      ['Order key', message.orderKey],
      ['Body', `${message.body.bytes} bytes, ${message.body.type}`],
      ['Repaired', message.original && `yes; the original had ${message.original.body.bytes} bytes`],
      ['Terms', message.terms.length > 0 ? message.terms.join(' ') : undefined],
      ['Summary', message.summary],
      ['Error', error && `${error.message} (${error.code}, side ${error.side})`],
      // Nobody has to do anything more for a message that somebody gave up.
      ['Next', message.state === 'skipped' ? undefined : error?.next],
    ]),
    table(['HEADER', 'VALUE'], Object.entries(message.headers)),
  ]
  if (message.receipts.length > 0) {
    const rows = message.receipts.map(each => [each.effect, each.state, each.at, each.summary])
    parts.push(table(['RECEIPT', 'STATE', 'AT', 'SUMMARY'], rows))
  }
  if (message.failures.length > 0) {
    const rows = message.failures.map(each => [each.attempt, each.at, each.error.code, each.error.message])
    parts.push(table(['ATTEMPT', 'AT', 'CODE', 'ERROR'], rows))
  }
  return parts.join('\n')
}
