import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { parse, stringify } from 'yaml'
import { GuideMachine, isHubReady, readGuide } from '../hub/guide.ts'
import { describeForeign } from './servers/needs.ts'
import { type ServerProcess, startProcess } from './servers/server-process.ts'
import { freePorts, waitFor } from './servers/wait.ts'

const guide = readGuide('monitoring')
const blockOf = (file: string) => guide.blocks.find(block => block.file === file)?.text ?? ''
const rulesFile = 'isthmus.rules.yml'
const alertMs = 60_000

const flows = {
  orders: `flow: orders
from: { timer: { every: 1s, body: an order } }
steps: [{ filter: { keep: 'false', otherwise: set-aside } }]
to: []
`,
  mail: (port: number) => `flow: mail
from: { imap: { host: 127.0.0.1, port: ${port}, user: orders@contoso.com, auth: mailbox } }
to: []
`,
}

/** What makes each alert fire, and what it says then. */
const alerts: Readonly<
  Record<string, { series: Readonly<Record<string, string>>; labels: Record<string, string>; summary: string }>
> = {
  IsthmusDown: {
    series: { 'up{job="isthmus", instance="one"}': '0x60', 'up{job="isthmus", instance="two"}': '0x60' },
    labels: { job: 'isthmus' },
    summary: 'No hub answers.',
  },
  IsthmusMessagesWait: {
    series: { 'isthmus_queue_oldest_age_seconds{flow="orders"}': '0+60x60' },
    labels: { flow: 'orders' },
    summary: 'A message of orders has waited for 1h 0m 0s.',
  },
  IsthmusQueueFills: {
    series: { 'isthmus_queue_deliveries{flow="orders"}': '90000x60' },
    labels: { flow: 'orders' },
    summary: '90000 messages of orders wait; at 100000 senders are asked to come back later.',
  },
  IsthmusLinkDown: {
    series: { 'isthmus_link_up{flow="orders", link="orders@contoso.com"}': '0x60' },
    labels: { flow: 'orders', link: 'orders@contoso.com' },
    summary: 'orders@contoso.com of orders is down.',
  },
  IsthmusConnectorAway: {
    series: {
      'isthmus_connector_connected{location="berlin"}': '0x60',
      'isthmus_connector_enrolled{location="berlin"}': '2x60',
      'isthmus_connector_connected{location="unused"}': '0x60',
      'isthmus_connector_enrolled{location="unused"}': '0x60',
    },
    labels: { location: 'berlin' },
    summary: 'No connector of berlin is connected.',
  },
  IsthmusAccountRefused: {
    series: { 'isthmus_groupware_account_troubled{organization="contoso"}': '1x60' },
    labels: { organization: 'contoso' },
    summary: 'The account of contoso is in trouble; its mailboxes wait.',
  },
  IsthmusSetAside: {
    series: { 'isthmus_set_aside_deliveries{flow="orders"}': '3x60' },
    labels: { flow: 'orders' },
    summary: '3 messages of orders are set aside and wait for a person.',
  },
  IsthmusFlowStopped: {
    series: { 'isthmus_flow_running{flow="orders"}': '0x60' },
    labels: { flow: 'orders' },
    summary: 'orders does not run.',
  },
  // The first time that a limit is reached is the first sample of its series.
  IsthmusLimitReached: {
    series: { 'isthmus_limit_reached_total{limit="queuedPerFlow", flow="orders"}': '_x55 1x5' },
    labels: { limit: 'queuedPerFlow', flow: 'orders' },
    summary: 'The limit queuedPerFlow was reached in orders.',
  },
  IsthmusCallersRefused: {
    series: { 'isthmus_caller_refused_total{reason="secret"}': '0+60x60' },
    labels: { reason: 'secret' },
    summary: 'Callers are refused again and again (secret).',
  },
  IsthmusServiceKeyEnds: {
    series: { 'isthmus_service_key_rest_seconds{instance="partner", key="k1", name="first"}': '86400x60' },
    labels: { instance: 'partner', key: 'k1', name: 'first' },
    summary: 'The key first of partner ends in 1d 0h 0m 0s.',
  },
  IsthmusMailboxesInError: {
    series: { 'isthmus_groupware_mailboxes{organization="contoso", state="error"}': '2x60' },
    labels: { organization: 'contoso', state: 'error' },
    summary: '2 mailboxes of contoso are in error.',
  },
  IsthmusDeletionsHeld: {
    series: { 'isthmus_groupware_held_deletions{organization="contoso"}': '40x60' },
    labels: { organization: 'contoso' },
    summary: '40 deletions of contoso wait for the word of a person.',
  },
  IsthmusBusy: {
    series: { isthmus_nodejs_eventloop_lag_p90_seconds: '0.9x60' },
    labels: {},
    summary: 'The hub has more to do than its machine can.',
  },
  IsthmusFindsSomething: {
    series: { isthmus_alerts_open: '2x60' },
    labels: {},
    summary: '2 alerts of the hub are open; isthmus health says which.',
  },
}

