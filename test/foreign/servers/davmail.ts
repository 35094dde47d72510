import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { type ServerProcess, startProcess } from './server-process.ts'
import { freePorts, isListening, waitFor } from './wait.ts'
import { makeWorkFolder } from './work-folder.ts'

export interface DavMail {
  readonly imapPort: number
  readonly caldavPort: number
  /** What it wrote, for the message of a test that failed. */
  log(): string
  stop(): Promise<void>
}

/** DavMail in front of an EWS address: IMAP and CalDAV on one side, Exchange Web Services on the other. */
export async function startDavMail(url: string): Promise<DavMail> {
  const folder = makeWorkFolder('davmail')
  const [imapPort = 0, caldavPort = 0, smtpPort = 0] = await freePorts(3)
  const settings = {
    server: true,
    mode: 'EWS',
    url,
    bindAddress: '127.0.0.1',
    allowRemote: false,
    imapPort,
    caldavPort,
    smtpPort,
    ldapPort: '',
    popPort: '',
    enableProxy: false,
    useSystemProxies: false,
    disableUpdateCheck: true,
    logFilePath: join(folder.path, 'davmail.log'),
  }
  const lines = Object.entries(settings).map(([name, value]) => `davmail.${name}=${value}`)
  const file = join(folder.path, 'davmail.properties')
  writeFileSync(file, `${lines.join('\n')}\n`)
  const server: ServerProcess = startProcess('/usr/bin/davmail-server', [file], { cwd: folder.path })
  try {
    for (const port of [imapPort, caldavPort]) await waitFor('DavMail to listen', 60_000, () => isListening(port))
  } catch (thrown) {
    await server.stop()
    folder.remove()
    throw new Error(`DavMail did not start: ${server.output().slice(-2000)}`, { cause: thrown })
  }
  return {
    imapPort,
    caldavPort,
    log: () => server.output().slice(-4000),
    async stop() {
      await server.stop()
      folder.remove()
    },
  }
}
