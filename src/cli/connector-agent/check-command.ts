import { resolve } from 'node:path'
import type { Command } from 'commander'
import { type CheckLine, checkConnector } from '../../connector/agent/check.ts'
import { readConnectorConfig } from '../../connector/agent/read-config.ts'
import { createTargetPool } from '../../connector/balance/pool.ts'
import { systemClock } from '../../kernel/time.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import { exitCodes } from '../cli-errors.ts'
import { table } from '../print.ts'
import type { ConnectorCli } from './run.ts'

/** check */
export function checkCommand(program: Command, cli: ConnectorCli): void {
  program
    .command('check [virtualHost]')
    .description('proves configuration, certificate, the way to the hub and to the targets; exit code 1 when one fails')
    .option('--config <file>', 'connector.yaml', 'connector.yaml')
    .action(async (virtualHost: string | undefined, options: { config: string }, command: Command) => {
      const { config } = await readConnectorConfig(resolve(cli.io.cwd, options.config))
      const lines = await checkConnector({
        config,
        virtualHost: virtualHost?.toLowerCase(),
        clock: systemClock,
        connect: makeConnect(),
        createTargetPool,
        signal: cli.io.signal,
      })
      const ok = lines.every(line => line.ok)
      if (!ok) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, { ok, lines }, () => table(['', 'WHAT', 'FOUND', 'MS'], lines.map(rowOf)))
    })
}

function rowOf({ ok, what, detail, ms }: CheckLine): readonly unknown[] {
  // A cell is one line; a probe has one for each step.
  return [ok ? 'good' : 'BAD', what, detail.replaceAll('\n', '; '), ms ?? '']
}
