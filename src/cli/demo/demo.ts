import { createServer } from 'node:net'
import { join, resolve } from 'node:path'
import { SECOND, systemClock } from '../../kernel/time.ts'
import { type Hub, startHub } from '../../main.ts'
import { createLogBook, type LogOptions } from '../../monitor/log.ts'
import { startTwinAdmin } from '../../twins/admin.ts'
import { makeTwinCertificate } from '../../twins/certificate.ts'
import { consoleFolder, consoleUrl } from '../console-folder.ts'
import type { Output } from '../io.ts'
import { costCentreScenario } from './cost-centre-scenario.ts'
import { emptyDemoFolder } from './demo-folder.ts'
import { groupwareScenario } from './groupware-scenario.ts'
import { mailScenario } from './mail-scenario.ts'
import { s4Scenario } from './s4-scenario.ts'
import type { Scenario, ScenarioWorld } from './scenario.ts'

export interface DemoOptions {
  /** Ends by itself after this time; undefined: with the signal. */
  readonly forMs: number | undefined
  readonly signal: AbortSignal
  readonly dataFolder: string
  readonly output: Output
}

/** Ports that people can remember; another one is taken where somebody has it already. */
const wishedPorts = { admin: 7070, endpoints: 7071, twins: 7072, connectors: 7073 }
/** Names in the certificate of the twins: under one of them S/4HANA is reached through a connector. */
const twinNames = ['localhost', '127.0.0.1', 's4-smtp.virtual']
/** With `--for`, nothing new is sent in the last part of the time, so that all can arrive. */
const settleMs = 5 * SECOND
const settleTriesMax = 300

/**
 * The hub with its embedded store, the twins beside it and the example flows running. Returns the exit code: 0 when
 * every flow delivered and nothing was lost or changed.
 */
export async function runDemo(options: DemoOptions): Promise<number> {
  const say = (line = '') => options.output.write(`${line}\n`)
  const folder = resolve(options.dataFolder)
  emptyDemoFolder(folder)
  const { cert, key, ca } = await makeTwinCertificate(twinNames)

  const log = {
    level: 'info',
    format: 'text',
    output: options.output,
    colours: options.output.isTTY === true,
  } satisfies Partial<LogOptions>
  const world: ScenarioWorld = {
    tls: { cert, key },
    folder,
    logOf: machine => createLogBook({ ...log, clock: systemClock, secretValues: () => [] }).log.with({ machine }),
  }
  const scenarios: Scenario[] = [
    await mailScenario(world),
    await costCentreScenario(world),
    await s4Scenario(world),
    await groupwareScenario(world),
  ]
  const twins = scenarios.flatMap(scenario => scenario.twins)
  const twinAdmin = await startTwinAdmin(twins, await freePort(wishedPorts.twins))
  const params = Object.fromEntries(
    scenarios.flatMap(({ flow, params: own, parts }) => (parts ? Object.entries(parts.params) : [[flow, own]])),
  )
  const exampleOf = new Map(
    scenarios.flatMap(({ flow, parts }) => (parts?.counted ?? [flow]).map(name => [name, flow])),
  )
  const counts = new Map(scenarios.map(({ flow }) => [flow, { accepted: 0, delivered: 0, setAside: 0 }]))
  const hub = await startHub({
    dataFolder: folder,
    stage: 'dev',
    flowFiles: scenarios.flatMap(
      ({ flow, parts }) => parts?.flowFiles ?? [resolve(import.meta.dirname, '../../../examples', flow, 'flow.yaml')],
    ),
    params,
    trustedCertificates: [ca],
    admin: { host: '127.0.0.1', port: await freePort(wishedPorts.admin) },
    console: consoleFolder,
    endpoints: { host: '127.0.0.1', port: await freePort(wishedPorts.endpoints) },
    connectors: { host: '127.0.0.1', port: await freePort(wishedPorts.connectors), nodes: [] },
    log,
    beforeFlows: async parts => {
      for (const scenario of scenarios) await scenario.prepare(parts)
    },
  })
  for (const scenario of scenarios) scenario.begin?.(hub)
  hub.engine.on(event => {
    const count = counts.get(exampleOf.get(event.flow) ?? '')
    if (!count) return
    if (event.type === 'delivery.accepted' && !event.isProbe) count.accepted++
    if (event.type !== 'delivery.ended' || event.isProbe) return
    if (event.state === 'set-aside') count.setAside++
    else count.delivered++
  })
  tellWhereToLook(say, hub, twinAdmin.origin, folder)
  for (const scenario of scenarios) for (const line of scenario.tellSetting?.() ?? []) say(`  ${line}`)

  await letThingsHappen(scenarios, options, say)
  for (let tries = 0; tries < settleTriesMax && options.forMs !== undefined; tries++) {
    if (scenarios.every(scenario => scenario.findings().length === 0)) break
    if (tries === 10) say('\nWaiting for what is still on its way.')
    await pause(100)
  }
  await hub.close()
  for (const scenario of scenarios) await scenario.close?.()
  await twinAdmin.stop()
  await Promise.all(twins.map(twin => twin.stop()))

  say()
  let isWell = true
  for (const scenario of scenarios) {
    const none = { accepted: 0, delivered: 0, setAside: 0 }
    const { accepted, delivered, setAside } = scenario.counts?.() ?? counts.get(scenario.flow) ?? none
    say(`${scenario.flow}: ${accepted} accepted, ${delivered} delivered, ${setAside} set aside`)
    const findings = scenario.findings()
    for (const line of [...(scenario.tellOutcome?.() ?? []), ...findings]) say(`  ${line}`)
    const isComplete = delivered > 0 && delivered === accepted && accepted === scenario.sent() && findings.length === 0
    if (!isComplete) isWell = false
  }
  return isWell || options.forMs === undefined ? 0 : 1
}

