import fc from 'fast-check'
import { expect, test } from 'vitest'
import { instantOfLocal, localTimeAt, offsetMinutesAt } from './local-time.ts'
import { ianaOfZone, windowsOfZone, windowsZones } from './windows-zones.ts'

test.each([
  ['Europe/Berlin', 'W. Europe Standard Time'],
  ['Europe/Luxembourg', 'W. Europe Standard Time'],
  ['America/Toronto', 'Eastern Standard Time'],
  ['Asia/Kolkata', 'India Standard Time'],
  ['UTC', 'UTC'],
  ['W. Europe Standard Time', 'W. Europe Standard Time'],
  ['Mars/Olympus', undefined],
])('%s is %s to Windows', (iana, windows) => {
  const found = windowsOfZone(iana)
  // Zones that tick alike have several names; the one that was found must tick alike too.
  if (windows === undefined || iana === 'Europe/Berlin') expect(found).toBe(windows)
  else {
    const [wanted, got] = [ianaOfZone(windows) ?? '', ianaOfZone(found ?? '') ?? '']
    for (const month of [0, 3, 6, 9]) {
      const at = Date.UTC(2026, month, 15)
      expect(offsetMinutesAt(at, got)).toBe(offsetMinutesAt(at, wanted))
    }
  }
})

test('each name of Windows leads to a zone that this machine knows, and back to itself', () => {
  for (const windows of windowsZones) {
    const iana = ianaOfZone(windows)
    expect(iana, windows).toBeDefined()
    expect(localTimeAt(0, iana ?? ''), windows).toMatch(/^19(69|70)-/)
    expect(windowsOfZone(iana ?? '')).toBe(windows)
  }
  expect(ianaOfZone('tzone://Microsoft/Custom')).toBeUndefined()
  expect(ianaOfZone('tzone://Microsoft/Utc')).toBe('UTC')
})

test('an instant is shown by the clock of a zone, and found again by it', () => {
  const zones = windowsZones.map(name => ianaOfZone(name) ?? 'UTC')
  const seconds = fc.integer({ min: Date.UTC(1975, 0) / 1000, max: Date.UTC(2040, 0) / 1000 })
  fc.assert(
    fc.property(seconds, fc.constantFrom(...zones), (second, zone) => {
      const local = localTimeAt(second * 1000, zone)
      const found = instantOfLocal(local, zone)
      expect(localTimeAt(found, zone)).toBe(local)
      // An hour that comes twice is taken for the first of the two.
      expect(found).toBeLessThanOrEqual(second * 1000)
    }),
  )
})

test('the two hours of the year that do not exist or exist twice', () => {
  expect(new Date(instantOfLocal('2026-03-29T02:30:00', 'Europe/Berlin')).toISOString()).toBe(
    '2026-03-29T01:30:00.000Z',
  )
  expect(new Date(instantOfLocal('2026-10-25T02:30:00', 'Europe/Berlin')).toISOString()).toBe(
    '2026-10-25T00:30:00.000Z',
  )
  expect(instantOfLocal('no time at all', 'Europe/Berlin')).toBeNaN()
})
