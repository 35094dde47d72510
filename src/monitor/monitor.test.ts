import { X509Certificate } from 'node:crypto'
import { afterEach, describe, expect, test } from 'vitest'
import { defineErrors } from '../kernel/error.ts'
import { silentLog } from '../kernel/log.ts'
import { DAY, HOUR, MINUTE, SECOND } from '../kernel/time.ts'
import { storeErrors } from '../store/errors.ts'
import type { DeliveryRow, FlowCounts } from '../store/port.ts'
import type { StoreWatch } from '../store/watch-store.ts'
import { makeTwinCertificate } from '../twins/certificate.ts'
import type { Alert } from './alerts/alert.ts'
import { alertErrors } from './alerts/alert-errors.ts'
import type { WatchedCertificate } from './certificate-findings.ts'
import { defaultAlertPolicy, type FailedFlow } from './expectations.ts'
import { createMonitor } from './monitor.ts'
import { noCounts, ordersFlow, setAsideRow, standInClock, standInEngine, standInRecords } from './stand-ins.ts'
import type { WatchedCredential, WatchedFlow, WatchedLink } from './watched.ts'

const testErrors = defineErrors('MONITORTEST', {
  REFUSED: { side: 'receiver', retry: 'soon', means: 'The server refused.', next: 'Ask its keeper.' },
})
const refused = { code: 'X', side: 'receiver', message: 'The server refused.', next: 'Ask its keeper.' }
const cleanups: (() => Promise<void>)[] = []

afterEach(async () => {
  for (const cleanup of cleanups.splice(0)) await cleanup()
})

/** A monitor over stand-ins; what it tells is collected in `told`. */
function watch(startMs?: number) {
  const { clock, pass, setBack } = standInClock(startMs)
  const records = standInRecords()
  const stage = standInEngine(clock)
  const facts: {
    counts: FlowCounts
    rows: DeliveryRow[]
    credentials: WatchedCredential[]
    certificates: WatchedCertificate[]
    failed: FailedFlow[]
    names: string[]
    documents: ReadonlySet<string>
    /** While it stands, nothing can be written. */
    storeFailure: ReturnType<StoreWatch['failure']>
  } = {
    storeFailure: undefined,
    names: ['orders'],
    documents: new Set(['orders', 'broken']),
    counts: noCounts,
    rows: [],
    credentials: [],
    certificates: [],
    failed: [],
  }
  const told: string[] = []
  const warned: string[] = []
  let failSends = 0
  const channel = (name: string) => ({
    name,
    async send(alert: Alert) {
      if (failSends-- > 0) throw alertErrors.NOT_SENT({ channel: name, text: 'no route' })
      told.push(`${name}: ${alert.state}: ${alert.what}`)
    },
  })
  const store = {
    ...records,
    write: async (...record: Parameters<typeof records.write>) => {
      if (facts.storeFailure && !facts.storeFailure.isPartial) throw facts.storeFailure.error
      return records.write(...record)
    },
    counts: async () => facts.counts,
    find: async () => facts.rows,
    flowNames: async () => facts.names,
    purge: async () => 0,
    purgeAudit: async () => 0,
    bodies: { collect: async () => 0, read: () => neverRead(), write: () => neverRead() },
  }
  const make = () =>
    createMonitor({
      engine: stage.engine,
      store,
      clock,
      log: { ...silentLog, warn: event => void warned.push(event) },
      version: '1.2.3',
      policy: defaultAlertPolicy,
      channels: new Map([
        ['log', channel('log')],
        ['ops', channel('ops')],
      ]),
      credentials: async () => facts.credentials,
      certificates: () => facts.certificates,
      failedFlows: () => facts.failed,
      documents: async () => facts.documents,
      storeFailure: () => facts.storeFailure,
    })
  let monitor = make()
  cleanups.push(() => monitor.close())
  /** Lets time pass in small steps and looks at each, as the hub does. */
  async function lookFor(ms: number, stepMs = MINUTE): Promise<void> {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await pass(Math.min(stepMs, ms - passed))
      await monitor.look()
    }
  }
  async function restart(): Promise<void> {
    await monitor.close()
    monitor = make()
    await monitor.start()
  }
  return {
    ...stage,
    clock,
    setBack,
    facts,
    told,
    warned,
    lookFor,
    restart,
    failNext(count: number) {
      failSends = count
    },
    monitor: () => monitor,
  }
}

