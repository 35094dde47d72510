import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { coverageOf, describeMapping, jsonSchemaOf, whyOf } from '../mapping/describe-mapping.ts'
import type { Mapping } from '../mapping/mapping.ts'
import { readDocuments } from '../mapping/read-source.ts'
import type { SourceNode } from '../mapping/source.ts'
import { loadMappingSpec } from '../steps/mapping-spec.ts'
import type { Cli } from './cli.ts'
import { cliErrors, exitCodes } from './cli-errors.ts'
import { facts, printableLines, table } from './print.ts'

const command = 'mapping'

const exportOption = ['--export <name>', 'export of the module', 'default'] as const

/** mapping show, coverage, why, schema: they need no hub */
export function mappingCommands(program: Command, cli: Cli): void {
  const mapping = program.command('mapping').description('what a typed mapping does, and why')
  const load = (file: string, options: { export: string }) => loadMappingSpec(resolve(cli.io.cwd, file), options.export)

  mapping
    .command('show <module>')
    .description('the table of a mapping: for each target field where its value comes from')
    .option(...exportOption)
    .action(async (file: string, options: { export: string }, self: Command) => {
      const rows = describeMapping(await load(file, options))
      cli.show(self, rows, () =>
        table(
          ['FIELD', 'TAKES', 'RULE'],
          rows.map(row => [row.field, row.takes, row.rule]),
        ),
      )
    })

  mapping
    .command('schema <module>')
    .description('JSON Schema of what a mapping gives')
    .option(...exportOption)
    .action(async (file: string, options: { export: string }) => {
      cli.io.stdout.write(`${JSON.stringify(jsonSchemaOf(await load(file, options)), null, 2)}\n`)
    })

  mapping
    .command('coverage <module> <documents...>')
    .description('which fields of real documents a mapping reads, and which it never sees')
    .option(...exportOption)
    .action(async (file: string, documents: readonly string[], options: { export: string }, self: Command) => {
      const loaded = await load(file, options)
      const coverage = coverageOf(
        loaded,
        documents.flatMap(document => readSamples(cli, loaded, document)),
      )
      cli.show(self, coverage, () => {
        const all = coverage.used.length + coverage.unused.length
        const head = facts([
          ['Fields read', `${coverage.used.length} of ${all}`],
          ['Never in these documents', coverage.absent.join(', ')],
          ['Target fields without a rule', coverage.unmapped.join(', ')],
        ])
        const unused = coverage.unused.map(({ path, documents: count }) => [path, count])
        return unused.length === 0 ? head : `${head}\n${table(['NOT READ', 'DOCUMENTS'], unused)}`
      })
    })

  mapping
    .command('why <module> <document> <field>')
    .description('every step on the way to the value of a target field; exit code 1 when the document cannot be mapped')
    .option(...exportOption)
    .option('--with <name=value...>', 'settings, as the flow document gives them under with')
    .action(async (file: string, document: string, field: string, options: WhyOptions, self: Command) => {
      const loaded = await load(file, options)
      const settings = readSettings(options.with ?? [])
      const answers = readSamples(cli, loaded, document).map(source => whyOf(loaded, source, field, settings))
      const known = answers.filter(answer => answer !== undefined)
      if (known.length === 0)
        throw cliErrors.ARGUMENT_WRONG({ text: `The mapping ${loaded.name} has no rule for ${field}.`, command })
      if (known.some(({ fault }) => fault !== undefined)) cli.exitWith(exitCodes.notInOrder)
      cli.show(self, known, () =>
        known
          .map(({ steps, fault }) => {
            const lines = table(
              ['STEP', 'VALUE'],
              steps.map(({ what, value }) => [what, value]),
            )
            return fault === undefined ? lines : `${lines}${printableLines(fault)}\n`
          })
          .join('\n'),
      )
    })
}

interface WhyOptions {
  readonly export: string
  readonly with?: readonly string[]
}

function readSamples(cli: Cli, mapping: Mapping, file: string): readonly SourceNode[] {
  let bytes: Buffer
  try {
    bytes = readFileSync(resolve(cli.io.cwd, file))
  } catch (cause) {
    throw cliErrors.ARGUMENT_WRONG({ text: `${file} cannot be read.`, command }, { cause })
  }
  try {
    return readDocuments(mapping.source, bytes)
  } catch (cause) {
    // One of many: which one it is, only this place knows.
    const text = cause instanceof Error ? cause.message : String(cause)
    throw cliErrors.INPUT_WRONG({ file, what: `a document of ${mapping.name}`, text }, { cause })
  }
}

function readSettings(pairs: readonly string[]): Readonly<Record<string, string>> {
  return Object.fromEntries(
    pairs.map(pair => {
      const at = pair.indexOf('=')
      if (at < 1) throw cliErrors.ARGUMENT_WRONG({ text: `--with takes name=value, not ${pair}.`, command })
      return [pair.slice(0, at), pair.slice(at + 1)]
    }),
  )
}
