import { expect, test } from 'vitest'
import { offsetMinutesAt } from '../time-zone/local-time.ts'
import { readEwsXml } from './read-xml.ts'
import { namespaces } from './write-xml.ts'
import { zoneOfDefinition } from './zone-definition.ts'

const summer = 'trule:Microsoft/Registry//1-Daylight'
const winter = 'trule:Microsoft/Registry//1-Standard'

function on(to: string, month: string, occurrence: number, clock: string): string {
  return `<t:RecurringDayTransition><t:To Kind="Period">${to}</t:To><t:TimeOffset>${clock}</t:TimeOffset><t:Month>${month}</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek><t:Occurrence>${occurrence}</t:Occurrence></t:RecurringDayTransition>`
}

/** As Exchange describes the zone of a meeting that another calendar sent. */
function described(attributes: string, standard: string, daylight: string, ...transitions: string[]) {
  const periods = `<t:Period Bias="${standard}" Name="Standard" Id="${winter}"/><t:Period Bias="${daylight}" Name="Daylight" Id="${summer}"/>`
  const groups = `<t:TransitionsGroup Id="0">${transitions.join('')}</t:TransitionsGroup>`
  return readEwsXml(
    `<t:StartTimeZone xmlns:t="${namespaces.types}" ${attributes}><t:Periods>${periods}</t:Periods><t:TransitionsGroups>${groups}</t:TransitionsGroups><t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:StartTimeZone>`,
  )
}

const europe = [on(summer, '3', -1, 'PT2H'), on(winter, '10', -1, 'PT3H')]
const america = [on(summer, '3', 2, 'PT2H'), on(winter, '11', 1, 'PT2H')]
const nameless = 'Name="" Id=""'
const once = `<t:Transition><t:To Kind="Period">${winter}</t:To></t:Transition>`

test.each([
  ['an Id of Windows', described('Name="" Id="Tokyo Standard Time"', 'PT0S', 'PT0S'), 'Asia/Tokyo'],
  ['a Name of Windows', described('Name="Pacific Standard Time" Id=""', 'PT0S', 'PT0S'), 'America/Los_Angeles'],
  ['Central Europe', described(nameless, '-PT1H', '-PT2H', ...europe), 'Europe/Berlin'],
  [
    'New York, in many words',
    described('Id="x" Name="y"', 'P0DT5H0M0.0S', 'P0DT4H0M0.0S', ...america),
    'America/New_York',
  ],
  [
    'Sydney, where summer begins in October',
    described(nameless, '-PT10H', '-PT11H', on(summer, '10', 1, 'PT2H'), on(winter, '4', 1, 'PT3H')),
    'Australia/Sydney',
  ],
  ['India, without summer', described(nameless, '-PT5H30M', '-PT5H30M', once), 'Asia/Kolkata'],
  [
    'Los Angeles by the rules of 2006',
    described(nameless, 'PT8H', 'PT7H', on(summer, '4', 1, 'PT2H'), on(winter, '10', -1, 'PT2H')),
    'America/Los_Angeles',
  ],
])('%s', (_name, definition, zone) => {
  const found = zoneOfDefinition(definition)
  // Zones that tick alike have several names.
  for (const month of [0, 6]) {
    const at = Date.UTC(new Date().getUTCFullYear() + 1, month, 15)
    expect(offsetMinutesAt(at, found ?? '')).toBe(offsetMinutesAt(at, zone))
  }
})

test('a clock that no zone has, and no description at all', () => {
  expect(zoneOfDefinition(described(nameless, '-PT1H17M', '-PT1H17M', once))).toBeUndefined()
  expect(zoneOfDefinition(readEwsXml(`<t:StartTimeZone xmlns:t="${namespaces.types}" Id="" Name=""/>`))).toBeUndefined()
  expect(zoneOfDefinition(undefined)).toBeUndefined()
})
