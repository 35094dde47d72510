import { type FieldChange, readExtendedProperty } from '../../protocols/ews/fields.ts'
import { element, textElement } from '../../protocols/ews/write-xml.ts'
import { childOf, textOf, type XmlElement } from '../../protocols/xml/xml-element.ts'
import { readBirthday, writeBirthday } from '../birthday.ts'
import type { Address, Contact } from '../plan/items.ts'
import {
  bodyField,
  capital,
  categoriesField,
  cleanCategories,
  partyProperty,
  property,
  rawText,
  readBody,
  readCategories,
  readLine,
  readSensitivity,
  subjectLettersMax,
  textField,
  valueField,
} from './parts.ts'
import { lineOf, plainBody } from './text.ts'

export const contactFields =
  'ParentFolderId Sensitivity Body Categories LastModifiedTime GivenName MiddleName CompanyName EmailAddresses PhysicalAddresses PhoneNumbers Birthday BusinessHomePage Department JobTitle Surname'.split(
    ' ',
  )

const emailsMax = 3
const phoneKeys = { business: 'BusinessPhone', mobile: 'MobilePhone', home: 'HomePhone', fax: 'BusinessFax' } as const
type Phones = Contact['phones']
const phoneNames = Object.keys(phoneKeys) as (keyof Phones)[]

/** Fields with one text each, and the element of Exchange for it. */
const texts = [
  ['givenName', 'GivenName'],
  ['middleName', 'MiddleName'],
  ['surname', 'Surname'],
  ['company', 'CompanyName'],
  ['department', 'Department'],
  ['jobTitle', 'JobTitle'],
  ['website', 'BusinessHomePage'],
] as const

const addressParts = [
  ['street', 'Street'],
  ['city', 'City'],
  ['region', 'State'],
  ['country', 'CountryOrRegion'],
  ['postalCode', 'PostalCode'],
] as const

export function readContact(item: XmlElement): Contact {
  const entry = (list: string, key: string) =>
    childOf(item, list)?.children.find(each => each.attributes.get('Key') === key)
  const line = (text: string | undefined) => lineOf(text ?? '', subjectLettersMax)
  const address = (key: string): Address => {
    const found = entry('PhysicalAddresses', key)
    const of = (name: string) => line(rawText(found, name))
    return {
      street: of('Street'),
      postalCode: of('PostalCode'),
      city: of('City'),
      region: of('State'),
      country: of('CountryOrRegion'),
    }
  }
  const categories = readCategories(item)
  const emails = ['EmailAddress1', 'EmailAddress2', 'EmailAddress3'].map(key =>
    mailAddress(entry('EmailAddresses', key)?.text ?? ''),
  )
  const phone = (name: keyof Phones) => line(entry('PhoneNumbers', phoneKeys[name])?.text)
  return {
    kind: 'contact',
    party: partyOf(readExtendedProperty(item, partyProperty), categories),
    givenName: readLine(item, 'GivenName'),
    middleName: readLine(item, 'MiddleName'),
    surname: readLine(item, 'Surname'),
    company: readLine(item, 'CompanyName'),
    department: readLine(item, 'Department'),
    jobTitle: readLine(item, 'JobTitle'),
    emails: [...new Set(emails.filter(each => each !== ''))],
    phones: { business: phone('business'), mobile: phone('mobile'), home: phone('home'), fax: phone('fax') },
    businessAddress: address('Business'),
    homeAddress: address('Home'),
    website: readLine(item, 'BusinessHomePage'),
    birthday: readBirthday(textOf(item, 'Birthday') ?? ''),
    body: plainBody(readBody(item)),
    sensitivity: readSensitivity(item),
    categories,
  }
}

/** Outlook shows `Anna Schmidt (anna@x.example)` where the address book gave the address. */
function mailAddress(text: string): string {
  // Word by word: one pattern for the whole text would try each place of a long one.
  const address = text.split(/[\s<>()]+/).find(word => /.@./.test(word))
  return address?.toLowerCase() ?? ''
}

