import { expect, test } from 'vitest'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { namespaces } from '../../protocols/ews/write-xml.ts'
import { startsOf } from '../occurrences.ts'
import { readAppointment } from './appointment.ts'

const change = (to: string, month: number, clock: string) =>
  `<t:RecurringDayTransition><t:To Kind="Period">${to}</t:To><t:TimeOffset>${clock}</t:TimeOffset><t:Month>${month}</t:Month><t:DayOfWeek>Sunday</t:DayOfWeek><t:Occurrence>-1</t:Occurrence></t:RecurringDayTransition>`
const zone = `<t:StartTimeZone Name="" Id=""><t:Periods><t:Period Bias="-PT1H" Name="Standard" Id="s"/><t:Period Bias="-PT2H" Name="Daylight" Id="d"/></t:Periods><t:TransitionsGroups><t:TransitionsGroup Id="0">${change('d', 3, 'PT2H')}${change('s', 10, 'PT3H')}</t:TransitionsGroup></t:TransitionsGroups><t:Transitions><t:Transition><t:To Kind="Group">0</t:To></t:Transition></t:Transitions></t:StartTimeZone>`
const read = (content: string) =>
  readAppointment(readEwsXml(`<t:CalendarItem xmlns:t="${namespaces.types}">${content}</t:CalendarItem>`), new Map())

test('whole days in a zone that Windows has no name for are those days', () => {
  const { start, end } = read(
    `<t:Start>2026-12-23T23:00:00Z</t:Start><t:End>2026-12-24T23:00:00Z</t:End><t:IsAllDayEvent>true</t:IsAllDayEvent>${zone}`,
  )
  expect([start, end]).toEqual(['2026-12-24', '2026-12-25'])
})

const weekly = (day: string, startDate: string) =>
  `<t:Recurrence><t:WeeklyRecurrence><t:Interval>1</t:Interval><t:DaysOfWeek>${day}</t:DaysOfWeek></t:WeeklyRecurrence><t:NoEndRecurrence><t:StartDate>${startDate}</t:StartDate></t:NoEndRecurrence></t:Recurrence>`

test('a series in such a zone keeps its hour, also when the clocks are changed', () => {
  const series = read(
    `<t:Start>2027-03-14T23:30:00Z</t:Start><t:End>2027-03-15T00:30:00Z</t:End>${weekly('Monday', '2027-03-15')}${zone}`,
  )
  expect([...startsOf(series, '2027-03-01', '2027-04-05')]).toEqual([
    '2027-03-14T23:30:00Z',
    '2027-03-21T23:30:00Z',
    '2027-03-28T22:30:00Z',
    '2027-04-04T22:30:00Z',
  ])
})

test('a series in a zone that nobody knows stays on its days', () => {
  const series = read(
    `<t:Start>2027-03-16T01:00:00Z</t:Start><t:End>2027-03-16T02:00:00Z</t:End>${weekly('Monday', '2027-03-15')}<t:StartTimeZone Id="tzone://Microsoft/Custom"/>`,
  )
  expect([...startsOf(series, '2027-03-01', '2027-04-01')]).toEqual([
    '2027-03-16T01:00:00Z',
    '2027-03-23T01:00:00Z',
    '2027-03-30T01:00:00Z',
  ])
})

test('somebody who works elsewhere counts as free, as over Graph: a move between the two changes nothing', () => {
  const when = '<t:Start>2027-03-16T08:00:00Z</t:Start><t:End>2027-03-16T09:00:00Z</t:End>'
  const free = '<t:LegacyFreeBusyStatus>WorkingElsewhere</t:LegacyFreeBusyStatus>'
  expect(read(`${when}${free}`).showAs).toBe('free')
})