/** The same metrics of a hub that is well. */
const well = {
  'up{job="isthmus", instance="one"}': '1x60',
  'up{job="isthmus", instance="stands by"}': '0x60',
  'isthmus_queue_oldest_age_seconds{flow="orders"}': '0 1200 1200 0x57',
  'isthmus_queue_deliveries{flow="orders"}': '100x60',
  'isthmus_link_up{flow="orders", link="orders@contoso.com"}': '1 0 0 1x57',
  'isthmus_connector_connected{location="berlin"}': '1x60',
  'isthmus_connector_enrolled{location="berlin"}': '2x60',
  'isthmus_groupware_account_troubled{organization="contoso"}': '0x60',
  'isthmus_set_aside_deliveries{flow="orders"}': '0x60',
  'isthmus_flow_running{flow="orders"}': '1x60',
  // Reached long ago, and set to 0 by a start of the hub.
  'isthmus_limit_reached_total{limit="queuedPerFlow", flow="orders"}': '5x30 0x30',
  'isthmus_caller_refused_total{reason="secret"}': '0+1x60',
  'isthmus_service_key_rest_seconds{instance="partner", key="k1", name="first"}': '2000000x60',
  'isthmus_groupware_mailboxes{organization="contoso", state="error"}': '0x60',
  'isthmus_groupware_mailboxes{organization="contoso", state="active"}': '80x60',
  'isthmus_groupware_held_deletions{organization="contoso"}': '0x60',
  isthmus_nodejs_eventloop_lag_p90_seconds: '0.02x60',
  isthmus_alerts_open: '0x60',
}

interface Firing {
  readonly state: string
  readonly labels: Readonly<Record<string, string>>
}

