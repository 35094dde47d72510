import { type Command, Option } from 'commander'
import { z } from 'zod'
import { logLevels } from '../monitor/log.ts'
import { formatLine } from '../monitor/log-format.ts'
import { readAnswer } from './answers.ts'
import type { Cli, GlobalOptions } from './cli.ts'
import { wholeNumber } from './input.ts'

const fields = z.record(z.string(), z.json())
const lineAnswer = z.object({ at: z.string(), level: z.enum(logLevels), event: z.string(), fields })
type Line = z.output<typeof lineAnswer>

interface LogOptions {
  readonly follow?: boolean
  readonly flow?: string
  readonly delivery?: string
  readonly level: string
  readonly limit: string
}

/** log [--follow] */
export function logCommand(program: Command, cli: Cli): void {
  program
    .command('log')
    .description('the newest lines of the log; --follow shows each as it comes')
    .option('--follow', 'go on until Ctrl-C')
    .option('--flow <name>', 'only of this flow')
    .option('--delivery <id>', 'only of this delivery')
    .addOption(new Option('--level <level>', 'this level and above').choices([...logLevels]).default('info'))
    .option('--limit <count>', 'so many older lines first', wholeNumber, '100')
    .action(async (options: LogOptions, command: Command) => {
      const { follow, ...query } = options
      const isJson = command.optsWithGlobals<GlobalOptions>().json === true
      const print = (line: Line) => {
        const text = isJson
          ? JSON.stringify(line)
          : formatLine({ ...line, at: Date.parse(line.at) }, cli.io.stdout.isTTY === true)
        cli.io.stdout.write(`${text}\n`)
      }
      if (!follow) {
        const answer = await cli.hub(command).get('/api/log', query)
        for (const line of readAnswer(z.object({ lines: z.array(lineAnswer) }), answer).lines) print(line)
        return
      }
      const hub = cli.hub(command)
      const response = await hub.open('/api/log', { ...query, follow: 'true' })
      try {
        for await (const { event, data } of readEvents(response)) {
          if (event === 'line') print(readAnswer(lineAnswer, JSON.parse(data)))
          else cli.io.stderr.write(`(some lines were lost: ${data})\n`)
        }
      } catch (thrown) {
        hub.lost(thrown)
      }
      // Who watches must not take the end of the log for a hub without news.
      hub.lost(new TypeError('it ended its log'))
    })
}

/** Server-sent events as they come; comments (the heartbeat) are left out. */
async function* readEvents(response: Response): AsyncGenerator<{ event: string; data: string }> {
  const decoder = new TextDecoder()
  let rest = ''
  for await (const chunk of response.body ?? []) {
    rest += decoder.decode(chunk as Uint8Array, { stream: true })
    const blocks = rest.split('\n\n')
    rest = blocks.pop() ?? ''
    for (const block of blocks) {
      const field = (name: string) => new RegExp(`^${name}: ?(.*)$`, 'm').exec(block)?.[1]
      const data = field('data')
      if (data !== undefined) yield { event: field('event') ?? 'message', data }
    }
  }
}
