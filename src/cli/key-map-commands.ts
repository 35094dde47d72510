import type { Command } from 'commander'
import { z } from 'zod'
import { type Json, parseExact } from '../kernel/json.ts'
import { readAnswer } from './answers.ts'
import type { Cli } from './cli.ts'
import { cliErrors } from './cli-errors.ts'
import { wholeNumber } from './input.ts'
import { facts, table } from './print.ts'

const entryAnswer = z.object({ key: z.string(), value: z.json(), revision: z.number(), at: z.string() })
const mapsAnswer = z.object({ maps: z.array(z.object({ map: z.string(), entries: z.number() })) })
const entriesAnswer = z.object({ entries: z.array(entryAnswer), next: z.string().optional() })

const forgottenAnswer = z.object({ forgotten: z.number() })

interface ListOptions {
  readonly prefix?: string
  readonly after?: string
  readonly limit: string
}

interface DeleteOptions {
  readonly all?: boolean
  readonly prefix?: string
}

/** keymap list, get, set, delete */
export function keyMapCommands(program: Command, cli: Cli): void {
  const keymap = program.command('keymap').description('key maps: what flows keep of a key over messages')
  const pathOf = (map: string, key: string) =>
    `/api/key-maps/${encodeURIComponent(map)}/entry?key=${encodeURIComponent(key)}`

  keymap
    .command('list [map]')
    .description('all key maps, or the entries of one')
    .option('--prefix <text>', 'only keys that begin so')
    .option('--after <key>', 'the page behind this key')
    .option('--limit <count>', 'at most so many entries', wholeNumber, '100')
    .action(async (map: string | undefined, options: ListOptions, command: Command) => {
      const hub = cli.hub(command)
      if (map === undefined) {
        const answer = readAnswer(mapsAnswer, await hub.get('/api/key-maps'))
        const rows = answer.maps.map(each => [each.map, each.entries])
        cli.show(command, answer, () => table(['MAP', 'ENTRIES'], rows))
        return
      }
      const path = `/api/key-maps/${encodeURIComponent(map)}/entries`
      const answer = readAnswer(entriesAnswer, await hub.get(path, { ...options }))
      const rows = answer.entries.map(({ key, value, revision, at }) => [key, value, revision, at])
      const more = answer.next === undefined ? '' : `More: --after '${answer.next}'\n`
      cli.show(command, answer, () => table(['KEY', 'VALUE', 'REVISION', 'WRITTEN'], rows) + more)
    })

  keymap
    .command('get <map> <key>')
    .description('what a map keeps under a key')
    .action(async (map: string, key: string, _options: object, command: Command) => {
      const answer = readAnswer(entryAnswer, await cli.hub(command).get(pathOf(map, key)))
      const { value, revision, at } = answer
      cli.show(command, answer, () =>
        facts([
          ['Key', key],
          ['Value', value],
          ['Revision', revision],
          ['Written', at],
        ]),
      )
    })

  keymap
    .command('set <map> <key> <value>')
    .description(
      'writes an entry; a value that is JSON is kept as that, anything else (and a number of too many digits) as text',
    )
    .option('--expected <revision>', 'only when it still has this revision; 0: only when there is none')
    .action(async (map: string, key: string, value: string, options: { expected?: string }, command: Command) => {
      const body = {
        value: readValue(value),
        ...(options.expected !== undefined && { expected: wholeOf(options.expected) }),
      }
      const answer = readAnswer(entryAnswer, await cli.hub(command).send('PUT', pathOf(map, key), body))
      cli.show(command, answer, () => `${key} is kept in ${map} (revision ${answer.revision}).\n`)
    })

  keymap
    .command('delete <map> [key]')
    .description('forgets a key, or with --all every key of the map')
    .option('--all', 'all of them: records that a flow skips as unchanged are sent again')
    .option('--prefix <text>', 'with --all: only keys that begin so')
    .action(async (map: string, key: string | undefined, options: DeleteOptions, command: Command) => {
      if ((key === undefined) !== (options.all === true)) {
        throw cliErrors.ARGUMENT_WRONG({ text: 'Name one key, or --all.', command: 'keymap delete' })
      }
      if (key === undefined) {
        const query = options.prefix === undefined ? '' : `?prefix=${encodeURIComponent(options.prefix)}`
        const path = `/api/key-maps/${encodeURIComponent(map)}/entries${query}`
        const answer = readAnswer(forgottenAnswer, await cli.hub(command).send('DELETE', path))
        cli.show(command, answer, () => `${answer.forgotten} keys are forgotten in ${map}.\n`)
        return
      }
      await cli.hub(command).send('DELETE', pathOf(map, key))
      cli.show(command, { deleted: key, map }, () => `${key} is forgotten in ${map}.\n`)
    })
}

/** A value as a person types it: JSON, else a text. */
export function readValue(text: string): Json {
  try {
    return parseExact(text)
  } catch {
    // Most values are ids, which nobody wants to put into quotes.
    return text
  }
}

function wholeOf(text: string): number {
  if (/^\d{1,9}$/.test(text)) return Number(text)
  throw cliErrors.ARGUMENT_WRONG({ text: `--expected ${text} is no whole number.`, command: 'keymap set' })
}
