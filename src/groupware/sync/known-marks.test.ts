import { expect, test } from 'vitest'
import { contact, Pair, titles } from './pair-world.ts'

/** Two contacts on each side; the CRM keeps no marks of contacts, so that the mailbox has all of them. */
function contacts(): Pair {
  const pair = new Pair('contact')
  pair.crm.holdsMark = false
  for (const surname of ['Byron', 'Noether']) pair.mailbox.add(contact({ surname }))
  for (const surname of ['Hopper', 'Lamarr']) pair.crm.add(contact({ surname }))
  return pair
}
const all = ['Byron', 'Hopper', 'Lamarr', 'Noether']

test('a first sync searches no mailbox for marks: its listing has told that there are none', async () => {
  const pair = contacts()
  await pair.settle()
  expect(titles(pair.mailbox.held)).toEqual(all)
  expect(pair.mailbox.requests.get('find')).toBeUndefined()
})

test('when all memory is lost the listing brings the marks, and nothing is searched for or doubled', async () => {
  const pair = contacts()
  await pair.settle()
  await pair.store.forget(pair.scope)
  await pair.settle()
  expect(titles(pair.mailbox.held)).toEqual(all)
  expect(titles(pair.crm.held)).toEqual(all)
  expect(pair.mailbox.requests.get('find')).toBeUndefined()
})

test('what comes later is searched for, since a listing of changes tells of no marks', async () => {
  const pair = contacts()
  await pair.settle()
  pair.crm.add(contact({ surname: 'Curie' }))
  await pair.settle()
  expect(titles(pair.mailbox.held)).toContain('Curie')
  expect(pair.mailbox.requests.get('find')).toBe(1)
})
