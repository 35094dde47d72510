import { existsSync, mkdirSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { join, sep } from 'node:path'
import { cliErrors } from '../cli-errors.ts'

/** Where the demo works unless told otherwise; below the folder in which it is started. */
export const usualFolder = '.isthmus/demo'
const mark = 'made-by-demo'

/** Makes the folder of a demo anew. Throws CLI_DEMO_FOLDER_TAKEN where it holds what no demo has made. */
export function emptyDemoFolder(folder: string): void {
  const isOurs = existsSync(join(folder, mark)) || folder.endsWith(usualFolder.replace('/', sep))
  if (!isOurs && existsSync(folder) && readdirSync(folder).length > 0) throw cliErrors.DEMO_FOLDER_TAKEN({ folder })
  rmSync(folder, { recursive: true, force: true })
  mkdirSync(folder, { recursive: true })
  writeFileSync(join(folder, mark), '')
}