async function letThingsHappen(scenarios: readonly Scenario[], options: DemoOptions, say: (line: string) => void) {
  const endMs = options.forMs ?? Number.POSITIVE_INFINITY
  const quietAt = Math.max(endMs - settleMs, SECOND)
  const startedAt = performance.now()
  const stop = new AbortController()
  options.signal.addEventListener('abort', () => stop.abort(), { once: true })
  if (options.signal.aborted) stop.abort()
  const timers = scenarios.map(scenario => {
    const act = () => {
      const tookMs = performance.now() - startedAt
      if (tookMs < quietAt) say(`\n>> ${scenario.act(endMs - tookMs)}`)
    }
    act()
    return setInterval(act, scenario.everyMs)
  })
  await new Promise<void>(done => {
    stop.signal.addEventListener('abort', () => done(), { once: true })
    if (stop.signal.aborted) done()
    if (options.forMs !== undefined) timers.push(setTimeout(done, options.forMs))
  })
  for (const timer of timers) clearInterval(timer)
}

function tellWhereToLook(say: (line?: string) => void, hub: Hub, twinsUrl: string, folder: string): void {
  const flows = hub.engine.flows().map(({ flow }) => flow.name)
  say()
  say(
    `Isthmus runs ${flows.join(', ') || 'no flow'} against twins of Microsoft 365, Dynamics 365 and S/4HANA. Nothing leaves this machine.`,
  )
  say()
  say(`  console     ${consoleUrl(hub.adminUrl, hub.newSetupToken)}`)
  say('              (choose a name and a password there: the token in the address makes the first administrator)')
  say(`  admin API   ${hub.adminUrl}/api/flows   (OpenAPI: /api/openapi.json, metrics: /metrics)`)
  say(`  its token   ${join(folder, 'admin.token')}`)
  say(`  endpoints   ${hub.endpointsUrl}`)
  say(`  twins       ${twinsUrl}/twins   (faults: POST /twins/NAME/faults)`)
  say(`  connectors  ${hub.connectorsAddress}`)
  say()
  say('  In another terminal:')
  say(`    export ISTHMUS_URL=${hub.adminUrl} ISTHMUS_TOKEN_FILE=${join(folder, 'admin.token')}`)
  say('    npm run isthmus -- flow list')
  say('    npm run isthmus -- message find')
  say('    npm run isthmus -- log --follow')
  say('    npm run isthmus -- connector check dc-frankfurt')
  say()
  say('  Ctrl-C stops.')
  say()
}

/** The wished port, or any free one. */
function freePort(wished: number): Promise<number> {
  return new Promise(resolvePort => {
    const server = createServer()
    server.once('error', () => resolvePort(0))
    server.listen(wished, '127.0.0.1', () => server.close(() => resolvePort(wished)))
  })
}

function pause(ms: number): Promise<void> {
  return new Promise(done => setTimeout(done, ms))
}
