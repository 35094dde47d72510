import { once } from 'node:events'
import { readFileSync } from 'node:fs'
import { resolve } from 'node:path'
import type { Command } from 'commander'
import { startAgent } from '../../connector/agent/agent.ts'
import { readConnectorConfig } from '../../connector/agent/read-config.ts'
import { createTargetPool } from '../../connector/balance/pool.ts'
import { systemClock } from '../../kernel/time.ts'
import { createLogBook } from '../../monitor/log.ts'
import { makeConnect } from '../../protocols/net/connect.ts'
import type { ConnectorCli } from './run.ts'

/** run */
export function runCommand(program: Command, cli: ConnectorCli): void {
  program
    .command('run')
    .description('runs the connector until it is told to stop; a change of connector.yaml acts at once')
    .option('--config <file>', 'connector.yaml', 'connector.yaml')
    .action(async (options: { config: string }) => {
      const { io } = cli
      const configFile = resolve(io.cwd, options.config)
      const { config } = await readConnectorConfig(configFile)
      const isTerminal = io.stdout.isTTY === true
      const { level, format } = config.log
      const { log } = createLogBook({
        clock: systemClock,
        // The key and the token never come near the log.
        secretValues: () => [],
        level,
        format: format === 'auto' ? (isTerminal ? 'text' : 'json') : format,
        colours: isTerminal,
        output: io.stdout,
      })
      const agent = await startAgent({
        configFile,
        version: packageVersion(),
        clock: systemClock,
        log,
        connect: makeConnect(),
        createTargetPool,
      })
      if (!io.signal.aborted) await once(io.signal, 'abort')
      await agent.close()
    })
}

/** As package.json says it. */
function packageVersion(): string {
  const text = readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')
  return (JSON.parse(text) as { version: string }).version
}