function neverRead(): never {
  throw new Error('the monitor reads no bodies')
}

const expecting = (expect: Partial<WatchedFlow['expect']>): WatchedFlow => ({
  ...ordersFlow,
  expect: { ...ordersFlow.expect, ...expect },
})

test('silence raises one alert, over a restart as well, and a message resolves it once', async () => {
  const world = watch()
  world.run(expecting({ quietMs: 4 * HOUR }))
  await world.lookFor(4 * HOUR - MINUTE)
  expect(world.told).toEqual([])
  await world.lookFor(2 * MINUTE)
  expect(world.told).toEqual(['log: open: Flow orders has taken in nothing for 4h.'])

  await world.restart()
  world.run(expecting({ quietMs: 4 * HOUR }))
  await world.lookFor(HOUR)
  expect(world.told).toHaveLength(1)

  world.happen({
    type: 'delivery.accepted',
    at: world.clock.now(),
    flow: 'orders',
    delivery: 'A',
    bytes: 1,
    isProbe: false,
  })
  await world.lookFor(10 * MINUTE)
  expect(world.told.slice(1)).toEqual(['log: resolved: Flow orders has taken in nothing for 4h.'])
})

test('a short silence is over with the first message, however soon the next silence begins', async () => {
  const world = watch()
  world.run(expecting({ quietMs: MINUTE }))
  await world.lookFor(2 * MINUTE, 15 * SECOND)
  expect(world.told).toEqual(['log: open: Flow orders has taken in nothing for 1m.'])
  const { clock } = world
  world.happen({ type: 'delivery.accepted', at: clock.now(), flow: 'orders', delivery: 'A', bytes: 1, isProbe: false })
  await world.lookFor(30 * SECOND, 15 * SECOND)
  expect(world.told.slice(1)).toEqual(['log: resolved: Flow orders has taken in nothing for 1m.'])
  await world.lookFor(MINUTE, 15 * SECOND)
  expect(world.told).toHaveLength(3)
})

test('a probe is no message: silence goes on', async () => {
  const world = watch()
  world.run(expecting({ quietMs: HOUR }))
  await world.lookFor(50 * MINUTE)
  world.happen({
    type: 'delivery.accepted',
    at: world.clock.now(),
    flow: 'orders',
    delivery: 'P',
    bytes: 1,
    isProbe: true,
  })
  await world.lookFor(11 * MINUTE)
  expect(world.told).toHaveLength(1)
})

test('silence does not begin anew with each restart of the hub, but with a start after days', async () => {
  const world = watch()
  const flow = expecting({ quietMs: 4 * HOUR })
  world.run(flow)
  for (let day = 0; day < 3; day++) {
    await world.lookFor(90 * MINUTE)
    await world.restart()
    world.run(flow)
  }
  expect(world.told).toHaveLength(1)

  const other = watch()
  other.facts.counts = { ...noCounts, lastAcceptedAt: other.clock.now() }
  other.run(flow)
  await other.lookFor(MINUTE)
  other.halt('orders')
  await other.lookFor(2 * DAY, HOUR)
  other.run(flow)
  await other.lookFor(HOUR)
  expect(other.told).toEqual([])
})

test('a channel that isthmus.yaml does not know is made up for by the usual ones, so that somebody hears', async () => {
  const world = watch()
  world.run({ ...expecting({ quietMs: MINUTE }), alert: ['on-cal'] })
  await world.lookFor(2 * MINUTE)
  expect(world.told).toEqual(['log: open: Flow orders has taken in nothing for 1m.'])
  expect(world.warned).toContain('alert.not-sent')
  world.run({ ...expecting({ quietMs: MINUTE }), name: 'bills', alert: ['on-cal', 'ops'] })
  await world.lookFor(2 * MINUTE)
  expect(world.told.slice(1)).toEqual(['ops: open: Flow bills has taken in nothing for 1m.'])
})

