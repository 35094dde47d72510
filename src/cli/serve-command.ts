import { once } from 'node:events'
import type { Command } from 'commander'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { consoleUrl } from './console-folder.ts'
import { configOption, readHubOptions } from './hub-options.ts'
import { asStartError } from './start-errors.ts'

/** serve */
export function serveCommand(program: Command, cli: Cli): void {
  program
    .command('serve')
    .description('runs a hub until it is told to stop')
    .option(...configOption)
    .action(async (options: { config?: string }) => {
      const { io } = cli
      const hubOptions = await readHubOptions(options.config, io)
      const { startHub } = await io.program()
      const lost = new AbortController()
      const onLost = (error: Error) => lost.abort(error)
      const hub = await startHub({ ...hubOptions, stop: io.signal, onLost }).catch((thrown: unknown) => {
        // Told to stop while it stood by for another hub.
        if (io.signal.aborted) return undefined
        throw asStartError(thrown)
      })
      if (!hub) {
        cli.exitWith(exitCodes.done)
        return
      }
      io.stderr.write(`Isthmus listens: admin API ${hub.adminUrl}, endpoints of flows ${hub.endpointsUrl}\n`)
      if (hubOptions.console !== undefined) io.stderr.write(`The console is at ${consoleUrl(hub.adminUrl)}\n`)
      io.stderr.write(`The admin token lies in ${hubOptions.dataFolder}/admin.token\n`)
      if (hub.newSetupToken !== undefined) {
        io.stderr.write(`The first administrator is made with the setup token ${hub.newSetupToken}\n`)
      }
      for (const file of hubOptions.strayDocuments) {
        io.stderr.write(`${file} is not looked at: call it flow.yaml or NAME.flow.yaml, or name it under flows.\n`)
      }
      const end = AbortSignal.any([io.signal, lost.signal])
      if (!end.aborted) await once(end, 'abort')
      await hub.close().catch((thrown: unknown) => {
        if (!lost.signal.aborted) throw thrown
      })
      // The service manager starts it anew, and the new start reads what is truly on the disk.
      if (lost.signal.aborted) throw lost.signal.reason
      cli.exitWith(exitCodes.done)
    })
}
