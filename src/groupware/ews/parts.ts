import { type ExtendedProperty, type FieldChange, writeExtendedProperty } from '../../protocols/ews/fields.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { crmMark } from '../crm-mark.ts'
import type { Body, Importance, Instant, Person, Sensitivity } from '../plan/items.ts'
import { cleanText, lineOf } from './text.ts'

/** Id of the object in the CRM. */
export const markProperty: ExtendedProperty = crmMark
/** What stands behind a contact in the CRM. */
export const partyProperty: ExtendedProperty = { ...crmMark, name: 'CrmParty' }
/** An item that takes more than one request to create, until the last of them is done. */
export const unfinishedProperty: ExtendedProperty = { ...crmMark, name: 'CrmUnfinished' }

export const subjectLettersMax = 255

export function field(name: string, xml: string | undefined): FieldChange {
  return { field: name, xml }
}

/** A field with text in it; an empty one is taken away. */
export function textField(name: string, text: string): FieldChange {
  return field(name, text === '' ? undefined : textElement(`t:${name}`, text))
}

export function valueField(name: string, value: string | number | boolean): FieldChange {
  return field(name, textElement(`t:${name}`, value))
}

export function property(name: ExtendedProperty, value: string | undefined): FieldChange {
  return { property: name, xml: value === undefined ? undefined : writeExtendedProperty(name, value) }
}

export function bodyField({ type, content }: Body): FieldChange {
  return field('Body', textElement('t:Body', content, { BodyType: type === 'html' ? 'HTML' : 'Text' }))
}

export function categoriesField(categories: readonly string[]): FieldChange {
  const names = categories.map(name => textElement('t:String', name))
  return field('Categories', names.length === 0 ? undefined : element('t:Categories', {}, ...names))
}

export function readBody(item: XmlElement): Body {
  const body = childOf(item, 'Body')
  const type = body?.attributes.get('BodyType') === 'HTML' ? 'html' : 'text'
  return { type, content: cleanText(body?.text ?? '') }
}

export function readCategories(item: XmlElement): readonly string[] {
  return (childOf(item, 'Categories')?.children ?? []).map(each => each.text)
}

/** Content of a text field as it stands. */
export function rawText(item: XmlElement | undefined, name: string): string {
  return childOf(item, name)?.text ?? ''
}

export function readLine(item: XmlElement, name: string, lettersMax = subjectLettersMax): string {
  return lineOf(rawText(item, name), lettersMax)
}

const sensitivities = ['normal', 'personal', 'private', 'confidential'] as const
const importances = ['low', 'normal', 'high'] as const

export function readSensitivity(item: XmlElement): Sensitivity {
  const text = textOf(item, 'Sensitivity')?.toLowerCase()
  return sensitivities.find(each => each === text) ?? 'normal'
}

export function readImportance(item: XmlElement): Importance {
  const text = textOf(item, 'Importance')?.toLowerCase()
  return importances.find(each => each === text) ?? 'normal'
}

/** `private` as `Private`. */
export function capital(word: string): string {
  return `${word.slice(0, 1).toUpperCase()}${word.slice(1)}`
}

/** xs:dateTime in milliseconds; without a zone it is UTC, as the request asked for. NaN for none. */
export function millisOf(text: string | undefined): number {
  if (text === undefined) return Number.NaN
  return Date.parse(/(Z|[+-]\d\d:\d\d)$/.test(text) || !text.includes('T') ? text : `${text}Z`)
}

export function instantOf(ms: number): Instant {
  return `${new Date(ms).toISOString().slice(0, 19)}Z`
}

/** An instant of a field; null where it is not there. */
export function readInstant(item: XmlElement | undefined, name: string): Instant | null {
  const ms = millisOf(textOf(item, name))
  return Number.isNaN(ms) ? null : instantOf(ms)
}

/** A `t:Mailbox` as a person; null without an address. */
export function readPerson(mailbox: XmlElement | undefined): Person | null {
  const address = textOf(mailbox, 'EmailAddress')?.toLowerCase()
  if (address === undefined) return null
  return { address, name: lineOf(rawText(mailbox, 'Name'), subjectLettersMax) }
}

export function writeMailbox({ address, name }: Person): string {
  const named = name === '' ? '' : textElement('t:Name', name)
  // Whom Exchange cannot find any more it names by a path, and takes that for no mail address.
  const routing = address.startsWith('/') ? textElement('t:RoutingType', 'EX') : ''
  return element('t:Mailbox', {}, named, textElement('t:EmailAddress', address), routing)
}

export function cleanPerson({ address, name }: Person): Person {
  return { address: address.trim().toLowerCase(), name: lineOf(name, subjectLettersMax) }
}

/** Categories once each; Exchange takes them without regard to case. */
export function cleanCategories(categories: readonly string[]): readonly string[] {
  const seen = new Map<string, string>()
  for (const name of categories.map(each => lineOf(each, subjectLettersMax).replaceAll(',', ' ')).filter(Boolean)) {
    if (!seen.has(name.toLowerCase())) seen.set(name.toLowerCase(), name)
  }
  return [...seen.values()]
}
