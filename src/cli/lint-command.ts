import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { flowJsonSchema } from '../flow/flow-json-schema.ts'
import { loadFlow } from '../flow/load-flow.ts'
import { formatProblems, type Problem } from '../flow/problem.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { flowDocuments } from './flow-files.ts'
import { configOption, readDeclarations, readStage } from './hub-options.ts'
import { printableLines } from './print.ts'

/** lint, schema: they need no hub */
export function lintCommands(program: Command, cli: Cli): void {
  program
    .command('lint <files...>')
    .description(
      'says what is wrong with flow documents, or all of a folder, with file:line:column; exit code 1 when something is',
    )
    .option('--stage <name>', 'values of params/<name>.yaml (default: the stage of isthmus.yaml, else dev)')
    .option(...configOption)
    .action(async (paths: readonly string[], options: { stage?: string; config?: string }, command: Command) => {
      const declarations = await readDeclarations(options.config, cli.io)
      const stage = options.stage ?? readStage(options.config, cli.io)
      const files = paths.flatMap(path => flowDocuments(resolve(cli.io.cwd, path)))
      const problems: Problem[] = []
      for (const file of files) {
        const result = await loadFlow({ ...declarations, file, stage })
        problems.push(...('problems' in result ? result.problems : result.warnings))
      }
      const errors = problems.filter(problem => problem.severity === 'error').length
      if (errors > 0) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, { ok: errors === 0, problems }, () => {
        const found = problems.length > 0 ? `${printableLines(formatProblems(problems, textOf))}\n` : ''
        const warnings = problems.length - errors
        return `${found}${count(files.length, 'document')}, ${count(errors, 'error')}, ${count(warnings, 'warning')}.\n`
      })
    })

  program
    .command('schema')
    .description('JSON Schema of a flow document, for editors')
    .option(...configOption)
    .action(async (options: { config?: string }) => {
      const declarations = await readDeclarations(options.config, cli.io)
      cli.io.stdout.write(`${JSON.stringify(flowJsonSchema(declarations), null, 2)}\n`)
    })
}

function textOf(file: string): string | undefined {
  try {
    return readFileSync(file, 'utf8')
  } catch {
    // A file that cannot be read has a problem of its own, without lines to show.
    return undefined
  }
}

function count(number: number, word: string): string {
  return `${number} ${word}${number === 1 ? '' : 's'}`
}