test('a full disk is told of once in each channel, though the alert itself cannot be kept', async () => {
  const world = watch()
  const what =
    'The hub takes in nothing and records nothing. The disk of the store is full or cannot be written: ENOSPC'
  world.facts.storeFailure = { since: world.clock.now(), error: storeErrors.FULL({ text: 'ENOSPC' }), isPartial: false }
  await world.lookFor(10 * MINUTE)
  expect([...world.told, ...world.warned]).toEqual([`log: open: ${what}`, 'alert.not-kept', 'alert.not-kept'])
  expect(world.monitor().alerts.list()).toMatchObject([{ kind: 'store', next: expect.stringContaining('Free space') }])
  world.facts.storeFailure = undefined
  await world.lookFor(5 * MINUTE)
  expect(world.told.slice(1)).toEqual([`log: resolved: ${what}`])
  await world.restart()
  expect(world.monitor().alerts.list()).toMatchObject([{ id: 'store', state: 'resolved' }])
})

test('a disk that refuses large messages only is told of, too', async () => {
  const world = watch()
  const error = storeErrors.FULL({ text: 'ENOSPC' })
  world.facts.storeFailure = { since: world.clock.now(), error, isPartial: true }
  await world.lookFor(MINUTE)
  expect(world.told).toEqual([
    expect.stringContaining('log: open: The hub refuses messages, large ones first. The disk'),
  ])
})

test('a link that is down for longer than the grace time is told with the words of its error', async () => {
  const world = watch()
  const link = (state: WatchedLink['state']): WatchedLink => ({
    link: 'to[0]',
    state,
    since: world.clock.now(),
    detail: '',
    error: state === 'down' ? refused : undefined,
  })
  world.run(ordersFlow, [link('down')])
  await world.lookFor(4 * MINUTE)
  // It tries again; that alone is no recovery.
  world.run(ordersFlow, [link('starting')])
  await world.lookFor(MINUTE)
  world.run(ordersFlow, [link('down')])
  await world.lookFor(MINUTE)
  expect(world.told).toEqual(['log: open: Link to[0] of flow orders is down: The server refused.'])
  expect(world.monitor().alerts.list()[0]).toMatchObject({
    kind: 'link-down',
    state: 'open',
    turn: 'The receiving side, or whoever keeps its credential.',
    next: 'Ask its keeper.',
    command: 'isthmus flow check orders',
  })
  world.run(ordersFlow, [link('up')])
  await world.lookFor(5 * MINUTE)
  expect(world.told).toHaveLength(2)
})

test('a link that comes and goes is told a few times, then stays open until it is calm', async () => {
  const world = watch()
  const link = (state: 'up' | 'down'): WatchedLink => ({
    link: 'a',
    state,
    since: world.clock.now(),
    detail: '',
    error: undefined,
  })
  for (let round = 0; round < 20; round++) {
    world.run(ordersFlow, [link('down')])
    await world.lookFor(6 * MINUTE)
    world.run(ordersFlow, [link('up')])
    await world.lookFor(4 * MINUTE)
  }
  // Without protection it would be 40.
  expect(world.told.length).toBeLessThanOrEqual(8)
  expect(world.monitor().alerts.list()[0]?.isFlapping).toBe(true)
  await world.lookFor(31 * MINUTE)
  expect(world.monitor().alerts.list()[0]?.state).toBe('resolved')
})

test('a probe that arrives is quiet; one that does not is told, and so is one that cannot be sent', async () => {
  const world = watch()
  const flow = expecting({ probe: { everyMs: 15 * MINUTE, withinMs: 5 * MINUTE } })
  const sent: string[] = []
  world.onProbe(async name => {
    sent.push(name)
    return { id: 'P', state: 'delivered', summary: '250 Ok' }
  })
  world.run(flow)
  await world.lookFor(HOUR)
  expect(sent).toHaveLength(4)
  expect(world.told).toEqual([])

  world.onProbe(async () => undefined)
  await world.lookFor(16 * MINUTE)
  expect(world.told).toEqual(['log: open: The probe of flow orders did not arrive within 5m.'])

  world.onProbe(async () => Promise.reject(testErrors.REFUSED()))
  await world.lookFor(16 * MINUTE)
  expect(world.told).toHaveLength(1)
  expect(world.monitor().alerts.list()[0]).toMatchObject({
    next: 'Ask its keeper.',
    what: expect.stringContaining('could not be sent'),
  })

  world.onProbe(async () => ({ id: 'P', state: 'delivered', summary: '250 Ok' }))
  await world.lookFor(20 * MINUTE)
  expect(world.told).toHaveLength(2)
})

