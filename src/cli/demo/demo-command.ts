import type { Command } from 'commander'
import { parseDuration } from '../../kernel/time.ts'
import type { CliIo } from '../io.ts'
import { usualFolder } from './demo-folder.ts'

/** `isthmus demo`: what `npm start` runs. */
export function demoCommand(program: Command, io: CliIo, exitWith: (code: number) => void): void {
  program
    .command('demo')
    .description('runs a hub, the twins beside it and the example flows')
    .option('--for <time>', 'ends by itself after this time (45s) and says how each flow did')
    .option('--data <folder>', 'data folder, made by the demo; emptied at the start', usualFolder)
    .action(async (options: { readonly for?: string; readonly data: string }) => {
      const { runDemo } = await import('./demo.ts')
      const forMs = options.for === undefined ? undefined : parseDuration(options.for)
      exitWith(await runDemo({ forMs, signal: io.signal, dataFolder: options.data, output: io.stdout }))
    })
}
