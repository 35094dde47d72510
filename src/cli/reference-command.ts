import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import type { Declarations } from '../flow/schema.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { hubClient } from './hub-client.ts'
import { configOption, readDeclarations } from './hub-options.ts'
import type { CliIo, HubProgram } from './io.ts'

/** reference --write|--check <folder> */
export function referenceCommand(program: Command, cli: Cli, wholeProgram: () => Promise<Command>): void {
  program
    .command('reference')
    .description('writes the reference pages, or says which are stale (exit code 1)')
    .option('--write <folder>', 'write all pages')
    .option('--check <folder>', 'compare with what is there')
    .option(...configOption)
    .action(async (options: { write?: string; check?: string; config?: string }, command: Command) => {
      const { write, check } = options
      const folder = write ?? check
      if (folder === undefined || (write !== undefined && check !== undefined)) {
        throw cliErrors.ARGUMENT_WRONG({ text: 'Give either --write or --check with a folder.', command: 'reference' })
      }
      const target = resolve(cli.io.cwd, folder)
      const declarations = await readDeclarations(options.config, cli.io)
      const pages = await referencePages(declarations, cli.io, await wholeProgram())
      if (write !== undefined) await writePages(target, pages)
      const stale = await findStale(target, pages)
      if (stale.length > 0) cli.exitWith(exitCodes.notInOrder)
      const done = write === undefined ? 'up to date' : 'written'
      cli.show(command, { pages: [...pages.keys()], stale }, () =>
        stale.length === 0
          ? `${pages.size} pages are ${done}.\n`
          : `${stale.map(name => `${name} is stale.\n`).join('')}Next: npm run docs\n`,
      )
    })
}

const exitCodeWords =
  'Exit codes: 0 done; 1 what was looked at is not in order; 2 wrong usage; 3 the hub does not answer; 4 the hub refused;\n' +
  '70 something unforeseen; 130 ended by Ctrl-C; 143 ended by SIGTERM.'

/** Every page of docs/reference by its file name. */
async function referencePages(
  declarations: Declarations,
  io: CliIo,
  program: Command,
): Promise<ReadonlyMap<string, string>> {
  // Loaded here alone: the pages speak of everything, and a hub that starts needs none of it.
  const [{ declarationPages }, { cliPage }, { connectorPages }, { flowJsonSchema }] = await Promise.all([
    import('./reference/pages.ts'),
    import('./reference/cli-page.ts'),
    import('./reference/connector-pages.ts'),
    import('../flow/flow-json-schema.ts'),
    import('./reference/late-parts.ts'),
  ])
  return new Map([
    ...declarationPages(declarations),
    ...connectorPages(io),
    ['cli.md', cliPage(program, 'Commands', exitCodeWords)],
    ['flow.schema.json', `${JSON.stringify(flowJsonSchema(declarations), null, 2)}\n`],
    ['openapi.json', `${JSON.stringify(await readOpenapi(await io.program(), io), null, 2)}\n`],
  ])
}

/** The document as a hub serves it: one without flows is started for a moment. */
async function readOpenapi(hub: HubProgram, io: CliIo): Promise<unknown> {
  const folder = await mkdtemp(join(tmpdir(), 'isthmus-reference-'))
  const local = { host: '127.0.0.1', port: 0 }
  const log = { level: 'error', format: 'json', output: { write: () => true } } as const
  const running = await hub.startHub({
    dataFolder: folder,
    stage: 'dev',
    flowFiles: [],
    admin: local,
    endpoints: local,
    log,
  })
  try {
    const env = { ISTHMUS_TOKEN: running.adminToken }
    return await hubClient({ url: running.adminUrl }, { ...io, env }).get('/api/openapi.json')
  } finally {
    await running.close()
    await rm(folder, { recursive: true, force: true })
  }
}

async function writePages(folder: string, pages: ReadonlyMap<string, string>): Promise<void> {
  await mkdir(folder, { recursive: true })
  for (const [name, text] of pages) await writeFile(join(folder, name), text)
  for (const name of await strangers(folder, pages)) await rm(join(folder, name))
}

async function findStale(folder: string, pages: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const stale: string[] = []
  for (const [name, text] of pages) {
    const present = await readFile(join(folder, name), 'utf8').catch(() => undefined)
    if (present !== text) stale.push(name)
  }
  return [...stale, ...(await strangers(folder, pages))]
}

/** Generated pages of things that are gone. */
async function strangers(folder: string, pages: ReadonlyMap<string, string>): Promise<readonly string[]> {
  const present = await readdir(folder).catch(() => [])
  return present.filter(name => /^(sender|receiver|step)-.*\.md$/.test(name) && !pages.has(name))
}
