import { imap } from '../../../src/adapters/imap.ts'
import { smtp } from '../../../src/adapters/smtp.ts'
import { createEngine } from '../../../src/engine/engine.ts'
import { loadFlow } from '../../../src/flow/load-flow.ts'
import { defaultLimits } from '../../../src/kernel/limit.ts'
import { systemClock } from '../../../src/kernel/time.ts'
import { createLogBook } from '../../../src/monitor/log.ts'
import { makeConnect } from '../../../src/protocols/net/connect.ts'
import { openSqliteStore } from '../../../src/store/sqlite/open.ts'

/** Engine, store, log and the two adapters put together for one flow; without the admin API, which carries no mail. */
const settings = JSON.parse(process.argv[2] ?? '{}') as {
  flowFile: string
  dataFolder: string
  user: string
  password: string
}
const loaded = await loadFlow({ file: settings.flowFile, stage: 'dev', senders: [imap], receivers: [smtp], steps: [] })
if (!('flow' in loaded)) throw new Error(JSON.stringify(loaded.problems))
const store = await openSqliteStore({ folder: settings.dataFolder })
const book = createLogBook({
  clock: systemClock,
  secretValues: () => [settings.password],
  level: 'info',
  format: 'json',
  output: process.stdout,
})
const engine = createEngine({
  store,
  clock: systemClock,
  log: book.log,
  limits: defaultLimits,
  connect: makeConnect(),
  credential: async () => ({ kind: 'basic', user: settings.user, password: settings.password }),
  serve: () => () => {},
  owner: 'bench',
})
process.once('SIGTERM', () => void engine.close().then(() => store.close()))
await engine.start(loaded.flow)
