import { writeFileSync } from 'node:fs'
import { homedir } from 'node:os'
import { join, relative } from 'node:path'
import { fileURLToPath } from 'node:url'
import { startHub } from '../../../src/main.ts'
import type { Contestant } from '../contestant.ts'

const program = fileURLToPath(new URL('../../../src/cli/isthmus.js', import.meta.url))
const slowDisk = new URL('../slow-disk.ts', import.meta.url).href

/** The hub as people run it: `isthmus serve`, durable store, receipts, marks after the delivery, log on. */
export const isthmus: Contestant = {
  name: 'isthmus',
  setting: 'isthmus serve: SQLite store with full durability, defaults of imap and smtp, marked as read, log at info',
  needs: [],
  sink: 'smtp',
  endsItself: false,
  async prepare(course) {
    const { folder } = course
    writeFileSync(
      join(folder, 'flow.yaml'),
      `flow: bench-mail
about: Carries the mails of one mailbox to a sink.
from:
  imap:
    host: 127.0.0.1
    port: ${course.imapsPort}
    ca: ${relative(folder, course.caFile)}
    user: ${course.user}
    auth: mailbox
    every: 1s
    done: { mark: read }
to:
  smtp:
    host: 127.0.0.1
    port: ${course.sinkPort}
    security: none
    to: ${course.recipient}
`,
    )
    writeFileSync(join(folder, 'isthmus.yaml'), 'flows: [flow.yaml]\nadmin: { port: 0 }\nendpoints: { port: 0 }\n')
    await createCredential(join(folder, 'data'), course.user, course.password)
    // The home of a round is empty, but this is not the first start: what an earlier one compiled is there.
    const { XDG_CACHE_HOME = join(homedir(), '.cache') } = process.env
    return { program: process.execPath, args: [program, 'serve'], env: { XDG_CACHE_HOME } }
  },
}

/** What an administrator has done long before: the password lies sealed in the store. */
async function createCredential(dataFolder: string, user: string, password: string): Promise<void> {
  const hub = await startHub({
    dataFolder,
    stage: 'dev',
    flowFiles: [],
    admin: { host: '127.0.0.1', port: 0 },
    endpoints: { host: '127.0.0.1', port: 0 },
    log: { level: 'error', format: 'json', output: process.stderr },
  })
  await hub.credentials.create('mailbox', { kind: 'basic', user, password })
  await hub.close()
}

/** The same where the disk takes its time for each flush. */
export const isthmusOnSlowDisk: Contestant = {
  ...isthmus,
  name: 'isthmus-5ms',
  setting: 'the same on a disk whose flush takes 5 ms longer',
  async prepare(course) {
    const { program: node, args, env } = await isthmus.prepare(course)
    return { program: node, args: ['--import', slowDisk, ...args], env: { ...env, BENCH_FLUSH_MS: '5' } }
  },
}