test('no probe is sent while the links are still starting', async () => {
  const world = watch()
  let sent = 0
  world.onProbe(async () => {
    sent++
    return undefined
  })
  const starting: WatchedLink = { link: 'a', state: 'starting', since: 0, detail: '', error: undefined }
  world.run(expecting({ probe: { everyMs: MINUTE, withinMs: SECOND } }), [starting])
  await world.lookFor(5 * MINUTE)
  expect(sent).toBe(0)
})

describe('a clock that is set back by a day, however wrong it was before', () => {
  test('puts off no alert of silence', async () => {
    const world = watch()
    world.run(expecting({ quietMs: HOUR }))
    world.facts.counts = { ...noCounts, lastAcceptedAt: world.clock.now() }
    await world.lookFor(30 * MINUTE)
    world.setBack(DAY)
    await world.lookFor(62 * MINUTE)
    expect(world.told).toEqual(['log: open: Flow orders has taken in nothing for 1h.'])
    await world.restart()
    await world.lookFor(10 * MINUTE)
    expect(world.told).toHaveLength(1)
  })

  test('nor one of a link that is down, and its end is told as soon', async () => {
    const world = watch()
    const link = { link: 'to[0]', state: 'down', detail: '', since: world.clock.now(), error: refused } as const
    world.run(ordersFlow, [link])
    await world.lookFor(2 * MINUTE)
    world.setBack(DAY)
    await world.lookFor(6 * MINUTE)
    expect(world.told).toEqual(['log: open: Link to[0] of flow orders is down: The server refused.'])
    world.run(ordersFlow, [{ ...link, state: 'up' }])
    await world.lookFor(MINUTE)
    world.setBack(DAY)
    await world.lookFor(4 * MINUTE)
    expect(world.told).toHaveLength(2)
  })

  test('nor the next probe', async () => {
    const world = watch()
    let sent = 0
    world.onProbe(async () => {
      sent += 1
      return { id: 'P', state: 'delivered', summary: '250 Ok' }
    })
    world.run(expecting({ probe: { everyMs: 15 * MINUTE, withinMs: 5 * MINUTE } }))
    await world.lookFor(MINUTE)
    world.setBack(DAY)
    await world.lookFor(20 * MINUTE)
    expect(sent).toBe(2)
  })

  test('nor a channel that is tried again', async () => {
    const world = watch()
    world.failNext(1)
    world.facts.failed = [{ name: 'broken', since: 0, error: refused }]
    await world.lookFor(MINUTE)
    world.setBack(DAY)
    await world.lookFor(2 * MINUTE)
    expect(world.told).toEqual(['log: open: Flow broken does not run: The server refused.'])
  })
})

test('set-aside deliveries, an old queue, credentials and flows that do not start are told in their words', async () => {
  const world = watch(Date.now())
  const now = world.clock.now()
  world.run({ ...ordersFlow, alert: ['ops'] })
  world.facts.counts = { ...noCounts, setAside: 2, queued: 1, oldestQueuedAt: now - 2 * HOUR }
  const probeRow = setAsideRow({ at: now, isProbe: true, error: { ...refused, message: 'The probe was refused.' } })
  world.facts.rows = [probeRow, setAsideRow({ at: now, error: refused })]
  const ready = { state: 'ready', error: undefined } as const
  const { cert: certificate } = await makeTwinCertificate(['hub.example'], { validForMs: 5 * HOUR })
  const { cert: young } = await makeTwinCertificate(['hub.example'], { validForMs: 7 * DAY })
  const end = new X509Certificate(certificate).validToDate.toISOString()
  const unsigned = { message: 'Nobody has signed in.', next: 'Sign in.' }
  world.facts.credentials = [
    { name: 'm365', settings: {}, status: { state: 'needs-authorisation', error: unsigned } },
    { name: 'soon', settings: { certificate }, status: ready },
    // Those of SAP BTP live for a week: they must not be in alarm from the first day on.
    { name: 'young', settings: { certificate: young }, status: ready },
    { name: 'unreadable', settings: { certificate: 'no certificate' }, status: ready },
    { name: 'fine', settings: {}, status: ready },
  ]
  world.facts.failed = [{ name: 'broken', since: now, error: refused }]
  await world.lookFor(MINUTE)
  expect(world.told.toSorted()).toEqual([
    'log: open: Credential m365 cannot be used: Nobody has signed in.',
    'log: open: Flow broken does not run: The server refused.',
    `log: open: The certificate of credential soon ends on ${end}.`,
    'ops: open: 2 deliveries of flow orders are set aside; the newest: The server refused.',
    'ops: open: The oldest delivery of flow orders has waited for more than 1h.',
  ])
  const commands = world
    .monitor()
    .alerts.list()
    .map(alert => alert.command)
  expect(commands).toContain('isthmus credential authorise m365')
  expect(commands).toContain('isthmus credential renew soon')
  expect(commands).toContain('isthmus message find --flow orders --state set-aside')
})

