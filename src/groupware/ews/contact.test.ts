import { expect, test } from 'vitest'
import { readEwsXml } from '../../protocols/ews/read-xml.ts'
import { element, namespaces } from '../../protocols/ews/write-xml.ts'
import { readContact } from './contact.ts'

const emailsOf = (...texts: readonly string[]) => {
  const entries = texts.map((text, index) => element('t:Entry', { Key: `EmailAddress${index + 1}` }, text))
  const emails = element('t:EmailAddresses', {}, ...entries)
  return readContact(readEwsXml(`<t:Contact xmlns:t="${namespaces.types}">${emails}</t:Contact>`)).emails
}

test('the address is found in what Outlook shows for one', () => {
  expect(emailsOf('Anna Schmidt (Anna@X.example)', '&lt;ben@x.example&gt;', 'Carla @ home')).toEqual([
    'anna@x.example',
    'ben@x.example',
  ])
})

test('a long text in the place of an address costs no time', () => {
  const started = performance.now()
  expect(emailsOf('a'.repeat(100_000))).toEqual([])
  expect(performance.now() - started).toBeLessThan(1_000)
})
