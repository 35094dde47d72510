import { startHub } from '../../../src/main.ts'

/** The whole hub in one process, as `isthmus run` starts it: store, engine, log, metrics, admin API. */
const settings = JSON.parse(process.argv[2] ?? '{}') as {
  flowFile: string
  dataFolder: string
  user: string
  password: string
}
const hub = await startHub({
  dataFolder: settings.dataFolder,
  stage: 'dev',
  flowFiles: [settings.flowFile],
  admin: { host: '127.0.0.1', port: 0 },
  endpoints: { host: '127.0.0.1', port: 0 },
  log: { level: 'info', format: 'json', output: process.stdout },
  async beforeFlows({ credentials }) {
    await credentials.create('mailbox', { kind: 'basic', user: settings.user, password: settings.password })
  },
})
for (const { name, error } of hub.failedFlows) console.error(`${name}: ${error.message} ${error.next}`)
process.once('SIGTERM', () => void hub.close())
