import { expect, test } from 'vitest'
import { DAY, MINUTE } from '../kernel/time.ts'
import { findConnector, findLocation } from './location-findings.ts'

const now = Date.UTC(2026, 10, 21)
const location = { location: 'dc-frankfurt', enrolled: 1, connected: 0, tunnels: 0, openStreams: 0 }

test('a location that flows use and nobody serves is told after a minute', () => {
  const away = (ms: number) => findLocation('dc-frankfurt', { ...location, awaySince: now - ms }, ['orders'], now)
  expect(away(MINUTE - 1).trouble).toBeUndefined()
  expect(away(5 * MINUTE)).toMatchObject({
    id: 'location:dc-frankfurt',
    trouble: {
      what: 'No connector of location dc-frankfurt has been connected for 5m; it is used by flow orders.',
      command: 'isthmus connector check dc-frankfurt',
    },
  })
  expect(findLocation('dc-frankfurt', { ...location, awaySince: undefined }, ['orders'], now).trouble).toBeUndefined()
})

test('a location for which nobody was ever enrolled is told at once', () => {
  expect(findLocation('dc-berlin', undefined, ['orders', 'costs'], now).trouble).toMatchObject({
    what: 'No connector is enrolled for location dc-berlin, which is used by flows orders, costs.',
    command: 'isthmus connector enrol dc-berlin',
  })
})

test('a certificate that was not renewed in time is told until it is renewed or revoked', () => {
  const find = (days: number, state: 'connected' | 'revoked' = 'connected') =>
    findConnector(
      { id: 'c-1', name: 'vm-17', location: 'dc-frankfurt', state, certificateEndsAt: now + days * DAY },
      now,
    )
  expect(find(29).trouble).toBeUndefined()
  expect(find(19).trouble?.what).toContain('connector vm-17 (c-1) of dc-frankfurt ends on 2026-12-10')
  expect(find(19, 'revoked').trouble).toBeUndefined()
})
