import { expect, test } from 'vitest'
import type { Alert, Flow, Health } from '../api/types.ts'
import { planAttention, troubledFirst } from './attention.ts'

const counts = { accepted: 9, queued: 0, delivered: 9, dropped: 0, rejected: 0, setAside: 0, skipped: 0 }

function flow(name: string, more: Partial<Flow> = {}): Flow {
  return { name, state: 'running', shouldRun: true, file: '', running: 0, links: [], counts, problems: [], ...more }
}

function alert(kind: string, more: Partial<Alert> = {}): Alert {
  const words = { what: `${kind} happened.`, turn: 'Somebody.', next: 'Do it.', command: 'isthmus health' }
  const times = { since: '2026-11-21T02:00:00.000Z', raisedAt: '2026-11-21T02:05:00.000Z' }
  return { id: kind, kind, state: 'open', isFlapping: false, untold: [], ...words, ...times, ...more }
}

function health(more: Partial<Health> = {}): Health {
  return { status: 'ok', ready: true, flows: [], alerts: [], ...more }
}

const refused = { code: 'IMAP_AUTH_REFUSED', side: 'sender', message: 'The token was refused.', next: 'Sign in again.' }
const down = {
  link: 'orders@contoso.com',
  state: 'down',
  since: '2026-11-21T01:00:00.000Z',
  detail: '',
  error: refused,
} as const

test('of a hub that is well nothing needs attention', () => {
  const flows = [{ name: 'orders', state: 'running', links: [], counts }]
  expect(planAttention(health({ flows }), [flow('orders')])).toEqual([])
})

test('a link that is down is told with its sentence, side and next step before it becomes an alert', () => {
  const flows = [{ name: 'orders', state: 'running', links: [down], counts }]
  expect(planAttention(health({ flows }), [flow('orders')])).toMatchObject([
    {
      severity: 'error',
      what: 'Flow orders does not reach orders@contoso.com. The token was refused.',
      turn: 'The sending side, or whoever keeps its credential.',
      next: 'Sign in again.',
      to: '/flows/orders',
    },
  ])
})

test('what an alert tells already is not told twice', () => {
  const flows = [{ name: 'orders', state: 'running', links: [down], counts: { ...counts, setAside: 3 } }]
  const alerts = [alert('link-down', { flow: 'orders' }), alert('set-aside', { flow: 'orders' })]
  const told = planAttention(health({ flows, alerts }), [flow('orders')])
  expect(told.map(({ id }) => id)).toEqual(['link-down', 'set-aside'])
})

test('what stops messages comes before what will, the oldest first, and what somebody looks after last', () => {
  const acknowledged = { by: 'olga@10.0.0.1', at: '2026-11-21T02:10:00.000Z' }
  const alerts = [
    alert('credential', { since: '2026-11-20T00:00:00.000Z' }),
    alert('quiet', { since: '2026-11-21T02:00:00.000Z' }),
    alert('probe', { since: '2026-11-21T01:00:00.000Z' }),
    alert('link-down', { since: '2026-11-19T00:00:00.000Z', acknowledged }),
  ]
  const told = planAttention(health({ alerts }), [])
  expect(told.map(({ id }) => id)).toEqual(['probe', 'quiet', 'credential', 'link-down'])
})

test.each([
  ['set-aside', 'orders/eu', '/messages?flow=orders%2Feu&state=set-aside'],
  ['queue-age', 'orders', '/messages?flow=orders&state=queued'],
  ['credential', undefined, '/credentials'],
  ['location', undefined, '/connectors'],
  ['mailboxes', undefined, '/groupware'],
  ['quiet', 'orders', '/flows/orders'],
])('an alert of kind %s leads to the page where it is dealt with', (kind, name, to) => {
  const [item] = planAttention(health({ alerts: [alert(kind, name === undefined ? {} : { flow: name })] }), [])
  expect(item?.to).toBe(to)
})

test('a flow that should run and does not says why; one that was stopped by a person says nothing', () => {
  const problem = {
    file: 'flow.yaml',
    line: 3,
    column: 5,
    message: 'There is no sender imapp.',
    next: 'Did you mean imap?',
  }
  const flows = [
    flow('broken', { state: 'stopped', problems: [problem] }),
    flow('asleep', { state: 'stopped', shouldRun: false }),
  ]
  const what = 'Flow broken does not run: its document has 1 mistake. There is no sender imapp.'
  expect(planAttention(health(), flows)).toMatchObject([{ what, next: 'Did you mean imap?' }])
})

test('flows in trouble are listed first, then those that had something to do, by the hour', () => {
  const at = (lastAcceptedAt: string) => ({ counts: { ...counts, lastAcceptedAt } })
  const flows = [
    flow('idle'),
    flow('early', at('2026-11-21T01:00:00.000Z')),
    flow('late', at('2026-11-21T02:00:00.000Z')),
    flow('later', at('2026-11-21T02:59:00.000Z')),
    flow('sick', { links: [down] }),
  ]
  expect(troubledFirst(flows).map(({ name }) => name)).toEqual(['sick', 'late', 'later', 'early', 'idle'])
})
