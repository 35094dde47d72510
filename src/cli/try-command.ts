import { extname, resolve } from 'node:path'
import type { Command } from 'commander'
import { formatProblems } from '../flow/problem.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { configOption, readDeclarations, readStage } from './hub-options.ts'
import { collect, readBytes, splitPair } from './input.ts'
import type { CliIo } from './io.ts'
import { readValue } from './key-map-commands.ts'
import { printableLines } from './print.ts'
import { describeTrial, trialAsJson } from './trial/describe-trial.ts'
import { tryFlow } from './trial/try-flow.ts'

interface TryOptions {
  readonly body?: string
  readonly type?: string
  readonly method?: string
  readonly path?: string
  readonly header: readonly string[]
  readonly answer: readonly string[]
  readonly keymap: readonly string[]
  readonly stage?: string
  readonly whole?: true
  readonly config?: string
}

const typeOfExtension: Readonly<Record<string, string>> = {
  '.xml': 'application/xml',
  '.json': 'application/json',
  '.eml': 'message/rfc822',
  '.csv': 'text/csv',
  '.txt': 'text/plain',
}

/** try: it needs no hub */
export function tryCommand(program: Command, cli: Cli): void {
  program
    .command('try <document>')
    .description(
      'takes one message through a flow document without a hub: shows what each step makes of it and what receivers would get; nothing is sent',
    )
    .option('--body <file>', 'what comes to the sender: a request, an IDoc, a document, a mail; - for standard input')
    .option('--type <media type>', 'of the body (default: by the ending of the file)')
    .option('--method <method>', 'of the request to the endpoint of the flow (default: the first that it takes)')
    .option('--path <path>', 'of the request below /flows, with its query: /prices?material=4711')
    .option('--header <name=value>', 'a header of the request; may be repeated', collect, [])
    .option(
      '--answer <place=file>',
      'what a receiver that is asked answers (steps[0].call=price.json); may be repeated',
      collect,
      [],
    )
    .option('--keymap <map/key=value>', 'what stands in a key map; may be repeated', collect, [])
    .option('--stage <name>', 'values of params/<name>.yaml (default: the stage of isthmus.yaml, else dev)')
    .option('--whole', 'show bodies to their end')
    .option(...configOption)
    .action(async (document: string, options: TryOptions, command: Command) => {
      const { io } = cli
      const body = options.body === undefined ? Buffer.alloc(0) : await readBytes(options.body, io)
      const trial = await tryFlow({
        declarations: await readDeclarations(options.config, io),
        file: resolve(io.cwd, document),
        stage: options.stage ?? readStage(options.config, io),
        given: {
          body,
          type: options.type ?? typeOf(options.body),
          headers: headersOf(options.header),
          method: options.method,
          path: options.path,
        },
        answers: await answersOf(options.answer, io),
        keyMaps: options.keymap.map(keyMapEntry),
        signal: io.signal,
      })
      if ('problems' in trial) {
        cli.exitWith(exitCodes.notInOrder)
        cli.show(command, trial, () => `${printableLines(formatProblems(trial.problems, () => undefined))}\n`)
        return
      }
      const isWell = trial.messages.every(({ taken, failure }) => !failure && taken.state !== 'set-aside')
      if (!isWell) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, trialAsJson(trial), () => describeTrial(trial, options.whole === true))
    })
}

function headersOf(given: readonly string[]): Readonly<Record<string, string>> {
  const pairs = given.map(each => splitPair(each, '--header', 'try'))
  return Object.fromEntries(pairs.map(([name, value]) => [name.toLowerCase(), value]))
}

async function answersOf(given: readonly string[], io: CliIo) {
  const answers = new Map<string, { headers: Record<string, string>; type: string; body: Uint8Array }>()
  for (const each of given) {
    const [place, file] = splitPair(each, '--answer', 'try')
    answers.set(place, {
      headers: {},
      type: typeOf(file) ?? 'application/octet-stream',
      body: await readBytes(file, io),
    })
  }
  return answers
}

function keyMapEntry(given: string) {
  const [name, value] = splitPair(given, '--keymap', 'try')
  const [map = '', ...key] = name.split('/')
  if (map === '' || key.join('/') === '') {
    throw cliErrors.ARGUMENT_WRONG({ text: `--keymap takes map/key=value, not "${given}".`, command: 'try' })
  }
  return { map, key: key.join('/'), value: readValue(value) }
}

function typeOf(file: string | undefined): string | undefined {
  return file === undefined ? undefined : typeOfExtension[extname(file).toLowerCase()]
}