test('a certificate of the endpoints that ends soon is told until it is renewed', async () => {
  const world = watch(Date.now())
  const now = world.clock.now()
  const certificate = { file: 'hub.crt', beganAt: now - 80 * DAY, endsAt: now + 5 * DAY }
  world.facts.certificates = [certificate]
  await world.lookFor(MINUTE)
  const what = `The certificate of the flow endpoints ends on ${new Date(certificate.endsAt).toISOString()}: hub.crt`
  expect(world.told).toEqual([`log: open: ${what}`])
  world.facts.certificates = [{ ...certificate, endsAt: now + 90 * DAY }]
  await world.lookFor(5 * MINUTE)
  expect(world.told.at(-1)).toBe(`log: resolved: ${what}`)
})

test('what waits in a flow that does not run is told, and so is that its document is gone', async () => {
  const world = watch()
  const now = world.clock.now()
  world.facts.counts = { ...noCounts, setAside: 1, queued: 2, oldestQueuedAt: now - 2 * HOUR }
  world.facts.rows = [setAsideRow({ at: now, error: refused })]
  await world.lookFor(MINUTE)
  expect(world.told).toEqual([
    'log: open: 1 delivery of flow orders is set aside; the newest: The server refused.',
    'log: open: The oldest delivery of flow orders has waited for more than 1h.',
  ])
  expect(await world.monitor().metrics.text()).toContain('isthmus_queue_deliveries{flow="orders"} 2')
  world.told.length = 0
  world.facts.documents = new Set()
  await world.lookFor(MINUTE)
  const gone = 'Flow orders has no document any more, and deliveries of it wait: 2 queued, 1 set aside.'
  expect(world.told).toEqual([`log: open: ${gone}`])
  world.facts.counts = { ...noCounts, delivered: 3 }
  await world.lookFor(15 * MINUTE)
  expect(world.told).toContain(`log: resolved: ${gone}`)
})

test('what stays undone on a link that works raises an alert when it lasts, and is over when it is done', async () => {
  const world = watch()
  const at = world.clock.now()
  const error = { code: 'IMAP_DONE_REFUSED', side: 'sender', message: 'Mails cannot be moved.', next: 'Make room.' }
  const link: WatchedLink = { link: 'a@b.c', state: 'up', since: at, detail: '', error: undefined }
  world.run(ordersFlow, [{ ...link, stuck: { since: at, error } }])
  await world.lookFor(4 * MINUTE)
  expect(world.told).toEqual([])
  await world.lookFor(2 * MINUTE)
  const what = 'On link a@b.c of flow orders something stays undone: Mails cannot be moved.'
  expect(world.told).toEqual([`log: open: ${what}`])
  expect(world.monitor().alerts.list()).toMatchObject([
    { turn: expect.stringContaining('sending'), next: 'Make room.' },
  ])
  world.run(ordersFlow, [link])
  await world.lookFor(5 * MINUTE)
  expect(world.told.slice(1)).toEqual([`log: resolved: ${what}`])
})

test('a flow that did not start is no alert any more once its document has another name', async () => {
  const world = watch()
  world.facts.failed = [{ name: 'broken', since: 0, error: refused }]
  await world.lookFor(MINUTE)
  world.facts.documents = new Set(['orders', 'mended'])
  await world.lookFor(12 * MINUTE)
  const what = 'Flow broken does not run: The server refused.'
  expect(world.told).toEqual([`log: open: ${what}`, `log: resolved: ${what}`])
})