function partyOf(property: string | undefined, categories: readonly string[]): Contact['party'] {
  if (property === 'account' || property === 'individual-customer' || property === 'contact') return property
  if (categories.includes('Account')) return 'account'
  return categories.includes('Individual Customer') ? 'individual-customer' : 'contact'
}

export function writeContact(item: Contact, fields: ReadonlySet<string> | 'all'): readonly FieldChange[] {
  const isNew = fields === 'all'
  const has = (name: string) => isNew || fields.has(name)
  const parts: FieldChange[] = []
  if (has('sensitivity')) parts.push(valueField('Sensitivity', capital(item.sensitivity)))
  if (has('body')) parts.push(bodyField(item.body))
  if (has('categories')) parts.push(categoriesField(item.categories))
  if (has('party') && (!isNew || item.party !== 'contact')) parts.push(property(partyProperty, item.party))
  if (['givenName', 'middleName', 'surname', 'company'].some(has)) {
    const { givenName, middleName, surname, company } = item
    const shown = [givenName, middleName, surname].filter(Boolean).join(' ') || company
    parts.push(textField('DisplayName', shown))
    parts.push(textField('FileAs', surname !== '' && givenName !== '' ? `${surname}, ${givenName}` : shown))
  }
  for (const [name, element] of texts) if (has(name)) parts.push(textField(element, item[name]))
  if (has('emails')) {
    for (let index = 0; index < emailsMax; index += 1) {
      parts.push(
        entryField('EmailAddresses', 'contacts:EmailAddress', `EmailAddress${index + 1}`, item.emails[index] ?? ''),
      )
    }
  }
  if (has('businessAddress')) parts.push(...writeAddress('Business', item.businessAddress, isNew))
  if (has('homeAddress')) parts.push(...writeAddress('Home', item.homeAddress, isNew))
  if (has('phones')) {
    for (const name of phoneNames) {
      parts.push(entryField('PhoneNumbers', 'contacts:PhoneNumber', phoneKeys[name], item.phones[name]))
    }
  }
  if (has('birthday')) parts.push(textField('Birthday', item.birthday === null ? '' : writeBirthday(item.birthday)))
  return parts.filter(part => !isNew || part.xml !== undefined)
}

function entryField(list: string, uri: string, key: string, text: string): FieldChange {
  return { field: list, uri, index: key, xml: text === '' ? undefined : textElement('t:Entry', text, { Key: key }) }
}

/** In a new contact an address is one entry; later each part of it is a property of its own. */
function writeAddress(key: string, address: Address, isNew: boolean): readonly FieldChange[] {
  const parts = addressParts.map(([name, tag]) => ({ tag, text: address[name] }))
  if (isNew) {
    const filled = parts.filter(({ text }) => text !== '').map(({ tag, text }) => textElement(`t:${tag}`, text))
    const xml = filled.length === 0 ? undefined : element('t:Entry', { Key: key }, ...filled)
    return [{ field: 'PhysicalAddresses', uri: 'contacts:PhysicalAddress', index: key, xml }]
  }
  return parts.map(({ tag, text }) => ({
    field: 'PhysicalAddresses',
    uri: `contacts:PhysicalAddress:${tag}`,
    index: key,
    xml: text === '' ? undefined : element('t:Entry', { Key: key }, textElement(`t:${tag}`, text)),
  }))
}

export function normaliseContact(item: Contact): Contact {
  const line = (text: string) => lineOf(text, subjectLettersMax)
  const address = ({ street, postalCode, city, region, country }: Address): Address => ({
    street: line(street),
    postalCode: line(postalCode),
    city: line(city),
    region: line(region),
    country: line(country),
  })
  const { business, mobile, home, fax } = item.phones
  const names = Object.fromEntries(texts.map(([name]) => [name, line(item[name])]))
  return {
    ...item,
    ...names,
    emails: [...new Set(item.emails.map(mailAddress).filter(Boolean))].slice(0, emailsMax),
    phones: { business: line(business), mobile: line(mobile), home: line(home), fax: line(fax) },
    businessAddress: address(item.businessAddress),
    homeAddress: address(item.homeAddress),
    body: plainBody(item.body),
    categories: cleanCategories(item.categories),
  }
}