describeForeign('the guide of monitoring', ['prometheus'], () => {
  let folder: string
  let machine: GuideMachine
  let prometheus: ServerProcess | undefined
  let [adminPort, endpointsPort, prometheusPort, nobodysPort] = [0, 0, 0, 0]
  let clientId = ''

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'isthmus-guide-'))
    ;[adminPort = 0, endpointsPort = 0, prometheusPort = 0, nobodysPort = 0] = await freePorts(4)
    machine = new GuideMachine({
      folder,
      environment: { ISTHMUS_URL: `http://127.0.0.1:${adminPort}` },
      replacements: [
        ['hub.contoso.com:8080', `127.0.0.1:${adminPort}`],
        ['hub.contoso.com:8081', `127.0.0.1:${endpointsPort}`],
        [': 15s', ': 1s'],
      ],
    })
  })
  afterAll(async () => {
    await prometheus?.stop()
    await machine?.stop()
    rmSync(folder, { recursive: true, force: true })
  })

  const promtool = (...args: readonly string[]) =>
    execFileSync('/usr/bin/promtool', args, { cwd: folder, encoding: 'utf8' })
  const firing = async () => {
    const answer = await fetch(`http://127.0.0.1:${prometheusPort}/api/v1/alerts`).catch(() => undefined)
    const body = answer?.ok ? ((await answer.json()) as { data: { alerts: readonly Firing[] } }) : undefined
    return (body?.data.alerts ?? []).filter(({ state }) => state === 'firing').map(({ labels }) => labels)
  }
  const waitForAlert = (alertname: string, wanted: Readonly<Record<string, string>>) =>
    waitFor(`${alertname} to fire`, alertMs, async () => {
      return (await firing()).find(
        labels =>
          labels['alertname'] === alertname && Object.entries(wanted).every(([key, value]) => labels[key] === value),
      )
    }).catch((error: Error) => {
      throw new Error(`${error.message}\n${prometheus?.output().slice(-3000)}`)
    })

  test('every rule fires on what it is about, says so, and keeps still while all is well', () => {
    writeFileSync(join(folder, rulesFile), blockOf(rulesFile))
    const rules = (parse(blockOf(rulesFile)) as { groups: { rules: { alert: string; labels: object }[] }[] }).groups
    const all = rules.flatMap(group => group.rules)
    expect(all.map(({ alert }) => alert).toSorted()).toEqual(Object.keys(alerts).toSorted())
    const seriesOf = (series: Readonly<Record<string, string>>) =>
      Object.entries(series).map(([name, values]) => ({ series: name, values }))
    const tests = all.map(({ alert, labels }) => {
      const { series, labels: own, summary } = alerts[alert] ?? { series: {}, labels: {}, summary: '' }
      const exp_alerts = [{ exp_labels: { ...own, ...labels }, exp_annotations: { summary } }]
      const alert_rule_test = [{ eval_time: '60m', alertname: alert, exp_alerts }]
      return { interval: '1m', input_series: seriesOf(series), alert_rule_test }
    })
    // In its first quarter of an hour Prometheus takes for new what it sees for the first time.
    const still = [20, 40, 60].flatMap(minute =>
      all.map(({ alert }) => ({ eval_time: `${minute}m`, alertname: alert, exp_alerts: [] })),
    )
    const whole = [...tests, { interval: '1m', input_series: seriesOf(well), alert_rule_test: still }]
    writeFileSync(
      join(folder, 'test.yml'),
      stringify({ rule_files: [rulesFile], evaluation_interval: '1m', tests: whole }),
    )
    expect(promtool('test', 'rules', 'test.yml')).toContain('SUCCESS')
  }, 60_000)

  test('every command works: Prometheus reads the hub with its own key, and fires what is wrong', async () => {
    mkdirSync(join(folder, 'flows'))
    writeFileSync(join(folder, 'flows/orders.flow.yaml'), flows.orders)
    writeFileSync(join(folder, 'flows/mail.flow.yaml'), flows.mail(nobodysPort))
    writeFileSync(
      join(folder, 'isthmus.yaml'),
      stringify({ flows: ['flows'], admin: { port: adminPort }, endpoints: { port: endpointsPort } }),
    )
    await machine.start('isthmus serve', () => isHubReady(adminPort))
    writeFileSync(join(folder, 'pw'), 'pw')
    await machine.run(
      'isthmus credential create mailbox --set kind=basic --set user=orders@contoso.com --secret-file password=pw',
    )
    for (const { kind, text } of guide.blocks) {
      if (kind === 'sh') for (const line of text.trim().split('\n')) clientId = (await machine.run(line)).trim()
    }
    expect(readFileSync(join(folder, 'prometheus.json'), 'utf8')).toContain(`"${clientId}"`)
    machine.write('prometheus.yml', blockOf('prometheus.yml').replace(/client_id: .*/, `client_id: ${clientId}`))
    expect(promtool('check', 'config', 'prometheus.yml')).toContain('SUCCESS')
    // Five minutes are long for a test.
    writeFileSync(join(folder, rulesFile), blockOf(rulesFile).replaceAll(/for: \d+m/g, 'for: 0s'))
    prometheus = startProcess('prometheus', [
      `--config.file=${join(folder, 'prometheus.yml')}`,
      `--storage.tsdb.path=${join(folder, 'tsdb')}`,
      `--web.listen-address=127.0.0.1:${prometheusPort}`,
    ])
    await waitForAlert('IsthmusSetAside', { flow: 'orders' })
    await waitForAlert('IsthmusLinkDown', { flow: 'mail' })
    expect(await firing()).not.toContainEqual(expect.objectContaining({ alertname: 'IsthmusDown' }))
    await machine.stop()
    await waitForAlert('IsthmusDown', { job: 'isthmus' })
  }, 180_000)

  test('what the rules and queries name is in the reference, or is of the process', () => {
    const reference = readFileSync(join(import.meta.dirname, '../../docs/reference/metrics.md'), 'utf8')
    const named = new Set(guide.text.match(/\bisthmus_\w+/g))
    expect(named.size).toBeGreaterThan(15)
    for (const name of named) {
      const isKnown = reference.includes(`\`${name.replace(/_(bucket|sum|count)$/, '')}\``)
      expect([name, isKnown || /^isthmus_(process|nodejs)_/.test(name)]).toEqual([name, true])
    }
  })
})