test('a channel that fails is tried again, also after a restart, and then tells once', async () => {
  const world = watch()
  world.facts.failed = [{ name: 'broken', since: 0, error: refused }]
  world.failNext(2)
  await world.lookFor(10 * SECOND, SECOND)
  expect(world.told).toEqual([])
  await world.restart()
  await world.lookFor(5 * MINUTE)
  expect(world.told).toEqual(['log: open: Flow broken does not run: The server refused.'])
})

test('an alert is acknowledged by name, and an unknown one refused', async () => {
  const world = watch()
  world.facts.failed = [{ name: 'broken', since: 0, error: refused }]
  await world.lookFor(MINUTE)
  const [alert] = world.monitor().alerts.list()
  await world.monitor().alerts.acknowledge(alert?.id ?? '', 'anna')
  await world.restart()
  expect(world.monitor().alerts.list()[0]?.acknowledged).toEqual({ by: 'anna', at: world.clock.now() })
  await expect(world.monitor().alerts.acknowledge('none', 'anna')).rejects.toMatchObject({ code: 'ALERT_UNKNOWN' })
})

test('the metrics say what happened, and forget links that are gone', async () => {
  const world = watch()
  const at = world.clock.now()
  world.run(ordersFlow, [{ link: 'a@b.c', state: 'up', since: at, detail: '', error: undefined }])
  world.facts.counts = { ...noCounts, queued: 3, setAside: 1, oldestQueuedAt: at - 90 * SECOND }
  const flow = 'orders'
  const delivery = 'D'
  world.happen({ type: 'delivery.accepted', at, flow, delivery, bytes: 1000, isProbe: false })
  world.happen({ type: 'delivery.accepted', at, flow, delivery, bytes: 1000, isProbe: true })
  const failed = {
    type: 'delivery.failed',
    at,
    flow,
    delivery,
    attempt: 1,
    error: testErrors.REFUSED(),
    dueAt: at,
  } as const
  world.happen({ ...failed, isProbe: false })
  world.happen({ ...failed, isProbe: true })
  const ended = { type: 'delivery.ended', at, flow, delivery, summary: '', error: undefined, tookMs: 20 } as const
  world.happen({ ...ended, state: 'delivered', isProbe: false })
  world.happen({ ...ended, state: 'set-aside', isProbe: false })
  world.happen({ ...ended, state: 'delivered', isProbe: true })
  world.monitor().metrics.limitReached('apiBodyBytes')
  const text = await world.monitor().metrics.text()
  for (const line of [
    'isthmus_delivery_accepted_total{flow="orders"} 1',
    'isthmus_delivery_accepted_bytes_total{flow="orders"} 1000',
    'isthmus_delivery_delivered_total{flow="orders"} 1',
    'isthmus_delivery_set_aside_total{flow="orders"} 1',
    'isthmus_delivery_failed_total{flow="orders",code="MONITORTEST_REFUSED",side="receiver"} 1',
    'isthmus_probe_ended_total{flow="orders",state="delivered"} 1',
    'isthmus_queue_deliveries{flow="orders"} 3',
    'isthmus_queue_oldest_age_seconds{flow="orders"} 90',
    'isthmus_set_aside_deliveries{flow="orders"} 1',
    'isthmus_link_up{flow="orders",link="a@b.c"} 1',
    'isthmus_hub_info{version="1.2.3"} 1',
    'isthmus_limit_reached_total{limit="apiBodyBytes",flow=""} 1',
    'isthmus_delivery_duration_seconds_count{flow="orders"} 2',
  ]) {
    expect(text.split('\n')).toContain(line)
  }
  expect(text).toMatch(/^isthmus_nodejs_eventloop_lag_p99_seconds /m)
  expect(text).toMatch(/^isthmus_process_resident_memory_bytes /m)
  world.halt('orders')
  world.happen({ type: 'delivery.accepted', at, flow, delivery, bytes: 500, isProbe: false })
  const again = await world.monitor().metrics.text()
  expect(again).not.toContain('isthmus_link_up{')
  expect(again).toContain('isthmus_delivery_accepted_total{flow="orders"} 2\n')
  expect(again).toContain('isthmus_delivery_accepted_bytes_total{flow="orders"} 1500\n')
})
