import { expect, test } from 'vitest'
import { parseXmlElement } from '../../protocols/xml/xml-element.ts'
import { schemaFaultsOf } from './schema-world.ts'

const faultsOf = (xml: string) => schemaFaultsOf(parseXmlElement(Buffer.from(xml)))
const create = (item: string) => `<CreateItem SendMeetingInvitations="SendToNone"><Items>${item}</Items></CreateItem>`

test('what the schema allows has no faults', () => {
  const item =
    '<CalendarItem><Subject>a</Subject><Start>2026-11-23T09:00:00Z</Start><End>2026-11-23T10:00:00Z</End></CalendarItem>'
  expect(faultsOf(create(item))).toEqual([])
})

test.each([
  ['another order', create('<CalendarItem><Start>2026-11-23T09:00:00Z</Start><Subject>a</Subject></CalendarItem>')],
  ['an element that is of another class', create('<Contact><Start>2026-11-23T09:00:00Z</Start></Contact>')],
  ['an element twice', create('<Task><Subject>a</Subject><Subject>b</Subject></Task>')],
  ['nothing where something must be', '<CreateItem><Items></Items></CreateItem>'],
  ['a value that is none of its type', create('<Task><Status>Done</Status></Task>')],
  ['a moment without its time', create('<Task><DueDate>2026-11-23</DueDate></Task>')],
  [
    'an attribute too many',
    '<GetItem Traversal="Shallow"><ItemShape><BaseShape>IdOnly</BaseShape></ItemShape></GetItem>',
  ],
  ['an attribute too few', '<DeleteItem><ItemIds><ItemId Id="a"/></ItemIds></DeleteItem>'],
  ['elements where text belongs', create('<Task><Subject><b/></Subject></Task>')],
])('%s is seen', (_, xml) => {
  expect(faultsOf(xml)).not.toEqual([])
})
