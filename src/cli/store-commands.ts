import { existsSync } from 'node:fs'
import { hostname, userInfo } from 'node:os'
import { join, resolve } from 'node:path'
import type { Command } from 'commander'
import { bookFiles } from '../groupware/organizations/book-files.ts'
import { organizationArea } from '../groupware/organizations/limits.ts'
import { formatSize } from '../kernel/size.ts'
import { SECOND } from '../kernel/time.ts'
import { trustAuthorities } from '../protocols/net/trust.ts'
import { storeErrors } from '../store/errors.ts'
import type { Manifest } from '../store/sqlite/backup/manifest.ts'
import type { Cli } from './cli.ts'
import { exitCodes } from './cli-errors.ts'
import { configErrors } from './hub-config.ts'
import { configOption, readHubOptions } from './hub-options.ts'
import type { CliIo } from './io.ts'
import { table } from './print.ts'

/** How often a backup or restore that takes long says how far it is. */
const progressEveryMs = 10 * SECOND

/** store backup, verify, restore, restored, copy */
export function storeCommands(program: Command, cli: Cli): void {
  const store = program.command('store').description('where a hub keeps its messages and all else')

  store
    .command('backup <folder>')
    .description('copies the embedded store into a new folder, as of one moment; the hub may be at work')
    .option(...configOption)
    .action(async (name: string, options: { config?: string }, command: Command) => {
      const { io } = cli
      const dataFolder = await embeddedFolder(options.config, io)
      const folder = resolve(io.cwd, name)
      const { backUp } = await import('../store/sqlite/backup/back-up.ts')
      const { signal } = io
      const books = Object.values(bookFiles)
      const manifest = await backUp({ folder: dataFolder, target: folder, books, signal, onProgress: tellProgress(io) })
      if (manifest.damaged > 0) cli.exitWith(exitCodes.notInOrder)
      const key = join(dataFolder, 'master.key')
      cli.show(command, { folder, ...shown(manifest) }, () => {
        const { waiting } = manifest
        const keptApart = existsSync(key) ? key : 'ISTHMUS_MASTER_KEY'
        return (
          `${folder} is a whole backup: ${describe(manifest)}\n` +
          `${waiting} ${waiting === 1 ? 'message' : 'messages'} waited to be delivered.\n${wordsOfDamage(manifest)}` +
          `The master key is not in it: keep a copy of ${keptApart} at another place. Without it no secret can be opened.\n`
        )
      })
    })

  store
    .command('verify <folder>')
    .description('looks at every byte of a backup, whether it is what was backed up; exit code 1 when it is not')
    .action(async (name: string, _options: object, command: Command) => {
      const { io } = cli
      const { verify } = await import('../store/sqlite/backup/restore.ts')
      const folder = resolve(io.cwd, name)
      const { manifest, damaged } = await verify({ backup: folder, signal: io.signal, onProgress: tellProgress(io) })
      if (damaged.length > 0) cli.exitWith(exitCodes.notInOrder)
      cli.show(command, { folder, ...shown(manifest), damagedFiles: damaged }, () => {
        if (damaged.length === 0) return `${folder} is a whole backup: ${describe(manifest)}\n`
        return `${folder} cannot be restored. Files that are missing, or not what they were:\n${damaged.join('\n')}\n`
      })
    })

  store
    .command('restore <folder>')
    .description('brings a backup into the data folder, which has no store yet; no hub runs with it')
    .option(...configOption)
    .option(
      '--deliver-waiting',
      'deliver what waited when the backup was taken, and sync mailboxes, at once; right only if no hub has worked since',
    )
    .action(async (name: string, options: { config?: string; deliverWaiting?: true }, command: Command) => {
      const { io } = cli
      const dataFolder = await embeddedFolder(options.config, io)
      const { restore } = await import('../store/sqlite/backup/restore.ts')
      const { manifest, setAside, paused } = await restore({
        backup: resolve(io.cwd, name),
        folder: dataFolder,
        who: whoIsHere(),
        now: Date.now(),
        deliverWaiting: options.deliverWaiting ?? false,
        switches: restingSwitches,
        signal: io.signal,
        onProgress: tellProgress(io),
      })
      cli.show(command, { folder: dataFolder, ...shown(manifest), setAside, paused }, () => {
        const isKeyMissing = !existsSync(join(dataFolder, 'master.key')) && io.env.ISTHMUS_MASTER_KEY === undefined
        const key = isKeyMissing ? `put the master key of that hub into ${dataFolder}/master.key, then ` : ''
        return (
          `${dataFolder} is as it was: ${describe(manifest)}\n${wordsOfDamage(manifest)}` +
          `${wordsOfAside(setAside)}${wordsOfPaused(paused)}Next: ${key}isthmus serve; ${whatToDo}
`
        )
      })
    })

  store
    .command('restored')
    .description(
      'sets aside what waited in a PostgreSQL database that was put back to an earlier state, and pauses organizations, before a hub starts with it',
    )
    .option(...configOption)
    .action(async (options: { config?: string }, command: Command) => {
      const { io } = cli
      const { dataFolder, store: settings, trustedCertificates = [] } = await readHubOptions(options.config, io)
      if (!settings) throw storeErrors.NOT_IN_POSTGRES({ folder: dataFolder })
      trustAuthorities(trustedCertificates)
      const { setWaitingAside } = await import('../store/postgres/set-waiting-aside.ts')
      const { knownTo, setAside, paused } = await setWaitingAside({
        address: settings.address,
        who: whoIsHere(),
        now: Date.now(),
        switches: restingSwitches,
        signal: io.signal,
        onProgress: count => io.stderr.write(`${count} set aside\n`),
      })
      const lastKnown = knownTo === undefined ? undefined : new Date(knownTo).toISOString()
      cli.show(command, { lastKnown, setAside, paused }, () => {
        if (lastKnown === undefined) return 'The database is empty: no hub has worked with it.\n'
        return `The last that the database knows of was at ${lastKnown}.\n${wordsOfAside(setAside)}${wordsOfPaused(paused)}Next: isthmus serve; ${whatToDo}\n`
      })
    })

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

/** What a restore leaves switched off: organizations, whose mailboxes would be synced by the states and rules of then. */
const restingSwitches = [{ area: organizationArea, field: 'isPaused' }]
const whatToDo = 'docs/guides/administrators.md says what to do then.'

function wordsOfAside(count: number): string {
  const messages = count === 1 ? 'message' : 'messages'
  return `${count} ${messages} that waited then may have arrived since, and are set aside (STORE_RESTORED).\n`
}

/** For the audit log: nobody has signed in to a command at the machine. */
function whoIsHere(): string {
  return `${userName()}@${hostname()}`
}

function userName(): string {
  try {
    return userInfo().username
  } catch {
    // In a container the number of a user need have no name.
    return `uid ${process.getuid?.()}`
  }
}

/** The data folder of the hub of this configuration, which keeps its messages there. */
async function embeddedFolder(config: string | undefined, io: CliIo): Promise<string> {
  const { dataFolder, store } = await readHubOptions(config, io)
  if (!store) return dataFolder
  const { host, database, schema } = store.address
  throw storeErrors.NOT_BACKED_UP_HERE({ address: `${host}, database ${database}, schema ${schema}` })
}

/** Says now and then how far it is; nothing of what is soon done, since cron would send it as a mail. */
function tellProgress(io: CliIo): (bytes: number, path: string) => void {
  let toldAt = performance.now()
  return (bytes, path) => {
    if (performance.now() - toldAt < progressEveryMs) return
    toldAt = performance.now()
    io.stderr.write(`${formatSize(bytes)} so far: ${path}\n`)
  }
}

function shown({ takenAt, ...manifest }: Manifest) {
  return { takenAt: new Date(takenAt).toISOString(), ...manifest }
}

function describe({ takenAt, files, bytes }: Manifest): string {
  return `${files} ${files === 1 ? 'file' : 'files'}, ${formatSize(bytes)}, as of ${new Date(takenAt).toISOString()}.`
}

function wordsOfDamage({ damaged }: Manifest): string {
  return damaged === 0 ? '' : `${damaged} bodies of messages were missing or damaged in the data folder already.\n`
}

function wordsOfPaused(organizations: readonly string[]): string {
  if (organizations.length === 0) return ''
  const resume = organizations.map(name => `isthmus organization resume ${name}`)
  return (
    'No mailbox is synced, since their states and rules are those of then. When these are as you want them: ' +
    `${resume.join(', ')}\n`
  )
}
