import { stat } from 'node:fs/promises'
import { asHubError, type HubError } from '../../kernel/error.ts'
import { type Clock, SECOND } from '../../kernel/time.ts'
import type { ConnectorConfig } from './connector-config.ts'
import { type ReadConfig, readConnectorConfig } from './read-config.ts'

const lookEveryMs = SECOND

export interface ConfigWatch {
  /** Looks at the files now. */
  look(): Promise<void>
  close(): Promise<void>
}

export interface ConfigWatchOptions {
  readonly file: string
  readonly present: ReadConfig
  readonly clock: Clock
  onChange(config: ConnectorConfig): void
  /** The file is wrong; what was in force stays. */
  onWrong(error: HubError): void
}

/**
 * Reads connector.yaml again whenever it, or a certificate it names, changes. It looks once a second instead of asking
 * the system to tell: that misses changes on network drives and of mounted configuration.
 */
export async function watchConfig({
  file,
  present,
  clock,
  onChange,
  onWrong,
}: ConfigWatchOptions): Promise<ConfigWatch> {
  const stop = new AbortController()
  let files = present.files
  let seen = await marksOf(files)
  let looking: Promise<void> = Promise.resolve()
  /** What was told of a file that is wrong. */
  let told: string | undefined

  async function lookOnce(): Promise<void> {
    const marks = await marksOf(files)
    const isChanged = marks !== seen
    // What is wrong may lie in a certificate that only the wrong file names: nobody watches that one.
    if (!isChanged && told === undefined) return
    seen = marks
    try {
      const next = await readConnectorConfig(file)
      files = next.files
      seen = await marksOf(files)
      told = undefined
      if (!stop.signal.aborted) onChange(next.config)
    } catch (thrown) {
      const error = asHubError(thrown)
      if (isChanged || error.message !== told) onWrong(error)
      told = error.message
    }
  }

  function look(): Promise<void> {
    looking = looking.then(lookOnce)
    return looking
  }

  const watching = (async () => {
    while (!stop.signal.aborted) {
      await clock.sleep(lookEveryMs, stop.signal)
      if (!stop.signal.aborted) await look()
    }
  })()

  return {
    look,
    async close() {
      stop.abort()
      await watching
    },
  }
}

/** What tells one state of the files from another. */
async function marksOf(files: readonly string[]): Promise<string> {
  const marks = await Promise.all(
    files.map(async file => {
      const found = await stat(file, { bigint: true }).catch(() => undefined)
      return found ? `${found.ino} ${found.size} ${found.mtimeNs}` : 'missing'
    }),
  )
  return marks.join('\n')
}
