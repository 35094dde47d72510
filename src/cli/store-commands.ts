import { hostname } from 'node:os'
import type { Command } from 'commander'
import { trustAuthorities } from '../protocols/net/trust.ts'
import type { Cli } from './cli.ts'
import { configErrors } from './hub-config.ts'
import { configOption, readHubOptions } from './hub-options.ts'
import { table } from './print.ts'

/** store copy */
export function storeCommands(program: Command, cli: Cli): void {
  const store = program.command('store').description('where a hub keeps its messages and all else')

  store
    .command('copy')
    .description(
      'copies the embedded store of the data folder to the one that store.postgres names; the hub is stopped',
    )
    .option(...configOption)
    .action(async (options: { config?: string }, command: Command) => {
      const { io } = cli
      const { dataFolder, store: settings, trustedCertificates = [] } = await readHubOptions(options.config, io)
      if (!settings) throw configErrors.WRONG({ text: 'store.postgres is missing, which says where to copy to.' })
      trustAuthorities(trustedCertificates)
      const { copyFromSqlite } = await import('../store/postgres/copy-from-sqlite.ts')
      const { rows, damaged } = await copyFromSqlite({
        folder: dataFolder,
        address: settings.address,
        owner: `${hostname()}-${process.pid} copying`,
        signal: io.signal,
        onProgress: (name, count) => io.stderr.write(`${name}: ${count}\n`),
      })
      cli.show(command, { rows, damaged }, () => {
        const lost = damaged === 0 ? '' : `${damaged} bodies were missing or damaged in the data folder already.\n`
        return `${table(['what', 'rows'], Object.entries(rows))}${lost}Next: isthmus serve; ${dataFolder}/isthmus.db is as it was.\n`
      })
    })
}
